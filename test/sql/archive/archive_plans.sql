-- readers read little of both tables, by their indexes
SET client_min_messages = warning;
-- no plan here may depend on parallel workers
SET max_parallel_workers_per_gather = 0;
SELECT set_config(name, 'off', false) AS forced FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT eventstore.create_store('reg_archive_plans.events', 'off');
SET pg_eventstore.store = 'reg_archive_plans.events';
ALTER TABLE reg_archive_plans.events SET (autovacuum_enabled = off);
-- 200 aggregates of 100 events, 50 types, 10 aggregate types; time runs with position; the older half goes
INSERT INTO reg_archive_plans.events (event_id, event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data)
SELECT 'e-' || n, 't-' || n % 50, timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second',
       CASE WHEN n % 4 = 0 THEN 'c-' || n / 40 END, CASE WHEN n % 4 = 1 THEN 'd-' || n / 40 END,
       'a-' || n % 200, 'T-' || n % 10, n / 200 + 1, '{}'
  FROM generate_series(0, 19999) n;
SELECT eventstore.archive_events(before_position => 10001);
ALTER TABLE reg_archive_plans.events_archive SET (autovacuum_enabled = off);
-- without dead rows, whose index entries would be counted
VACUUM (INDEX_CLEANUP ON) reg_archive_plans.events;
ANALYZE reg_archive_plans.events, reg_archive_plans.events_archive;

-- how many entries of indexes, and rows without one, a call reads in each table
CREATE FUNCTION pg_temp.entries(tab regclass, OUT entries bigint, OUT plain bigint) LANGUAGE sql AS $$
  SELECT (SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = tab), pg_stat_get_xact_tuples_returned(tab)
$$;
CREATE FUNCTION pg_temp.cost(call text, OUT events bigint, OUT live bigint, OUT archive bigint, OUT plain bigint) LANGUAGE plpgsql AS $$
DECLARE
  l record; a record;
BEGIN
  -- the plan is made before, as the planner may look at indexes
  EXECUTE 'SELECT count(*) FROM eventstore.' || call;
  l := pg_temp.entries('reg_archive_plans.events'); a := pg_temp.entries('reg_archive_plans.events_archive');
  EXECUTE 'SELECT count(*) FROM eventstore.' || call INTO events;
  SELECT e.entries - l.entries, f.entries - a.entries, e.plain - l.plain + f.plain - a.plain INTO live, archive, plain
    FROM pg_temp.entries('reg_archive_plans.events') e, pg_temp.entries('reg_archive_plans.events_archive') f;
END $$;
CREATE TEMP TABLE calls (n serial, call text);
INSERT INTO calls (call) SELECT unnest(ARRAY[
  'get_events_by_aggregate(''a-7'')', 'get_events_by_aggregate(''a-7'', 40, 59)',
  'get_events_by_aggregate(''a-7'', 10, 19)', 'get_events_by_aggregate(''a-7'', max_count => 3)',
  'get_events_by_aggregate(''a-7'', max_count => 3, backwards => true)', 'get_aggregate_version(''a-7'')',
  'get_event(''e-7'')', 'get_event(''e-17777'')', 'get_latest_events(7)',
  'get_events_by_type(''t-7'')', 'get_events_by_correlation_id(''c-7'')',
  'get_events_by_causation_id(''d-7'', max_count => 5)', 'read_events(max_count => 100)', 'read_events(9990, 20)',
  'read_events(20000, 20)', 'read_events(max_count => 7, backwards => true)',
  'read_events(10004, 7, backwards => true)', 'wait_for_events(7, ''0'')',
  'wait_for_events(9980, ''0'', ''{t-7}'')', 'next_checkpoint(9980, ''{t-7}'')', 'next_checkpoint(9980, ''{t-7}'', include_archived => false)']);
SELECT call, c.* FROM calls, LATERAL pg_temp.cost(call) c ORDER BY n;
-- by a type with a limit: some more, for those of the same time
SELECT call, events, live <= 100 AND archive <= 100 AND plain = 0 AS little FROM unnest(ARRAY[
  'get_events_by_type(''t-7'', max_count => 5)', 'get_events_by_aggregate_type(''T-7'', ''2026-01-01 02:46:00+00'', max_count => 7)', 'get_events_by_type(''t-7'', ''2026-01-01 02:46:00+00'', 9958, 5)',
  'read_events(9990, 4, ''{t-1,t-2,t-3}'')', 'read_events(19980, 20, ''{t-1}'')']) call, LATERAL pg_temp.cost(call) c;
-- an append looks for the last version in both: past the executor, for one later than that of the store
SET pg_eventstore.direct_append = on;
SELECT call, c.* FROM unnest(ARRAY['append_event(''t'', ''1'', ''a-7'')', 'append_event(''t'', ''1'', ''a-7'', event_id => gen_random_uuid()::text)']) call, LATERAL pg_temp.cost(call) c;
SET pg_eventstore.direct_append = off;
SELECT call, c.* FROM unnest(ARRAY['append_event(''t'', ''1'', ''a-7'')']) call, LATERAL pg_temp.cost(call) c;
RESET pg_eventstore.direct_append;
-- without the archive, nothing of it is read
SELECT sum(c.archive) FROM unnest(ARRAY['get_events_by_aggregate(''a-7''', 'get_event(''e-7''', 'get_latest_events(7', 'get_events_by_type(''t-7''', 'read_events(0', 'wait_for_events(7, ''0''']) name,
  format('%s, include_archived => false)', name) call, LATERAL pg_temp.cost(call) c;
-- nor is more of a store, to move a batch, than the batch
CREATE FUNCTION pg_temp.batch(call text, OUT events bigint, OUT little boolean) LANGUAGE plpgsql AS $$
DECLARE
  l record;
BEGIN
  l := pg_temp.entries('reg_archive_plans.events');
  EXECUTE 'SELECT eventstore.' || call INTO events;
  SELECT e.entries + e.plain - l.entries - l.plain < 5000 INTO little FROM pg_temp.entries('reg_archive_plans.events') e;
END $$;
SELECT * FROM pg_temp.batch('archive_events(before_position => 20000, max_count => 100)');
SELECT * FROM pg_temp.batch('archive_events(before_time => ''2026-01-01 05:00:00+00'', max_count => 100)');
SELECT * FROM pg_temp.batch('archive_events(aggregate_ids => ''{a-7,a-8}'')');
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_archive_plans.events', true);
DROP SCHEMA reg_archive_plans;
