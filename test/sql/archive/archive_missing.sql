-- A store remembers that it has an archive, and is not used without it
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA reg_missing;
SELECT eventstore.create_store('reg_missing.carts', 'off');
SET pg_eventstore.store = 'reg_missing.carts';
SELECT eventstore.append_to_aggregate('a', array_fill('t'::text, '{6}'), array_fill('1'::jsonb, '{6}'), event_ids => '{a-1,a-2,a-3,a-4,a-5,a-6}');
SELECT eventstore.create_archive();
SELECT eventstore.archive_events(before_position => 5);
SELECT eventstore.create_subscription('reg_missing', start_position => NULL);
CREATE FUNCTION pg_temp.options() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(substring(pg_get_triggerdef(oid) FROM 'EXECUTE.*'), ' ') FROM pg_trigger
   WHERE tgrelid = 'reg_missing.carts'::regclass AND tgfoid = 'eventstore.after_append()'::regprocedure $$;
SELECT pg_temp.options();
-- the mode changes, the memory stays
SELECT eventstore.set_notifications('reg_missing.carts', 'commit', 'carts');
SELECT pg_temp.options();
SELECT store, notifications, channel FROM eventstore.stores WHERE store = 'reg_missing.carts'::regclass;
CREATE FUNCTION pg_temp.try(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE call;
  RETURN 'done: ' || call;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM || ': ' || call;
END $$;
CREATE FUNCTION pg_temp.try_all() RETURNS SETOF text LANGUAGE sql AS $$
  SELECT pg_temp.try(c) FROM unnest(ARRAY[
    $c$SELECT eventstore.append_event('t', '1', 'a')$c$,
    $c$SELECT * FROM eventstore.append('[]', '{"a": 6}')$c$,
    $c$INSERT INTO reg_missing.carts (event_type, aggregate_id, data) VALUES ('t', 'a', '1')$c$,
    $c$INSERT INTO reg_missing.carts (position, event_type, data) VALUES (1, 't', '1')$c$,
    $c$SELECT * FROM eventstore.import_events('SELECT ''t'' AS event_type, ''1''::jsonb AS data')$c$,
    $c$SELECT * FROM eventstore.read_events()$c$,
    $c$SELECT * FROM eventstore.get_events_by_aggregate('a')$c$,
    $c$SELECT * FROM eventstore.get_event('a-1')$c$,
    $c$SELECT eventstore.get_aggregate_version('a')$c$,
    $c$SELECT * FROM eventstore.export_events()$c$,
    $c$SELECT * FROM eventstore.poll('reg_missing')$c$,
    $c$SELECT eventstore.reset_subscription('reg_missing', 0)$c$,
    $c$SELECT eventstore.archive_events(before_position => 6)$c$,
    $c$SELECT eventstore.archive_events(before_position => 6, dry_run => true)$c$,
    $c$SELECT * FROM eventstore.apply_retention(dry_run => false)$c$,
    $c$SELECT eventstore.set_retention('reg_missing.carts', '1 year')$c$,
    $c$SELECT eventstore.set_retention('reg_missing.carts')$c$,
    $c$SELECT eventstore.sync_archive()$c$,
    $c$SELECT eventstore.erase_aggregate('a', 'requested')$c$,
    $c$SELECT eventstore.redact_event('a-6', 'requested')$c$,
    $c$SELECT eventstore.drop_store('reg_missing.carts')$c$]) c $$;
\pset format unaligned
\pset tuples_only on
-- the archive is dropped
BEGIN;
DROP TABLE reg_missing.carts_archive;
SELECT pg_temp.try_all();
-- what goes on
SELECT position FROM eventstore.read_events(include_archived => false);
SELECT eventstore.set_notifications('reg_missing.carts', 'off', 'carts'), eventstore.high_water_mark();
SELECT store, notifications FROM eventstore.stores WHERE store = 'reg_missing.carts'::regclass;
SELECT count(*) FROM eventstore.archives WHERE store = 'reg_missing.carts'::regclass;
SELECT store, checkpoint, lag, lag_seconds, problem FROM eventstore.subscriptions WHERE name = 'reg_missing';
SAVEPOINT s;
SELECT eventstore.append_event('t', '1', 'a');
ROLLBACK TO s;
SELECT eventstore.create_store('reg_missing.carts');
-- a new archive instead, whose emptiness is told
SET client_min_messages = notice;
SELECT eventstore.create_archive();
SET client_min_messages = warning;
SELECT eventstore.append_event('t', '1', 'a');
ROLLBACK;
-- the store can be dropped
BEGIN;
DROP TABLE reg_missing.carts_archive;
SELECT eventstore.drop_store('reg_missing.carts', true);
ROLLBACK;
-- the link is lost, and the table is there
DROP TRIGGER eventstore_archive ON reg_missing.carts_archive;
SELECT eventstore.append_event('t', '1', 'a');
CALL eventstore.archive_all(before_position => 6);
SET client_min_messages = notice;
SELECT eventstore.create_archive();
SET client_min_messages = warning;
SELECT eventstore.append_event('t', '1', 'a');
-- the table of the store is gone and comes back, as by pg_dump --clean -t
ALTER TABLE reg_missing.carts_archive RENAME TO kept;
DROP TRIGGER eventstore_archive ON reg_missing.kept;
SELECT eventstore.create_archive(name => 'reg_missing.kept');
SELECT eventstore.get_aggregate_version('a');
-- all triggers are gone, as by DROP EXTENSION ... CASCADE: the archive beside the store is found
ALTER TABLE reg_missing.kept RENAME TO carts_archive;
DO $$
DECLARE t record;
BEGIN
  FOR t IN SELECT tgname, tgrelid::regclass AS rel FROM pg_trigger
            WHERE tgrelid IN ('reg_missing.carts'::regclass, 'reg_missing.carts_archive'::regclass) AND NOT tgisinternal LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.rel);
  END LOOP;
END $$;
SET client_min_messages = notice;
-- a table of another owner or kind is left alone, with a warning, and one of another shape without
CREATE ROLE reg_missing_other;
BEGIN;
ALTER TABLE reg_missing.carts_archive OWNER TO reg_missing_other;
SELECT eventstore.create_store('reg_missing.carts', 'off');
SELECT count(*) FROM eventstore.archives WHERE store = 'reg_missing.carts'::regclass;
ROLLBACK;
BEGIN;
CREATE RULE quiet AS ON DELETE TO reg_missing.carts_archive DO ALSO NOTHING;
SELECT eventstore.create_store('reg_missing.carts', 'off');
ROLLBACK;
BEGIN;
ALTER TABLE reg_missing.carts_archive DROP COLUMN causation_id;
SELECT eventstore.create_store('reg_missing.carts', 'off');
SELECT count(*) FROM eventstore.archives WHERE store = 'reg_missing.carts'::regclass;
ROLLBACK;
-- events that overlap are an error
BEGIN;
INSERT INTO reg_missing.carts_archive SELECT * FROM reg_missing.carts WHERE event_id = 'a-6';
SELECT eventstore.create_store('reg_missing.carts', 'off');
ROLLBACK;
SELECT eventstore.create_store('reg_missing.carts', 'off');
SELECT pg_temp.options(), eventstore.get_aggregate_version('a');
SELECT eventstore.append_event('t', '1', 'b', event_id => 'a-1');
-- only the trigger of the store is gone
DROP TRIGGER eventstore_append ON reg_missing.carts;
SELECT eventstore.create_store('reg_missing.carts', 'off');
SELECT pg_temp.options(), eventstore.get_aggregate_version('a');
SELECT checkpoint, lag FROM eventstore.subscriptions WHERE name = 'reg_missing';
SELECT count(*) FROM eventstore.poll('reg_missing');
SELECT eventstore.drop_subscription('reg_missing');
SET client_min_messages = error;
DROP SCHEMA reg_missing CASCADE;
DROP ROLE reg_missing_other;
