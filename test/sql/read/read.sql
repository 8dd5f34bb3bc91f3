-- the readers
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_read.events'), eventstore.create_store('reg_read.other');
SET pg_eventstore.store = 'reg_read.events';
\pset null '(null)'

-- times run against positions
SELECT eventstore.append_events((SELECT jsonb_agg(jsonb_build_object(
         'event_id', 'a-' || n, 'event_type', CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END,
         'occurred_at', timestamptz '2026-01-31 12:00:00+00' - n * interval '1 minute',
         'correlation_id', 'c-' || n % 3, 'causation_id', 'd-' || n % 5,
         'aggregate_id', 'a', 'aggregate_type', 'A', 'n', n) ORDER BY n) FROM generate_series(1, 10) n));
-- and these all have the same
SELECT eventstore.append_events((SELECT jsonb_agg(jsonb_build_object(
         'event_id', 'b-' || n, 'event_type', 'even', 'occurred_at', timestamptz '2026-01-31 11:56:00+00',
         'aggregate_id', 'b', 'aggregate_type', 'A', 'metadata', '{"m": 1}'::jsonb, 'n', n) ORDER BY n) FROM generate_series(1, 3) n));
SELECT eventstore.append_event('none', '{}', event_id => 'n-1', occurred_at => '2026-01-31 13:00:00+00');
SELECT eventstore.append_event('even', '{}', 'a', event_id => 'o-1', store => 'reg_read.other');

-- the columns of an event
\x on
SELECT * FROM eventstore.get_event('a-1');
SELECT * FROM eventstore.get_event('b-1');
SELECT * FROM eventstore.get_event('n-1');
\x off
SELECT pg_typeof(e) FROM eventstore.get_event('a-1') e;
SELECT attname, format_type(atttypid, atttypmod) AS type, collname FROM pg_attribute LEFT JOIN pg_collation c ON c.oid = attcollation
  WHERE attrelid = 'eventstore.event'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- get_event
SELECT count(*) FROM eventstore.get_event('none');
SELECT event_id, data FROM eventstore.get_event('o-1', 'reg_read.other');
SELECT count(*) FROM eventstore.get_event('o-1');
SELECT * FROM eventstore.get_event(NULL);

-- get_events_by_aggregate: by version
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a');
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', 8);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', 3, 5);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', 5, 5);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', 5, 4);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', 11);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', -7, -1);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', to_version => 2);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', NULL, NULL, NULL, NULL, NULL);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', 2147483647);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', -2147483648, 2147483647);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', max_count => 3);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', 9, max_count => 3);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', backwards => true);
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('a', 3, 7, 2, true);
SELECT count(*) FROM eventstore.get_events_by_aggregate('a', max_count => 0);
SELECT count(*) FROM eventstore.get_events_by_aggregate('a', max_count => 2147483647);
SELECT * FROM eventstore.get_events_by_aggregate('a', max_count => -1);
SELECT * FROM eventstore.get_events_by_aggregate(NULL);
SELECT count(*) FROM eventstore.get_events_by_aggregate('nobody');
SELECT count(*) FROM eventstore.get_events_by_aggregate('');
SELECT count(*) FROM eventstore.get_events_by_aggregate('A');
SELECT event_id FROM eventstore.get_events_by_aggregate('a', store => 'reg_read.other');
SELECT count(*) FROM eventstore.get_events_by_aggregate(repeat('a', 1000));

-- get_events_by_type and its kin: by time, then position
SELECT event_id, occurred_at, position FROM eventstore.get_events_by_type('even');
SELECT event_id FROM eventstore.get_events_by_type('even', '2026-01-31 11:56:00+00');
SELECT event_id FROM eventstore.get_events_by_type('even', '2026-01-31 11:56:00.000001+00');
SELECT event_id FROM eventstore.get_events_by_type('even', '2026-01-31 11:56:00+00', max_count => 2);
SELECT event_id FROM eventstore.get_events_by_type('even', NULL, NULL, 1);
SELECT event_id FROM eventstore.get_events_by_type('even', max_count => 2);
SELECT count(*) FROM eventstore.get_events_by_type('even', '-infinity');
SELECT count(*) FROM eventstore.get_events_by_type('even', 'infinity');
SELECT count(*) FROM eventstore.get_events_by_type('even', max_count => 0);
SELECT * FROM eventstore.get_events_by_type('even', max_count => -5);
SELECT * FROM eventstore.get_events_by_type(NULL);
SELECT count(*) FROM eventstore.get_events_by_type('nothing');
SELECT event_id FROM eventstore.get_events_by_type('even', store => 'reg_read.other');

SELECT array_agg(event_id) FROM eventstore.get_events_by_aggregate_type('A');
SELECT array_agg(event_id) FROM eventstore.get_events_by_aggregate_type('A', '2026-01-31 11:57:00+00', max_count => 3);
SELECT * FROM eventstore.get_events_by_aggregate_type('A', max_count => -1);
SELECT * FROM eventstore.get_events_by_aggregate_type(NULL);
SELECT count(*) FROM eventstore.get_events_by_aggregate_type('B');

SELECT array_agg(event_id) FROM eventstore.get_events_by_correlation_id('c-1');
SELECT array_agg(event_id) FROM eventstore.get_events_by_correlation_id('c-1', '2026-01-31 11:55:00+00');
SELECT array_agg(event_id) FROM eventstore.get_events_by_correlation_id('c-1', max_count => 2);
SELECT * FROM eventstore.get_events_by_correlation_id('c-1', max_count => -1);
SELECT * FROM eventstore.get_events_by_correlation_id(NULL);
SELECT count(*) FROM eventstore.get_events_by_correlation_id('c-1', store => 'reg_read.other');

SELECT array_agg(event_id) FROM eventstore.get_events_by_causation_id('d-1');
SELECT array_agg(event_id) FROM eventstore.get_events_by_causation_id('d-1', '2026-01-31 11:59:00+00');
SELECT array_agg(event_id) FROM eventstore.get_events_by_causation_id('d-1', max_count => 1);
SELECT * FROM eventstore.get_events_by_causation_id('d-1', max_count => -1);
SELECT * FROM eventstore.get_events_by_causation_id(NULL);

-- get_latest_events: the newest by position, oldest of them first
SELECT array_agg(event_id) FROM eventstore.get_latest_events(3);
SELECT array_agg(event_id) FROM eventstore.get_latest_events();
SELECT count(*) FROM eventstore.get_latest_events(0);
SELECT * FROM eventstore.get_latest_events(-1);
SELECT array_agg(event_id) FROM eventstore.get_latest_events(NULL);
SELECT array_agg(event_id) FROM eventstore.get_latest_events(store => 'reg_read.other');

-- get_aggregate_version
SELECT eventstore.get_aggregate_version('a'), eventstore.get_aggregate_version('b', NULL),
       eventstore.get_aggregate_version('nobody'), eventstore.get_aggregate_version('a', 'reg_read.other');
SELECT eventstore.get_aggregate_version(NULL);

-- an empty store
SELECT eventstore.create_store('reg_read.empty');
SELECT count(*) FROM eventstore.get_latest_events(store => 'reg_read.empty');
SELECT count(*) FROM eventstore.get_events_by_type('even', store => 'reg_read.empty');
SELECT eventstore.get_aggregate_version('a', 'reg_read.empty');

-- LATERAL
SELECT x.id, e.event_id FROM (VALUES ('b'), ('nobody'), ('a')) x (id),
  LATERAL eventstore.get_events_by_aggregate(x.id, max_count => 2) e;
SELECT x.id, e.event_id FROM (VALUES ('nobody'), ('b')) x (id) LEFT JOIN LATERAL eventstore.get_events_by_aggregate(x.id, 3) e ON true;
SELECT s.store, e.event_id FROM eventstore.stores s, LATERAL eventstore.get_latest_events(1, s.store) e
  WHERE s.store IN ('reg_read.events'::regclass, 'reg_read.other') ORDER BY s.store::text;
-- in the select list, and rescanned
SELECT (eventstore.get_events_by_aggregate('b')).event_id;
SELECT n, (SELECT count(*) FROM eventstore.get_events_by_aggregate('b', max_count => n)) FROM generate_series(0, 4) n;
-- with a join, an aggregate and a LIMIT above
SELECT e.event_type, count(*) FROM eventstore.get_events_by_aggregate('a') e JOIN eventstore.get_events_by_type('odd') t USING (event_id) GROUP BY 1;
SELECT event_id FROM eventstore.get_events_by_aggregate('a') WHERE data @> '{"n": 7}' OR aggregate_version = 1 ORDER BY position DESC LIMIT 1;

-- in a view, which sees what came later
CREATE VIEW reg_read.of_b AS SELECT event_id, data ->> 'n' AS n FROM eventstore.get_events_by_aggregate('b', store => 'reg_read.events');
SELECT * FROM reg_read.of_b;
SELECT eventstore.append_event('odd', '{"n": 4}', 'b', event_id => 'b-4', occurred_at => '2026-01-31 11:56:00+00');
SELECT * FROM reg_read.of_b;
DROP VIEW reg_read.of_b;

-- in prepared statements, with typed and untyped parameters
PREPARE by_aggregate AS SELECT event_id FROM eventstore.get_events_by_aggregate($1, $2, $3, $4, $5);
EXECUTE by_aggregate('b', 2, NULL, NULL, false);
EXECUTE by_aggregate('b', 0, 3, 2, true);
SET plan_cache_mode = force_generic_plan;
EXECUTE by_aggregate('b', 0, 3, 1, false);
EXECUTE by_aggregate('a', 9, NULL, NULL, NULL);
RESET plan_cache_mode;
DEALLOCATE by_aggregate;

-- in functions, SQL and PL/pgSQL, with a cursor
CREATE FUNCTION reg_read.fold(id text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  state text := '';
  e eventstore.event;
BEGIN
  FOR e IN SELECT * FROM eventstore.get_events_by_aggregate(id) LOOP
    state := state || e.aggregate_version || e.event_type || ' ';
  END LOOP;
  RETURN state;
END $$;
SELECT reg_read.fold('b'), reg_read.fold('nobody');
CREATE FUNCTION reg_read.types(id text) RETURNS SETOF text LANGUAGE sql STABLE
  RETURN (SELECT string_agg(event_type, ' ') FROM eventstore.get_events_by_aggregate(id));
SELECT reg_read.types('b');
DROP FUNCTION reg_read.fold, reg_read.types;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT event_id FROM eventstore.get_events_by_aggregate('a');
FETCH 2 FROM c;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
COMMIT;

-- a snapshot stays what it was
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM eventstore.get_events_by_aggregate('b');
SELECT eventstore.append_event('odd', '{}', 'b');
SELECT count(*) FROM eventstore.get_events_by_aggregate('b');
ROLLBACK;

-- by a parallel worker
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT eventstore.get_aggregate_version('a');
SELECT array_agg(event_id) FROM eventstore.get_events_by_type('odd');
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

-- the planner's estimates
CREATE FUNCTION pg_temp.rows_of(call text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) SELECT * FROM eventstore.' || call INTO plan;
  RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
SELECT call, pg_temp.rows_of(call) FROM (VALUES
  ('get_events_by_aggregate(''a'')'),
  ('get_events_by_aggregate(''a'', max_count => 7)'),
  ('get_events_by_aggregate(''a'', max_count => 3 + 4)'),
  ('get_events_by_aggregate(''a'', max_count => 1000000)'),
  ('get_events_by_aggregate(''a'', max_count => 0)'),
  ('get_events_by_aggregate(''a'', max_count => NULL)'),
  ('get_events_by_aggregate(''a'', max_count => -3)'),
  ('get_events_by_type(''a'')'),
  ('get_events_by_type(''a'', max_count => 20)'),
  ('get_events_by_aggregate_type(''a'', max_count => 20)'),
  ('get_events_by_correlation_id(''a'')'),
  ('get_events_by_correlation_id(''a'', max_count => 3)'),
  ('get_events_by_causation_id(''a'', max_count => 3)'),
  ('get_latest_events()'),
  ('get_latest_events(5)'),
  ('get_latest_events(5000)'),
  ('get_event(''a'')'),
  ('get_events_by_aggregate(''a'', max_count => (SELECT 5))'),
  ('get_events_by_aggregate(''a'', max_count => (random() * 5)::int)')) c (call);
SET plan_cache_mode = force_custom_plan;
PREPARE few(integer) AS SELECT * FROM eventstore.get_events_by_aggregate('a', max_count => $1);
CREATE FUNCTION pg_temp.rows_of_few() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) EXECUTE few(6)' INTO plan;
  RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
SELECT pg_temp.rows_of_few();
DEALLOCATE few;
RESET plan_cache_mode;

RESET pg_eventstore.store;
SELECT eventstore.drop_store(store, true) FROM eventstore.stores WHERE store::text LIKE 'reg\_read.%';
DROP SCHEMA reg_read;
