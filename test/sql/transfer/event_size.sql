-- an event that is stored can be exported: its size is limited where it is stored
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_event_size.events', 'off');
SET pg_eventstore.store = 'reg_event_size.events';
SET search_path = reg_event_size;
-- the error of a statement
CREATE FUNCTION pg_temp.error(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE state text; message text; detail text; hint text; context text;
BEGIN
  EXECUTE command;
  RETURN 'none';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
  RETURN concat_ws(E'\n', state || ': ' || message, detail, hint, split_part(context, E'\n', 1));
END $$;
-- data and metadata that are too large together
CREATE FUNCTION long(c text, n integer) RETURNS jsonb LANGUAGE sql AS $$ SELECT to_jsonb(repeat(c, n)) $$;
-- few bytes in jsonb, and more than 500 MB as text
CREATE TABLE numbers AS SELECT jsonb_agg(1e131071) AS data FROM generate_series(1, 4100);
SELECT pg_column_size(data) < 200000 AS small FROM numbers;

\set VERBOSITY terse
SELECT pg_temp.error($$SELECT eventstore.append_event('t', long('x', 140000000), 'a', event_id => 'large', metadata => long('x', 140000000))$$);
SELECT pg_temp.error($$SELECT eventstore.append_event('t', data, 'a', event_id => 'large') FROM numbers$$);
SELECT pg_temp.error($$SELECT eventstore.append_events(jsonb_build_array(jsonb_build_object('event_type', 't'), jsonb_build_object('event_type', 't', 'data', 1, 'metadata', data))) FROM numbers$$);
SELECT pg_temp.error($$SELECT eventstore.append_to_aggregate('a', '{t,t}', ARRAY['1', data]) FROM numbers$$);
SELECT pg_temp.error($$SELECT * FROM numbers, eventstore.append(jsonb_build_object('event_type', 't', 'numbers', data))$$);
SELECT pg_temp.error($$SELECT eventstore.import_events('SELECT event_type, data FROM (VALUES (''t'', ''1''::jsonb)) v (event_type, data) UNION ALL SELECT ''t'', data FROM numbers')$$);
SELECT pg_temp.error($$SELECT eventstore.import_json(jsonb_build_object('event_type', 't', 'data', data)) FROM numbers$$);
SELECT pg_temp.error($$INSERT INTO events (event_id, event_type, data) SELECT 'large', 't', data FROM numbers$$);
SELECT pg_temp.error($$INSERT INTO events (position, event_id, event_type, data, metadata) SELECT 5, 'large', 't', '1', data FROM numbers$$);
-- control characters grow sixfold, quotes twofold
SELECT pg_temp.error($$SELECT eventstore.append_event('t', long(E'\u0001', 88000000), event_id => 'large')$$);
-- redacting
SELECT eventstore.append_event('t', '1', 'a', event_id => 'to-redact');
SELECT pg_temp.error($$SELECT eventstore.redact_event('to-redact', 'r', data => data) FROM numbers$$);
SELECT count(*) FROM events;

-- what is not too large can be exported, and imported again
SELECT eventstore.append_event('t', long(E'"\u0001', 1000000), 'a', event_id => 'fits', metadata => '[1e131071, null, true, "", {}, []]');
SELECT position, length((event - 'occurred_at')::text), event -> 'metadata' -> 0 = '1e131071' AS same FROM eventstore.export_events() ORDER BY position;
SELECT eventstore.create_store('reg_event_size.copy', 'off');
SELECT eventstore.import_events('SELECT event FROM eventstore.export_events()', 'copy');

-- an event that came in otherwise: the export names its position
ALTER TABLE events DISABLE TRIGGER zz_eventstore_check;
INSERT INTO events (event_id, event_type, data, metadata) SELECT 'large', 't', '1', data FROM numbers;
ALTER TABLE events ENABLE TRIGGER zz_eventstore_check;
SELECT pg_temp.error('SELECT * FROM eventstore.export_events()');
SELECT pg_temp.error('SELECT * FROM eventstore.export_events(max_count => 2)');

RESET search_path;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_event_size.copy', true), eventstore.drop_store('reg_event_size.events', true);
DROP SCHEMA reg_event_size CASCADE;
