\set p random(0, 3 * :events - 1000)
SELECT stream_id, stream_position, global_position, message_data, message_metadata, message_schema_version, message_type, message_id
  FROM emt_messages
 WHERE partition = 'emt' || chr(58) || 'default' AND is_archived = FALSE AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
   AND global_position >= :p + 1
 ORDER BY transaction_id, global_position LIMIT 1000;
