-- The options of the default store, once set_notifications() has changed them:
-- pg_dump carries a row of an extension's table, but not its table's triggers.
CREATE TABLE eventstore.default_store_options (
  notifications text NOT NULL,
  channel text NOT NULL
);
CREATE TRIGGER apply_options BEFORE INSERT ON eventstore.default_store_options
  FOR EACH ROW EXECUTE FUNCTION eventstore.apply_default_store_options();
SELECT pg_catalog.pg_extension_config_dump('eventstore.default_store_options', '');

COMMENT ON TABLE eventstore.default_store_options IS
'The options of the default store, when set_notifications() has changed them. A dump carries them from here.';
COMMENT ON COLUMN eventstore.default_store_options.notifications IS 'how new events are announced: worker, commit or off';
COMMENT ON COLUMN eventstore.default_store_options.channel IS 'the NOTIFY channel';
GRANT SELECT ON eventstore.default_store_options TO PUBLIC;

COMMENT ON TRIGGER apply_options ON eventstore.default_store_options IS 'gives the default store these options';

-- all so far belongs to the bootstrap superuser, also if another superuser creates
-- the extension; what follows, the default store, belongs to whoever creates it
CREATE FUNCTION eventstore.end_install() RETURNS void
AS 'MODULE_PATHNAME', 'pges_end_install' LANGUAGE C;
COMMENT ON FUNCTION eventstore.end_install() IS 'For the install script only.';
SELECT eventstore.end_install();
DROP FUNCTION eventstore.end_install();

-- The default store, made like any other.  Its table and sequence belong to
-- the extension, so pg_dump is told to carry what they hold.
SELECT eventstore.create_store('eventstore.events'::pg_catalog.text, 'worker'::pg_catalog.text,
  NULL::pg_catalog.text, true);
SELECT pg_catalog.pg_extension_config_dump('eventstore.events', '');
SELECT pg_catalog.pg_extension_config_dump('eventstore.events_position_seq', '');

COMMENT ON TABLE eventstore.events IS 'The default store.';
