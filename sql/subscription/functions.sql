CREATE OR REPLACE FUNCTION eventstore.create_subscription(
  name text,
  store regclass DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  start_position bigint DEFAULT 0,
  partitions integer DEFAULT 1,
  lease interval DEFAULT '30 seconds',
  max_attempts integer DEFAULT 10,
  backoff interval DEFAULT '1 second',
  on_exhausted text DEFAULT 'park')
RETURNS void
AS 'MODULE_PATHNAME', 'pges_create_subscription'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.create_subscription(text, regclass, text[], text[], bigint, integer, interval, integer, interval, text) IS
'Creates a subscription, a durable reader of a store. Its consumers share the events: they get them by poll() and acknowledge them by ack(). The calling role owns the subscription, and every role that is a member of the owner may use it. If a subscription with this name, store and types exists, the function only raises a notice and changes nothing; alter_subscription() changes it.
name: the name of the subscription, from 1 to 255 characters.
store: the store. NULL means the setting pg_eventstore.store.
event_types, aggregate_types: only events of these types are delivered. NULL and an empty array mean all. The order of the types does not matter, and the types are not compared with those in the store.
start_position: events after this position are delivered. 0 means all events, NULL means only events that are appended from now on.
partitions: the number of parts into which a hash of the aggregates divides the events, from 1 to 1024. At most this number of consumers can work at the same time.
lease: the time for which a delivery belongs to its consumer, more than 0 and at most 1 day.
max_attempts: after this number of deliveries without an acknowledgement, an event is exhausted. The number is from 1 to 1000000.
backoff: the pause after a failure, at most 1 day. The pause doubles with each failure of the same event, up to 1 day.
on_exhausted: what happens to an exhausted event. "park" parks the event and all later events of its aggregate, "skip" parks this event alone, "stop" stops its partition until resume_subscription() is called.
Errors: 42710 a subscription with this name reads another store or other types; 22023, 22004 invalid arguments; 22V01 start_position is greater than any position that the store has given; 42501 without SELECT on the store; 25006 on a standby or in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.alter_subscription(
  name text,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  partitions integer DEFAULT NULL,
  lease interval DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  backoff interval DEFAULT NULL,
  on_exhausted text DEFAULT NULL,
  owner name DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_alter_subscription'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.alter_subscription(text, text[], text[], integer, interval, integer, interval, text, name) IS
'Changes a subscription. An argument that is NULL keeps the present value.
name, lease, max_attempts, backoff, on_exhausted: as for create_subscription().
event_types, aggregate_types: the types of the events after the checkpoints. An empty array means all types. If the types change, outstanding deliveries become void, and the call waits for transactions that have polled or acknowledged and are still open.
partitions: the new number. It takes effect as soon as no delivery is outstanding. Until then, poll() gives out only deliveries that were not acknowledged, to the same consumers. Nothing that was acknowledged is delivered again.
owner: the new owner. The caller must be a member of both roles.
Errors: 42704 no such subscription, or no such role; 22023, 22004 invalid arguments; 42501 the caller is not a member of the owner; 40001 as poll(); 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.drop_subscription(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_drop_subscription'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.drop_subscription(text) IS
'Drops a subscription with its checkpoints and its parked events. An acknowledgement of an outstanding delivery then fails. The store does not change.
name: the subscription.
Errors: 42704 no such subscription; 22004 name is NULL; 42501 the caller is not a member of the owner; 40001 as poll(); 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.pause_subscription(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_pause_subscription'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.pause_subscription(text) IS
'Pauses a subscription. Then poll() returns no events until resume_subscription() is called. Outstanding deliveries can be acknowledged.
name: the subscription.
Errors: as drop_subscription().';

CREATE OR REPLACE FUNCTION eventstore.resume_subscription(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_resume_subscription'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.resume_subscription(text) IS
'Ends a pause, and starts partitions that were stopped. A partition stops if on_exhausted is "stop" and an event is exhausted. Its first event is delivered again, with a new count of attempts.
name: the subscription.
Errors: as drop_subscription().';

CREATE OR REPLACE FUNCTION eventstore.reset_subscription(
  name text,
  to_position bigint DEFAULT NULL,
  to_time timestamptz DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_reset_subscription'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.reset_subscription(text, bigint, timestamptz) IS
'Moves all checkpoints of a subscription, forwards or backwards. Outstanding deliveries become void: their acknowledgement fails with 22V02. Events after the new checkpoint are delivered again, also if they were parked or discarded. The call waits for transactions that have polled or acknowledged and are still open.
name: the subscription.
to_position: the new checkpoint. 0 is the start of the log.
to_time: events from the first one on that occurred at or after this time are delivered. If the store has no index on the time, the function searches the whole store for that event.
If both arguments are NULL, only events that are appended from now on are delivered.
Returns the new checkpoint.
Errors: 22023 both arguments are given, or to_position is negative; 22V01 to_position is greater than any position that the store has given; 22004 name is NULL; 42501 the caller is not a member of the owner, or without SELECT on the store; 42704 no such subscription; 42P01 the store was dropped; 55000 the archive of the store is missing, see create_archive(); 40001 as poll(); 25006 on a standby or in a read-only transaction.';
