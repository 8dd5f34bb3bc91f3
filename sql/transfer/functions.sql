CREATE OR REPLACE FUNCTION eventstore.import_events(
  source text,
  store regclass DEFAULT NULL,
  OUT imported bigint,
  OUT present bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'pges_import_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.import_events(text, regclass) IS
'Imports events with their ids, times and versions, all or none, in the order in which they come. Events that are stored already, with the same id and content, are left out, so that an import which was broken off is begun again by the same call.
source: a query, or the name of a table, which is read in the order of its column position, if it has one. It runs as SQL with the caller''s rights: never take it from a stranger. The rows'' columns are named as the keys of an event; position is ignored. Or a column "event" holds an event object. A column "line" says where a row comes from, for errors.
store: NULL means the setting pg_eventstore.store.
Versions must follow one another within each aggregate; events without a version get the next one. Readers of the log wait for the end of the transaction, so import much in parts.
Returns how many events were imported, and how many were there already.
Errors: 42703, 42701, 42804 columns that are none of an event''s, come twice, or are of a wrong type; 40V01 a version that another event has; 23505 an event id that exists with other content; 40001 when the source that is named was renamed meanwhile; 22023, 22004, 22P02, 22001, 22007 bad events; 42P01, 42809 no such table or store; 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.import_json(
  events jsonb,
  store regclass DEFAULT NULL,
  OUT imported bigint,
  OUT present bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'pges_import_json'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.import_json(jsonb, regclass) IS
'Imports events given as JSON, as import_events() does, and runs none of it as SQL.
events: an array of event objects, or one object.
store: NULL means the setting pg_eventstore.store.
Returns how many events were imported, and how many were there already.
Errors: as import_events().';

CREATE OR REPLACE FUNCTION eventstore.export_events(
  after_position bigint DEFAULT 0,
  max_count integer DEFAULT NULL,
  store regclass DEFAULT NULL,
  include_archived boolean DEFAULT false)
RETURNS TABLE (
  "position" bigint,
  event jsonb)
AS 'MODULE_PATHNAME', 'pges_export_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000;

COMMENT ON FUNCTION eventstore.export_events(bigint, integer, regclass, boolean) IS
'The ordered log as JSON: each event as an object that import_events() and append() take. Keys that have no value are left out, and times have the session''s time zone.
after_position: only events after it; 0 or NULL means from the start.
max_count: how many; NULL means all up to the high-water mark.
store: NULL means the setting pg_eventstore.store.
include_archived: whether the events of the store''s archive come, too.
It reads under a snapshot of now at every isolation level.
Errors: as read_events().';
