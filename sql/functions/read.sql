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

