CREATE OR REPLACE FUNCTION eventstore.erase_aggregate(
  aggregate_id text,
  reason text,
  store regclass DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_erase_aggregate'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.erase_aggregate(text, text, regclass) IS
'Erases the data and metadata of all events of an aggregate. {"erased": true} replaces both. Positions, ids, types, versions and times stay. The call waits for open appends to the aggregate, and erases their events, too.
aggregate_id: the aggregate.
reason: why the events are erased. The reason is recorded in eventstore.erasures, with the roles, the time, the aggregate and the number of events.
store: the store. NULL means the setting pg_eventstore.store.
Returns the number of events that were erased. If all events were already erased, the result is 0 and nothing is recorded.
Errors: 55006 the store is a slot that is being moved; P0002 the aggregate has no events; 42501 without UPDATE on the columns data and metadata and SELECT on the store, or row security hides some of the events; 09000 a trigger or rule prevents the erasure; 22004, 22023 invalid arguments; 55000 the archive of the store is missing, see create_archive(); 25006 on a standby or in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.redact_event(
  event_id text,
  reason text,
  data jsonb DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pges_redact_event'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.redact_event(text, text, jsonb, jsonb, regclass) IS
'Erases the data and metadata of one event, or replaces them. The position, id, type, version and time of the event stay.
event_id: the event.
reason: why the event is changed. The reason is recorded in eventstore.erasures, with the roles, the time and the event.
data, metadata: the new values. NULL means {"erased": true}.
store: the store. NULL means the setting pg_eventstore.store.
Returns whether the event was changed. If the event already has the new values, the result is false and nothing is recorded.
Errors: P0002 the event does not exist; 54000 the new data and metadata are too large; others as erase_aggregate().';

CREATE OR REPLACE FUNCTION eventstore.keep_erasures() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_keep_erasures'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.keep_erasures() IS
'Trigger function of eventstore.erasures: rejects UPDATE, DELETE and TRUNCATE.
Errors: 0A000 for these commands; 39P01 the function is used by another trigger.';

REVOKE EXECUTE ON FUNCTION eventstore.keep_erasures() FROM PUBLIC;
