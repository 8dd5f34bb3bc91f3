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
'Returns the progress that imports, exports and archive operations report in this database. View eventstore.progress shows it. A role without the privileges of pg_read_all_stats sees only the pid of sessions of other roles.';

CREATE OR REPLACE FUNCTION eventstore.receive_row() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_receive_row'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.receive_row() IS
'Trigger function of the tables of the extension: decides which rows of logical replication are kept. The argument of the trigger is "replace" (the new row replaces the row with the same key), "keep" (the row with the same key stays) or "ignore" (no row is stored).
Errors: 39P01 the function is used by another trigger.';

REVOKE EXECUTE ON FUNCTION eventstore.receive_row() FROM PUBLIC;
