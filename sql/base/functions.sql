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

CREATE OR REPLACE FUNCTION eventstore.receive_row() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_receive_row'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.receive_row() IS
'Trigger function of the extension''s tables, and of no other table, for the rows that logical replication brings. Its argument says what becomes of a row: "replace" puts it in place of the row with the same key, "keep" drops it if there is a row with the same key, "ignore" drops it.';

REVOKE EXECUTE ON FUNCTION eventstore.receive_row() FROM PUBLIC;
