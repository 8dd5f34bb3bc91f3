-- a plan that PostgreSQL makes anew reads by the indexes too, whatever the session's settings
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SELECT eventstore.create_store('reg_replan.events', 'off');
SELECT eventstore.create_archive('reg_replan.events');
SET pg_eventstore.store = 'reg_replan.events';
SELECT count(eventstore.append_event('t', to_jsonb(n), 'a-' || n, aggregate_type => 'T', correlation_id => 'c-1', causation_id => 'd-1', event_id => 'e-' || n)) FROM generate_series(1, 4) n;
SELECT eventstore.archive_events(before_position => 3);
-- so few rows are read by a sequential scan where there is a choice
ANALYZE reg_replan.events, reg_replan.events_archive;
EXPLAIN (COSTS OFF) SELECT * FROM reg_replan.events WHERE event_id = 'e-3';

CREATE FUNCTION pg_temp.calls() RETURNS SETOF text LANGUAGE sql AS $$
  VALUES ('get_aggregate_version(''a-3'')'), ('get_aggregate_version(''a-1'')'), ('get_event(''e-1'')'), ('get_event(''e-3'', include_archived => false)'),
         ('get_events_by_aggregate(''a-3'')'), ('get_events_by_aggregate(''a-3'', backwards => true)'), ('get_events_by_type(''t'')'),
         ('get_events_by_aggregate_type(''T'')'), ('get_latest_events(2)'), ('read_events(0, 2)'), ('read_events(0, 2, include_archived => false)'), ('get_latest_events()'), ('get_events_by_type(''t'', after_position => 1)'),
         ('read_events(0, 2, event_types => ''{t}'')'), ('read_events(9, 2, backwards => true)'), ('export_events(0)'), ('wait_for_events(0, ''0'')'),
         ('append_event(''t'', ''1'', ''a-4'')'), ('append_event(''t'', ''4'', ''a-4'', event_id => ''e-4'', aggregate_type => ''T'', correlation_id => ''c-1'', causation_id => ''d-1'')'),
         ('erase_aggregate(''a-3'', ''on request'')'), ('redact_event(''e-3'', ''on request'')')
$$;
-- how many sequential scans of the store and its archive a call makes
CREATE FUNCTION pg_temp.seq_scans(call text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before bigint := pg_stat_get_xact_numscans('reg_replan.events'::regclass) + pg_stat_get_xact_numscans('reg_replan.events_archive'::regclass);
BEGIN
  EXECUTE 'SELECT count(*) FROM eventstore.' || call;
  RETURN pg_stat_get_xact_numscans('reg_replan.events'::regclass) + pg_stat_get_xact_numscans('reg_replan.events_archive'::regclass) - before;
END $$;
SELECT sum(pg_temp.seq_scans(call)) AS planned FROM pg_temp.calls() call;

-- under another search path the plan cache parses and plans again
SET search_path = reg_replan, public;
SELECT call, pg_temp.seq_scans(call) FROM pg_temp.calls() call WHERE pg_temp.seq_scans(call) > 0;
SET search_path = public;
SET pg_eventstore.direct_append = off;
SELECT call, pg_temp.seq_scans(call) FROM pg_temp.calls() call WHERE pg_temp.seq_scans(call) > 0;
RESET pg_eventstore.direct_append;
RESET search_path;
SELECT call, pg_temp.seq_scans(call) FROM pg_temp.calls() call WHERE pg_temp.seq_scans(call) > 0;
-- the settings are those of the session again
SELECT name, setting FROM pg_settings WHERE name IN ('enable_seqscan', 'enable_bitmapscan', 'enable_sort') ORDER BY name;

-- with row security, each role has a plan of its own
CREATE ROLE reg_replan_a;
CREATE ROLE reg_replan_b;
SELECT eventstore.create_store('reg_replan.secured', 'off');
SET pg_eventstore.store = 'reg_replan.secured';
GRANT USAGE ON SCHEMA reg_replan, eventstore TO reg_replan_a, reg_replan_b;
GRANT SELECT, INSERT ON reg_replan.secured TO reg_replan_a, reg_replan_b;
ALTER TABLE reg_replan.secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON reg_replan.secured USING (true);
SELECT count(eventstore.append_event('t', to_jsonb(n), 'a-' || n)) FROM generate_series(1, 4) n;
ANALYZE reg_replan.secured;
CREATE FUNCTION reg_replan.secured_scans() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before bigint := pg_stat_get_xact_numscans('reg_replan.secured'::regclass);
BEGIN
  PERFORM eventstore.get_aggregate_version('a-3'), eventstore.append_event('t', '1', 'a-3');
  RETURN pg_stat_get_xact_numscans('reg_replan.secured'::regclass) - before;
END $$;
SELECT reg_replan.secured_scans();
SET ROLE reg_replan_a;
SELECT reg_replan.secured_scans();
SET ROLE reg_replan_b;
SELECT reg_replan.secured_scans();
RESET ROLE;

DROP OWNED BY reg_replan_a, reg_replan_b;
DROP ROLE reg_replan_a, reg_replan_b;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_replan.events', true), eventstore.drop_store('reg_replan.secured', true);
DROP SCHEMA reg_replan CASCADE;
