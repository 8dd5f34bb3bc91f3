-- The options of the default store, if set_notifications() has changed them.
-- pg_dump dumps the rows of an extension's table, but not the triggers of the table.
CREATE TABLE eventstore.default_store_options (
  notifications text NOT NULL,
  channel text NOT NULL
);
CREATE TRIGGER apply_options BEFORE INSERT ON eventstore.default_store_options
  FOR EACH ROW EXECUTE FUNCTION eventstore.apply_default_store_options();
SELECT pg_catalog.pg_extension_config_dump('eventstore.default_store_options', '');

COMMENT ON TABLE eventstore.default_store_options IS
'The options of the default store, if set_notifications() has changed them. Dumps take the options from this table.';
COMMENT ON COLUMN eventstore.default_store_options.notifications IS 'how new events are announced: worker, commit or off';
COMMENT ON COLUMN eventstore.default_store_options.channel IS 'the NOTIFY channel';
GRANT SELECT ON eventstore.default_store_options TO PUBLIC;

COMMENT ON TRIGGER apply_options ON eventstore.default_store_options IS 'sets these options on the default store';

-- The objects above belong to the bootstrap superuser, also if another superuser creates
-- the extension.  The default store, below, belongs to the role that creates the extension.
CREATE FUNCTION eventstore.end_install() RETURNS void
AS 'MODULE_PATHNAME', 'pges_end_install' LANGUAGE C;
COMMENT ON FUNCTION eventstore.end_install() IS 'For the install script only.';
SELECT eventstore.end_install();
DROP FUNCTION eventstore.end_install();

-- The default store is created like any store.  Its table and sequence belong to the
-- extension, so pg_dump dumps their contents only because of these two calls.
SELECT eventstore.create_store('eventstore.events'::pg_catalog.text, 'worker'::pg_catalog.text,
  NULL::pg_catalog.text, true);
SELECT pg_catalog.pg_extension_config_dump('eventstore.events', '');
SELECT pg_catalog.pg_extension_config_dump('eventstore.events_position_seq', '');

COMMENT ON TABLE eventstore.events IS 'The default store.';
