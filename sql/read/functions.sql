CREATE OR REPLACE FUNCTION eventstore.read_support(internal) RETURNS internal
AS 'MODULE_PATHNAME', 'pges_read_support'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.read_support(internal) IS
'Planner support function of the readers: estimates their rows from max_count.';

CREATE OR REPLACE FUNCTION eventstore.get_events_by_aggregate(
  aggregate_id text,
  from_version integer DEFAULT 0,
  to_version integer DEFAULT NULL,
  max_count integer DEFAULT NULL,
  backwards boolean DEFAULT false,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT false)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_events_by_aggregate'
LANGUAGE C STABLE PARALLEL SAFE ROWS 100 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_events_by_aggregate(text, integer, integer, integer, boolean, regclass, boolean) IS
'The events of one aggregate, by version.
from_version, to_version: the first and last version wanted; NULL means no bound.
max_count: at most so many events; NULL means all.
backwards: newest first.
store: NULL means the setting pg_eventstore.store.
include_archived: also events that were moved to the archive.
Errors: 22004 when aggregate_id is NULL; 22023 when max_count is negative; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.get_events_by_type(
  event_type text,
  start_date timestamptz DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT false)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_events_by_type'
LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_events_by_type(text, timestamptz, integer, regclass, boolean) IS
'The events of one type, by time, then position.
start_date: only events that occurred at or after it; NULL means all.
max_count: at most so many events; NULL means all.
store: NULL means the setting pg_eventstore.store.
include_archived: also events that were moved to the archive.
Errors: 22004 when event_type is NULL; 22023 when max_count is negative; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.get_events_by_aggregate_type(
  aggregate_type text,
  start_date timestamptz DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT false)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_events_by_aggregate_type'
LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_events_by_aggregate_type(text, timestamptz, integer, regclass, boolean) IS
'The events of the aggregates of one type, by time, then position.
start_date, max_count, store, include_archived, errors: as get_events_by_type().';

CREATE OR REPLACE FUNCTION eventstore.get_events_by_correlation_id(
  correlation_id text,
  start_date timestamptz DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT false)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_events_by_correlation_id'
LANGUAGE C STABLE PARALLEL SAFE ROWS 10 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_events_by_correlation_id(text, timestamptz, integer, regclass, boolean) IS
'The events that carry one correlation id, by time, then position.
start_date, max_count, store, include_archived, errors: as get_events_by_type().';

CREATE OR REPLACE FUNCTION eventstore.get_events_by_causation_id(
  causation_id text,
  start_date timestamptz DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT false)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_events_by_causation_id'
LANGUAGE C STABLE PARALLEL SAFE ROWS 10 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_events_by_causation_id(text, timestamptz, integer, regclass, boolean) IS
'The events that one event or command caused, by time, then position.
start_date, max_count, store, include_archived, errors: as get_events_by_type().';

CREATE OR REPLACE FUNCTION eventstore.get_latest_events(
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT false)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_latest_events'
LANGUAGE C STABLE PARALLEL SAFE ROWS 100 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_latest_events(integer, regclass, boolean) IS
'The newest events of a store, oldest of them first. To follow a store, read its log by position instead.
max_count: how many; NULL means the setting pg_eventstore.batch_size (100).
store: NULL means the setting pg_eventstore.store.
include_archived: also events that were moved to the archive.
Errors: 22023 when max_count is negative; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.get_event(
  event_id text,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT false)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_event'
LANGUAGE C STABLE PARALLEL SAFE ROWS 1;

COMMENT ON FUNCTION eventstore.get_event(text, regclass, boolean) IS
'The event with this id; no row when there is none.
store: NULL means the setting pg_eventstore.store.
include_archived: also events that were moved to the archive.
Errors: 22004 when event_id is NULL; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.get_aggregate_version(
  aggregate_id text,
  store regclass DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_get_aggregate_version'
LANGUAGE C STABLE PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.get_aggregate_version(text, regclass) IS
'The version of an aggregate: that of its last event, archived or not, or 0 when there is none.
store: NULL means the setting pg_eventstore.store.
Errors: 22004 when aggregate_id is NULL; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.read_events(
  after_position bigint DEFAULT 0,
  max_count integer DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  backwards boolean DEFAULT false,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT false)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_read_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.read_events(bigint, integer, text[], text[], boolean, regclass, boolean) IS
'The ordered log: the events after a position, up to the high-water mark, in the order of their positions. Who goes on from the position of the last event it got sees every event once and in order.
after_position: the position of the last event seen; 0 or NULL means from the start, or with backwards from the end.
max_count: how many; NULL means the setting pg_eventstore.batch_size (100).
event_types, aggregate_types: only events of one of these; NULL means all.
backwards: newest first; then after_position is the lowest position seen.
store: NULL means the setting pg_eventstore.store.
include_archived: also events that were moved to the archive.
It reads under a snapshot of now at every isolation level. On a standby and on a logical subscriber the mark is that of eventstore.watermarks.
Errors: 22023 when max_count is negative; 55000 when a subscription brings the store but not eventstore.watermarks, or brings them in binary; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.high_water_mark(store regclass DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_sql_high_water_mark'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.high_water_mark(regclass) IS
'The high-water mark of a store: the position at or below which no event can appear any more; 0 at first.
store: NULL means the setting pg_eventstore.store.
Do not compare positions with it in the same statement: that statement''s snapshot is older than the mark, so events at or below the mark can be missing from it. Use read_events(), or a second statement, or eventstore.watermarks.
Errors: 42501 without SELECT on the store; 55000 when a subscription brings the store but not eventstore.watermarks, or brings them in binary; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.wait_for_events(
  after_position bigint DEFAULT 0,
  timeout interval DEFAULT '10 seconds',
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT false)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_wait_for_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.wait_for_events(bigint, interval, regclass, boolean) IS
'Waits until read_events() has an event after a position, in whatever session it is called. Needs no LISTEN, so it works through any pooler, and on a standby.
after_position: the position of the last event seen; NULL means 0.
timeout: how long to wait; more than 60 seconds count as 60.
store: NULL means the setting pg_eventstore.store.
include_archived: also events that were moved to the archive.
Returns the high-water mark, or NULL when no event came in time.
Errors: 22004 when timeout is NULL; 22023 when it is negative; others as read_events().';

CREATE OR REPLACE FUNCTION eventstore.advance_watermark(store regclass DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_advance_watermark'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.advance_watermark(regclass) IS
'Writes the high-water mark of a store to eventstore.watermarks, as the notifier does by itself for stores with notifications in mode worker. For other stores, call it now and then if standbys or subscribers read them.
store: NULL means the setting pg_eventstore.store.
Returns the mark. Waits for another transaction that writes the watermark of the store.
Errors: 55000 when the store and its watermark come by a subscription; 40001 in REPEATABLE READ and SERIALIZABLE when the watermark was written since the transaction began; 42501 without INSERT on the store; 25006 on a standby or in a read-only transaction; 42P01, 42809 no such store.';
