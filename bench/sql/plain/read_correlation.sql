\set c random(1, 3 * :events / 10)
SELECT position, event_id, event_type, occurred_at, correlation_id, causation_id,
       aggregate_id, aggregate_type, aggregate_version, data, metadata
  FROM eventstore.events WHERE correlation_id = 'correlation-' || :c ORDER BY occurred_at, position;
