CREATE OR REPLACE FUNCTION eventstore.read_support(internal) RETURNS internal
AS 'MODULE_PATHNAME', 'pges_read_support'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.read_support(internal) IS
'Planner support function of the functions that read events: estimates the number of rows from max_count.';

CREATE OR REPLACE FUNCTION eventstore.get_events_by_aggregate(
  aggregate_id text,
  from_version integer DEFAULT 0,
  to_version integer DEFAULT NULL,
  max_count integer DEFAULT NULL,
  backwards boolean DEFAULT false,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_events_by_aggregate'
LANGUAGE C STABLE PARALLEL SAFE ROWS 100 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_events_by_aggregate(text, integer, integer, integer, boolean, regclass, boolean) IS
'Returns the events of one aggregate, ordered by version.
aggregate_id: the aggregate.
from_version, to_version: the first and the last version of the result. NULL means no bound.
max_count: the maximum number of events. NULL means all.
backwards: if true, the newest event comes first.
store: the store. NULL means the setting pg_eventstore.store.
include_archived: whether events of the archive are returned, too. NULL means true.
Errors: 22004 aggregate_id is NULL; 22023 max_count is negative, or the store is a slot and the aggregate belongs to another slot; 42501 without SELECT on the store or, if included, its archive; 0A000 the archive is included, and a policy hides events of the store from the role; 55000 the archive is included but missing, see create_archive(); 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.get_events_by_type(
  event_type text,
  start_date timestamptz DEFAULT NULL,
  after_position bigint DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_events_by_type'
LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_events_by_type(text, timestamptz, bigint, integer, regclass, boolean) IS
'Returns the events of one type, ordered by time and then position.
event_type: the type.
start_date: only events that occurred at or after this time. NULL means all.
after_position: the position of the last event received. The result continues after that event, also among events of the same time. 0 and NULL mean the start.
max_count: the maximum number of events. NULL means all.
store: the store. NULL means the setting pg_eventstore.store.
include_archived: whether events of the archive are returned, too. NULL means true.
Errors: 22004 event_type is NULL; 22023 no event has the position after_position; others as get_events_by_aggregate().';

CREATE OR REPLACE FUNCTION eventstore.get_events_by_aggregate_type(
  aggregate_type text,
  start_date timestamptz DEFAULT NULL,
  after_position bigint DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_events_by_aggregate_type'
LANGUAGE C STABLE PARALLEL SAFE ROWS 1000 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_events_by_aggregate_type(text, timestamptz, bigint, integer, regclass, boolean) IS
'Returns the events of all aggregates of one type. The events are ordered by time and then position.
aggregate_type: the type of the aggregates.
start_date, after_position, max_count, store, include_archived: as for get_events_by_type().
Errors: 22004 aggregate_type is NULL; others as get_events_by_type().';

CREATE OR REPLACE FUNCTION eventstore.get_events_by_correlation_id(
  correlation_id text,
  start_date timestamptz DEFAULT NULL,
  after_position bigint DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_events_by_correlation_id'
LANGUAGE C STABLE PARALLEL SAFE ROWS 10 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_events_by_correlation_id(text, timestamptz, bigint, integer, regclass, boolean) IS
'Returns the events with one correlation id. The events are ordered by time and then position.
correlation_id: the correlation id, which all events of one business process share.
start_date, after_position, max_count, store, include_archived: as for get_events_by_type().
Errors: 22004 correlation_id is NULL; others as get_events_by_type().';

CREATE OR REPLACE FUNCTION eventstore.get_events_by_causation_id(
  causation_id text,
  start_date timestamptz DEFAULT NULL,
  after_position bigint DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_events_by_causation_id'
LANGUAGE C STABLE PARALLEL SAFE ROWS 10 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_events_by_causation_id(text, timestamptz, bigint, integer, regclass, boolean) IS
'Returns the events that one event or command caused. The events are ordered by time and then position.
causation_id: the id of that event or command.
start_date, after_position, max_count, store, include_archived: as for get_events_by_type().
Errors: 22004 causation_id is NULL; others as get_events_by_type().';

CREATE OR REPLACE FUNCTION eventstore.get_latest_events(
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_latest_events'
LANGUAGE C STABLE PARALLEL SAFE ROWS 100 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.get_latest_events(integer, regclass, boolean) IS
'Returns the newest events of a store, in ascending order of position. To follow a store, use read_events() instead.
max_count: the maximum number of events. NULL means all.
store: the store. NULL means the setting pg_eventstore.store.
include_archived: whether events of the archive are returned, too. NULL means true.
Errors: 22023 max_count is negative; 42501, 0A000, 55000, 42P01, 42809 as get_events_by_aggregate().';

CREATE OR REPLACE FUNCTION eventstore.get_event(
  event_id text,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_get_event'
LANGUAGE C STABLE PARALLEL SAFE ROWS 1;

COMMENT ON FUNCTION eventstore.get_event(text, regclass, boolean) IS
'Returns the event with an id, or no row if there is no such event.
event_id: the id.
store: the store. NULL means the setting pg_eventstore.store.
include_archived: whether events of the archive are returned, too. NULL means true.
Errors: 22004 event_id is NULL; 42501, 0A000, 55000, 42P01, 42809 as get_events_by_aggregate().';

CREATE OR REPLACE FUNCTION eventstore.get_aggregate_version(
  aggregate_id text,
  store regclass DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_get_aggregate_version'
LANGUAGE C STABLE PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.get_aggregate_version(text, regclass) IS
'Returns the version of an aggregate. This is the version of its last event, archived or not, and 0 if the aggregate has no events.
aggregate_id: the aggregate.
store: the store. NULL means the setting pg_eventstore.store.
Errors: 22004 aggregate_id is NULL; 22023 the store is a slot, and the aggregate belongs to another slot; 42501, 0A000, 55000, 42P01, 42809 as get_events_by_aggregate().';

CREATE OR REPLACE FUNCTION eventstore.read_events(
  after_position bigint DEFAULT 0,
  max_count integer DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  backwards boolean DEFAULT false,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event
AS 'MODULE_PATHNAME', 'pges_read_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.read_events(bigint, integer, text[], text[], boolean, regclass, boolean) IS
'Returns the ordered log: the events after a position, up to the high-water mark, by position. A reader that continues after the position of the last event it received gets every event once and in order.
after_position: the position of the last event received. 0, NULL and negative positions mean the start of the log. If backwards is true, the result begins before this position, which need not be that of an event, and 0 and NULL mean the high-water mark.
max_count: the maximum number of events. NULL means all.
event_types, aggregate_types: only events of these types. NULL means all.
backwards: if true, the newest event comes first, and after_position is the lowest position received.
store: the store. NULL means the setting pg_eventstore.store.
include_archived: whether events of the archive are returned, too. NULL means true.
The function reads under a new snapshot at every isolation level. On a standby and on a logical subscriber, the high-water mark is the position in eventstore.watermarks.
If the server crashes, events whose transactions committed with synchronous_commit = off can be lost although the function has returned them. The setting pg_eventstore.durable_reads prevents this.
A filter uses the index on the type if the planner finds the types rare, and the index on position otherwise.
Errors: 22V01 after_position is greater than any position that the store has given, so it is a checkpoint of another store, or from before this store was restored (a standby or a logical subscriber raises no such error, because the position may be still to come); 22023 max_count is negative; 55000 the archive is included but missing, or a subscription of logical replication contains the store but not eventstore.watermarks, or has binary = true; 42501, 0A000, 42P01, 42809 as get_events_by_aggregate().';

CREATE OR REPLACE FUNCTION eventstore.high_water_mark(store regclass DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_sql_high_water_mark'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.high_water_mark(regclass) IS
'Returns the high-water mark of a store, at or below which no event can appear any more. The mark of a new store is 0.
store: the store. NULL means the setting pg_eventstore.store.
The result is the mark as this session knows it. While an append is open, another session may know a higher mark.
Do not compare positions with the mark in the same statement: the snapshot of the statement is older than the mark, so events at or below the mark can be missing from the result. Use read_events(), or a second statement, or eventstore.watermarks.
Errors: 55000 a subscription of logical replication contains the store but not eventstore.watermarks, or has binary = true; 42501 without SELECT on the store; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.wait_for_events(
  after_position bigint DEFAULT 0,
  timeout interval DEFAULT '10 seconds',
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_wait_for_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.wait_for_events(bigint, interval, text[], text[], regclass, boolean) IS
'Waits for an event after a position. The call ends when read_events() with the same filter returns such an event, in any session. The function needs no LISTEN, so it works through any pooler and on a standby.
after_position: the position of the last event received. 0, NULL and negative positions mean the start of the log.
timeout: the maximum time to wait. More than 60 seconds count as 60.
event_types, aggregate_types: only events of these types. NULL means all. Each call looks at all events after after_position, each once. A reader with a filter therefore moves its checkpoint by next_checkpoint() before it waits.
store: the store. NULL means the setting pg_eventstore.store.
include_archived: whether archived events count, too. NULL means true.
Returns the high-water mark, or NULL if no event came before the timeout. Do not store the mark as a checkpoint: the reader may not have received all events up to the mark.
The call looks for new events at least every 20 milliseconds. While it waits, it has a snapshot and a lock on the table, as any statement has.
Errors: 22004 timeout is NULL; 22023 timeout is negative; 22V01, 55000, 42501, 0A000, 42P01, 42809 as read_events().';

CREATE OR REPLACE FUNCTION eventstore.next_checkpoint(
  after_position bigint DEFAULT 0,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_next_checkpoint'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.next_checkpoint(bigint, text[], text[], regclass, boolean) IS
'Returns the greatest position to which a reader with a filter may move its checkpoint. This is the position before the first event after after_position that passes the filter, or the high-water mark if there is no such event. The reader may call the function at any time, before or after read_events() with the same filter, and misses no event.
after_position: the checkpoint. The reader has processed all events up to this position that pass the filter. 0, NULL and negative positions mean the start of the log.
event_types, aggregate_types: the filter. NULL means all events.
store: the store. NULL means the setting pg_eventstore.store.
include_archived: whether archived events count, too. NULL means true.
Returns after_position or a greater position. The call flushes the WAL: after a crash, the server does not give a position at or below the result again.
Errors: 22V01, 55000, 42501, 0A000, 42P01, 42809 as read_events().';

CREATE OR REPLACE FUNCTION eventstore.advance_watermark(store regclass DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_advance_watermark'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.advance_watermark(regclass) IS
'Writes the high-water mark of a store to eventstore.watermarks. For stores with notifications in mode worker, the notifier does this. For other stores, call the function regularly if standbys or subscribers read them.
store: the store. NULL means the setting pg_eventstore.store.
Returns the mark. The call waits for any other transaction that writes the watermark of the store.
Errors: 55000 a subscription of logical replication fills the store and its watermark; 40001 in REPEATABLE READ and SERIALIZABLE, the watermark was written after the transaction began; 42501 without INSERT on the store; 25006 on a standby or in a read-only transaction; 42P01, 42809 no such store.';
