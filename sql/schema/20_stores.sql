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
