\set left :left - 1
\if :left < 0
\set left :events / :n - 1
\set p_position 0
\endif
\set last :p_position
BEGIN;
SELECT position, event_id, event_type, occurred_at, correlation_id, causation_id,
       aggregate_id, aggregate_type, aggregate_version, data, metadata
  FROM eventstore.events WHERE position > :p_position ORDER BY position LIMIT :n \aset p_
UPDATE bench.checkpoints SET position = :p_position WHERE consumer = 'consumer';
COMMIT;
\if :p_position <> :last + :n
SELECT 1 / 0 AS the_batch_is_not_full;
\endif
