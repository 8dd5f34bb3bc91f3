-- The log is looked at only for roles that may read the store. If there is no store,
-- may_read is null, and the lag says so.
CREATE VIEW eventstore.subscriptions AS
SELECT d.subscription AS name,
       d.store,
       d.owner,
       d.event_types,
       d.aggregate_types,
       d.partitions,
       d.next_partitions,
       d.lease,
       d.max_attempts,
       d.backoff,
       d.on_exhausted,
       d.paused,
       d.runner,
       p.stopped,
       p.checkpoint,
       f.lag,
       CASE WHEN f.lag OPERATOR(pg_catalog.=) 0 THEN 0
            ELSE GREATEST(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) f.occurred_at),
                          CASE WHEN f.occurred_at IS NOT NULL THEN 0 END) END AS lag_seconds,
       p.rate,
       p.in_flight,
       (SELECT pg_catalog.count(*) FROM (
          SELECT c.consumer FROM eventstore.subscription_consumers c
           WHERE c.subscription OPERATOR(pg_catalog.=) d.subscription
             AND c.seen_at OPERATOR(pg_catalog.>) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) d.lease)
           UNION
          SELECT COALESCE(s.consumer, s.delivery::text COLLATE "C") FROM eventstore.subscription_progress s
           WHERE s.subscription OPERATOR(pg_catalog.=) d.subscription
             AND s.delivery IS NOT NULL AND s.lease_until OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()) a) AS consumers,
       p.oldest_lease,
       (SELECT pg_catalog.count(*) FROM eventstore.subscription_parked k
         WHERE k.subscription OPERATOR(pg_catalog.=) d.subscription) AS parked,
       CASE WHEN r.may_read AND NOT pg_catalog.row_security_active(d.store::pg_catalog.oid) THEN l.last_error END AS last_error,
       l.last_error_at,
       f.problem,
       d.created_at
  FROM eventstore.subscription_definitions d
 CROSS JOIN LATERAL (
       SELECT pg_catalog.min(s.checkpoint) AS checkpoint,
              pg_catalog.count(*) FILTER (WHERE s.stopped) AS stopped,
              COALESCE(pg_catalog.sum(s.rate OPERATOR(pg_catalog.*) pg_catalog.exp(GREATEST(-600, LEAST(0,
                pg_catalog.date_part('epoch', s.delivered_at OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp()) OPERATOR(pg_catalog./) 60)))), 0)
                OPERATOR(pg_catalog./) 60 AS rate,
              COALESCE(pg_catalog.sum(s.delivered) FILTER (WHERE s.delivery IS NOT NULL), 0) AS in_flight,
              pg_catalog.min(s.lease_until) FILTER (WHERE s.delivery IS NOT NULL) AS oldest_lease
         FROM eventstore.subscription_progress s
        WHERE s.subscription OPERATOR(pg_catalog.=) d.subscription) p
  LEFT JOIN LATERAL (
       SELECT s.last_error, s.last_error_at
         FROM eventstore.subscription_progress s
        WHERE s.subscription OPERATOR(pg_catalog.=) d.subscription AND s.last_error_at IS NOT NULL
        ORDER BY s.last_error_at DESC LIMIT 1) l ON true
 CROSS JOIN LATERAL (
       SELECT pg_catalog.has_table_privilege(d.store::pg_catalog.oid, 'SELECT') AS may_read) r
 CROSS JOIN LATERAL eventstore.subscription_lag(CASE WHEN r.may_read OR r.may_read IS NULL THEN d.subscription END) f;

COMMENT ON VIEW eventstore.subscriptions IS
'The subscriptions and their progress. Columns lag, lag_seconds, last_error and problem are null for roles without SELECT on the store, last_error also for roles to which its row security applies.';
COMMENT ON COLUMN eventstore.subscriptions.name IS 'name of the subscription';
COMMENT ON COLUMN eventstore.subscriptions.store IS 'the store; - if it was dropped';
COMMENT ON COLUMN eventstore.subscriptions.owner IS 'role whose members may use the subscription';
COMMENT ON COLUMN eventstore.subscriptions.event_types IS 'types of the events that are delivered; null for all';
COMMENT ON COLUMN eventstore.subscriptions.aggregate_types IS 'types of the aggregates whose events are delivered; null for all';
COMMENT ON COLUMN eventstore.subscriptions.partitions IS 'number of partitions';
COMMENT ON COLUMN eventstore.subscriptions.next_partitions IS 'number of partitions from the time at which no delivery is outstanding; null if no change is pending';
COMMENT ON COLUMN eventstore.subscriptions.lease IS 'time for which a delivery belongs to its consumer';
COMMENT ON COLUMN eventstore.subscriptions.max_attempts IS 'number of deliveries of an event before it is exhausted';
COMMENT ON COLUMN eventstore.subscriptions.backoff IS 'pause after the first failure of an event';
COMMENT ON COLUMN eventstore.subscriptions.on_exhausted IS 'what happens to an exhausted event: park, skip or stop';
COMMENT ON COLUMN eventstore.subscriptions.paused IS 'whether the subscription is paused';
COMMENT ON COLUMN eventstore.subscriptions.runner IS 'what processes the events: consumers, worker, caller or trigger. All but consumers are for projections: the background worker, a caller of run_projection(), or the trigger of an inline projection';
COMMENT ON COLUMN eventstore.subscriptions.stopped IS 'number of partitions that an exhausted event has stopped';
COMMENT ON COLUMN eventstore.subscriptions.checkpoint IS 'the lowest checkpoint of its partitions: every event at or below it was acknowledged or parked';
COMMENT ON COLUMN eventstore.subscriptions.lag IS 'number of positions from the first event that is not acknowledged or parked to the high-water mark; 0 if there is none. Not all of these positions have events of the subscription. If the next 1000 positions have none, the lag is counted from there';
COMMENT ON COLUMN eventstore.subscriptions.lag_seconds IS 'age of the event from which lag is counted, in seconds; 0 if there is none';
COMMENT ON COLUMN eventstore.subscriptions.rate IS 'events delivered per second, as a mean of about the last minute';
COMMENT ON COLUMN eventstore.subscriptions.in_flight IS 'number of events of the deliveries that are outstanding; an acknowledgement of a part does not change it';
COMMENT ON COLUMN eventstore.subscriptions.consumers IS 'number of consumers that have a delivery, or have polled within a lease';
COMMENT ON COLUMN eventstore.subscriptions.oldest_lease IS 'time at which the first of the leases ends; null if no delivery is outstanding';
COMMENT ON COLUMN eventstore.subscriptions.parked IS 'number of parked events';
COMMENT ON COLUMN eventstore.subscriptions.last_error IS 'reason of the last failure of an event, since the number of partitions was changed';
COMMENT ON COLUMN eventstore.subscriptions.last_error_at IS 'time of the last failure';
COMMENT ON COLUMN eventstore.subscriptions.problem IS 'message of the error that poll() would raise for this role. Null if there is none, and for roles without SELECT on the store';
COMMENT ON COLUMN eventstore.subscriptions.created_at IS 'time at which the subscription was created';

CREATE VIEW eventstore.subscription_partitions AS
SELECT s.subscription,
       s.partition,
       s.checkpoint,
       s.consumer,
       s.delivery,
       CASE WHEN s.delivery IS NULL THEN 0 ELSE s.delivered END AS in_flight,
       s.lease_until,
       s.attempt,
       s.retry_at,
       s.stopped,
       CASE WHEN pg_catalog.has_table_privilege(d.store::pg_catalog.oid, 'SELECT')
             AND NOT pg_catalog.row_security_active(d.store::pg_catalog.oid) THEN s.last_error END AS last_error,
       s.last_error_at
  FROM eventstore.subscription_progress s
  JOIN eventstore.subscription_definitions d ON d.subscription OPERATOR(pg_catalog.=) s.subscription;

COMMENT ON VIEW eventstore.subscription_partitions IS
'The partitions of subscriptions, and their consumers. Column last_error is null for roles without SELECT on the store, or to which its row security applies.';
COMMENT ON COLUMN eventstore.subscription_partitions.subscription IS 'name of the subscription';
COMMENT ON COLUMN eventstore.subscription_partitions.partition IS 'number of the partition, from 0';
COMMENT ON COLUMN eventstore.subscription_partitions.checkpoint IS 'every event of the partition at or below this position was acknowledged or parked. A partition without new events may stay behind the log by 255 positions';
COMMENT ON COLUMN eventstore.subscription_partitions.consumer IS 'consumer that has the delivery; null for none, or one without a name';
COMMENT ON COLUMN eventstore.subscription_partitions.delivery IS 'the outstanding delivery; null for none';
COMMENT ON COLUMN eventstore.subscription_partitions.in_flight IS 'number of events of the partition in the outstanding delivery; an acknowledgement of a part does not change it';
COMMENT ON COLUMN eventstore.subscription_partitions.lease_until IS 'time at which the lease of the delivery ends; another consumer can get the events then';
COMMENT ON COLUMN eventstore.subscription_partitions.attempt IS 'how often the first event after the checkpoint was delivered';
COMMENT ON COLUMN eventstore.subscription_partitions.retry_at IS 'time before which nothing is delivered, after a failure; null for none';
COMMENT ON COLUMN eventstore.subscription_partitions.stopped IS 'whether an exhausted event has stopped the partition, see resume_subscription()';
COMMENT ON COLUMN eventstore.subscription_partitions.last_error IS 'reason of the last failure';
COMMENT ON COLUMN eventstore.subscription_partitions.last_error_at IS 'time of the last failure';

-- As a security barrier, a condition on the subscription goes down to the table, but no
-- function of the user does. OFFSET 0 lets the problem be looked at before the store is.
CREATE VIEW eventstore.parked_events WITH (security_barrier) AS
SELECT k.subscription,
       k.reason,
       k.attempts,
       k.behind,
       k.replay,
       k.parked_at,
       k.position,
       e.event_id,
       e.event_type,
       e.occurred_at,
       e.correlation_id,
       e.causation_id,
       e.aggregate_id,
       e.aggregate_type,
       e.aggregate_version,
       e.data,
       e.metadata
  FROM (SELECT s.subscription, s.store, (eventstore.subscription_lag(s.subscription)).problem
          FROM eventstore.subscription_definitions s
         WHERE pg_catalog.has_table_privilege(s.store::pg_catalog.oid, 'SELECT')
           AND NOT pg_catalog.row_security_active(s.store::pg_catalog.oid)
           AND EXISTS (SELECT FROM eventstore.subscription_parked p WHERE p.subscription OPERATOR(pg_catalog.=) s.subscription)) d
  JOIN eventstore.subscription_parked k ON k.subscription OPERATOR(pg_catalog.=) d.subscription
  LEFT JOIN LATERAL (
       SELECT r.* FROM eventstore.read_events(k.position OPERATOR(pg_catalog.-) 1, 1, NULL, NULL, false, d.store) r
        WHERE d.problem IS NULL AND r.position OPERATOR(pg_catalog.=) k.position
       OFFSET 0) e ON true;

COMMENT ON VIEW eventstore.parked_events IS
'The events that subscriptions have parked. A role sees the events of the stores that it may read, but not those of a store whose row security applies to the role. If the store cannot be read, for example because its archive is missing, the columns of the events are null, and column problem of view eventstore.subscriptions has the reason.';
COMMENT ON COLUMN eventstore.parked_events.subscription IS 'name of the subscription';
COMMENT ON COLUMN eventstore.parked_events.reason IS 'why the event was parked';
COMMENT ON COLUMN eventstore.parked_events.attempts IS 'number of deliveries of the event before it was parked, or since replay_parked()';
COMMENT ON COLUMN eventstore.parked_events.behind IS 'whether the event was parked because an earlier one of its aggregate was';
COMMENT ON COLUMN eventstore.parked_events.replay IS 'whether poll() is to deliver the event again';
COMMENT ON COLUMN eventstore.parked_events.parked_at IS 'time at which the event was parked';
COMMENT ON COLUMN eventstore.parked_events.position IS 'position of the event';
COMMENT ON COLUMN eventstore.parked_events.event_id IS 'identity of the event';
COMMENT ON COLUMN eventstore.parked_events.event_type IS 'type of the event';
COMMENT ON COLUMN eventstore.parked_events.occurred_at IS 'time at which the event occurred';
COMMENT ON COLUMN eventstore.parked_events.correlation_id IS 'identifier that all events of one business process share';
COMMENT ON COLUMN eventstore.parked_events.causation_id IS 'event or command that caused the event';
COMMENT ON COLUMN eventstore.parked_events.aggregate_id IS 'aggregate of the event; null for none';
COMMENT ON COLUMN eventstore.parked_events.aggregate_type IS 'type of the aggregate';
COMMENT ON COLUMN eventstore.parked_events.aggregate_version IS 'number of the event within its aggregate';
COMMENT ON COLUMN eventstore.parked_events.data IS 'what happened';
COMMENT ON COLUMN eventstore.parked_events.metadata IS 'other values that were stored with the event';

GRANT SELECT ON eventstore.subscriptions, eventstore.subscription_partitions, eventstore.parked_events TO PUBLIC;
