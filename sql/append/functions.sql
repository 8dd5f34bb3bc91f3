CREATE OR REPLACE FUNCTION eventstore.append_events(
  events jsonb,
  expected_version integer DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_append_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.append_events(jsonb, integer, regclass) IS
'Appends the events of one aggregate, in order. The call stores all events or none.
events: an array of event objects, or one object. The keys of an event are event_id, event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data and metadata. If an event has no key "data", all keys that are not in this list become the data. A key that differs from one of the list only in case, underscores, hyphens or blanks is rejected. The value of occurred_at is a time in ISO 8601, such as 2026-01-31T12:00:00Z. No setting changes the meaning of this time, and a time without a zone is in UTC.
expected_version: the version at which the aggregate must be. 0 means that the aggregate has no event yet. NULL means any version.
store: the store. NULL means the setting pg_eventstore.store.
If an event has no event_id, its id is a new UUID version 7. If an event has no occurred_at, its time is the start of the transaction. If an event has no aggregate_type, its type is that of the last event of the aggregate; another type than that of the aggregate is rejected. If an event has an aggregate_version, this must be the version that the event gets.
Returns the new version of the aggregate. For an empty array the result is 0, and the expected version is not checked. For events of no aggregate the result is NULL.
If a call is repeated with the same event ids and the same content, the repeated call stores nothing and returns the result of the first call.
Errors: 40V01 version conflict; 23505 an event id exists with other content, or occurs twice; 22023, 22004, 22P02, 22001 invalid events, or an aggregate of another slot; 22003 the aggregate is at the greatest possible version; 54000 an event is too large; 42501 without SELECT and INSERT on the store, or without SELECT on its archive; 55000 the archive of the store is missing, see create_archive(); 42P01, 42809 no such store; 25006 on a standby or in a read-only transaction.';

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
event_type: the type of the event.
data: what happened, as any JSON value.
aggregate_id: the aggregate. NULL means that the event belongs to no aggregate.
expected_version: the version at which the aggregate must be. 0 means that the aggregate has no event yet. NULL means any version.
aggregate_type: the type of the aggregate. NULL means the type of the last event of the aggregate.
metadata: other values to store with the event.
event_id: the identity of the event. NULL means a new UUID version 7.
occurred_at: the time of the event. NULL means the start of the transaction.
correlation_id: the identifier that all events of one business process share.
causation_id: the event or command that caused the event.
store: the store. NULL means the setting pg_eventstore.store.
Returns the new version of the aggregate. For an event of no aggregate the result is NULL.
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
'Appends events of one aggregate that are given as parallel arrays. The call stores all events or none. For drivers, this is the fastest of the append functions.
aggregate_id: the aggregate.
event_types, data: one element for each event.
expected_version: the version at which the aggregate must be. 0 means that the aggregate has no event yet. NULL means any version.
aggregate_type: the type of the aggregate. NULL means the type of the last event of the aggregate.
metadata, event_ids, occurred_at: NULL, or one element for each event. An element may be NULL, as for append_event().
correlation_id, causation_id: the values of all events of the call.
store: the store. NULL means the setting pg_eventstore.store.
Returns the new version of the aggregate. For empty arrays, the expected version is checked, and the result is the version of the aggregate.
Errors: 22023 the arrays differ in length; others as append_events().';

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
'Appends events of any number of aggregates, in order. The call stores all events or none.
events: an array of event objects as for append_events(), but of any aggregates, or of none.
expected_versions: an object of aggregate id to expected version, such as {"order-1": 3, "cart-7": 0}. NULL, or no entry, means any version. The object may name aggregates that get no event: their versions are checked, too.
store: the store. NULL means the setting pg_eventstore.store.
Returns one row for each event, in order. Column deduplicated is true if the event was already stored, because the call repeats an earlier one.
Errors: as append_events().';

CREATE OR REPLACE FUNCTION eventstore.check_insert() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_check_insert'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.check_insert() IS
'Trigger function of stores and archives: applies the rules of the append functions to plain INSERT, COPY and MERGE. A row without a position is a new event: its version must be the next of its aggregate, and its aggregate type must be that of the aggregate. If the row leaves out the version or the type, the function fills in the value. A row with a position is a restored event: only the owner of the store can insert the row. Only the owner of an archive can insert into the archive.
Errors: 42501 another role gives a position, or inserts into the archive; 22023 an id or type is empty, the time is infinite, the version is not the next, or the aggregate has another type; 23505 the store has an archive, and an id, version or position is taken; 54000 the event is too large; 39P01 the function is used by another trigger.';
