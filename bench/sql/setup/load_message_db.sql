INSERT INTO messages (id, stream_name, type, position, data)
SELECT gen_random_uuid(), aggregate, type, version - 1, data FROM load ORDER BY i;
