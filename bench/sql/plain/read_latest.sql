SELECT position, event_id, event_type, occurred_at, correlation_id, causation_id,
       aggregate_id, aggregate_type, aggregate_version, data, metadata
  FROM (SELECT * FROM eventstore.events ORDER BY position DESC LIMIT 100) e ORDER BY position;
