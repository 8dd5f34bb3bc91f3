-- every reader uses its index and reads no more than it returns
SET client_min_messages = warning;
-- no plan here may depend on parallel workers
SET max_parallel_workers_per_gather = 0;
SELECT set_config(name, 'off', false) AS forced FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT eventstore.create_store('reg_plans.events');
SET pg_eventstore.store = 'reg_plans.events';

-- plans made while the store is empty are those it keeps
CREATE FUNCTION pg_temp.touch() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM * FROM eventstore.get_events_by_aggregate('a-7');
  PERFORM * FROM eventstore.get_events_by_aggregate('a-7', backwards => true);
  PERFORM * FROM eventstore.get_events_by_type('t-7');
  PERFORM * FROM eventstore.get_events_by_aggregate_type('T-7');
  PERFORM * FROM eventstore.get_events_by_correlation_id('c-7');
  PERFORM * FROM eventstore.get_events_by_causation_id('d-7');
  PERFORM * FROM eventstore.get_latest_events(7);
  PERFORM * FROM eventstore.get_event('e-7');
  PERFORM eventstore.get_aggregate_version('a-7');
END $$;
SELECT pg_temp.touch();

-- 200 aggregates of 100 events, 50 types, 10 aggregate types; time runs with position
INSERT INTO reg_plans.events (event_id, event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data)
SELECT 'e-' || n, 't-' || n % 50, timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second',
       CASE WHEN n % 4 = 0 THEN 'c-' || n / 40 END, CASE WHEN n % 4 = 1 THEN 'd-' || n / 40 END,
       'a-' || n % 200, 'T-' || n % 10, n / 200 + 1, '{}'
  FROM generate_series(0, 19999) n;
ANALYZE reg_plans.events;

-- the scans of one call: rows that came out of each index, and of the table without one
CREATE FUNCTION pg_temp.scans(call text, OUT events bigint, OUT used text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'SELECT count(*) FROM eventstore.' || call INTO events;
  SELECT string_agg(coalesce(indexrelid::regclass::text, 'table') || ' ' || read, ', ' ORDER BY indexrelid) INTO used FROM (
    SELECT indexrelid, pg_stat_get_xact_tuples_returned(indexrelid) AS read FROM pg_index
     WHERE indrelid = 'reg_plans.events'::regclass AND pg_stat_get_xact_numscans(indexrelid) > 0
    UNION ALL
    SELECT NULL, seq_tup_read FROM pg_stat_xact_user_tables WHERE relid = 'reg_plans.events'::regclass AND seq_scan > 0) s;
END $$;

-- counts start anew in each transaction
SET search_path = reg_plans, pg_catalog;
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_events_by_aggregate(''a-7'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_events_by_aggregate(''a-7'', 20, 29)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_events_by_aggregate(''a-7'', max_count => 3)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_events_by_aggregate(''a-7'', max_count => 3, backwards => true)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_aggregate_version(''a-7'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_event(''e-7'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_latest_events(7)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_events_by_type(''t-7'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_events_by_type(''t-7'', ''2026-01-01 05:00:00+00'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, used LIKE 'idx_events_event_type %' AS index, substring(used from '[0-9]+$')::int < 100 AS bounded
  FROM pg_temp.scans('get_events_by_type(''t-7'', max_count => 5)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_events_by_aggregate_type(''T-7'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, used LIKE 'idx_events_aggregate_type %' AS index, substring(used from '[0-9]+$')::int < 100 AS bounded
  FROM pg_temp.scans('get_events_by_aggregate_type(''T-7'', max_count => 5)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_events_by_correlation_id(''c-7'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_events_by_correlation_id(''c-7'', max_count => 5)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('get_events_by_causation_id(''d-7'')');
-- an append looks up its aggregate by the index of versions, and its ids only when it has to
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('append_to_aggregate(''a-7'', ''{t,t,t}'', ''{1,2,3}'', 100)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('append_event(''t'', ''{}'', ''a-8'', 100, event_id => ''new-1'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('append_event(''t'', ''{}'', ''a-8'', event_id => ''new-2'')');
RESET search_path;

-- the plans of the same statements
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
PREPARE by_aggregate(text, integer, integer, bigint) AS SELECT * FROM reg_plans.events
  WHERE aggregate_id = $1 AND aggregate_version >= $2 AND aggregate_version <= $3 ORDER BY aggregate_version LIMIT $4;
EXPLAIN (COSTS OFF) EXECUTE by_aggregate('a-7', 0, 100, 5);
PREPARE backwards(text, integer, integer, bigint) AS SELECT * FROM reg_plans.events
  WHERE aggregate_id = $1 AND aggregate_version >= $2 AND aggregate_version <= $3 ORDER BY aggregate_version DESC LIMIT $4;
EXPLAIN (COSTS OFF) EXECUTE backwards('a-7', 0, 100, 5);
PREPARE version(text) AS SELECT aggregate_version FROM reg_plans.events
  WHERE aggregate_id = $1 ORDER BY aggregate_version DESC LIMIT 1;
EXPLAIN (COSTS OFF) EXECUTE version('a-7');
PREPARE by_type(text, timestamptz, bigint) AS SELECT * FROM reg_plans.events
  WHERE event_type = $1 AND occurred_at >= $2 ORDER BY occurred_at, position LIMIT $3;
EXPLAIN (COSTS OFF) EXECUTE by_type('t-7', '-infinity', 5);
PREPARE by_aggregate_type(text, timestamptz, bigint) AS SELECT * FROM reg_plans.events
  WHERE aggregate_type = $1 AND occurred_at >= $2 ORDER BY occurred_at, position LIMIT $3;
EXPLAIN (COSTS OFF) EXECUTE by_aggregate_type('T-7', '-infinity', 5);
PREPARE latest(bigint) AS SELECT * FROM (SELECT * FROM reg_plans.events ORDER BY position DESC LIMIT $1) e ORDER BY position;
PREPARE by_id(text) AS SELECT * FROM reg_plans.events WHERE event_id = $1;
EXPLAIN (COSTS OFF) EXECUTE by_id('e-7');
-- these need a sort, of the few events they find
RESET enable_sort;
EXPLAIN (COSTS OFF) EXECUTE latest(5);
PREPARE by_correlation(text, timestamptz, bigint) AS SELECT * FROM reg_plans.events
  WHERE correlation_id = $1 AND occurred_at >= $2 ORDER BY occurred_at, position LIMIT $3;
EXPLAIN (COSTS OFF) EXECUTE by_correlation('c-7', '-infinity', 5);
PREPARE by_causation(text, timestamptz, bigint) AS SELECT * FROM reg_plans.events
  WHERE causation_id = $1 AND occurred_at >= $2 ORDER BY occurred_at, position LIMIT $3;
EXPLAIN (COSTS OFF) EXECUTE by_causation('d-7', '-infinity', 5);
DEALLOCATE ALL;
RESET ALL;
SET client_min_messages = warning;

SELECT eventstore.drop_store('reg_plans.events', force => true);
DROP SCHEMA reg_plans;
