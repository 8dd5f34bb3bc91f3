INSERT INTO emt_streams (stream_id, stream_position, stream_type, stream_metadata)
SELECT aggregate, max(version), 'Order', '{}' FROM load GROUP BY aggregate ORDER BY min(i);
INSERT INTO emt_messages (stream_id, stream_position, transaction_id, message_schema_version, message_id,
  message_type, message_data, message_metadata)
SELECT aggregate, version, pg_current_xact_id(), '1', gen_random_uuid(), type, data, '{}' FROM load ORDER BY i;
