-- The holds: up to which positions events may be archived.
CREATE TABLE eventstore.archive_holds (
  store eventstore.regstore,
  name text,
  position bigint NOT NULL,
  PRIMARY KEY (store, name)
);
SELECT pg_catalog.pg_extension_config_dump('eventstore.archive_holds',
  'WHERE store::oid IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE NOT EXISTS ('
  'SELECT FROM pg_catalog.pg_depend d '
  'WHERE d.classid = ''pg_catalog.pg_class''::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = ''e''))');
CREATE TRIGGER receive_row BEFORE INSERT ON eventstore.archive_holds
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('replace');
ALTER TABLE eventstore.archive_holds ENABLE REPLICA TRIGGER receive_row;
CREATE TRIGGER skip_lost_hold BEFORE INSERT ON eventstore.archive_holds
  FOR EACH ROW EXECUTE FUNCTION eventstore.skip_lost_hold();

COMMENT ON TABLE eventstore.archive_holds IS
'The holds, which limit archiving. set_archive_hold() writes the rows. A transaction that begins after a row was committed archives no event of the store after the lowest position of its rows.';
COMMENT ON COLUMN eventstore.archive_holds.store IS 'the store';
COMMENT ON COLUMN eventstore.archive_holds.name IS 'the name of the hold, such as that of a reader of the log';
COMMENT ON COLUMN eventstore.archive_holds.position IS 'events up to this position may be archived, such as those that the reader has processed';
COMMENT ON TRIGGER receive_row ON eventstore.archive_holds IS 'takes the rows that logical replication brings';
COMMENT ON TRIGGER skip_lost_hold ON eventstore.archive_holds IS 'skips rows about stores that do not exist, as a partial restore brings them';

GRANT SELECT ON eventstore.archive_holds TO PUBLIC;
