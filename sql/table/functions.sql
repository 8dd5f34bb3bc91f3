CREATE OR REPLACE FUNCTION eventstore.refuse_change() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_refuse_change'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.refuse_change() IS
'Trigger function that keeps events immutable: rejects UPDATE, DELETE and TRUNCATE on a store or its archive with SQLSTATE 0A000.';

CREATE OR REPLACE FUNCTION eventstore.is_erased(metadata jsonb) RETURNS boolean
AS 'MODULE_PATHNAME', 'pges_is_erased'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.is_erased(jsonb) IS
'Returns whether an event is erased, judged by its metadata: true for {"erased": true}, which erase_aggregate() and redact_event() store. False for NULL and all other values. After redact_event() with metadata but without data, call it with the data of the event. Reads no table, and no long metadata.';
