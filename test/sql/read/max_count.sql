-- without max_count every reader returns all events, however many, in bounded memory
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT eventstore.create_store('reg_max_count.events', 'off');
SET pg_eventstore.store = 'reg_max_count.events';
ALTER TABLE reg_max_count.events SET (autovacuum_enabled = off);
-- plans made while the store is empty are those it keeps
SELECT count(*) FROM eventstore.get_latest_events();
-- the data of each event takes a kilobyte
INSERT INTO reg_max_count.events (event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data)
SELECT 't', '2026-01-31 12:00:00+00', 'c', 'd', 'a', 'T', n, to_jsonb(repeat(md5(n::text), 32)) FROM generate_series(1, 10000) n;
CREATE TEMP TABLE calls (n serial, call text);
INSERT INTO calls (call) SELECT unnest(ARRAY[
  'get_events_by_aggregate(''a''', 'get_events_by_aggregate(''a'', backwards => true', 'get_events_by_type(''t''', 'get_events_by_aggregate_type(''T''',
  'get_events_by_correlation_id(''c''', 'get_events_by_causation_id(''d''', 'get_latest_events(', 'read_events(0', 'read_events(backwards => true',
  'read_events(event_types => ''{t}''', 'read_events(0, event_types => ''{t}'', backwards => true']);
CREATE FUNCTION pg_temp.counted(call text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE result bigint;
BEGIN
  EXECUTE 'SELECT count(*) FROM eventstore.' || replace(call, '(, ', '(') INTO result;
  RETURN result;
END $$;
SELECT call, pg_temp.counted(call || ')') AS "left out", pg_temp.counted(call || ', max_count => NULL)') AS "null", pg_temp.counted(call || ', max_count => 7)') AS "7"
  FROM calls ORDER BY n;
SELECT array_agg(position) = ARRAY(SELECT generate_series(1::bigint, 10000)) AS in_order FROM eventstore.get_latest_events();

-- what a reader holds in memory while its rows are fetched: what work_mem permits, the rest goes to disk
SET work_mem = '1MB';
CREATE FUNCTION pg_temp.memory_of(call text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  c refcursor;
  before bigint;
  held bigint;
BEGIN
  SELECT sum(total_bytes) INTO before FROM pg_backend_memory_contexts;
  OPEN c FOR EXECUTE 'SELECT * FROM eventstore.' || call || ')';
  MOVE 1 FROM c;
  SELECT sum(total_bytes) INTO held FROM pg_backend_memory_contexts;
  CLOSE c;
  RETURN held - before < 4000000;
END $$;
SELECT call, pg_temp.memory_of(call) AS bounded FROM calls ORDER BY n;
-- and on disk what temp_file_limit permits
SET temp_file_limit = '2MB';
\set VERBOSITY sqlstate
SELECT count(*) FROM eventstore.read_events();
\set VERBOSITY default
RESET temp_file_limit;
RESET work_mem;
-- it can be cancelled
SET statement_timeout = '1ms';
SELECT count(*) FROM eventstore.read_events();
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;

-- the planner's estimates, before and after ANALYZE: the log after a position, as far as that is known
CREATE FUNCTION pg_temp.rows_of(call text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) SELECT * FROM eventstore.' || call INTO plan;
  RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
CREATE TEMP TABLE estimates AS SELECT call, pg_temp.rows_of(call) AS unknown FROM unnest(ARRAY[
  'get_latest_events()', 'get_latest_events(NULL, ''reg_max_count.events'')', 'get_latest_events(7)', 'read_events()', 'read_events(NULL)', 'read_events(0, 7)', 'read_events(9000)', 'read_events(4000 + 5000)',
  'read_events(9999)', 'read_events(1000000)', 'read_events(-5)', 'read_events((SELECT 9000))', 'read_events(backwards => true)', 'read_events(3000, backwards => true)',
  'read_events(3000, backwards => (SELECT true))', 'read_events(3000, 20000, backwards => true)', 'read_events(store => (SELECT ''reg_max_count.events''::regclass))', 'read_events(event_types => ''{t}'')',
  'read_events(store => 1::oid)']) call;
ANALYZE reg_max_count.events;
SELECT call, unknown, pg_temp.rows_of(call) AS analyzed FROM estimates;
SET pg_eventstore.store = 'reg_max_count.nothing';
SELECT pg_temp.rows_of('get_latest_events()');

RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_max_count.events', true);
DROP SCHEMA reg_max_count;
