COMMENT ON SCHEMA eventstore IS 'Event stores: append events, read them back, be told of new ones.';

CREATE VIEW eventstore.stores AS
SELECT c.oid::pg_catalog.regclass AS store,
       o.notifications,
       o.channel,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       o.position_sequence,
       GREATEST(c.reltuples::bigint, 0) AS estimated_events
  FROM pg_catalog.pg_trigger t
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid,
       LATERAL eventstore.store_options(c.oid::pg_catalog.regclass) o
 WHERE t.tgfoid OPERATOR(pg_catalog.=) 'eventstore.after_append()'::pg_catalog.regprocedure
   AND t.tgnargs OPERATOR(pg_catalog.=) 2::smallint
   AND t.tgtype OPERATOR(pg_catalog.=) 4::smallint -- after INSERT, for each statement
   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog."char"[])
   AND t.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid;

COMMENT ON VIEW eventstore.stores IS
'Every store of this database: a store is a table that carries the trigger function eventstore.after_append().';
COMMENT ON COLUMN eventstore.stores.store IS 'the events table';
COMMENT ON COLUMN eventstore.stores.notifications IS 'how new events are announced: worker, commit or off';
COMMENT ON COLUMN eventstore.stores.channel IS 'the NOTIFY channel';
COMMENT ON COLUMN eventstore.stores.owner IS 'the role that owns the table';
COMMENT ON COLUMN eventstore.stores.position_sequence IS 'the sequence of the store''s positions; null when the table''s default was changed';
COMMENT ON COLUMN eventstore.stores.estimated_events IS 'the number of events by the planner''s statistics; 0 before the first ANALYZE';

GRANT SELECT ON eventstore.stores TO PUBLIC;

-- The default store, made like any other.  Its table and sequence belong to
-- the extension, so pg_dump is told to carry what they hold.
SELECT eventstore.create_store('eventstore.events'::pg_catalog.text, 'worker'::pg_catalog.text,
  NULL::pg_catalog.text, true);
SELECT pg_catalog.pg_extension_config_dump('eventstore.events', '');
SELECT pg_catalog.pg_extension_config_dump('eventstore.events_position_seq', '');

COMMENT ON TABLE eventstore.events IS 'The default store.';

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
COMMENT ON TRIGGER apply_options ON eventstore.default_store_options IS 'gives the default store these options';

-- whoever creates the extension owns the tables, also without being superuser
ALTER TABLE eventstore.events OWNER TO @extowner@;
ALTER TABLE eventstore.default_store_options OWNER TO @extowner@;
