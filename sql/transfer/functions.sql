CREATE OR REPLACE FUNCTION eventstore.import_events(
  source text,
  store regclass DEFAULT NULL,
  OUT imported bigint,
  OUT present bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'pges_import_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.import_events(text, regclass) IS
'Imports events with their ids, times and versions, in source order. Stores all events or none. Skips events that are already stored with the same id and content, so an interrupted import can be repeated by the same call.
source: a query, or the name of a table. A table with a column position is read in the order of that column. The source runs as SQL with the caller''s rights: never accept it from an untrusted person. The columns of the rows have the names of an event''s keys; event_type and data are required, position is ignored. A value is converted only if nothing is lost and no setting matters: for example, occurred_at is timestamptz or text as in append_events(), and a version is a whole number. Alternatively, a column "event" holds an event object. A column "line" gives the origin of a row, for error messages.
store: NULL means the setting pg_eventstore.store.
Within each aggregate, versions must be consecutive; an event without a version gets the next version. Readers of the log do not get past the imported events until the transaction ends, so split a large import.
Returns the number of imported events, and the number of events that were already stored.
Errors: 42703, 42701, 42804 if a column is unknown or missing, occurs twice, or has a type that is not converted; 40V01 if another event has the version; 23505 if the event id exists with other content; 40001 if the named source was renamed during the call; 22023, 22004, 22P02, 22001, 22003 invalid events; 54000 an event that is too large; 42P01, 42809 no such table or store; 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.import_json(
  events jsonb,
  store regclass DEFAULT NULL,
  OUT imported bigint,
  OUT present bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'pges_import_json'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.import_json(jsonb, regclass) IS
'Imports events given as JSON, as import_events() does, but runs no part of the argument as SQL.
events: an array of event objects, or one object.
store: NULL means the setting pg_eventstore.store.
Returns the number of imported events, and the number of events that were already stored.
Errors: as import_events().';

CREATE OR REPLACE FUNCTION eventstore.export_events(
  after_position bigint DEFAULT 0,
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS TABLE (
  "position" bigint,
  event jsonb)
AS 'MODULE_PATHNAME', 'pges_export_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000 SUPPORT eventstore.read_support;

COMMENT ON FUNCTION eventstore.export_events(bigint, integer, regclass, boolean) IS
'Returns the ordered log as JSON: each event as an object that import_events() and append() accept. Keys without a value are omitted. Times are in the session''s time zone.
after_position: only events after this position; 0 or NULL means from the start.
max_count: the maximum number of events; NULL means all.
store: NULL means the setting pg_eventstore.store.
include_archived: whether to return archived events, too; NULL means true.
At every isolation level, reads under a new snapshot.
Errors: as read_events(); 54000 if an event that was stored without a check is too large. The context of an error names the position of the event.';
