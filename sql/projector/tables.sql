-- The failures of the workers of projections: one row, which only the extension writes. A dump
-- does not contain the row.
CREATE TABLE eventstore.projector_status (
  failed_starts integer NOT NULL DEFAULT 0,
  last_error text,
  last_error_at timestamptz,
  next_start_at timestamptz,
  is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row)
) WITH (fillfactor = 20);

INSERT INTO eventstore.projector_status DEFAULT VALUES;
CREATE TRIGGER receive_row BEFORE INSERT OR UPDATE OR DELETE ON eventstore.projector_status
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('ignore');
ALTER TABLE eventstore.projector_status ENABLE REPLICA TRIGGER receive_row;

COMMENT ON TABLE eventstore.projector_status IS
'The failures of the workers that run projections. View eventstore.projections shows them. Only the extension writes the row.';
COMMENT ON COLUMN eventstore.projector_status.failed_starts IS 'number of failures in a row: starts that failed';
COMMENT ON COLUMN eventstore.projector_status.last_error IS 'last error of a start; null if there was none';
COMMENT ON COLUMN eventstore.projector_status.last_error_at IS 'time of the last error';
COMMENT ON COLUMN eventstore.projector_status.next_start_at IS 'no session starts a worker before this time; null if any session may';
COMMENT ON COLUMN eventstore.projector_status.is_only_row IS 'true: there is one row';
COMMENT ON TRIGGER receive_row ON eventstore.projector_status IS 'ignores what logical replication brings';

GRANT SELECT ON eventstore.projector_status TO PUBLIC;

-- The state is that of the worker, the trigger or the caller that runs the projection. By
-- OFFSET 0, only the subscriptions of projections are looked at.
CREATE VIEW eventstore.projections AS
SELECT s.name,
       p.mode,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby'
            WHEN s.paused THEN 'paused'
            WHEN COALESCE(s.problem, h.problem) IS NOT NULL OR q.retry_at IS NOT NULL THEN 'failed'
            WHEN p.rebuild_of IS NOT NULL THEN 'rebuilding'
            WHEN s.runner OPERATOR(pg_catalog.=) 'trigger' THEN 'inline'
            WHEN s.runner OPERATOR(pg_catalog.=) 'caller' THEN 'manual'
            WHEN s.lag OPERATOR(pg_catalog.=) 0 THEN 'current'
            WHEN w.problem IS NOT NULL THEN 'waiting'
            ELSE 'behind' END AS state,
       s.store,
       s.owner,
       p.handler,
       p.tables,
       s.event_types,
       s.aggregate_types,
       p.batch_size,
       s.on_exhausted AS on_error,
       s.max_attempts,
       s.backoff,
       p.rebuild_of,
       CASE WHEN s.runner OPERATOR(pg_catalog.<>) 'trigger' THEN s.checkpoint END AS position,
       s.lag,
       s.lag_seconds,
       s.rate,
       q.attempt AS attempts,
       q.retry_at,
       s.parked,
       s.last_error,
       s.last_error_at,
       CASE WHEN s.last_error IS NOT NULL THEN p.last_error_position END AS last_error_position,
       CASE WHEN s.last_error IS NOT NULL THEN p.last_error_event_type END AS last_error_event_type,
       COALESCE(s.problem, h.problem, w.problem) AS problem,
       s.created_at
  FROM eventstore.projection_definitions p
 CROSS JOIN LATERAL (
       SELECT * FROM eventstore.subscriptions d WHERE d.name OPERATOR(pg_catalog.=) p.projection OFFSET 0) s
  LEFT JOIN LATERAL (
       SELECT d.attempt, d.retry_at FROM eventstore.subscription_progress d
        WHERE d.subscription OPERATOR(pg_catalog.=) p.projection LIMIT 1) q ON true
  LEFT JOIN LATERAL (
       SELECT 'the setting pg_eventstore.projection_workers is 0' AS problem, NULL::timestamptz AS last_error_at
        WHERE pg_catalog.current_setting('pg_eventstore.projection_workers', true) OPERATOR(pg_catalog.=) '0'
       UNION ALL
       SELECT d.last_error, d.last_error_at FROM eventstore.projector_status d WHERE d.failed_starts OPERATOR(pg_catalog.>) 0
       UNION ALL
       SELECT d.last_error, d.last_error_at FROM eventstore.notifier_status d WHERE d.failed_starts OPERATOR(pg_catalog.>) 0
        ORDER BY 2 DESC NULLS FIRST LIMIT 1) w ON s.runner OPERATOR(pg_catalog.=) 'worker'
 CROSS JOIN LATERAL (
       SELECT COALESCE(eventstore.projection_problem(p.projection),
         CASE WHEN s.runner OPERATOR(pg_catalog.=) 'trigger'
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
                                WHERE t.tgrelid OPERATOR(pg_catalog.=) s.store::pg_catalog.oid
                                  AND t.tgenabled OPERATOR(pg_catalog.=) ANY ('{O,A}'::"char"[])
                                  AND t.tgargs OPERATOR(pg_catalog.=) (pg_catalog.convert_to(p.projection, pg_catalog.getdatabaseencoding())
                                                                       OPERATOR(pg_catalog.||) '\x00'::pg_catalog.bytea))
              THEN 'its trigger on the store is missing or disabled, so appends do not run it' END) AS problem) h;

COMMENT ON VIEW eventstore.projections IS
'The projections, their progress and their errors. Columns lag, lag_seconds, problem and those of the last error are null for roles without SELECT on the store.';
COMMENT ON COLUMN eventstore.projections.name IS 'name of the projection, and of its subscription';
COMMENT ON COLUMN eventstore.projections.mode IS 'async, inline or manual';
COMMENT ON COLUMN eventstore.projections.state IS 'current, behind, waiting, inline, manual, paused, failed, rebuilding or standby. current: all events are handled. behind: the worker is handling events. waiting: no worker can be started, or pg_eventstore.projection_workers is 0. inline: the transactions that append run it. manual: run_projection() runs it. paused: pause_projection() was called. failed: an event or the projection as a whole has failed, and is tried again. rebuilding: it is a rebuild. standby: this server does not run it';
COMMENT ON COLUMN eventstore.projections.store IS 'the store; - if it was dropped';
COMMENT ON COLUMN eventstore.projections.owner IS 'role with whose rights the handler runs, and whose members may change the projection';
COMMENT ON COLUMN eventstore.projections.handler IS 'the function that is called with the events';
COMMENT ON COLUMN eventstore.projections.tables IS 'the tables that the handler fills; - for one that was dropped';
COMMENT ON COLUMN eventstore.projections.event_types IS 'types of the events that are handled; null for all';
COMMENT ON COLUMN eventstore.projections.aggregate_types IS 'types of the aggregates whose events are handled; null for all';
COMMENT ON COLUMN eventstore.projections.batch_size IS 'maximum number of events in one transaction';
COMMENT ON COLUMN eventstore.projections.on_error IS 'what happens to an event that fails: stop, park or skip';
COMMENT ON COLUMN eventstore.projections.max_attempts IS 'number of attempts before an event is parked';
COMMENT ON COLUMN eventstore.projections.backoff IS 'pause after the first failure of an event; doubles with each failure';
COMMENT ON COLUMN eventstore.projections.rebuild_of IS 'the projection that is being rebuilt; null if this is no rebuild';
COMMENT ON COLUMN eventstore.projections.position IS 'every event at or below this position was handled or parked. Without events of its types, a projection may stay behind by 255 positions. Null for a projection that is inline';
COMMENT ON COLUMN eventstore.projections.lag IS 'number of positions from the first event that is not handled to the high-water mark; 0 if there is none';
COMMENT ON COLUMN eventstore.projections.lag_seconds IS 'age of the event from which lag is counted, in seconds; 0 if there is none';
COMMENT ON COLUMN eventstore.projections.rate IS 'events handled per second, as a mean of about the last minute; null or 0 for an inline projection';
COMMENT ON COLUMN eventstore.projections.attempts IS 'number of attempts of the first event that is not handled';
COMMENT ON COLUMN eventstore.projections.retry_at IS 'time before which nothing is handled, after a failure; null for none';
COMMENT ON COLUMN eventstore.projections.parked IS 'number of parked events';
COMMENT ON COLUMN eventstore.projections.last_error IS 'last error of the handler or of the projection as a whole, with its SQLSTATE. Stays after the repair';
COMMENT ON COLUMN eventstore.projections.last_error_at IS 'time of the last error';
COMMENT ON COLUMN eventstore.projections.last_error_position IS 'position of the event that failed last';
COMMENT ON COLUMN eventstore.projections.last_error_event_type IS 'type of the event that failed last';
COMMENT ON COLUMN eventstore.projections.problem IS 'why the projection cannot run; null if it can. Its store cannot be read, its handler or owner does not exist, or no worker can be started';
COMMENT ON COLUMN eventstore.projections.created_at IS 'time at which the projection was created';

GRANT SELECT ON eventstore.projections TO PUBLIC;
