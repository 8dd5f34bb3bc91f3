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
'Creates a subscription: a durable reader of a store, whose consumers share its events by poll() and ack(). The calling role owns the subscription, and every role that is a member of the owner may use it. If a subscription with this name, store and types exists, the function only raises a notice and changes nothing; see alter_subscription().
name: the name of the subscription, from 1 to 255 characters.
store: the store; NULL means the setting pg_eventstore.store.
event_types, aggregate_types: only events of these types are delivered; NULL and an empty array mean all. The order does not matter.
start_position: events after this position are delivered; 0 means all events, NULL only those that are appended from now on.
partitions: into how many parts the events are divided by a hash of their aggregates, from 1 to 1024. At most this number of consumers can work at the same time.
lease: how long a delivery belongs to its consumer, more than 0 and at most 1 day.
max_attempts: after this number of deliveries without an acknowledgement, an event is exhausted; from 1 to 1000000.
backoff: the pause after a failure, at most 1 day. It doubles with each failure of the same event, up to 1 day.
on_exhausted: what becomes of an exhausted event. "park" sets it and all later events of its aggregate aside, "skip" sets it alone aside, "stop" stops its partition until resume_subscription().
Errors: 42710 if a subscription with this name reads another store or other types; 22023, 22004 for an invalid argument; 22V01 if start_position is greater than any position that the store has given; 42501 without SELECT on the store; 25006 in a read-only transaction; 42P01, 42809 no such store.';

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
event_types, aggregate_types: hold for the events after the checkpoints. An empty array means all types. If they change, outstanding deliveries become void, and the call waits for transactions that have polled or acknowledged and are still open.
partitions: the new number. It takes effect as soon as no delivery is outstanding; until then poll() gives out only deliveries that were not acknowledged, to the same consumers. Nothing that was acknowledged is delivered again.
owner: the new owner. The caller must be a member of both roles.
Errors: 42704 no such subscription, or no such role; 22023, 22004 for an invalid argument; 42501 if the caller is not a member of the owner; 25006 in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.drop_subscription(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_drop_subscription'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.drop_subscription(text) IS
'Drops a subscription with its checkpoints and its parked events. An acknowledgement of an outstanding delivery then fails. The store does not change.
Errors: 42704 no such subscription; 22004 if name is NULL; 42501 if the caller is not a member of the owner; 25006 in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.pause_subscription(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_pause_subscription'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.pause_subscription(text) IS
'Pauses a subscription: poll() returns no events until resume_subscription() is called. Outstanding deliveries can be acknowledged.
name: the subscription.
Errors: as drop_subscription().';

CREATE OR REPLACE FUNCTION eventstore.resume_subscription(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_resume_subscription'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.resume_subscription(text) IS
'Ends a pause, and starts the partitions that on_exhausted = "stop" has stopped. Their first event is delivered again, with a new count of attempts.
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
'Moves all checkpoints of a subscription, forwards or backwards. Outstanding deliveries become void: to acknowledge them fails with 22V02. Parked events after the new checkpoint are parked no more, as they are delivered again. Waits for transactions that have polled or acknowledged and are still open.
name: the subscription.
to_position: the new checkpoint; 0 is the start of the log.
to_time: events from the first one on that occurred at or after this time are delivered. That event is searched for without an index on the time if the store has none.
If both are NULL, only events that are appended from now on are delivered.
Returns the new checkpoint.
Errors: 22023 if both arguments are given, or to_position is negative; 22V01 if to_position is greater than any position that the store has given; 42501 if the caller is not a member of the owner, or without SELECT on the store; 42704 no such subscription; 42P01 if its store was dropped; 55000 if the archive of the store is missing; 25006 in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.replay_parked(
  subscription text,
  aggregate_id text DEFAULT NULL,
  at_position bigint DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_replay_parked'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.replay_parked(text, text, bigint) IS
'Lets poll() deliver parked events again, in order, before newer events of their aggregates. An event that fails again is parked again, with those behind it.
subscription: its name.
aggregate_id: only events of this aggregate; NULL means all.
at_position: only the event at this position, and the earlier parked events of its aggregate; NULL means all.
Waits for transactions that have polled or acknowledged events of the partition, or of all partitions if neither aggregate_id nor at_position is given, and are still open.
Returns the number of events that will be delivered.
Errors: 22004 if subscription is NULL; 42704, 42501, 40001, 25006 as ack().';

CREATE OR REPLACE FUNCTION eventstore.discard_parked(
  subscription text,
  aggregate_id text DEFAULT NULL,
  at_position bigint DEFAULT NULL,
  reason text DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_discard_parked'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.discard_parked(text, text, bigint, text) IS
'Removes events from the parked ones: they count as done with. If no event of an aggregate is parked any more, its later events are delivered. Events that were parked behind them in a delivery that is still outstanding are delivered, too.
subscription, aggregate_id, at_position: as for replay_parked().
reason: why; written to the server log with the number of events, at the time of the call.
Returns the number of events.
Errors: as replay_parked().';
