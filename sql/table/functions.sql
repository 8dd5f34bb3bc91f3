CREATE OR REPLACE FUNCTION eventstore.refuse_change() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_refuse_change'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.refuse_change() IS
'Trigger function of stores and archives: rejects UPDATE, DELETE and TRUNCATE, so that events are immutable.
Errors: 0A000 for these commands; 39P01 the function is used by another trigger.';

CREATE OR REPLACE FUNCTION eventstore.is_erased(content jsonb) RETURNS boolean
AS 'MODULE_PATHNAME', 'pges_is_erased'
LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.is_erased(jsonb) IS
'Returns whether the data or the metadata of an event are erased. The result is true for {"erased": true}, which erase_aggregate() and redact_event() store, and false for NULL and all other values. The function reads no table, and does not fetch a long value.
content: the data of the event, for a reader that uses the data, or the metadata. redact_event() can keep a part of one of the two.';
