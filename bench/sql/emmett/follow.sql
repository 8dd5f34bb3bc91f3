\set left :left - 1
\if :left < 0
DELETE FROM emt_processors;
\set left :events / :n - 1
\set p_global_position 0
\endif
\set last :p_global_position
SELECT stream_id, stream_position, global_position, message_data, message_metadata, message_schema_version, message_type, message_id
  FROM emt_messages
 WHERE partition = 'emt' || chr(58) || 'default' AND is_archived = FALSE AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
   AND global_position >= :p_global_position + 1
 ORDER BY transaction_id, global_position LIMIT :n \aset p_
SELECT store_processor_checkpoint('consumer', 1, lpad(:p_global_position::text, 19, '0'), NULLIF(lpad(:last::text, 19, '0'), repeat('0', 19)),
  pg_current_xact_id(), 'emt' || chr(58) || 'default', 'emt' || chr(58) || 'unknown');
\if :p_global_position <> :last + :n
SELECT 1 / 0 AS the_batch_is_not_full;
\endif
