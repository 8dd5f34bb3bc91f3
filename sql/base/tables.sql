CREATE VIEW eventstore.progress AS
SELECT p.pid, p.store, p.work, p.done, p.skipped, p.started_at
  FROM eventstore.reported_progress() p;

COMMENT ON VIEW eventstore.progress IS
'The progress of imports, exports and archive operations that run in this database. A session shows only its outermost work. A session with track_activities off shows none.';
COMMENT ON COLUMN eventstore.progress.pid IS 'process ID of the session';
COMMENT ON COLUMN eventstore.progress.store IS 'the store that the work reads or writes';
COMMENT ON COLUMN eventstore.progress.work IS 'kind of work: import, export or archive';
COMMENT ON COLUMN eventstore.progress.done IS 'number of events processed so far';
COMMENT ON COLUMN eventstore.progress.skipped IS 'number of processed events that needed no work because they were stored already';
COMMENT ON COLUMN eventstore.progress.started_at IS 'time at which the work began';

GRANT SELECT ON eventstore.progress TO PUBLIC;
