CREATE OR REPLACE FUNCTION eventstore.import_events(
  source text,
  store regclass DEFAULT NULL,
  OUT imported bigint,
  OUT present bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'pges_import_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.import_events(text, regclass) IS
'Imports events with their ids, times and versions, in source order. The call stores all events or none. It skips events that are already stored with the same id and content, so an interrupted import can be repeated by the same call.
source: a query, or the name of a table. A table with a column position is read in the order of that column. The source runs as SQL with the rights of the caller: never accept the source from an untrusted person. The columns of the rows have the names of the keys of an event. event_type and data are required, position is ignored. A value is converted only if nothing is lost and no setting matters: for example, occurred_at is timestamptz, or text as in append_events(), and a version is a whole number. Instead of these columns, a column "event" can contain an event object. A column "line" gives the origin of a row, for error messages.
store: the store. NULL means the setting pg_eventstore.store.
Within each aggregate, versions must be consecutive. An event without a version gets the next version. Readers of the log stop before the imported events until the transaction ends, so split a large import.
Returns the number of imported events, and the number of events that were already stored.
Errors: 42703, 42701, 42804 a column is unknown or missing, occurs twice, or has a type that is not converted; 40V01 another event has the version; 23505 the event id exists with other content; 40001 the named source was renamed during the call; 22023, 22004, 22P02, 22001, 22003 invalid events; 54000 an event is too large; 42501 without SELECT and INSERT on the store, or without SELECT on its archive; 55000 the archive of the store is missing, see create_archive(); 42P01, 42809 no such table or store; 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.import_json(
  events jsonb,
  store regclass DEFAULT NULL,
  OUT imported bigint,
  OUT present bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'pges_import_json'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.import_json(jsonb, regclass) IS
'Imports events that are given as JSON. No part of the argument runs as SQL. In all else the function works like import_events().
events: an array of event objects, or one object.
store: the store. NULL means the setting pg_eventstore.store.
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
'Returns the ordered log as JSON. Each event is an object that import_events() and append() accept. Keys without a value are omitted. Times are in the time zone of the session.
after_position: only events after this position. 0 and NULL mean the start of the log.
max_count: the maximum number of events. NULL means all.
store: the store. NULL means the setting pg_eventstore.store.
include_archived: whether events of the archive are returned, too. NULL means true.
At every isolation level, the function reads under a new snapshot. The context of an error names the position of the event.
Errors: 54000 an event that was stored without a check is too large; others as read_events().';
