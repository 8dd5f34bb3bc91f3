\set a random(1, :events / :n)
SELECT position, event_id, event_type, occurred_at, correlation_id, causation_id,
       aggregate_id, aggregate_type, aggregate_version, data, metadata
  FROM eventstore.events WHERE aggregate_id = 'order-' || :n || '-' || :a ORDER BY aggregate_version;
