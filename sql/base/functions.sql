CREATE OR REPLACE FUNCTION eventstore.reported_progress(
  OUT pid integer,
  OUT store regclass,
  OUT work text,
  OUT done bigint,
  OUT skipped bigint,
  OUT started_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pges_progress'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10;

COMMENT ON FUNCTION eventstore.reported_progress() IS
'Returns what long-running work of this extension reports in this database. The view eventstore.progress shows it. A role without the privileges of pg_read_all_stats sees only the pid of other roles'' sessions.';
