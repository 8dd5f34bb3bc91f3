-- append_to_aggregate(): the events of one aggregate as parallel arrays
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_append_to_aggregate.events');
SET pg_eventstore.store = 'reg_append_to_aggregate.events';
\pset null '(null)'

SELECT eventstore.append_to_aggregate('a', ARRAY['x', 'y'], ARRAY['{"n": 1}', '{"n": 2}']::jsonb[]);
SELECT eventstore.append_to_aggregate(
  aggregate_id => 'a',
  event_types => ARRAY['x', 'y', 'z'],
  data => ARRAY['{"n": 3}', 'null', '[5]']::jsonb[],
  expected_version => 2,
  aggregate_type => 'A',
  metadata => ARRAY['{"m": 3}', NULL, 'null']::jsonb[],
  event_ids => ARRAY['e-3', NULL, 'e-5'],
  occurred_at => ARRAY['2026-01-31 12:00:00+00', NULL, '2026-01-31 12:00:01+00']::timestamptz[],
  correlation_id => 'c',
  causation_id => 'd',
  store => 'reg_append_to_aggregate.events');
SELECT position, event_type, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata,
       metadata IS NULL AS no_metadata
  FROM reg_append_to_aggregate.events ORDER BY position;
SELECT event_id, occurred_at FROM reg_append_to_aggregate.events WHERE position IN (3, 5) ORDER BY position;
SELECT length(event_id), occurred_at BETWEEN now() - interval '10 minutes' AND now() AS recent
  FROM reg_append_to_aggregate.events WHERE position = 4;

-- the literals that drivers send
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{"{\"n\": 6}",7}', 5);
SELECT data FROM eventstore.get_events_by_aggregate('a', 6);
-- lower bounds do not matter
SELECT eventstore.append_to_aggregate('a', '[5:6]={x,y}', '[0:1]={8,9}', 7);
SELECT event_type, data FROM eventstore.get_events_by_aggregate('a', 8);

-- expected version
SELECT eventstore.append_to_aggregate('a', '{x}', '{1}', 0);
SELECT eventstore.append_to_aggregate('a', '{x}', '{1}', 8);
SELECT eventstore.append_to_aggregate('a', '{x}', '{1}', 10);
SELECT eventstore.append_to_aggregate('a', '{x}', '{1}', -1);
SELECT eventstore.append_to_aggregate('b', '{x}', '{1}', 0);

-- another type
SELECT eventstore.append_to_aggregate('a', '{x}', '{1}', aggregate_type => 'B');

-- nothing to append
SELECT eventstore.append_to_aggregate('a', '{}', '{}');
SELECT eventstore.append_to_aggregate('a', '{}', '{}', metadata => '{}', event_ids => '{}', occurred_at => '{}');

-- arrays of different lengths
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1}');
SELECT eventstore.append_to_aggregate('a', '{x}', '{1,2}');
SELECT eventstore.append_to_aggregate('a', '{}', '{1}');
SELECT eventstore.append_to_aggregate('a', '{x}', '{}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}', metadata => '{1}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}', event_ids => '{e-1,e-2,e-3}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}', occurred_at => '{}');

-- seen before anything is made of them: 8 million nulls take a megabyte, as events they would take more than there may be
SELECT eventstore.append_to_aggregate('l', array_fill(NULL::text, ARRAY[8000000]), '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_to_aggregate('l', '{}', array_fill(NULL::jsonb, ARRAY[8000000]));
SELECT eventstore.append_to_aggregate('l', '{x}', '{1}', metadata => array_fill(NULL::jsonb, ARRAY[8000000]));
SELECT eventstore.append_to_aggregate('l', '{x}', '{1}', event_ids => array_fill(NULL::text, ARRAY[8000000]));
SELECT eventstore.append_to_aggregate('l', '{x}', '{1}', occurred_at => array_fill(NULL::timestamptz, ARRAY[8000000]));

-- arrays of two dimensions
SELECT eventstore.append_to_aggregate('a', '{{x,y}}', '{1,2}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{{1,2}}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}', metadata => '{{1},{2}}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}', event_ids => '{{{e-1,e-2}}}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}', occurred_at => '{{now,now}}');

-- null arrays and elements
SELECT eventstore.append_to_aggregate(NULL, '{x}', '{1}');
SELECT eventstore.append_to_aggregate('a', NULL, '{1}');
SELECT eventstore.append_to_aggregate('a', '{x}', NULL);
SELECT eventstore.append_to_aggregate('a', '{x,NULL}', '{1,2}');
SELECT eventstore.append_to_aggregate('a', '{x,y,z}', '{1,2,NULL}');
SELECT eventstore.append_to_aggregate('', '{x}', '{1}');
SELECT eventstore.append_to_aggregate('a', '{x,""}', '{1,2}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}', event_ids => '{e-1,""}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}', event_ids => '{e-1,e-1}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}', occurred_at => '{2026-01-01,infinity}');
SELECT eventstore.append_to_aggregate('c', '{x}', '{1}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- arrays of domains
CREATE DOMAIN reg_append_to_aggregate.kind AS text;
CREATE DOMAIN reg_append_to_aggregate.body AS jsonb;
SELECT eventstore.append_to_aggregate('c', ARRAY['x']::reg_append_to_aggregate.kind[], ARRAY['1']::reg_append_to_aggregate.body[]);
SELECT eventstore.append_to_aggregate('c', ARRAY['x']::varchar[], ARRAY['1']::jsonb[]);
DROP DOMAIN reg_append_to_aggregate.kind;
DROP DOMAIN reg_append_to_aggregate.body;

-- a large call
SELECT eventstore.append_to_aggregate('large', array_agg('t' || n ORDER BY n), array_agg(to_jsonb(n) ORDER BY n), 0)
  FROM generate_series(1, 10000) n;
SELECT count(*), bool_and(event_type = 't' || aggregate_version AND data = to_jsonb(aggregate_version)) AS in_order
  FROM eventstore.get_events_by_aggregate('large');

-- a prepared statement that is used again and again
PREPARE arrays(text, text[], jsonb[], integer) AS SELECT eventstore.append_to_aggregate($1, $2, $3, $4);
EXECUTE arrays('p', '{x}', '{1}', 0);
EXECUTE arrays('p', '{x,y}', '{1,2}', 1);
EXECUTE arrays('p', '{x,y}', '{1,2}', 1);
EXECUTE arrays('p', '{x}', '{1}', NULL);
DEALLOCATE arrays;

-- an argument that all events share is read once, not once for each of them
CREATE TEMP TABLE long AS SELECT repeat('x', 1000000) AS id;
CREATE FUNCTION pg_temp.peak_kb() RETURNS int LANGUAGE sql AS
  $$SELECT coalesce((regexp_match(pg_read_file('/proc/self/status', 0, 10000, true), 'VmHWM:\s+(\d+)'))[1], '0')::int$$;
SELECT pg_temp.peak_kb() AS before \gset
\set VERBOSITY sqlstate
SELECT eventstore.append_to_aggregate(id, array_fill('t'::text, ARRAY[500]), array_fill('1'::jsonb, ARRAY[500])) FROM long;
\set VERBOSITY default
SELECT pg_temp.peak_kb() - :before < 100000 AS bounded;


SELECT aggregate_id, count(*), max(aggregate_version) FROM reg_append_to_aggregate.events GROUP BY 1 ORDER BY 1;
SELECT max(position) - count(*) AS burnt FROM reg_append_to_aggregate.events;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_append_to_aggregate.events', force => true);
DROP SCHEMA reg_append_to_aggregate;
