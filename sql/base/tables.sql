CREATE VIEW eventstore.progress AS
SELECT p.pid, p.store, p.work, p.done, p.skipped, p.started_at
  FROM eventstore.reported_progress() p;

COMMENT ON VIEW eventstore.progress IS
'How far running imports, exports and archivings have come, in all sessions of this database. A session shows the outermost of its work; one with track_activities off shows none.';
COMMENT ON COLUMN eventstore.progress.pid IS 'the process';
COMMENT ON COLUMN eventstore.progress.store IS 'the store';
COMMENT ON COLUMN eventstore.progress.work IS 'what it does: import, export or archive';
COMMENT ON COLUMN eventstore.progress.done IS 'how many events it is through with';
COMMENT ON COLUMN eventstore.progress.skipped IS 'how many of these needed nothing, as they were there already';
COMMENT ON COLUMN eventstore.progress.started_at IS 'when it began';

GRANT SELECT ON eventstore.progress TO PUBLIC;
