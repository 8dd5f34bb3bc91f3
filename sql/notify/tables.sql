-- The failures of the notifier: one row, which only the extension writes. A dump
-- does not contain the row.
CREATE TABLE eventstore.notifier_status (
  failed_starts integer NOT NULL DEFAULT 0,
  last_error text,
  last_error_at timestamptz,
  next_start_at timestamptz,
  is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row)
) WITH (fillfactor = 20);

INSERT INTO eventstore.notifier_status DEFAULT VALUES;
CREATE TRIGGER receive_row BEFORE INSERT OR UPDATE OR DELETE ON eventstore.notifier_status
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('ignore');
ALTER TABLE eventstore.notifier_status ENABLE REPLICA TRIGGER receive_row;

COMMENT ON TABLE eventstore.notifier_status IS
'The failures of the notifier. View eventstore.notifier shows them with its state. Only the extension writes the row.';
COMMENT ON COLUMN eventstore.notifier_status.failed_starts IS 'number of failures in a row: starts that failed, and notifiers that gave up';
COMMENT ON COLUMN eventstore.notifier_status.last_error IS 'last error of a start or of the notifier itself; null if there was none';
COMMENT ON COLUMN eventstore.notifier_status.last_error_at IS 'time of the last error';
COMMENT ON COLUMN eventstore.notifier_status.next_start_at IS 'no session starts the notifier before this time; null if any session may';
COMMENT ON COLUMN eventstore.notifier_status.is_only_row IS 'true: there is one row';
COMMENT ON TRIGGER receive_row ON eventstore.notifier_status IS 'ignores what logical replication brings';

GRANT SELECT ON eventstore.notifier_status TO PUBLIC;

-- This view calls no C function of the extension, so that it also works when the library cannot be loaded.
CREATE VIEW eventstore.notifier AS
SELECT CASE WHEN l.pid IS NOT NULL THEN 'running'
            WHEN EXISTS (
              SELECT FROM pg_catalog.pg_locks b
               WHERE b.locktype OPERATOR(pg_catalog.=) 'advisory'::text
                 AND b.objsubid OPERATOR(pg_catalog.=) 17742::smallint
                 AND b.objid OPERATOR(pg_catalog.=) 1::oid -- the start lock
                 AND b.granted
                 AND b.database OPERATOR(pg_catalog.=) d.oid)
             AND (s.next_start_at IS NULL OR s.next_start_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp())
              THEN 'starting'
            WHEN s.next_start_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp() THEN 'pausing'
            ELSE 'absent' END AS state,
       l.pid,
       a.query AS activity,
       COALESCE(s.failed_starts, 0) AS failed_starts,
       s.last_error,
       s.last_error_at,
       s.next_start_at
  FROM pg_catalog.pg_database d
  LEFT JOIN eventstore.notifier_status s ON true
  LEFT JOIN pg_catalog.pg_locks l
    ON l.locktype OPERATOR(pg_catalog.=) 'advisory'::text
   AND l.objsubid OPERATOR(pg_catalog.=) 17742::smallint
   AND l.objid OPERATOR(pg_catalog.=) 0::oid -- the lease
   AND l.granted
   AND l.database OPERATOR(pg_catalog.=) d.oid
  LEFT JOIN pg_catalog.pg_stat_activity a
    ON a.pid OPERATOR(pg_catalog.=) l.pid
 WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database();

COMMENT ON VIEW eventstore.notifier IS
'The notifier of this database: its state and its last error.';
COMMENT ON COLUMN eventstore.notifier.state IS 'running, starting, pausing or absent. Pausing means that the notifier could not be started or gave up, and that no session tries again before next_start_at. Absent means that the notifier is not needed';
COMMENT ON COLUMN eventstore.notifier.pid IS 'process ID of the notifier; null if it does not run';
COMMENT ON COLUMN eventstore.notifier.activity IS 'what the notifier does, as in pg_stat_activity.query';
COMMENT ON COLUMN eventstore.notifier.failed_starts IS 'number of failures in a row: starts that failed, and notifiers that gave up';
COMMENT ON COLUMN eventstore.notifier.last_error IS 'last error of a start or of the notifier itself, also if the notifier works again';
COMMENT ON COLUMN eventstore.notifier.last_error_at IS 'time of the last error';
COMMENT ON COLUMN eventstore.notifier.next_start_at IS 'no session starts the notifier before this time; null if any session may';

GRANT SELECT ON eventstore.notifier TO PUBLIC;
