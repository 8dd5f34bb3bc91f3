-- every reader answers for the store and its archive together, unless asked for less
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT eventstore.create_store('reg_reads.events', 'off');
SET pg_eventstore.store = 'reg_reads.events';
-- half: 20 events, of which 10 go to the archive; whole: 3 events, which all go
SELECT count(eventstore.append_event('t', to_jsonb(n), 'half', n - 1, 'T', event_id => 'h-' || n, correlation_id => 'c', causation_id => 'd',
  occurred_at => timestamptz '2026-01-01Z' + n * interval '1 day')) FROM generate_series(1, 20) n;
SELECT count(eventstore.append_event('t', to_jsonb(n), 'whole', n - 1, 'T', event_id => 'w-' || n, correlation_id => 'c', causation_id => 'd',
  occurred_at => timestamptz '2026-02-01Z' + n * interval '1 day')) FROM generate_series(1, 3) n;
SELECT eventstore.archive_events(before_position => 11), eventstore.archive_events(aggregate_ids => '{whole}');

-- an aggregate is whole, however much of it is archived, and its last version is the one to expect
SELECT string_agg(aggregate_version::text, ' ') AS half FROM eventstore.get_events_by_aggregate('half');
SELECT string_agg(aggregate_version::text, ' ') AS whole FROM eventstore.get_events_by_aggregate('whole');
SELECT id, max(aggregate_version) = eventstore.get_aggregate_version(id) AS fits
  FROM unnest('{half,whole}'::text[]) id LEFT JOIN LATERAL eventstore.get_events_by_aggregate(id) e ON true GROUP BY 1 ORDER BY 1;
SELECT eventstore.append_event('t', '4', 'whole', (SELECT max(aggregate_version) FROM eventstore.get_events_by_aggregate('whole')));

-- each reader: by default, with NULL, and what is in the store alone
CREATE TEMP TABLE calls (n serial, call text);
INSERT INTO calls (call) SELECT unnest(ARRAY[
  'get_events_by_aggregate(''half'', 9, 12%s)', 'get_events_by_aggregate(''half'', max_count => 1%s)', 'get_events_by_type(''t''%s)', 'get_events_by_aggregate_type(''T''%s)',
  'get_events_by_correlation_id(''c''%s)', 'get_events_by_causation_id(''d''%s)', 'get_latest_events(4%s)', 'get_latest_events(NULL%s)', 'get_event(''h-1''%s)', 'get_event(''h-20''%s)',
  'read_events(5, 3%s)', 'read_events(max_count => 3, backwards => true%s)', 'read_events(0, 3, ''{t}'', ''{T}''%s)']);
CREATE FUNCTION pg_temp.positions(call text, argument text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE 'SELECT string_agg(position::text, '' '') FROM eventstore.' || format(call, argument) INTO result;
  RETURN result;
END $$;
SELECT call, pg_temp.positions(call, '') AS "default", pg_temp.positions(call, ', include_archived => false') AS live FROM calls ORDER BY n;
SELECT call FROM calls WHERE pg_temp.positions(call, '') IS DISTINCT FROM pg_temp.positions(call, ', include_archived => NULL')
  OR pg_temp.positions(call, '') IS DISTINCT FROM pg_temp.positions(call, ', include_archived => true');
-- one that follows and is behind what was archived waits for nothing and misses nothing
SELECT eventstore.wait_for_events(0, '0'), eventstore.wait_for_events(0, '0', include_archived => NULL);
CREATE FUNCTION pg_temp.follow(size integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE seen bigint[] := '{0}';
BEGIN
  WHILE eventstore.wait_for_events(seen[cardinality(seen)], '0') IS NOT NULL LOOP
    seen := seen || ARRAY(SELECT position FROM eventstore.read_events(seen[cardinality(seen)], size));
  END LOOP;
  RETURN seen;
END $$;
SELECT size, cardinality(pg_temp.follow(size)) FROM unnest('{1,4,100}'::int[]) size;
-- what the store alone would say
SELECT eventstore.archive_events(before_position => 100);
SELECT eventstore.wait_for_events(0, '0'), eventstore.wait_for_events(0, '0', include_archived => false);

-- by a parallel worker, too
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT count(*), eventstore.get_aggregate_version('half') FROM eventstore.get_events_by_aggregate('half');
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

-- a role that may read the store and not the archive is told what to do, and gets no half answer
CREATE ROLE reg_reads_reader;
GRANT USAGE ON SCHEMA eventstore, reg_reads TO reg_reads_reader;
GRANT SELECT ON reg_reads.events TO reg_reads_reader;
CREATE FUNCTION pg_temp.error(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, detail, hint);
END $$;
GRANT SELECT ON calls TO reg_reads_reader;
SET ROLE reg_reads_reader;
SELECT count(*) FROM eventstore.get_events_by_aggregate('half');
SELECT DISTINCT pg_temp.error('SELECT * FROM eventstore.' || format(call, '')) FROM calls
  UNION SELECT pg_temp.error('SELECT eventstore.wait_for_events(0, ''0'')') UNION SELECT pg_temp.error('SELECT eventstore.get_aggregate_version(''half'')');
SELECT DISTINCT pg_temp.error('SELECT * FROM eventstore.' || format(call, ', include_archived => false')) FROM calls
  UNION SELECT pg_temp.error('SELECT eventstore.wait_for_events(0, ''0'', include_archived => false)');
RESET ROLE;
-- what the hint says
SELECT eventstore.sync_archive('reg_reads.events');
SET ROLE reg_reads_reader;
SELECT count(*) FROM eventstore.get_events_by_aggregate('half');
RESET ROLE;
-- nor is an archive read in a schema that it may not use
CREATE SCHEMA reg_reads_old;
ALTER TABLE reg_reads.events_archive SET SCHEMA reg_reads_old;
SET ROLE reg_reads_reader;
SELECT DISTINCT pg_temp.error('SELECT * FROM eventstore.' || format(call, '')) FROM calls;
RESET ROLE;
GRANT USAGE ON SCHEMA reg_reads_old TO reg_reads_reader;
SET ROLE reg_reads_reader;
SELECT count(*) FROM eventstore.get_events_by_aggregate('half');
RESET ROLE;

-- a policy of the store does not hold in the archive: no answer rather than one that shows what it hides
SELECT eventstore.append_event('t', '21', 'half');
ALTER TABLE reg_reads.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON reg_reads.events USING (aggregate_id = 'mine');
SET ROLE reg_reads_reader;
SELECT DISTINCT pg_temp.error('SELECT * FROM eventstore.' || format(call, '')) FROM calls
  UNION SELECT pg_temp.error('SELECT eventstore.wait_for_events(0, ''0'')');
SELECT count(*) FROM eventstore.get_events_by_aggregate('half', include_archived => false);
RESET ROLE;
SELECT count(*) FROM eventstore.get_events_by_aggregate('half');
ALTER TABLE reg_reads.events DISABLE ROW LEVEL SECURITY;

DROP OWNED BY reg_reads_reader;
DROP ROLE reg_reads_reader;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_reads.events', true);
DROP SCHEMA reg_reads, reg_reads_old;
