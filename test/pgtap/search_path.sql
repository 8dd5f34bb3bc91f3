-- A hostile schema that comes first in the search path: nothing in it may
-- stand in for what the extension means.
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS pg_eventstore;
SET LOCAL client_min_messages = warning;

SELECT plan(148);

CREATE SCHEMA pgtap_hostile;
CREATE FUNCTION pgtap_hostile.trap() RETURNS void LANGUAGE plpgsql AS $$
  BEGIN RAISE EXCEPTION 'hostile code ran' USING ERRCODE = 'ZZZZZ'; END $$;

-- operators as exact as those of pg_catalog, on every type that events have
DO $$
DECLARE
  t text;
  o text;
  n int := 0;
BEGIN
  FOREACH t IN ARRAY ARRAY['int4', 'int8', 'text', 'varchar', 'bpchar', 'timestamptz', 'jsonb', 'oid', 'bool', 'float4', 'name', 'regclass'] LOOP
    FOREACH o IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>='] LOOP
      n := n + 1;
      EXECUTE format('CREATE FUNCTION pgtap_hostile.op%s(pg_catalog.%2$I, pg_catalog.%2$I) RETURNS bool LANGUAGE plpgsql AS '
                     '''BEGIN PERFORM pgtap_hostile.trap(); RETURN NULL; END''', n, t);
      EXECUTE format('CREATE OPERATOR pgtap_hostile.%s (FUNCTION = pgtap_hostile.op%s, LEFTARG = pg_catalog.%I, RIGHTARG = pg_catalog.%3$I)', o, n, t);
    END LOOP;
  END LOOP;
END $$;

-- functions
DO $$
DECLARE
  f text;
BEGIN
  FOREACH f IN ARRAY ARRAY['now() RETURNS timestamptz', 'clock_timestamp() RETURNS timestamptz', 'unnest(anyarray) RETURNS SETOF anyelement', 'nextval(regclass) RETURNS bigint',
                           'pg_get_userbyid(oid) RETURNS name', 'new_event_id() RETURNS varchar', 'next_position(regclass) RETURNS bigint',
                           'after_append() RETURNS trigger', 'refuse_change() RETURNS trigger', 'check_insert() RETURNS trigger', 'count(bigint) RETURNS bigint',
                           'store_options(regclass) RETURNS record', 'jsonb(text) RETURNS jsonb', 'varchar(varchar, int, bool) RETURNS varchar'] LOOP
    EXECUTE format('CREATE FUNCTION pgtap_hostile.%s LANGUAGE plpgsql AS ''BEGIN PERFORM pgtap_hostile.trap(); END''', f);
  END LOOP;
END $$;

-- types
CREATE DOMAIN pgtap_hostile.jsonb AS pg_catalog.text CHECK (false);
CREATE DOMAIN pgtap_hostile.timestamptz AS pg_catalog.text CHECK (false);
CREATE DOMAIN pgtap_hostile.text AS pg_catalog.int4 CHECK (false);
CREATE DOMAIN pgtap_hostile.varchar AS pg_catalog.int4 CHECK (false);
CREATE DOMAIN pgtap_hostile.regclass AS pg_catalog.int4 CHECK (false);

-- relations, also temporary ones, which come first of all
CREATE TABLE pgtap_hostile.events (trap int);
CREATE TABLE pgtap_hostile.pg_trigger (trap int);
CREATE TABLE pgtap_hostile.pg_class (trap int);
CREATE COLLATION pgtap_hostile."C" (LOCALE = 'POSIX');
CREATE TEMP TABLE events (trap int);
CREATE TEMP TABLE pg_class (trap int);
CREATE TEMP TABLE watermarks (trap int);
CREATE TEMP TABLE erasures (trap int);

-- runs a command under the hostile path; an error is a result too
CREATE FUNCTION public.pgtap_attacked(command pg_catalog.text) RETURNS pg_catalog.text
LANGUAGE plpgsql SET search_path = pg_temp, pgtap_hostile, pg_catalog, public AS $$
DECLARE
  result pg_catalog.text;
BEGIN
  EXECUTE command INTO result;
  RETURN result;
EXCEPTION WHEN OTHERS THEN
  RETURN pg_catalog.concat(SQLSTATE, ': ', SQLERRM);
END $$;

-- a reducer
CREATE FUNCTION public.pgtap_reducer(state pg_catalog.jsonb, event eventstore.event) RETURNS pg_catalog.jsonb LANGUAGE sql AS
  'SELECT pg_catalog.jsonb_build_object(pg_catalog.current_setting(''search_path''), event.aggregate_version)';

-- the traps work
SELECT is(public.pgtap_attacked(c), 'ZZZZZ: hostile code ran', 'hostile: ' || c)
  FROM unnest(ARRAY['SELECT 1 = 1', 'SELECT now()', $$SELECT 'a'::pg_catalog.text >= 'b'::pg_catalog.text$$,
                    $$SELECT * FROM unnest(ARRAY[1])$$, $$SELECT oid = 1::oid FROM pg_catalog.pg_class LIMIT 1$$]) c;
SELECT matches(public.pgtap_attacked('SELECT event_id FROM events'), '^42703: ', 'hostile: events');
SELECT matches(public.pgtap_attacked($$SELECT '{}'::jsonb$$), '^23514: ', 'hostile: jsonb');

-- and nothing of the extension meets them
SELECT is(public.pgtap_attacked($$SELECT eventstore.create_store('pgtap_victim.events')$$), 'pgtap_victim.events', 'create_store');
SELECT is(public.pgtap_attacked($$SELECT eventstore.create_store('pgtap_victim.events')$$), 'pgtap_victim.events', 'create_store, again');
SELECT matches(public.pgtap_attacked($$SELECT eventstore.create_store('pgtap_victim')$$), '^0A000: table pg_temp\.pgtap_victim cannot hold',
          'create_store: a name without a schema is one of the first schema of the path, which is pg_temp');
SELECT is(public.pgtap_attacked($$SELECT eventstore.get_aggregate_version('a')$$), '0', 'the setting names the default store with its schema');
SET LOCAL pg_eventstore.store = 'events';
SELECT matches(public.pgtap_attacked($$SELECT eventstore.append_event('T', '1')$$), '^42809: table pg_temp\.events is not a store',
               'a setting without a schema is looked up by the path, and takes no table that is no store');
SET LOCAL pg_eventstore.store = 'pgtap_victim.events';
-- the handlers of projections, whose names without a schema are those of their own schema
CREATE TABLE pgtap_victim.seen (id pg_catalog.text);
CREATE FUNCTION pgtap_victim.handle(eventstore.event) RETURNS pg_catalog.void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES ($1.event_id || ''); END $$;
CREATE FUNCTION pgtap_victim.handle_all(eventstore.event[]) RETURNS pg_catalog.void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen SELECT event_id FROM unnest($1); END $$;
SELECT is(public.pgtap_attacked(c), wanted, c) FROM (VALUES
  ($$SELECT eventstore.append_event('T', '1', 'a', 0, 'A', '2', 'one', '2026-01-01Z', 'cor', 'cau')$$, '1'),
  ($$SELECT eventstore.append_event('T', '1', 'a', 1)$$, '2'),
  ($$SELECT eventstore.append_event('T', '1', 'a', 0, 'A', '2', 'one', '2026-01-01Z', 'cor', 'cau')$$, '1'),
  ($$SELECT eventstore.append_events('[{"event_type": "T", "aggregate_id": "a", "x": 1}, {"event_type": "T", "aggregate_id": "a"}]', 2)$$, '4'),
  ($$SELECT eventstore.append_to_aggregate('a', '{T,T}', '{1,2}', 4)$$, '6'),
  ($$SELECT aggregate_version FROM eventstore.append('[{"event_type": "T", "aggregate_id": "a"}, {"event_type": "T"}]', '{"a": 6, "b": 0}')$$, '7'),
  ($$INSERT INTO pgtap_victim.events (event_type, data) VALUES ('T', '1') RETURNING position$$, '9'),
  ($$SELECT eventstore.next_position('pgtap_victim.events_position_seq')$$, '10'),
  ($$SELECT pg_catalog.length(eventstore.new_event_id())$$, '36'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_events_by_aggregate('a')$$, '7'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_events_by_aggregate('a', 2, 5, 3, true)$$, '3'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_events_by_type('T', '2026-01-01Z')$$, '9'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_events_by_aggregate_type('A')$$, '7'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_events_by_correlation_id('cor')$$, '1'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_events_by_causation_id('cau')$$, '1'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_latest_events(5)$$, '5'),
  ($$SELECT event_id FROM eventstore.get_event('one')$$, 'one'),
  ($$SELECT eventstore.get_aggregate_version('a')$$, '7'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.read_events()$$, '9'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.read_events(2, 5)$$, '5'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.read_events(9, 5, backwards => true)$$, '5'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.read_events(2, event_types => '{T,U}', aggregate_types => '{A,B}')$$, '5'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.read_events(0, event_types => '{T}', backwards => true)$$, '9'),
  ($$SELECT eventstore.high_water_mark()$$, '10'),
  ($$SELECT eventstore.wait_for_events(8, '0')$$, '10'),
  ($$SELECT eventstore.wait_for_events(9, '0')$$, NULL),
  ($$SELECT eventstore.wait_for_events(0, '0', '{T}', '{A}')$$, '10'),
  ($$SELECT eventstore.next_checkpoint(2, '{U}', '{B}')$$, '10'),
  ($$SELECT eventstore.next_checkpoint()$$, '0'),
  ($$SELECT eventstore.advance_watermark()$$, '10'),
  ($$SELECT position FROM eventstore.watermarks WHERE store::pg_catalog.oid OPERATOR(pg_catalog.=) 'pgtap_victim.events'::pg_catalog.regclass::pg_catalog.oid$$, '10'),
  ($$INSERT INTO pgtap_victim.events (event_type, data) VALUES ('T', '1') RETURNING position$$, '11'),
  ($$SELECT eventstore.advance_watermark()$$, '11'),
  ($$SELECT first_position FROM eventstore.open_appends WHERE store::pg_catalog.oid OPERATOR(pg_catalog.=) 'pgtap_victim.events'::pg_catalog.regclass::pg_catalog.oid$$, '1'),
  ($$SELECT notifications FROM eventstore.store_options('pgtap_victim.events')$$, 'worker'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.create_slots('pgtap_victim.cut', 2)$$, '2'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.slots('pgtap_victim.cut')$$, '2'),
  ($$SELECT eventstore.slot_store('pgtap_victim.cut', 'a')$$, 'pgtap_victim.cut_001'),
  ($$SELECT eventstore.slot_of('a', 16)$$, '14'),
  ($$SELECT eventstore.store_of_slot('pgtap_victim.cut', 1)$$, 'pgtap_victim.cut_001'),
  ($$SELECT eventstore.lock_slot('pgtap_victim.cut_001')$$, ''),
  ($$SELECT eventstore.set_slot_arriving('pgtap_victim.cut_000', true)$$, ''),
  ($$SELECT eventstore.set_slot_arriving('pgtap_victim.cut_000', false)$$, ''),
  ($$SELECT pg_catalog.count(DISTINCT history) FROM eventstore.stores WHERE history OPERATOR(pg_catalog.~) '^\d+\.\d+\.\d+$'$$, '4'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.stores WHERE channel OPERATOR(pg_catalog.=) 'pgtap_victim_events'$$, '1'),
  ($$SELECT eventstore.create_subscription('pgtap_s', 'pgtap_victim.events', '{T,U}', '{A}', 0, 2, '1 min', 2, '0', 'park')$$, ''),
  ($$SELECT eventstore.alter_subscription('pgtap_s', '{T}', '{}', 1, '1 min', 2, '0', 'park')$$, ''),
  ($$SELECT partitions FROM eventstore.subscriptions WHERE name OPERATOR(pg_catalog.=) 'pgtap_s'$$, '1'),
  ($$SELECT pg_catalog.max(position) FROM eventstore.poll('pgtap_s', 3, 'c')$$, '3'),
  ($$SELECT pg_catalog.max(position) FROM eventstore.poll('pgtap_s', 3, 'c')$$, '3'),
  ($$SELECT eventstore.extend_lease('pgtap_s', delivery) IS NOT NULL FROM eventstore.subscription_partitions$$, 'true'),
  ($$SELECT eventstore.ack('pgtap_s', delivery, 2) FROM eventstore.subscription_partitions$$, ''),
  ($$SELECT eventstore.nack('pgtap_s', delivery, 3, 'r') IS NOT NULL FROM eventstore.subscription_partitions$$, 'true'),
  ($$SELECT pg_catalog.max(position) FROM eventstore.poll('pgtap_s', 3, 'c', '10 ms')$$, '3'),
  ($$SELECT eventstore.park('pgtap_s', delivery, 3, 'r') FROM eventstore.subscription_partitions$$, ''),
  ($$SELECT pg_catalog.count(*) FROM eventstore.poll('pgtap_s', 3, 'd')$$, '3'),
  ($$SELECT eventstore.release('pgtap_s', 'd')$$, '1'),
  ($$SELECT reason FROM eventstore.parked_events WHERE NOT behind$$, 'r'),
  ($$SELECT eventstore.replay_parked('pgtap_s', 'a')$$, '5'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.poll('pgtap_s', 2, 'd')$$, '2'),
  ($$SELECT eventstore.nack('pgtap_s', delivery, 4, 'again') FROM eventstore.subscription_partitions$$, NULL),
  ($$SELECT eventstore.discard_parked('pgtap_s', 'a', NULL, 'r')$$, '4'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.poll('pgtap_s', 100)$$, '3'),
  ($$SELECT eventstore.reset_subscription('pgtap_s', to_time => '-infinity')$$, '0'),
  ($$SELECT eventstore.reset_subscription('pgtap_s')$$, '11'),
  ($$SELECT lag FROM eventstore.subscription_lag('pgtap_s')$$, '0'),
  ($$SELECT eventstore.pause_subscription('pgtap_s')$$, ''),
  ($$SELECT eventstore.resume_subscription('pgtap_s')$$, ''),
  ($$SELECT eventstore.drop_subscription('pgtap_s')$$, ''),
  ($$SELECT eventstore.create_projection('pgtap_p', 'pgtap_victim.handle(eventstore.event)', 'manual', 'pgtap_victim.events', '{T,U}', '{A}', 0, '{pgtap_victim.seen}', 2, 'park', 3, '0')$$, ''),
  ($$SELECT eventstore.alter_projection('pgtap_p', 'pgtap_victim.handle_all(eventstore.event[])', '{T}', '{}', '{pgtap_victim.seen}', 3, 'stop', 2, '1 s')$$, ''),
  ($$SELECT eventstore.run_projection('pgtap_p', 2)$$, '2'),
  ($$SELECT eventstore.rebuild_projection('pgtap_p')$$, 'pgtap_p.rebuild'),
  ($$SELECT eventstore.drop_projection('pgtap_p.rebuild')$$, ''),
  ($$SELECT eventstore.rebuild_projection('pgtap_p', true)$$, 'pgtap_p'),
  ($$SELECT eventstore.run_projection('pgtap_p', 100)$$, '10'),
  ($$SELECT pg_catalog.count(*) FROM pgtap_victim.seen$$, '10'),
  ($$SELECT state FROM eventstore.projections WHERE name OPERATOR(pg_catalog.=) 'pgtap_p'$$, 'manual'),
  ($$SELECT eventstore.projection_problem('pgtap_p')$$, NULL),
  ($$SELECT eventstore.pause_projection('pgtap_p')$$, ''),
  ($$SELECT eventstore.resume_projection('pgtap_p')$$, ''),
  ($$SELECT eventstore.drop_projection('pgtap_p')$$, ''),
  ($$SELECT eventstore.create_projection('pgtap_i', 'pgtap_victim.handle(eventstore.event)', 'inline', start_position => NULL)$$, ''),
  ($$SELECT state FROM eventstore.projections WHERE name OPERATOR(pg_catalog.=) 'pgtap_i'$$, 'inline'),
  ($$SELECT eventstore.drop_projection('pgtap_i')$$, ''),
  ($$SELECT eventstore.set_notifications('pgtap_victim.events', 'off')$$, ''),
  ($$SELECT eventstore.create_archive()$$, 'pgtap_victim.events_archive'),
  ($$SELECT eventstore.archive_limit()$$, '11'),
  ($$SELECT eventstore.archive_events(before_position => 3, before_time => 'infinity', aggregate_ids => '{a}', dry_run => true)$$, '2'),
  ($$SELECT eventstore.archive_events(before_position => 3, before_time => 'infinity', aggregate_ids => '{a}')$$, '2'),
  ($$SELECT eventstore.set_retention('pgtap_victim.events', '1 day', 3)$$, ''),
  ($$SELECT pg_catalog.sum(events) FROM eventstore.apply_retention()$$, '2'),
  ($$SELECT pg_catalog.sum(events) FROM eventstore.apply_retention(dry_run => false)$$, '2'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.read_events()$$, '10'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.read_events(event_types => '{T}', backwards => true)$$, '10'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_events_by_aggregate('a')$$, '7'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_events_by_type('T')$$, '10'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_events_by_type('T', '2020-01-01Z', 1)$$, '9'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_latest_events()$$, '10'),
  ($$SELECT event_id FROM eventstore.get_event('one')$$, 'one'),
  ($$SELECT eventstore.append_event('T', '1', 'a', 0, 'A', '2', 'one', '2026-01-01Z', 'cor', 'cau')$$, '1'),
  ($$SELECT eventstore.get_aggregate_version('a')$$, '7'),
  ($$SELECT eventstore.append_event('T', '1', 'a', 7)$$, '8'),
  ($$SELECT eventstore.save_snapshot('a', 5, '{"x": 1}')$$, 'true'),
  ($$SELECT state FROM eventstore.get_snapshot('a')$$, '{"x": 1}'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.load_aggregate('a')$$, '4'),
  ($$SELECT eventstore.delete_snapshots('a', 6)$$, '1'),
  ($$SELECT eventstore.aggregate_state('a', 'public.pgtap_reducer(pg_catalog.jsonb, eventstore.event)')$$, '{"pg_temp, pgtap_hostile, pg_catalog, public": 8}'),
  ($$SELECT eventstore.create_state('pgtap_state', 'public.pgtap_reducer(pg_catalog.jsonb, eventstore.event)', snapshot_every => 1)$$, ''),
  ($$SELECT eventstore.get_state('pgtap_state', 'a')$$, '{"public, pg_temp": 8}'),
  ($$SELECT eventstore.get_state('pgtap_state', 'a')$$, '{"public, pg_temp": 8}'),
  ($$SELECT eventstore.aggregate_state('a', 'public.pgtap_reducer(pg_catalog.jsonb, eventstore.event)')$$, '{"public, pg_temp": 8}'),
  ($$SELECT snapshots FROM eventstore.states WHERE name OPERATOR(pg_catalog.=) 'pgtap_state'$$, '1'),
  ($$SELECT eventstore.state_problem('pgtap_state', 'pgtap_victim.events')$$, NULL),
  ($$SELECT eventstore.alter_state('pgtap_state', snapshot_every => 2)$$, ''),
  ($$SELECT eventstore.reset_state('pgtap_state')$$, ''),
  ($$SELECT eventstore.drop_state('pgtap_state')$$, ''),
  ($$SELECT pg_catalog.count(*) FROM eventstore.export_events(1)$$, '10'),
  ($$SELECT imported FROM eventstore.import_json('[{"event_type": "T", "aggregate_id": "i", "event_id": "imported"}]')$$, '1'),
  ($$SELECT present FROM eventstore.import_events('SELECT event FROM eventstore.export_events()')$$, '12'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.progress$$, '0'),
  ($$SELECT eventstore.erase_aggregate('a', 'r')$$, '8'),
  ($$SELECT eventstore.redact_event('one', 'r', '3')$$, 'true'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.get_events_by_aggregate('a') WHERE eventstore.is_erased(metadata)$$, '8'),
  ($$SELECT eventstore.append_event('T', '1', 'a', 0, 'A', '2', 'one', '2026-01-01Z', 'cor', 'cau')$$, '1'),
  ($$SELECT pg_catalog.count(*) FROM eventstore.erasures WHERE store OPERATOR(pg_catalog.=) 'pgtap_victim.events'::pg_catalog.regclass$$, '2'),
  ($$SELECT DISTINCT store FROM eventstore.erasures WHERE reason OPERATOR(pg_catalog.=) 'r'$$, 'pgtap_victim.events'),
  ($$SELECT 'pgtap_victim.events'::eventstore.regstore$$, 'pgtap_victim.events')
  ) v(c, wanted);
SELECT matches(public.pgtap_attacked(c), wanted, c) FROM (VALUES
  ($$SELECT eventstore.append_event('T', '1', 'a', 0)$$, '^40V01: '),
  ($$SELECT eventstore.append_event('U', '1', 'a', event_id => 'one')$$, '^23505: '),
  ($$UPDATE pgtap_victim.events SET data = NULL$$, '^0A000: '),
  ($$SELECT eventstore.empty_store('pgtap_victim.events')$$, '^55000: '),
  ($$SELECT eventstore.drop_store('pgtap_victim.events')$$, '^55006: ')
  ) v(c, wanted);

-- nothing of the store was made of hostile things
SELECT is_empty($$
  SELECT pg_describe_object(d.classid, d.objid, d.objsubid), o.identity
    FROM pg_depend d, pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) o
   WHERE o.schema = 'pgtap_hostile'
     AND coalesce((pg_identify_object(d.classid, d.objid, d.objsubid)).schema, '') <> 'pgtap_hostile'
     AND pg_describe_object(d.classid, d.objid, d.objsubid) ~ '(pgtap_victim|eventstore)'$$,
  'no part of a store depends on hostile objects');
DROP SCHEMA pgtap_hostile CASCADE;
SELECT is(eventstore.append_event('T', '1', 'a', 8), 9, 'the store works when they are gone');
SELECT is(eventstore.drop_store('pgtap_victim.events', true)::pg_catalog.text, '', 'drop_store');

SELECT * FROM finish();
ROLLBACK;
