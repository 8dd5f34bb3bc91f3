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
     WHERE indrelid = current_setting('pg_eventstore.store')::regclass AND pg_stat_get_xact_numscans(indexrelid) > 0
    UNION ALL
    SELECT NULL, seq_tup_read FROM pg_stat_xact_user_tables WHERE relid = current_setting('pg_eventstore.store')::regclass AND seq_scan > 0) s;
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
-- from the middle on: those of the time of the event at the position, which is looked up, and the next
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, used FROM pg_temp.scans('get_events_by_type(''t-7'', after_position => 18008)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, used LIKE 'events_position_key 1, idx_events_event_type %' AS index, substring(used from '[0-9]+$')::int < 100 AS bounded
  FROM pg_temp.scans('get_events_by_type(''t-7'', after_position => 10008, max_count => 5)');
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

-- the log: 20000 events, two common types, every 2000th event of a rare one
SET pg_eventstore.store = 'reg_plans.log';
SELECT eventstore.create_store('reg_plans.log', 'off');
ALTER TABLE reg_plans.log SET (autovacuum_enabled = off);
-- plans that are made for each store are made now
SELECT count(*) FROM eventstore.read_events();
SELECT count(*) FROM eventstore.read_events(backwards => true);
SELECT eventstore.wait_for_events(0, '0') IS NULL AS none;
INSERT INTO reg_plans.log (event_type, aggregate_type, aggregate_id, data)
SELECT CASE WHEN n % 2000 = 0 THEN 'rare' ELSE 'common-' || n % 2 END, CASE WHEN n % 2000 = 1 THEN 'RARE' ELSE 'COMMON-' || n % 2 END,
       CASE WHEN n % 2000 = 1 THEN 'rare-' || n ELSE 'a-' || n % 200 END, '{}'
  FROM generate_series(0, 19999) n;
-- how many entries of indexes and rows of a table a call reads
CREATE FUNCTION pg_temp.entries() RETURNS bigint LANGUAGE sql AS $$
  SELECT (SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = store) + pg_stat_get_xact_tuples_returned(store)
    FROM (SELECT current_setting('pg_eventstore.store')::regclass::oid) s (store);
$$;
CREATE FUNCTION pg_temp.cost(call text, OUT events bigint, OUT entries bigint) LANGUAGE plpgsql AS $$
BEGIN
  entries := pg_temp.entries();
  EXECUTE 'SELECT count(*) FROM eventstore.' || call INTO events;
  entries := pg_temp.entries() - entries;
END $$;
-- a reader that is nearly at the end reads little, whatever it filters by and the planner knows
CREATE FUNCTION pg_temp.at_end() RETURNS TABLE (call text, events bigint, little boolean) LANGUAGE sql AS $$
  SELECT call, c.events, c.entries <= 100
    FROM unnest(ARRAY[
      'read_events(%s)', 'read_events(%s, event_types => ''{common-1}'')', 'read_events(%s, event_types => ''{rare}'')',
      'read_events(%s, event_types => ''{new}'')', 'read_events(%s, event_types => ''{common-0,common-1,new,rare}'')',
      'read_events(%s, aggregate_types => ''{COMMON-1}'')', 'read_events(%s, aggregate_types => ''{RARE}'')',
      'read_events(%s, event_types => ''{common-0}'', aggregate_types => ''{COMMON-0}'')', 'wait_for_events(%s, ''0'')',
      'wait_for_events(%s, ''0'', ''{rare}'')', 'wait_for_events(%s, ''0'', NULL, ''{COMMON-1}'')', 'next_checkpoint(%s)', 'next_checkpoint(%s, ''{rare}'')',
      'next_checkpoint(%s, ''{new}'')']) call,
    LATERAL pg_temp.cost(format(call, eventstore.high_water_mark() - 10)) c;
$$;
SELECT * FROM pg_temp.at_end();
-- nor does one that is far behind read all for each page
SELECT events, entries <= 100 AS little FROM pg_temp.cost('read_events(0, 7, ''{common-1}'')');
ANALYZE log;
SELECT * FROM pg_temp.at_end();
SELECT call, c.events, c.entries <= 10 AS little FROM unnest(ARRAY[
  'read_events(20000)', 'read_events(20000, event_types => ''{common-1}'')', 'wait_for_events(20000, ''0'')',
  'wait_for_events(20000, ''0'', ''{rare}'')', 'next_checkpoint(20000, ''{rare}'')', 'wait_for_events(1, ''0'', ''{common-1}'')', 'next_checkpoint(1, ''{common-1}'')']) call, LATERAL pg_temp.cost(call) c;
-- from anywhere, without a filter: only what is returned
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('read_events()');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('read_events(7777, 7)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('read_events(max_count => 7, backwards => true)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('read_events(7777, 7, backwards => true)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT * FROM pg_temp.scans('wait_for_events(7777, ''0'')');
-- by a common type: the log, until there are enough
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, used LIKE 'log\_position\_key __' AS position_index FROM pg_temp.scans('read_events(7777, 7, ''{common-1}'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, used LIKE 'log\_position\_key _' AS position_index FROM pg_temp.scans('read_events(7777, 7, NULL, ''{COMMON-1,COMMON-0}'', true)');
-- by a rare one: the index of types; to choose it, the planner looks at the ends of others
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, substring(used FROM 'idx_log_event_type \d+') AS used, used ~ '^(log_position_key \d, )?idx_log_event_type \d+$' AS only FROM pg_temp.scans('read_events(0, 7, ''{rare}'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, substring(used FROM 'idx_log_aggregate_type \d+') AS used, used ~ '^(log_position_key \d, )?idx_log_aggregate_type \d+$' AS only FROM pg_temp.scans('read_events(0, 7, NULL, ''{RARE}'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, substring(used FROM 'idx_log_event_type \d+') AS used, used ~ '^(log_position_key \d, )?idx_log_event_type \d+$' AS only FROM pg_temp.scans('read_events(0, 7, ''{rare}'', backwards => true)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, substring(used FROM 'idx_log_event_type \d+') AS used, used ~ '^(log_position_key \d, )?idx_log_event_type \d+$' AS only FROM pg_temp.scans('read_events(0, 7, ''{nothing}'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, substring(used FROM 'idx_log_event_type \d+') AS used, used ~ '^(log_position_key \d, )?idx_log_event_type \d+$' AS only FROM pg_temp.scans('next_checkpoint(2000, ''{rare}'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, substring(used FROM 'idx_log_aggregate_type \d+') AS used, used ~ '^(log_position_key \d, )?idx_log_aggregate_type \d+$' AS only FROM pg_temp.scans('wait_for_events(2, ''0'', NULL, ''{RARE}'')');
-- many events of a type that the statistics do not know
INSERT INTO log (event_type, data) SELECT 'new', '{}' FROM generate_series(1, 1500);
SELECT * FROM pg_temp.at_end();
-- an index for readers by type that are far from the end
CREATE INDEX log_event_type_position ON log (event_type, position);
ANALYZE log;
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, substring(used FROM 'log_event_type_position \d+') AS used, used ~ '^(log_position_key \d, )?log_event_type_position \d+$' AS only FROM pg_temp.scans('read_events(7777, 7, ''{rare}'')');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, substring(used FROM 'log_event_type_position \d+') AS used, used ~ '^(log_position_key \d, )?log_event_type_position \d+$' AS only FROM pg_temp.scans('read_events(7777, 7, ''{rare}'', backwards => true)');
SELECT pg_stat_force_next_flush() AS flushed \gset
SELECT events, substring(used FROM 'log_event_type_position \d+') AS used, used ~ '^(log_position_key \d, )?log_event_type_position \d+$' AS only FROM pg_temp.scans('next_checkpoint(7777, ''{rare}'')');
SELECT * FROM pg_temp.at_end();
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
PREPARE after_by_type(text, bigint, timestamptz, bigint) AS SELECT * FROM reg_plans.events
  WHERE event_type = $1 AND (occurred_at, position) > ($3, $4) ORDER BY occurred_at, position LIMIT $2;
EXPLAIN (COSTS OFF) EXECUTE after_by_type('t-7', 5, '-infinity', 0);
PREPARE by_aggregate_type(text, timestamptz, bigint) AS SELECT * FROM reg_plans.events
  WHERE aggregate_type = $1 AND occurred_at >= $2 ORDER BY occurred_at, position LIMIT $3;
EXPLAIN (COSTS OFF) EXECUTE by_aggregate_type('T-7', '-infinity', 5);
PREPARE after_by_aggregate_type(text, bigint, timestamptz, bigint) AS SELECT * FROM reg_plans.events
  WHERE aggregate_type = $1 AND (occurred_at, position) > ($3, $4) ORDER BY occurred_at, position LIMIT $2;
EXPLAIN (COSTS OFF) EXECUTE after_by_aggregate_type('T-7', 5, '-infinity', 0);
PREPARE latest(bigint) AS SELECT * FROM (SELECT * FROM reg_plans.events ORDER BY position DESC LIMIT $1) e ORDER BY position;
PREPARE by_id(text) AS SELECT * FROM reg_plans.events WHERE event_id = $1;
EXPLAIN (COSTS OFF) EXECUTE by_id('e-7');
PREPARE log(bigint, bigint, bigint) AS SELECT * FROM reg_plans.log
  WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3;
EXPLAIN (COSTS OFF) EXECUTE log(0, 100, 5);
PREPARE log_backwards(bigint, bigint, bigint) AS SELECT * FROM reg_plans.log
  WHERE position < $1 AND position <= $2 ORDER BY position DESC LIMIT $3;
EXPLAIN (COSTS OFF) EXECUTE log_backwards(50, 100, 5);
-- these need a sort, of the few events they find
RESET enable_sort;
EXPLAIN (COSTS OFF) EXECUTE latest(5);
PREPARE by_correlation(text, bigint, timestamptz, bigint) AS SELECT * FROM reg_plans.events
  WHERE correlation_id = $1 AND (occurred_at, position) > ($3, $4) ORDER BY occurred_at, position LIMIT $2;
EXPLAIN (COSTS OFF) EXECUTE by_correlation('c-7', 5, '-infinity', 0);
PREPARE by_causation(text, bigint, timestamptz, bigint) AS SELECT * FROM reg_plans.events
  WHERE causation_id = $1 AND (occurred_at, position) > ($3, $4) ORDER BY occurred_at, position LIMIT $2;
EXPLAIN (COSTS OFF) EXECUTE by_causation('d-7', 5, '-infinity', 0);
DEALLOCATE ALL;
RESET ALL;
SET client_min_messages = warning;

SELECT eventstore.drop_store('reg_plans.events', force => true), eventstore.drop_store('reg_plans.log', force => true);
DROP SCHEMA reg_plans;
