CREATE EVENT TRIGGER pg_eventstore_ddl ON ddl_command_start
  WHEN TAG IN ('CREATE TABLE', 'CREATE SEQUENCE', 'CREATE INDEX', 'ALTER TABLE', 'ALTER SEQUENCE', 'ALTER INDEX', 'ALTER VIEW',
               'ALTER FUNCTION', 'ALTER PROCEDURE', 'ALTER ROUTINE', 'ALTER TYPE', 'ALTER TRIGGER', 'ALTER SCHEMA', 'DROP EXTENSION',
               'CREATE SUBSCRIPTION', 'ALTER SUBSCRIPTION')
  EXECUTE FUNCTION eventstore.before_ddl();
ALTER EVENT TRIGGER pg_eventstore_ddl ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER pg_eventstore_ddl IS 'lets dumps replace the default store, and keeps the names of the objects of pg_eventstore';

-- The objects above belong to the bootstrap superuser, also if another superuser creates
-- the extension.  The default store, below, belongs to the role that creates the extension.
CREATE FUNCTION eventstore.end_install() RETURNS void
AS 'MODULE_PATHNAME', 'pges_end_install' LANGUAGE C;
COMMENT ON FUNCTION eventstore.end_install() IS 'For the install script only.';
SELECT eventstore.end_install();
DROP FUNCTION eventstore.end_install();

-- The default store is created like any store.  It is no member of the extension, so that
-- pg_dump dumps it like any store.
SELECT eventstore.create_store('eventstore.events'::pg_catalog.text, 'worker'::pg_catalog.text,
  NULL::pg_catalog.text, true);
ALTER EXTENSION pg_eventstore DROP TABLE eventstore.events;
ALTER EXTENSION pg_eventstore DROP SEQUENCE eventstore.events_position_seq;

COMMENT ON TABLE eventstore.events IS 'The default store.';
