CREATE OR REPLACE FUNCTION eventstore.refuse_change() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_refuse_change'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.refuse_change() IS
'Trigger function that keeps events immutable: rejects UPDATE, DELETE and TRUNCATE on a store or its archive with SQLSTATE 0A000.';
