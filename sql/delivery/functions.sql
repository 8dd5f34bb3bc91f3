CREATE OR REPLACE FUNCTION eventstore.poll(
  subscription text,
  max_count integer DEFAULT 100,
  consumer text DEFAULT NULL,
  wait interval DEFAULT '0',
  ack bigint DEFAULT NULL)
RETURNS TABLE (
  delivery bigint,
  attempt integer,
  partition integer,
  "position" bigint,
  event_id varchar,
  event_type varchar,
  occurred_at timestamptz,
  correlation_id varchar,
  causation_id varchar,
  aggregate_id varchar,
  aggregate_type varchar,
  aggregate_version integer,
  data jsonb,
  metadata jsonb)
AS 'MODULE_PATHNAME', 'pges_poll'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.poll(text, integer, text, interval, bigint) IS
'Delivers the next events of a subscription, in the order of their positions. The delivery belongs to the consumer until ack() acknowledges it, nack() or park() refuses it, release() gives it back, or its lease ends. Until then no other consumer gets events of its partitions. If the transaction is rolled back, nothing was delivered.
subscription: the name of the subscription.
max_count: the maximum number of events, more than 0. NULL means 100.
consumer: a name that the client gives itself, up to 255 characters. Consumers with different names share the partitions. A consumer that polls again without an acknowledgement gets the same events again at once, with a new delivery, and the earlier delivery becomes void. Without a name, each call is a consumer of its own.
wait: the maximum time to wait if there is nothing to deliver. More than 60 seconds count as 60.
ack: a delivery to acknowledge first, as by ack().
Returns the events. Each row also has the delivery, the number of times the event was delivered, and the partition. The result has no row if there is nothing to deliver, if all partitions with events belong to other consumers, if another transaction has polled under the same name and is still open, or if the subscription is paused. A LIMIT on the rows does not make the delivery smaller: use max_count.
If a client writes its results to this database and calls ack() in the transaction of the poll, each event takes effect exactly once.
Errors: 42704 no such subscription; 22V02 ack is not an outstanding delivery; 22023, 22004 invalid arguments; 22V01 a checkpoint is beyond the log, as for read_events(); 42501 the caller is not a member of the owner, or without SELECT on the store or its archive; 0A000 row security of the store applies to the caller; 42P01 the store was dropped; 55000 the archive of the store is missing, see create_archive(), or only the definition or the progress of the subscription was restored or replicated; 40001 in REPEATABLE READ and SERIALIZABLE, another transaction changes the same partition at the same time; 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.ack(
  subscription text,
  delivery bigint,
  up_to_position bigint DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_ack'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.ack(text, bigint, bigint) IS
'Acknowledges the events of a delivery, which then count as processed. If the call fails, nothing is changed.
subscription, delivery: the subscription, and the delivery as poll() returned it.
up_to_position: only the events of the delivery up to this position. The others stay with the consumer. A position before the first event acknowledges nothing. NULL means all.
Errors: 22V02 the delivery is not outstanding, because it was acknowledged before, some of its events were given out again after its lease ended, the subscription was reset, or its types were changed; 22023 up_to_position is after the last event of the delivery; 22004 subscription or delivery is NULL; 42704 no such subscription; 42501 the caller is not a member of the owner; 40001 as poll(); 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.nack(
  subscription text,
  delivery bigint,
  at_position bigint,
  reason text DEFAULT NULL,
  retry_after interval DEFAULT NULL)
RETURNS timestamptz
AS 'MODULE_PATHNAME', 'pges_nack'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.nack(text, bigint, bigint, text, interval) IS
'Reports that an event of a delivery failed. The earlier events of the delivery are acknowledged, and the delivery ends. The partition of the event waits for the backoff. Other partitions with later events are free at once. If the event has failed max_attempts times, on_exhausted decides whether it is parked or its partition is stopped. An event that replay_parked() gave out is parked again.
subscription, delivery: the subscription, and the delivery as poll() returned it.
at_position: the position of the event that failed.
reason: why the event failed. The views show the reason, cut to 10000 bytes.
retry_after: the pause before the next attempt, at most 1 day. NULL means the backoff of the subscription.
Returns the time of the next attempt, or NULL if the event was parked or its partition was stopped.
Errors: 22023 the delivery has no event at at_position, or retry_after is negative or too long; 42501 the caller is not a member of the owner, or without SELECT on the store; 42P01, 55000 as poll(); others as ack().';

CREATE OR REPLACE FUNCTION eventstore.park(
  subscription text,
  delivery bigint,
  at_position bigint,
  reason text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_park'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.park(text, bigint, bigint, text) IS
'Parks an event of a delivery at once, without further attempts. The earlier events of the delivery are acknowledged, and the delivery ends. Unless on_exhausted is "skip", later events of its aggregate are parked behind it.
subscription, delivery: the subscription, and the delivery as poll() returned it.
at_position: the position of the event.
reason: why the event is parked. View parked_events shows the reason, cut to 10000 bytes.
Errors: 22023 the delivery has no event at at_position; others as nack().';

CREATE OR REPLACE FUNCTION eventstore.extend_lease(
  subscription text,
  delivery bigint,
  lease interval DEFAULT NULL)
RETURNS timestamptz
AS 'MODULE_PATHNAME', 'pges_extend_lease'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.extend_lease(text, bigint, interval) IS
'Extends the lease of a delivery: it ends the given time from now. This also works if the lease has ended and no other consumer has the events yet.
subscription, delivery: the subscription, and the delivery as poll() returned it.
lease: more than 0 and at most 1 day. NULL means the lease of the subscription.
Returns the time at which the lease ends.
Errors: 22023 invalid lease; others as ack().';

CREATE OR REPLACE FUNCTION eventstore.release(
  subscription text,
  consumer text)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_release'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.release(text, text) IS
'Gives back the delivery of a consumer that shuts down, and forgets the consumer. Its partitions are free at once, and the delivery does not count as an attempt. The call waits for the locks of these partitions.
subscription, consumer: as passed to poll().
Returns the number of partitions that were given back. The result is 0 if the consumer had no delivery.
Errors: 22004 an argument is NULL; 42704, 42501, 40001, 25006 as ack().';

CREATE OR REPLACE FUNCTION eventstore.subscription_lag(
  subscription text,
  OUT lag bigint,
  OUT occurred_at timestamptz,
  OUT problem text)
RETURNS record
AS 'MODULE_PATHNAME', 'pges_subscription_lag'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.subscription_lag(text) IS
'Returns how far a subscription is behind its store. View eventstore.subscriptions shows it. The function searches 1000 positions after the lowest checkpoint for an event that is neither processed nor parked. If there is none, it takes the next event of any type.
subscription: the subscription.
Returns lag, the number of positions from that event to the high-water mark, and the time of the event; 0 and NULL if there is no such event. If the store cannot be read, both are NULL, and problem is the message of the error that poll() would raise.
Errors: 42704 no such subscription.';
