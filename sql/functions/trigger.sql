CREATE OR REPLACE FUNCTION eventstore.after_append() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_after_append'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.after_append() IS
'Trigger function that makes a table a store: raises an error after an INSERT or COPY if the table has lost the shape of a store. Its arguments are the store''s options: notification mode and channel.';

CREATE OR REPLACE FUNCTION eventstore.refuse_change() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_refuse_change'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.refuse_change() IS
'Trigger function that keeps events immutable: refuses UPDATE, DELETE and TRUNCATE on a store with SQLSTATE 0A000.';

CREATE OR REPLACE FUNCTION eventstore.apply_default_store_options() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_apply_default_store_options'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.apply_default_store_options() IS
'Trigger function of eventstore.default_store_options, and of no other table: gives the default store the options that are inserted.';

REVOKE EXECUTE ON FUNCTION eventstore.apply_default_store_options() FROM PUBLIC;

