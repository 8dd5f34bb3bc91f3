-- The default store, made like any other.  Its table and sequence belong to
-- the extension, so pg_dump is told to carry what they hold.
SELECT eventstore.create_store('eventstore.events'::pg_catalog.text, 'worker'::pg_catalog.text,
  NULL::pg_catalog.text, true);
SELECT pg_catalog.pg_extension_config_dump('eventstore.events', '');
SELECT pg_catalog.pg_extension_config_dump('eventstore.events_position_seq', '');

COMMENT ON TABLE eventstore.events IS 'The default store.';
