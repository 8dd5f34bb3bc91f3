\set p random(0, 3 * :events - 1000)
SELECT position, event_id, event_type, occurred_at, correlation_id, causation_id,
       aggregate_id, aggregate_type, aggregate_version, data, metadata
  FROM eventstore.events WHERE position > :p ORDER BY position LIMIT 1000;
