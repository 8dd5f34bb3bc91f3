CREATE OR REPLACE FUNCTION eventstore.append_events(
  events jsonb,
  expected_version integer DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_append_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.append_events(jsonb, integer, regclass) IS
'Appends the events of one aggregate, in order. Either all events are stored or none.
events: an array of event objects, or one object. Keys: event_id, event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata. If an event has no key "data", all keys that are not in this list become the data. A key that differs from one of them only in case, underscores, hyphens or blanks is an error.
occurred_at: a time in ISO 8601, such as 2026-01-31T12:00:00Z, whatever the settings are; without a zone it is in UTC.
expected_version: NULL means any version; 0 means that the aggregate has no event yet; n means that the aggregate is at version n.
store: NULL means the setting pg_eventstore.store.
Returns the aggregate''s new version; 0 for an empty array; NULL for events of no aggregate.
A repeated call with the same event ids and the same content stores nothing and returns what the first call returned.
Errors: 40V01 version conflict; 23505 event id exists with other content; 22023, 22004, 22P02, 22001 invalid events; 54000 an event that is too large; 42P01, 42809 no such store; 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.append_event(
  event_type text,
  data jsonb,
  aggregate_id text DEFAULT NULL,
  expected_version integer DEFAULT NULL,
  aggregate_type text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  event_id text DEFAULT NULL,
  occurred_at timestamptz DEFAULT NULL,
  correlation_id text DEFAULT NULL,
  causation_id text DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_append_event'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.append_event(text, jsonb, text, integer, text, jsonb, text, timestamptz, text, text, regclass) IS
'Appends one event.
expected_version: NULL means any version; 0 means that the aggregate has no event yet; n means that the aggregate is at version n.
event_id: NULL means a new UUID version 7. occurred_at: NULL means the start time of the transaction.
store: NULL means the setting pg_eventstore.store.
Returns the aggregate''s new version; NULL for an event of no aggregate.
Errors: as append_events().';

CREATE OR REPLACE FUNCTION eventstore.append_to_aggregate(
  aggregate_id text,
  event_types text[],
  data jsonb[],
  expected_version integer DEFAULT NULL,
  aggregate_type text DEFAULT NULL,
  metadata jsonb[] DEFAULT NULL,
  event_ids text[] DEFAULT NULL,
  occurred_at timestamptz[] DEFAULT NULL,
  correlation_id text DEFAULT NULL,
  causation_id text DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_append_to_aggregate'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.append_to_aggregate(text, text[], jsonb[], integer, text, jsonb[], text[], timestamptz[], text, text, regclass) IS
'Appends events of one aggregate, given as parallel arrays, in order. Either all events are stored or none. This is the fast function for drivers.
event_types, data: one element for each event. metadata, event_ids, occurred_at: NULL, or one element for each event, each of which may be NULL.
expected_version: NULL means any version; 0 means that the aggregate has no event yet; n means that the aggregate is at version n.
store: NULL means the setting pg_eventstore.store.
Returns the aggregate''s new version.
Errors: as append_events(); 22023 if the arrays differ in length.';

CREATE OR REPLACE FUNCTION eventstore.append(
  events jsonb,
  expected_versions jsonb DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS TABLE (
  "position" bigint,
  event_id text,
  aggregate_id text,
  aggregate_version integer,
  deduplicated boolean)
AS 'MODULE_PATHNAME', 'pges_append'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;

COMMENT ON FUNCTION eventstore.append(jsonb, jsonb, regclass) IS
'Appends events of any number of aggregates, in order. Either all events are stored or none.
events: as for append_events(), but of any aggregates, or of none.
expected_versions: an object of aggregate id to expected version, {"order-1": 3, "cart-7": 0}; null or no entry means any version. The object may name aggregates that get no event; their versions are checked, too.
store: NULL means the setting pg_eventstore.store.
Returns one row for each event, in order; deduplicated is true if the event was already stored.
Errors: as append_events().';

CREATE OR REPLACE FUNCTION eventstore.check_insert() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_check_insert'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.check_insert() IS
'Trigger function that holds plain INSERT, COPY and MERGE to the rules of the append functions. A row whose position comes from the store is a new event: its version must be the next of its aggregate, and its aggregate type that of the aggregate; what is left out is filled in. A row that brings its position is a restored event; only the owner of the store can insert one, and only the owner of an archive can insert into the archive.
Errors: 42501 if another role brings a position, or inserts into the archive; 22023 if an id or type is empty, the time is infinite, the version is not the next or the aggregate has another type; 23505 if the store has an archive, and an id or version is taken; 54000 if the event is too large.';
