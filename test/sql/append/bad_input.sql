-- bad input: a clear error that names the event and the key, and nothing stored
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_bad_input.events');
SET pg_eventstore.store = 'reg_bad_input.events';

-- not an array of objects
SELECT eventstore.append_events(NULL);
SELECT eventstore.append_events('null');
SELECT eventstore.append_events('"text"');
SELECT eventstore.append_events('1');
SELECT eventstore.append_events('true');
SELECT eventstore.append_events('[]');
SELECT eventstore.append_events('[null]');
SELECT eventstore.append_events('[{"event_type": "t"}, null]');
SELECT eventstore.append_events('[{"event_type": "t"}, 1]');
SELECT eventstore.append_events('[{"event_type": "t"}, {"event_type": "t"}, "x"]');
SELECT eventstore.append_events('[false]');
SELECT eventstore.append_events('[[{"event_type": "t"}]]');

-- no event type
SELECT eventstore.append_events('{}');
SELECT eventstore.append_events('[{}]');
SELECT eventstore.append_events('[{"event_type": "t"}, {"aggregate_id": "a"}]');
SELECT eventstore.append_events('[{"event_type": null}]');
SELECT eventstore.append_events('[{"event_type": ""}]');
SELECT eventstore.append_events('[{"Event_Type": "t"}]');

-- unknown keys beside data
SELECT eventstore.append_events('[{"event_type": "t", "data": {}}, {"event_type": "t", "data": {}, "evnet_id": "e"}]');
SELECT eventstore.append_events('[{"event_type": "t", "data": null, "DATA": {}}]');
SELECT eventstore.append_events('[{"event_type": "t", "data": {}, "": 1}]');
SELECT eventstore.append_events('[{"event_type": "t", "data": {}, "position": 1}]');

-- values of the wrong JSON type, for every key
SELECT eventstore.append_events('[{"event_type": 1}]');
SELECT eventstore.append_events('[{"event_type": true}]');
SELECT eventstore.append_events('[{"event_type": ["t"]}]');
SELECT eventstore.append_events('[{"event_type": {"t": 1}}]');
SELECT eventstore.append_events('[{"event_type": "t", "event_id": 1}]');
SELECT eventstore.append_events('[{"event_type": "t", "occurred_at": 1769860800}]');
SELECT eventstore.append_events('[{"event_type": "t", "occurred_at": {}}]');
SELECT eventstore.append_events('[{"event_type": "t", "correlation_id": false}]');
SELECT eventstore.append_events('[{"event_type": "t", "causation_id": []}]');
SELECT eventstore.append_events('[{"event_type": "t"}, {"event_type": "t", "aggregate_id": 123}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_type": {}}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": "1"}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": [1]}]');

-- empty ids
SELECT eventstore.append_events('[{"event_type": "t", "event_id": ""}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": ""}]');

-- times
SELECT eventstore.append_events('[{"event_type": "t"}, {"event_type": "t", "occurred_at": "yesterdayish"}]');
SELECT eventstore.append_events('[{"event_type": "t", "occurred_at": ""}]');
SELECT eventstore.append_events('[{"event_type": "t", "occurred_at": "2026-02-30"}]');
SELECT eventstore.append_events('[{"event_type": "t", "occurred_at": "2026-01-31T25:00:00Z"}]');
SELECT eventstore.append_events('[{"event_type": "t", "occurred_at": "300000-01-01"}]');
SELECT eventstore.append_events('[{"event_type": "t"}, {"event_type": "t", "occurred_at": "infinity"}]');
SELECT eventstore.append_events('[{"event_type": "t", "occurred_at": "-infinity"}]');

-- versions
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": 2}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": 1}, {"event_type": "t", "aggregate_id": "a", "aggregate_version": 1}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": 0}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": -1}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": 1.5}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": 2147483648}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": 4294967297}]');
\set VERBOSITY terse
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": 1e400}]');
\set VERBOSITY default
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_version": 1}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a"}]', -1);
SELECT eventstore.append_events('[{"event_type": "t"}]', 0);
SELECT eventstore.append_events('[]', -1);

-- too long, for every column; characters count, not bytes
CREATE FUNCTION pg_temp.with_key(key text, length integer, filler text DEFAULT 'x') RETURNS integer
LANGUAGE sql RETURN eventstore.append_events(jsonb_build_array(
  '{"event_type": "t", "aggregate_id": "long"}'::jsonb,
  '{"event_type": "t", "aggregate_id": "long"}'::jsonb || jsonb_build_object(key, repeat(filler, length))));
SELECT pg_temp.with_key('event_id', 37);
SELECT pg_temp.with_key('event_type', 256);
SELECT pg_temp.with_key('correlation_id', 37);
SELECT pg_temp.with_key('causation_id', 37);
SELECT pg_temp.with_key('aggregate_type', 256);
SELECT pg_temp.with_key('event_id', 37, U&'\20AC');
SELECT pg_temp.with_key('event_type', 1000000);
SELECT eventstore.append_event('t', '{}', repeat('x', 37));
SELECT eventstore.append_event('t', '{}', repeat('x', 36) || ' ');
SELECT eventstore.append_event(repeat('x', 256), '{}', 'a');
SELECT eventstore.append_event('t', '{}', 'a', aggregate_type => repeat('x', 256));
SELECT eventstore.append_event('t', '{}', 'a', event_id => repeat('x', 37));
SELECT eventstore.append_event('t', '{}', 'a', correlation_id => repeat('x', 37));
SELECT eventstore.append_event('t', '{}', 'a', causation_id => repeat('x', 37));
SELECT eventstore.append_to_aggregate(repeat('x', 37), '{t}', '{1}');
SELECT eventstore.append_to_aggregate('a', ARRAY['t', repeat('x', 256)], '{1,2}');

-- the longest that fit
BEGIN;
SELECT pg_temp.with_key('event_id', 36, U&'\20AC');
SELECT pg_temp.with_key('event_type', 255, U&'\+01F600');
SELECT pg_temp.with_key('correlation_id', 36, U&'\00E4');
SELECT pg_temp.with_key('aggregate_type', 255);
SELECT eventstore.append_event('t', '{}', repeat(U&'\20AC', 36));
SELECT eventstore.get_aggregate_version(repeat(U&'\20AC', 36));
ROLLBACK;

-- duplicate ids within a call
SELECT eventstore.append_events('[{"event_type": "t", "event_id": "e"}, {"event_type": "t"}, {"event_type": "t", "event_id": "e"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM eventstore.append('[{"event_type": "t", "event_id": "e", "aggregate_id": "a"}, {"event_type": "t", "event_id": "e", "aggregate_id": "b"}]');

-- text that JSON or the encoding cannot hold: refused before it gets here
\set VERBOSITY terse
\set SHOW_CONTEXT never
SELECT eventstore.append_events('[{"event_type": "\u0000"}]');
SELECT eventstore.append_events('[{"event_type": "t", "data": "\ud800"}]');
SELECT eventstore.append_events('[{"event_type": "t"}');
SELECT eventstore.append_event(E'\xff', '{}');
SELECT eventstore.append_event('t', convert_from('\xc328', 'UTF8')::jsonb);
\set VERBOSITY default
\set SHOW_CONTEXT errors

-- nesting that is too deep is an error, not a crash
\set VERBOSITY sqlstate
SELECT eventstore.append_event('t', (repeat('[', 100000) || repeat(']', 100000))::jsonb);
SELECT eventstore.append_events((repeat('[', 100000) || repeat(']', 100000))::jsonb);
SELECT eventstore.append_events(('[{"event_type": "t", "data": ' || repeat('{"a":', 100000) || '1' || repeat('}', 100000) || '}]')::jsonb);
\set VERBOSITY default
-- what is deep but can be stored is read back
BEGIN;
SELECT eventstore.append_events(('[{"event_type": "t", "aggregate_id": "deep", "data": ' || repeat('[', 1000) || repeat(']', 1000) || '}]')::jsonb);
SELECT data = (repeat('[', 1000) || repeat(']', 1000))::jsonb AS same FROM eventstore.get_events_by_aggregate('deep');
SELECT eventstore.append_events(('[{"event_type": "t", "aggregate_id": "deep", "flat": ' || repeat('{"a":', 1000) || '1' || repeat('}', 1000) || '}]')::jsonb);
SELECT length(data::text) FROM eventstore.get_events_by_aggregate('deep', 2);
ROLLBACK;

-- large: a payload of 10 MB, and 10,000 events in a call
BEGIN;
SELECT eventstore.append_event('t', jsonb_build_object('s', repeat('x', 10 * 1024 * 1024)), 'large');
SELECT length(data ->> 's') FROM eventstore.get_events_by_aggregate('large');
SELECT eventstore.append_events((SELECT jsonb_agg(jsonb_build_object('event_type', 't', 'aggregate_id', 'large', 'n', n) ORDER BY n)
                                   FROM generate_series(2, 10001) n), 1);
SELECT count(*), bool_and((data ->> 'n')::int = aggregate_version) AS in_order FROM eventstore.get_events_by_aggregate('large', 2);
SELECT eventstore.append_events((SELECT jsonb_agg(jsonb_build_object('event_type', 't', 'aggregate_id', 'large', 'n', n) ORDER BY n)
                                   FROM generate_series(1, 10000) n) || '{"event_type": 1}');
ROLLBACK;

-- not a store
CREATE TABLE reg_bad_input.plain (LIKE reg_bad_input.events INCLUDING ALL);
CREATE VIEW reg_bad_input.view AS SELECT * FROM reg_bad_input.events;
CREATE SEQUENCE reg_bad_input.seq;
CREATE MATERIALIZED VIEW reg_bad_input.matview AS SELECT * FROM reg_bad_input.events;
SELECT eventstore.append_event('t', '{}', store => 'reg_bad_input.plain');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_event('t', '{}', store => 'reg_bad_input.view');
SELECT eventstore.append_event('t', '{}', store => 'reg_bad_input.seq');
SELECT eventstore.append_event('t', '{}', store => 'reg_bad_input.matview');
SELECT eventstore.append_event('t', '{}', store => 'reg_bad_input.events_pkey');
SELECT eventstore.append_event('t', '{}', store => 'pg_catalog.pg_class');
SELECT eventstore.append_event('t', '{}', store => '-');
SELECT eventstore.append_event('t', '{}', store => 0::regclass);
SELECT eventstore.get_aggregate_version('a', store => '-');
-- errors do not grow with what they are about
DO $$
DECLARE
  message text;
  detail text;
  context text;
BEGIN
  PERFORM eventstore.append_event('t', '{}', repeat('x', 1000000));
EXCEPTION WHEN string_data_right_truncation THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
  RAISE WARNING 'bounded: %', length(message || detail || context) < 3000;
END $$;
SELECT eventstore.append_events('[]', store => 'reg_bad_input.view');
SELECT eventstore.append_to_aggregate('a', '{}', '{}', store => 'reg_bad_input.plain');
SELECT * FROM eventstore.append('[]', store => 'reg_bad_input.plain');
SELECT * FROM eventstore.get_events_by_aggregate('a', store => 'reg_bad_input.plain');
SELECT eventstore.get_aggregate_version('a', 'reg_bad_input.view');
SELECT eventstore.drop_store('reg_bad_input.plain');
SELECT eventstore.drop_store('reg_bad_input.view', true);
SELECT eventstore.set_notifications('reg_bad_input.plain', 'off');
SELECT eventstore.store_options('reg_bad_input.plain');
DROP TABLE reg_bad_input.plain;
DROP VIEW reg_bad_input.view;
DROP SEQUENCE reg_bad_input.seq;
DROP MATERIALIZED VIEW reg_bad_input.matview;

-- no such store
SELECT eventstore.append_event('t', '{}', store => 'reg_bad_input.none');
SELECT eventstore.append_event('t', '{}', store => 1::regclass);
\echo :LAST_ERROR_SQLSTATE
SET pg_eventstore.store = 'reg_bad_input.none';
SELECT eventstore.append_event('t', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM eventstore.get_latest_events();
SELECT eventstore.get_aggregate_version('a');
SET pg_eventstore.store = 'reg_no_such_schema.none';
SELECT eventstore.append_events('[]');
SET pg_eventstore.store = 'none';
SELECT eventstore.append_events('[]');
SET pg_eventstore.store = 'reg_bad_input.events';

-- a store dropped between two calls of a prepared statement
SELECT eventstore.create_store('reg_bad_input.brief');
PREPARE append_brief(regclass) AS SELECT eventstore.append_event('t', '{}', 'a', store => $1);
PREPARE read_brief AS SELECT count(*) FROM eventstore.get_events_by_aggregate('a', store => 'reg_bad_input.brief');
EXECUTE append_brief('reg_bad_input.brief');
EXECUTE read_brief;
SELECT oid AS brief FROM pg_class WHERE oid = 'reg_bad_input.brief'::regclass \gset
SELECT eventstore.drop_store('reg_bad_input.brief', true);
CREATE FUNCTION pg_temp.anonymous(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, '[0-9]+', 'N');
END $$;
SELECT pg_temp.anonymous(format('EXECUTE append_brief(%s)', :brief));
SELECT pg_temp.anonymous('EXECUTE read_brief');
SELECT pg_temp.anonymous(format('SELECT eventstore.drop_store(%s)', :brief));
SELECT eventstore.create_store('reg_bad_input.brief');
SELECT pg_temp.anonymous(format('EXECUTE append_brief(%s)', :brief));
EXECUTE append_brief('reg_bad_input.brief');
DEALLOCATE append_brief;
DEALLOCATE read_brief;

-- dropped and used in one transaction
BEGIN;
SELECT eventstore.append_event('t', '{}', 'a', store => 'reg_bad_input.brief');
SELECT oid AS brief FROM pg_class WHERE oid = 'reg_bad_input.brief'::regclass \gset
DROP TABLE reg_bad_input.brief;
SELECT pg_temp.anonymous(format('SELECT eventstore.append_event(''t'', ''{}'', ''a'', store => %s::regclass)', :brief));
ROLLBACK;
SELECT eventstore.append_event('t', '{}', 'a', store => 'reg_bad_input.brief');

-- a store that lost its shape
CREATE FUNCTION pg_temp.altered(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  EXECUTE 'ALTER TABLE reg_bad_input.brief ' || what;
  PERFORM eventstore.append_event('t', '{}', 'b', store => 'reg_bad_input.brief');
  RAISE EXCEPTION 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN SQLSTATE || ' ' || SQLERRM || ': ' || detail;
END $$;
SELECT pg_temp.altered('DROP COLUMN metadata');
SELECT pg_temp.altered('DROP COLUMN aggregate_type');
SELECT pg_temp.altered('RENAME data TO payload');
SELECT pg_temp.altered('ALTER data TYPE json');
SELECT pg_temp.altered('ALTER occurred_at TYPE timestamp');
SELECT pg_temp.altered('ALTER aggregate_version TYPE bigint');
SELECT pg_temp.altered('ALTER event_type DROP NOT NULL');
SELECT pg_temp.altered('ALTER position DROP DEFAULT');
SELECT pg_temp.altered('ALTER position SET DEFAULT 1');
SELECT pg_temp.altered('DROP CONSTRAINT brief_pkey');
SELECT pg_temp.altered('DROP CONSTRAINT idx_brief_aggregate_id');
SELECT pg_temp.altered('DROP CONSTRAINT brief_position_key');
SELECT pg_temp.altered('DISABLE TRIGGER eventstore_append, DROP COLUMN data');
-- a further column, an empty one, is no matter
ALTER TABLE reg_bad_input.brief ADD COLUMN note text DEFAULT 'x';
SELECT eventstore.append_event('t', '{}', 'b', store => 'reg_bad_input.brief');
SELECT (SELECT count(*) FROM eventstore.get_events_by_aggregate('b', store => 'reg_bad_input.brief')), note
  FROM reg_bad_input.brief WHERE aggregate_id = 'b';

-- nothing bad was stored; positions were taken only by what was rolled back above
SELECT count(*) AS stored FROM reg_bad_input.events;
BEGIN;
SELECT position, aggregate_version FROM eventstore.append('[{"event_type": "t", "aggregate_id": "after"}]');
ROLLBACK;

RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_bad_input.events', force => true), eventstore.drop_store('reg_bad_input.brief', force => true);
DROP SCHEMA reg_bad_input;
