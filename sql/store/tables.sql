COMMENT ON SCHEMA eventstore IS 'Event stores: append events, read them back, receive notifications of new ones.';

-- A number of this installation of the extension.  A dump does not contain it, so a
-- restore makes another one; pg_upgrade, standbys and base backups keep it.  A
-- sequence, because a publication FOR ALL TABLES does not replicate it.
CREATE SEQUENCE eventstore.history_seed;
SELECT pg_catalog.setval('eventstore.history_seed',
  pg_catalog.abs(pg_catalog.uuid_hash_extended(pg_catalog.gen_random_uuid(), 0)));

COMMENT ON SEQUENCE eventstore.history_seed IS
'A random number, made when the extension was created. Part of column history of view stores.';

CREATE VIEW eventstore.stores AS
SELECT c.oid::pg_catalog.regclass AS store,
       o.notifications,
       o.channel,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       o.position_sequence,
       GREATEST(c.reltuples::bigint, 0) AS estimated_events,
       pg_catalog.concat_ws('.', h.last_value, d.oid, c.oid) AS history,
       o.slot,
       o.slots,
       o.arriving
  FROM eventstore.history_seed h,
       pg_catalog.pg_database d,
       pg_catalog.pg_trigger t
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid,
       LATERAL eventstore.store_options(c.oid::pg_catalog.regclass) o
 WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
   AND t.tgfoid OPERATOR(pg_catalog.=) 'eventstore.after_append()'::pg_catalog.regprocedure
   AND t.tgnargs OPERATOR(pg_catalog.=) ANY ('{2,3,4}'::smallint[])
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
COMMENT ON COLUMN eventstore.stores.estimated_events IS 'estimated number of events in the table, without its archive; 0 before the first ANALYZE';
COMMENT ON COLUMN eventstore.stores.history IS
'identity of the history of the store. A reader that keeps its checkpoint outside of this database stores the identity with the checkpoint, and compares both when the reader starts. If the identity differs, the checkpoint is not valid here. A store that is created, restored from a dump, or copied with its database has a new identity. The identity stays the same after a rename, a rewrite of the table or a restart, on standbys and after their promotion, in a base backup and after pg_upgrade. It also stays the same after recovery to a point in time, and after the promotion of a standby that has not received the last events, although the store gives the positions of the lost events again. The timeline of the server is higher then (pg_control_checkpoint()). A logical subscriber has an identity of its own';
COMMENT ON COLUMN eventstore.stores.slot IS 'which slot of a sliced store this store is; null if it is none';
COMMENT ON COLUMN eventstore.stores.slots IS 'number of slots of the sliced store; null if this store is no slot';
COMMENT ON COLUMN eventstore.stores.arriving IS 'whether a move is copying the slot to this server, so that it cannot be used yet; null if this store is no slot';

GRANT SELECT ON eventstore.stores TO PUBLIC;

-- The archives of the stores and the rules of their retention, from the triggers.
CREATE VIEW eventstore.archives AS
SELECT t.tgconstrrelid::pg_catalog.regclass AS store,
       t.tgrelid::pg_catalog.regclass AS archive,
       CASE WHEN o.max_age OPERATOR(pg_catalog.~)
            '^(\d{1,4} years? ?)?(\d\d? mons? ?)?(\d{1,7} days? ?)?(\d{1,8}:[0-5]\d:[0-5]\d(\.\d{1,6})?)?$'
            THEN o.max_age::interval END AS max_age,
       CASE WHEN o.max_count_per_aggregate OPERATOR(pg_catalog.~) '^\d{1,10}$'
            THEN CASE WHEN o.max_count_per_aggregate::bigint OPERATOR(pg_catalog.<=) 2147483647::bigint
                      THEN o.max_count_per_aggregate::integer END END AS max_count_per_aggregate
  FROM pg_catalog.pg_trigger t,
       LATERAL eventstore.archive_options(t.tgrelid::pg_catalog.regclass) o
 WHERE t.tgfoid OPERATOR(pg_catalog.=) 'eventstore.archive_of_store()'::pg_catalog.regprocedure
   AND t.tgconstrrelid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid;

COMMENT ON VIEW eventstore.archives IS
'The archives of the stores, with the rules of set_retention(). An archive is a table with a trigger whose function is eventstore.archive_of_store().';
COMMENT ON COLUMN eventstore.archives.store IS 'the store';
COMMENT ON COLUMN eventstore.archives.archive IS 'table that holds the archived events of the store';
COMMENT ON COLUMN eventstore.archives.max_age IS 'age after which events are due for the archive, by occurred_at; null for no such rule';
COMMENT ON COLUMN eventstore.archives.max_count_per_aggregate IS 'number of the newest events of each aggregate that stay in the store. Older events are due for the archive. Null means no such rule';

GRANT SELECT ON eventstore.archives TO PUBLIC;
