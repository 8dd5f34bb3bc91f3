-- The archives of the stores, and what is to go there: a view of the triggers.
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
'The archive of each store that has one, and the rules of set_retention(). An archive is a table that carries the trigger function eventstore.archive_of_store().';
COMMENT ON COLUMN eventstore.archives.store IS 'the store';
COMMENT ON COLUMN eventstore.archives.archive IS 'the table of its archived events';
COMMENT ON COLUMN eventstore.archives.max_age IS 'events that occurred longer ago are due for the archive; null for no such rule';
COMMENT ON COLUMN eventstore.archives.max_count_per_aggregate IS 'of each aggregate, all but so many of its newest events are due for the archive; null for no such rule';

GRANT SELECT ON eventstore.archives TO PUBLIC;

-- What must not be archived yet.
CREATE TABLE eventstore.archive_holds (
  store regclass,
  name text,
  position bigint NOT NULL,
  PRIMARY KEY (store, name)
);
SELECT pg_catalog.pg_extension_config_dump('eventstore.archive_holds',
  'WHERE store::oid IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE NOT EXISTS ('
  'SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid '
  'WHERE d.classid = ''pg_catalog.pg_class''::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = ''e'' '
  'AND d.refclassid = ''pg_catalog.pg_extension''::pg_catalog.regclass AND x.extname <> ''pg_eventstore''))');

COMMENT ON TABLE eventstore.archive_holds IS
'What must not be archived yet: of each store, no event after the lowest of these positions is archived by a transaction that begins after the row was committed. set_archive_hold() writes it.';
COMMENT ON COLUMN eventstore.archive_holds.store IS 'the store';
COMMENT ON COLUMN eventstore.archive_holds.name IS 'who holds back, such as a reader of the log';
COMMENT ON COLUMN eventstore.archive_holds.position IS 'events up to this position may be archived, such as those the reader has dealt with';

GRANT SELECT ON eventstore.archive_holds TO PUBLIC;
