COMMENT ON SCHEMA eventstore IS 'Event stores: append events, read them back, receive notifications of new ones.';

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
'All stores of this database. A store is a table with a trigger whose function is eventstore.after_append().';
COMMENT ON COLUMN eventstore.stores.store IS 'table that holds the events';
COMMENT ON COLUMN eventstore.stores.notifications IS 'how new events are announced: worker, commit or off';
COMMENT ON COLUMN eventstore.stores.channel IS 'NOTIFY channel';
COMMENT ON COLUMN eventstore.stores.owner IS 'role that owns the table';
COMMENT ON COLUMN eventstore.stores.position_sequence IS 'sequence of the store''s positions; null if the default of the table''s column position was changed';
COMMENT ON COLUMN eventstore.stores.estimated_events IS 'number of events according to the planner''s statistics; 0 before the first ANALYZE';

GRANT SELECT ON eventstore.stores TO PUBLIC;

-- The archives of the stores and the rules of their retention, from the triggers.
CREATE VIEW eventstore.archives AS
SELECT t.tgconstrrelid::pg_catalog.regclass AS store,
       t.tgrelid::pg_catalog.regclass AS archive,
       CASE WHEN o.max_age OPERATOR(pg_catalog.~)
            '^(\d{1,4} years? ?)?(\d\d? mons? ?)?(\d{1,7} days? ?)?(\d{1,8}:[0-5]\d:[0-5]\d(\.\d{1,6})?)?$'
            THEN o.max_age::interval END AS max_age,
       CASE WHEN o.max_count_per_aggregate OPERATOR(pg_catalog.~) '^\d{1,9}$'
            THEN o.max_count_per_aggregate::integer END AS max_count_per_aggregate
  FROM pg_catalog.pg_trigger t,
       LATERAL eventstore.archive_options(t.tgrelid::pg_catalog.regclass) o
 WHERE t.tgfoid OPERATOR(pg_catalog.=) 'eventstore.archive_of_store()'::pg_catalog.regprocedure
   AND t.tgconstrrelid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid;

COMMENT ON VIEW eventstore.archives IS
'The archive of each store that has one, and the rules of set_retention(). An archive is a table with a trigger whose function is eventstore.archive_of_store().';
COMMENT ON COLUMN eventstore.archives.store IS 'the store';
COMMENT ON COLUMN eventstore.archives.archive IS 'table that holds the archived events of the store';
COMMENT ON COLUMN eventstore.archives.max_age IS 'age after which events are due for the archive, by occurred_at; null for no such rule';
COMMENT ON COLUMN eventstore.archives.max_count_per_aggregate IS 'number of newest events per aggregate that stay in the store, while older events are due for the archive; null for no such rule';

GRANT SELECT ON eventstore.archives TO PUBLIC;
