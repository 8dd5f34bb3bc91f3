-- The archives of the stores, and what is to go there. A dump carries the rows
-- of stores that are there: the names of tables that are gone mean nothing.
CREATE TABLE eventstore.archives (
  store regclass PRIMARY KEY,
  archive regclass UNIQUE,
  max_age interval,
  max_count_per_aggregate integer,
  CONSTRAINT archives_max_age_check
    CHECK (max_age OPERATOR(pg_catalog.>) '0' AND max_age OPERATOR(pg_catalog.<=) '5000 years'),
  CONSTRAINT archives_max_count_check CHECK (max_count_per_aggregate OPERATOR(pg_catalog.>) 0)
);
CREATE TRIGGER archives_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON eventstore.archives
  FOR EACH STATEMENT EXECUTE FUNCTION eventstore.archives_changed();
SELECT pg_catalog.pg_extension_config_dump('eventstore.archives',
  'WHERE store::oid IN (SELECT c.oid FROM pg_catalog.pg_class c)'
  ' AND (archive IS NULL OR archive::oid IN (SELECT c.oid FROM pg_catalog.pg_class c))');

COMMENT ON TABLE eventstore.archives IS
'The archive of each store that has one, and the rules of set_retention(). Use create_archive() and set_retention() to change it.';
COMMENT ON COLUMN eventstore.archives.store IS 'the store';
COMMENT ON COLUMN eventstore.archives.archive IS 'the table of its archived events; null when there is none yet';
COMMENT ON COLUMN eventstore.archives.max_age IS 'events that occurred longer ago are due for the archive; null for no such rule';
COMMENT ON COLUMN eventstore.archives.max_count_per_aggregate IS 'of each aggregate, all but so many of its newest events are due for the archive; null for no such rule';
COMMENT ON TRIGGER archives_changed ON eventstore.archives IS 'makes all sessions see the change';

GRANT SELECT ON eventstore.archives TO PUBLIC;
ALTER TABLE eventstore.archives OWNER TO @extowner@;

-- What must not be archived yet.
CREATE TABLE eventstore.archive_holds (
  store regclass,
  name text,
  position bigint NOT NULL,
  PRIMARY KEY (store, name)
);
SELECT pg_catalog.pg_extension_config_dump('eventstore.archive_holds',
  'WHERE store::oid IN (SELECT c.oid FROM pg_catalog.pg_class c)');

COMMENT ON TABLE eventstore.archive_holds IS
'What must not be archived yet: of each store, no event after the lowest of these positions is archived by a transaction that begins after the row was committed.';
COMMENT ON COLUMN eventstore.archive_holds.store IS 'the store';
COMMENT ON COLUMN eventstore.archive_holds.name IS 'who holds back, such as a reader of the log';
COMMENT ON COLUMN eventstore.archive_holds.position IS 'events up to this position may be archived, such as those the reader has dealt with';

GRANT SELECT ON eventstore.archive_holds TO PUBLIC;
ALTER TABLE eventstore.archive_holds OWNER TO @extowner@;
