-- The high-water marks as rows, for standbys, subscribers and plain SQL. A dump
-- does not contain the rows, because the marks are found again.
CREATE TABLE eventstore.watermarks (
  store regclass PRIMARY KEY,
  position bigint NOT NULL,
  updated_at timestamptz NOT NULL,
  announced bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
CREATE TRIGGER receive_row BEFORE INSERT ON eventstore.watermarks
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('replace');
ALTER TABLE eventstore.watermarks ENABLE REPLICA TRIGGER receive_row;

COMMENT ON TABLE eventstore.watermarks IS
'The high-water marks of the stores, as they were written last. The notifier and advance_watermark() write the rows. A snapshot that sees a row sees all events at or below its position.';
COMMENT ON COLUMN eventstore.watermarks.store IS 'the store';
COMMENT ON COLUMN eventstore.watermarks.position IS 'no event can appear at or below this position any more';
COMMENT ON COLUMN eventstore.watermarks.updated_at IS 'time at which the row was written';
COMMENT ON COLUMN eventstore.watermarks.announced IS 'the position that the notifier announced last; 0 if it has announced none';
COMMENT ON TRIGGER receive_row ON eventstore.watermarks IS 'takes the rows that logical replication brings';

GRANT SELECT ON eventstore.watermarks TO PUBLIC;

CREATE VIEW eventstore.open_appends AS
SELECT d.refobjid::pg_catalog.regclass AS store,
       l.pid,
       p.gid,
       COALESCE(a.usename, p.owner) AS usename,
       a.application_name,
       COALESCE(a.xact_start, p.prepared) AS since,
       CASE WHEN l.pid IS NULL THEN 'prepared' ELSE a.state END AS state,
       a.query,
       l.objid::bigint AS first_position
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_depend d -- the table that owns the sequence
    ON d.objid OPERATOR(pg_catalog.=) l.classid
   AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.deptype OPERATOR(pg_catalog.=) 'a'::"char"
  LEFT JOIN pg_catalog.pg_stat_activity a
    ON a.pid OPERATOR(pg_catalog.=) l.pid
  LEFT JOIN pg_catalog.pg_locks x
    ON l.pid IS NULL AND x.pid IS NULL
   AND x.locktype OPERATOR(pg_catalog.=) 'transactionid'::text
   AND x.virtualtransaction OPERATOR(pg_catalog.=) l.virtualtransaction
  LEFT JOIN pg_catalog.pg_prepared_xacts p
    ON p.transaction OPERATOR(pg_catalog.=) x.transactionid
 WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'::text
   AND l.objsubid OPERATOR(pg_catalog.=) 17747::smallint -- the guards
   AND l.granted
   AND l.database OPERATOR(pg_catalog.=) (
     SELECT d.oid FROM pg_catalog.pg_database d
      WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database());

COMMENT ON VIEW eventstore.open_appends IS
'The transactions that have appended and are still open. In each store, the high-water mark stops before the lowest of their first positions. As in pg_stat_activity, the queries of other roles are shown to superusers and members of pg_read_all_stats.';
COMMENT ON COLUMN eventstore.open_appends.store IS 'the store';
COMMENT ON COLUMN eventstore.open_appends.pid IS 'process ID; null for a prepared transaction';
COMMENT ON COLUMN eventstore.open_appends.gid IS 'name of a prepared transaction; otherwise null';
COMMENT ON COLUMN eventstore.open_appends.usename IS 'role of the session, or owner of the prepared transaction';
COMMENT ON COLUMN eventstore.open_appends.application_name IS 'as in pg_stat_activity';
COMMENT ON COLUMN eventstore.open_appends.since IS 'time at which the transaction began or was prepared';
COMMENT ON COLUMN eventstore.open_appends.state IS 'as in pg_stat_activity, or prepared';
COMMENT ON COLUMN eventstore.open_appends.query IS 'query that the session runs, or ran last, as in pg_stat_activity';
COMMENT ON COLUMN eventstore.open_appends.first_position IS 'a position at or before the first event of the transaction. The high-water mark stops before this position. Only the lower 32 bits are shown: positions above 4294967295 appear modulo 4294967296';

GRANT SELECT ON eventstore.open_appends TO PUBLIC;
