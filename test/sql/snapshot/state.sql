-- States that reducers compute: aggregate_state(), create_state(), get_state(), and others.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA reg_state;
SELECT eventstore.create_store('reg_state.events', 'off');
SET pg_eventstore.store = 'reg_state.events';
RESET client_min_messages;
SELECT eventstore.append_to_aggregate('a', '{opened,paid,paid,note,paid}', '{"{}","{\"cents\": 10}","{\"cents\": 20}","{}","{\"cents\": 30}"}',
  occurred_at => ARRAY['2026-01-01Z', '2026-01-02Z', '2026-01-05Z', '2026-01-03Z', '2026-01-04Z']::timestamptz[]);
CREATE FUNCTION reg_state.account(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE event.event_type
         WHEN 'paid' THEN state || jsonb_build_object('sum', COALESCE((state->>'sum')::int, 0) + (event.data->>'cents')::int, 'version', event.aggregate_version)
         ELSE state END
$$;

-- a reducer of the caller
SELECT eventstore.aggregate_state('a', 'reg_state.account(jsonb, eventstore.event)');
SELECT eventstore.aggregate_state('a', 'reg_state.account(jsonb, eventstore.event)', '{"sum": 100}');
SELECT v, eventstore.aggregate_state('a', 'reg_state.account(jsonb, eventstore.event)', to_version => v) FROM generate_series(0, 6) v;
SELECT d, eventstore.aggregate_state('a', 'reg_state.account(jsonb, eventstore.event)', at => d + '12:00') FROM generate_series('2025-12-31Z'::timestamptz, '2026-01-05Z', '1 day') d;
SELECT eventstore.aggregate_state('no such aggregate', 'reg_state.account(jsonb, eventstore.event)', '"initial"');
-- in all languages: PL/pgSQL; an operator's function, which may return its argument
CREATE FUNCTION reg_state.types(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE plpgsql STRICT AS $$
BEGIN
  IF event.event_type = 'note' THEN RETURN state; END IF;
  state := state || to_jsonb(event.event_type);
  RETURN state;
END $$;
SELECT eventstore.aggregate_state('a', 'reg_state.types(jsonb, eventstore.event)', '[]');
-- all columns of an event
CREATE FUNCTION reg_state.last(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb(event) - ''event_id''';
SELECT eventstore.aggregate_state('a', 'reg_state.last(jsonb, eventstore.event)');
-- values are converted to text in the same way in all sessions
SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'iso_8601';
CREATE FUNCTION reg_state.texts(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_array(event.occurred_at, event.occurred_at::text, interval '1 day'::text, current_setting('TimeZone')) $$;
SELECT eventstore.aggregate_state('a', 'reg_state.texts(jsonb, eventstore.event)');
SELECT current_setting('TimeZone'), current_setting('DateStyle');
RESET TimeZone; RESET DateStyle; RESET IntervalStyle;
-- more events than fit into work_mem, and large states
SET work_mem = '64kB';
SELECT count(eventstore.append_event('paid', jsonb_build_object('cents', 1, 'pad', repeat('x', 500)), 'long')) FROM generate_series(1, 1000);
SELECT eventstore.aggregate_state('long', 'reg_state.account(jsonb, eventstore.event)');
CREATE FUNCTION reg_state.all_ids(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS $$
  SELECT state || to_jsonb(event.event_id) $$;
SELECT jsonb_array_length(eventstore.aggregate_state('long', 'reg_state.all_ids(jsonb, eventstore.event)', '[]'));
RESET work_mem;

-- functions that cannot be reducers, and reducers that fail
CREATE FUNCTION reg_state.no_reducer(state jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT state';
CREATE FUNCTION reg_state.no_result(state jsonb, event eventstore.event) RETURNS text LANGUAGE sql AS 'SELECT state::text';
CREATE FUNCTION reg_state.many(state jsonb, event eventstore.event) RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT state';
CREATE FUNCTION reg_state.forgets(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS $$
  SELECT CASE event.event_type WHEN 'opened' THEN '{}'::jsonb WHEN 'paid' THEN state END $$;
CREATE FUNCTION reg_state.fails(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS $$
  SELECT to_jsonb(1 / (event.aggregate_version - 3)) $$;
SELECT eventstore.aggregate_state('a', 'reg_state.no_reducer(jsonb)');
SELECT eventstore.aggregate_state('a', 'reg_state.no_result(jsonb, eventstore.event)');
SELECT eventstore.aggregate_state('a', 'reg_state.many(jsonb, eventstore.event)');
SELECT eventstore.aggregate_state('a', 'pg_catalog.jsonb_concat(jsonb, jsonb)');
SELECT eventstore.aggregate_state('a', 0);
SELECT eventstore.aggregate_state('a', NULL);
SELECT eventstore.aggregate_state('a', 'reg_state.account(jsonb, eventstore.event)', NULL);
SELECT eventstore.aggregate_state(NULL, 'reg_state.account(jsonb, eventstore.event)');
SELECT eventstore.aggregate_state('a', 'reg_state.account(jsonb, eventstore.event)', to_version => -1);
\set VERBOSITY default
SELECT eventstore.aggregate_state('a', 'reg_state.forgets(jsonb, eventstore.event)');
SELECT eventstore.aggregate_state('a', 'reg_state.fails(jsonb, eventstore.event)');
\set VERBOSITY terse

-- a named state
SELECT eventstore.create_state('account', 'reg_state.account(jsonb, eventstore.event)', snapshot_every => 3);
SELECT eventstore.create_state('account', 'reg_state.account(jsonb, eventstore.event)', snapshot_every => 5);
SELECT eventstore.create_state('account', 'reg_state.last(jsonb, eventstore.event)');
SELECT eventstore.create_state('account', 'reg_state.account(jsonb, eventstore.event)', '{"sum": 1}');
SELECT name, store, owner = current_user AS own, reducer, initial, snapshot_every, snapshots, last_saved_at, problem, created_at <= now() AS created FROM eventstore.states;
CREATE VIEW reg_state.saved AS
  SELECT aggregate_id, state_name, aggregate_version, state, isfinite(occurred_until) AS finite FROM eventstore.snapshots WHERE store = 'reg_state.events'::regclass ORDER BY 1, 2, 3;
-- the past is read without a snapshot, and saves none
SELECT eventstore.get_state('account', 'a', 4);
SELECT eventstore.get_state('account', 'a', at => '2026-01-04Z');
SELECT * FROM reg_state.saved;
SELECT eventstore.get_state('account', 'a');
SELECT * FROM reg_state.saved;
-- it is used: a changed row shows; but not for the past
UPDATE eventstore.snapshots SET state = '{"sum": 1000}';
SELECT eventstore.get_state('account', 'a');
SELECT eventstore.get_state('account', 'a', 5), eventstore.get_state('account', 'a', 4), eventstore.get_state('account', 'a', at => '2026-01-05Z'), eventstore.get_state('account', 'a', at => '2026-01-04Z');
SELECT eventstore.aggregate_state('a', 'reg_state.account(jsonb, eventstore.event)'), eventstore.aggregate_state('a', 'reg_state.account(jsonb, eventstore.event)', '{"x": 1}');
-- after fewer events than snapshot_every it stays, after more it is replaced
SELECT eventstore.append_to_aggregate('a', '{paid,paid}', '{"{\"cents\": 1}","{\"cents\": 1}"}');
SELECT eventstore.get_state('account', 'a');
SELECT * FROM reg_state.saved;
SELECT eventstore.append_to_aggregate('a', '{paid}', '{"{\"cents\": 1}"}');
SELECT eventstore.get_state('account', 'a');
SELECT aggregate_version, state FROM reg_state.saved;
SELECT name, snapshots, last_saved_at <= now() AS saved FROM eventstore.states;
-- the snapshots of clients are others
SELECT eventstore.save_snapshot('a', 2, '"client"');
SELECT eventstore.get_state('account', 'a');
SELECT * FROM reg_state.saved;
SELECT eventstore.delete_snapshots();
SELECT aggregate_version, state FROM reg_state.saved;
-- another state of the same store, that saves none; many aggregates at once
SELECT eventstore.create_state('types', 'reg_state.types(jsonb, eventstore.event)', '[]', 0);
SELECT eventstore.get_state('types', 'a');
SELECT count(eventstore.append_to_aggregate('m' || n, '{paid,paid,paid}', '{"{\"cents\": 1}","{\"cents\": 1}","{\"cents\": 1}"}')) FROM generate_series(1, 20) n;
SELECT sum((eventstore.get_state('account', 'm' || n)->>'sum')::int) FROM generate_series(1, 20) n;
SELECT name, snapshots FROM eventstore.states ORDER BY name;
SET pg_eventstore.max_aggregate_locks = 5;
DELETE FROM eventstore.snapshots WHERE aggregate_id ~ '^m';
SELECT sum((eventstore.get_state('account', 'm' || n)->>'sum')::int) FROM generate_series(1, 20) n;
SELECT name, snapshots FROM eventstore.states ORDER BY name;
RESET pg_eventstore.max_aggregate_locks;

-- a changed reducer does not see the snapshots of the old one
CREATE OR REPLACE FUNCTION reg_state.account(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT state || jsonb_build_object('events', COALESCE((state->>'events')::int, 0) + 1)
$$;
SELECT eventstore.aggregate_state('a', 'reg_state.account(jsonb, eventstore.event)');
SELECT eventstore.get_state('account', 'a');
SELECT aggregate_version, state FROM reg_state.saved WHERE aggregate_id = 'a';
ALTER FUNCTION reg_state.account(jsonb, eventstore.event) SET work_mem = '1MB';
UPDATE eventstore.snapshots SET state = '{"events": 1000}' WHERE aggregate_id = 'a';
SELECT eventstore.get_state('account', 'a');
ALTER FUNCTION reg_state.account(jsonb, eventstore.event) STRICT;
UPDATE eventstore.snapshots SET state = '{"events": 1000}' WHERE aggregate_id = 'a';
SELECT eventstore.get_state('account', 'a');
ALTER FUNCTION reg_state.account(jsonb, eventstore.event) COST 7;
UPDATE eventstore.snapshots SET state = '{"events": 1000}' WHERE aggregate_id = 'a';
SELECT eventstore.get_state('account', 'a');
-- nor does one that is reset, altered, or created again
SELECT eventstore.reset_state('account');
SELECT eventstore.get_state('account', 'a');
UPDATE eventstore.snapshots SET state = '{"events": 1000}' WHERE aggregate_id = 'a';
SELECT eventstore.alter_state('account', initial => '{"events": 5}');
SELECT count(*) FROM reg_state.saved;
SELECT eventstore.get_state('account', 'a');
UPDATE eventstore.snapshots SET state = '{"events": 1000}' WHERE aggregate_id = 'a';
SELECT eventstore.alter_state('account', snapshot_every => 4);
SELECT eventstore.get_state('account', 'a');
SELECT eventstore.alter_state('account', 'reg_state.types(jsonb, eventstore.event)', '[]');
SELECT eventstore.get_state('account', 'a');
SELECT name, reducer, initial, snapshot_every, snapshots FROM eventstore.states ORDER BY name;
CREATE TEMP TABLE old AS SELECT * FROM eventstore.snapshots;
SELECT eventstore.drop_state('account');
SELECT count(*) FROM reg_state.saved;
SELECT eventstore.create_state('account', 'reg_state.types(jsonb, eventstore.event)', '[]', 3);
INSERT INTO eventstore.snapshots SELECT * FROM old;
UPDATE eventstore.snapshots SET state = '["old"]';
SELECT eventstore.get_state('account', 'a');

-- an erasure
SELECT aggregate_id, state FROM reg_state.saved;
SELECT eventstore.erase_aggregate('a', 'test');
SELECT count(*) FROM reg_state.saved;
SELECT eventstore.get_state('account', 'a');
SELECT aggregate_id, state FROM reg_state.saved;
BEGIN;
SELECT eventstore.redact_event(event_id, 'test', '{"new": 1}') FROM eventstore.get_events_by_aggregate('a') LIMIT 1;
SELECT eventstore.get_state('account', 'a');
SELECT count(*) FROM reg_state.saved;
COMMIT;

-- a transaction that is rolled back, and one that is read-only
BEGIN;
SELECT eventstore.get_state('account', 'a');
SELECT count(*) FROM reg_state.saved;
ROLLBACK;
SELECT count(*) FROM reg_state.saved;
BEGIN READ ONLY;
SELECT eventstore.get_state('account', 'a');
COMMIT;
SELECT count(*) FROM reg_state.saved;

-- archived events
SELECT eventstore.create_archive();
SELECT eventstore.archive_events(before_position => 4);
SELECT eventstore.get_state('account', 'a');
SELECT aggregate_id, aggregate_version, state FROM reg_state.saved;

-- bad arguments
SELECT eventstore.create_state(NULL, 'reg_state.types(jsonb, eventstore.event)');
SELECT eventstore.create_state('', 'reg_state.types(jsonb, eventstore.event)');
SELECT eventstore.create_state('x', NULL);
SELECT eventstore.create_state('x', 'reg_state.types(jsonb, eventstore.event)', NULL);
SELECT eventstore.create_state('x', 'reg_state.types(jsonb, eventstore.event)', snapshot_every => -1);
SELECT eventstore.create_state('x', 'reg_state.no_reducer(jsonb)');
SELECT eventstore.create_state('x', 'reg_state.types(jsonb, eventstore.event)', store => 'pg_class');
SELECT eventstore.alter_state('x');
SELECT eventstore.alter_state('account', owner => 'no such role');
SELECT eventstore.reset_state('x');
SELECT eventstore.drop_state('x');
SELECT eventstore.get_state('x', 'a');
SELECT eventstore.get_state(NULL, 'a');
SELECT eventstore.get_state('account', NULL);
SELECT eventstore.get_state('account', 'a', -1);
BEGIN READ ONLY;
SELECT eventstore.create_state('x', 'reg_state.types(jsonb, eventstore.event)');
ROLLBACK;
BEGIN READ ONLY;
SELECT eventstore.drop_state('account');
ROLLBACK;

-- the states and snapshots of a store that is dropped, or whose table is
SELECT eventstore.create_store('reg_state.other', 'off');
SELECT eventstore.create_state('account', 'reg_state.types(jsonb, eventstore.event)', '[]', store => 'reg_state.other');
SELECT name, store FROM eventstore.states ORDER BY store::text, name;
SELECT eventstore.drop_store('reg_state.other');
SELECT name, store FROM eventstore.states ORDER BY store::text, name;
DROP TABLE reg_state.events_archive, reg_state.events CASCADE;
SELECT name, store, problem FROM eventstore.states ORDER BY name;
SELECT eventstore.create_store('reg_state.other', 'off');
SELECT eventstore.create_state('account', 'reg_state.types(jsonb, eventstore.event)', '[]', store => 'reg_state.other');
SELECT name, store, problem FROM eventstore.states ORDER BY name;
SELECT count(*) FROM eventstore.snapshots WHERE store::text = '-';
SELECT eventstore.drop_store('reg_state.other');
SET client_min_messages = warning;
DROP SCHEMA reg_state CASCADE;
