\set t random(0, 19)
\set s random(0, 3 * :events - 2100)
SELECT position, event_id, event_type, occurred_at, correlation_id, causation_id,
       aggregate_id, aggregate_type, aggregate_version, data, metadata
  FROM eventstore.events
 WHERE event_type = 'type_' || :t AND occurred_at >= '2020-01-01Z'::timestamptz + :s * interval '1 second'
 ORDER BY occurred_at, position LIMIT 100;
