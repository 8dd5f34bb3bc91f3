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
'What long work of this extension reports in this database; the view eventstore.progress shows it. Of others'' sessions, only the pid is shown to who has not the privileges of pg_read_all_stats.';
