CREATE OR REPLACE FUNCTION eventstore.erase_aggregate(
  aggregate_id text,
  reason text,
  store regclass DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_erase_aggregate'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.erase_aggregate(text, text, regclass) IS
'Erases the data and metadata of all events of an aggregate: {"erased": true} takes their place. Positions, ids, types, versions and times stay. Appends to the aggregate that are open are waited for, and erased too.
reason: why; it is recorded in eventstore.erasures, with who, when, what and how many.
store: NULL means the setting pg_eventstore.store.
Returns how many events were erased; 0, and no record, when all were erased already.
Errors: P0002 when the aggregate has no events; 42501 without UPDATE on the columns data and metadata and SELECT on the store, and when row security hides some of the events; 09000 when a trigger or rule keeps events from being erased; 22004, 22023 bad arguments; 25006 on a standby or in a read-only transaction; 42P01, 42809 no such store.';

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
'Erases the data and metadata of one event, or replaces them. Its position, id, type, version and time stay.
reason: why; it is recorded in eventstore.erasures, with who, when and what.
data, metadata: what takes the place of the old values; NULL means {"erased": true}.
store: NULL means the setting pg_eventstore.store.
Returns whether the event was changed; false, and no record, when it is as wanted already.
Errors: P0002 when there is no such event; others as erase_aggregate().';

CREATE OR REPLACE FUNCTION eventstore.keep_erasures() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_keep_erasures'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.keep_erasures() IS
'Trigger function of eventstore.erasures: refuses UPDATE, DELETE and TRUNCATE with SQLSTATE 0A000.';

REVOKE EXECUTE ON FUNCTION eventstore.keep_erasures() FROM PUBLIC;
