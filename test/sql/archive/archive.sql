-- archives: what is moved, what stays, how versions, positions and readers go on
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT eventstore.create_store('reg_archive.events', 'off');
SET pg_eventstore.store = 'reg_archive.events';
SET search_path = reg_archive;

-- 30 events of three aggregates, and 3 of none; the times go with the positions
SELECT count(*) FROM (SELECT eventstore.append_event('t-' || n % 2, to_jsonb(n), CASE WHEN n <= 30 THEN 'a-' || n % 3 END,
    aggregate_type => CASE WHEN n <= 30 THEN 'T' END, event_id => 'e-' || n, correlation_id => 'c', causation_id => 'd',
    occurred_at => timestamptz '2026-01-01 00:00+00' + n * interval '1 day') FROM generate_series(1, 33) n) e;
CREATE VIEW both_tables AS SELECT 'live' AS "where", * FROM events;

-- there is none before it is made, and all is as without
SELECT count(*) FROM eventstore.read_events();
SELECT count(*) FROM eventstore.archives WHERE store = 'events'::regclass;
SELECT eventstore.archive_events(before_position => 11, dry_run => true);
SELECT count(*) FROM eventstore.archives WHERE store = 'events'::regclass;

-- made by the first archive_events()
SELECT eventstore.archive_events(before_position => 11);
SELECT store, archive FROM eventstore.archives WHERE store = 'events'::regclass;
CREATE OR REPLACE VIEW both_tables AS SELECT 'live' AS "where", * FROM events UNION ALL SELECT 'archive', * FROM events_archive;
SELECT "where", count(*), min(position), max(position) FROM both_tables GROUP BY 1 ORDER BY 1 DESC;
-- with its shape, and no more
SELECT attname, format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull, atthasdef
  FROM pg_attribute WHERE attrelid = 'events_archive'::regclass AND attnum > 0 ORDER BY attnum;
SELECT indexdef FROM pg_indexes WHERE tablename = 'events_archive' AND schemaname = 'reg_archive' ORDER BY indexdef COLLATE "C";
SELECT tgname, tgfoid::regprocedure FROM pg_trigger WHERE tgrelid = 'events_archive'::regclass ORDER BY 1;
SELECT obj_description('events_archive'::regclass);
-- it is no store
SELECT count(*) FROM eventstore.stores WHERE store = 'events_archive'::regclass;
SELECT eventstore.append_event('t', '1', store => 'events_archive');
SELECT * FROM eventstore.read_events(store => 'events_archive');

-- what is there does not change by itself
UPDATE events_archive SET data = '0';
DELETE FROM events_archive;
\echo :LAST_ERROR_SQLSTATE
TRUNCATE events_archive;
DELETE FROM events;
-- not even in a transaction that archives
BEGIN;
SELECT eventstore.archive_events(before_position => 13);
SAVEPOINT s;
DELETE FROM events WHERE position = 20;
ROLLBACK TO s;
DELETE FROM events_archive WHERE position = 1;
ROLLBACK TO s;
TRUNCATE events;
ROLLBACK;
SELECT "where", count(*), min(position), max(position) FROM both_tables GROUP BY 1 ORDER BY 1 DESC;
-- nor by a trigger on the archive that runs while events are moved
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM reg_archive.events; RETURN NULL; END $$;
CREATE TRIGGER meddle AFTER INSERT ON events_archive EXECUTE FUNCTION meddle();
SELECT eventstore.archive_events(before_position => 13);
DROP TRIGGER meddle ON events_archive;
-- a trigger that keeps events back is an error
CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER meddle BEFORE INSERT ON events_archive FOR EACH ROW EXECUTE FUNCTION meddle();
SELECT eventstore.archive_events(before_position => 13);
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER meddle ON events_archive;
DROP FUNCTION meddle;

-- each reader: without and with the archive; moved events are the same
CREATE TEMP TABLE calls AS SELECT * FROM (VALUES
  (1, 'get_events_by_aggregate(''a-1'''), (2, 'get_events_by_aggregate(''a-1'', 3, 5'), (3, 'get_events_by_aggregate(''a-1'', backwards => true, max_count => 8'),
  (4, 'get_events_by_type(''t-1'''), (5, 'get_events_by_type(''t-1'', ''2026-01-05 00:00+00'', max_count => 4'), (6, 'get_events_by_aggregate_type(''T'', max_count => 12'),
  (7, 'get_events_by_correlation_id(''c'''), (8, 'get_events_by_causation_id(''d'', max_count => 3'), (9, 'get_latest_events(25'), (10, 'get_event(''e-3'''),
  (11, 'read_events(0, 5'), (12, 'read_events(8, 5'), (13, 'read_events(0, 5, ''{t-1}'', ''{T}'''), (14, 'read_events(13, 5, backwards => true'),
  (15, 'read_events(13, 3, ''{t-0}'', backwards => true'), (16, 'get_events_by_type(''t-1'', after_position => 7, max_count => 5'),
  (17, 'get_events_by_correlation_id(''c'', ''2026-01-21 00:00+00'', 12'), (18, 'get_latest_events(NULL')) c (n, call);
CREATE FUNCTION pg_temp.positions(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE 'SELECT string_agg(e.position::text, '','' ORDER BY e.ordinality) FROM eventstore.' || call || ') WITH ORDINALITY e' INTO result;
  RETURN result;
END $$;
SELECT n, call, pg_temp.positions(call || ', include_archived => false') AS live, pg_temp.positions(call) AS "all" FROM calls ORDER BY n;
SELECT * FROM eventstore.get_event('e-3');
-- as through one table that never was archived, in every cut
SELECT eventstore.create_store('reg_archive.whole', 'off');
INSERT INTO whole SELECT position, event_id, event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata FROM both_tables ORDER BY position;
SELECT setval('whole_position_seq', 33);
SELECT n FROM calls WHERE pg_temp.positions(call) IS DISTINCT FROM pg_temp.positions(call || ', store => ''whole''');
DO $$
BEGIN
  FOR cut IN 11..35 LOOP
    PERFORM eventstore.archive_events(before_position => cut, max_count => 1);
    IF (SELECT count(*) <> 0 FROM calls WHERE pg_temp.positions(call) IS DISTINCT FROM pg_temp.positions(call || ', store => ''whole''')) THEN
      RAISE EXCEPTION 'another answer at %', cut;
    END IF;
  END LOOP;
END $$;
SELECT "where", count(*), min(position), max(position) FROM both_tables GROUP BY 1 ORDER BY 1 DESC;

-- versions, positions and types go on, though nothing is left in the store
SELECT eventstore.get_aggregate_version('a-0'), eventstore.get_aggregate_version('a-1'), eventstore.get_aggregate_version('a-9');
CREATE FUNCTION pg_temp.go_on(aggregate text) RETURNS TABLE (call text, result text) LANGUAGE plpgsql AS $$
DECLARE before integer := eventstore.get_aggregate_version(aggregate);
BEGIN
  call := 'expected 0';
  BEGIN
    PERFORM eventstore.append_event('new', '1', aggregate, 0);
  EXCEPTION WHEN OTHERS THEN
    result := SQLSTATE || ' ' || SQLERRM; RETURN NEXT;
  END;
  call := 'another type';
  BEGIN
    PERFORM eventstore.append_event('new', '1', aggregate, aggregate_type => 'Other');
  EXCEPTION WHEN OTHERS THEN
    result := SQLSTATE || ' ' || SQLERRM; RETURN NEXT;
  END;
  call := 'an archived id, right version';
  BEGIN
    PERFORM eventstore.append_event('new', '1', aggregate, before, event_id => 'e-7');
  EXCEPTION WHEN OTHERS THEN
    result := SQLSTATE || ' ' || SQLERRM; RETURN NEXT;
  END;
  call := 'an archived id among new ones, any version';
  BEGIN
    PERFORM eventstore.append_to_aggregate(aggregate, '{n,n}', '{1,2}', event_ids => '{x-1,e-7}');
  EXCEPTION WHEN OTHERS THEN
    result := SQLSTATE || ' ' || SQLERRM; RETURN NEXT;
  END;
  call := 'an archived id, of no aggregate';
  BEGIN
    PERFORM eventstore.append_event('new', '1', event_id => 'e-7');
  EXCEPTION WHEN OTHERS THEN
    result := SQLSTATE || ' ' || SQLERRM; RETURN NEXT;
  END;
  call := 'a retry of what is archived';
  result := eventstore.append_event('t-1', '7', 'a-1', event_id => 'e-7', correlation_id => 'c', causation_id => 'd')::text; RETURN NEXT;
  call := 'the same with the version of then';
  result := eventstore.append_event('t-1', '7', 'a-1', 2, event_id => 'e-7', correlation_id => 'c', causation_id => 'd')::text; RETURN NEXT;
  call := 'the same of no aggregate';
  result := eventstore.append_event('t-1', '33', event_id => 'e-33', correlation_id => 'c', causation_id => 'd')::text; RETURN NEXT;
  call := 'expected ' || before;
  result := eventstore.append_event('new', '1', aggregate, before)::text; RETURN NEXT;
  call := 'any';
  result := eventstore.append_event('new', '2', aggregate)::text; RETURN NEXT;
END $$;
SELECT * FROM pg_temp.go_on('a-1');
SELECT eventstore.archive_events(aggregate_ids => '{a-1}');
SET pg_eventstore.direct_append = off;
SELECT * FROM pg_temp.go_on('a-1');
RESET pg_eventstore.direct_append;
SELECT position, aggregate_version, aggregate_type FROM events ORDER BY position;
SELECT * FROM eventstore.append('[{"event_id": "e-7", "event_type": "t-1", "aggregate_id": "a-1", "data": 7, "correlation_id": "c", "causation_id": "d"}]');
SELECT count(*) AS repeated FROM (SELECT FROM both_tables GROUP BY aggregate_id, aggregate_version HAVING aggregate_id IS NOT NULL AND count(*) > 1) r;
-- past the limit of locks, what was moved meanwhile is found after the insert
SET pg_eventstore.max_aggregate_locks = 0;
SELECT eventstore.append_event('new', '3', 'a-0'), eventstore.append_event('new', '3', 'a-2', 10);
RESET pg_eventstore.max_aggregate_locks;

-- conditions
SELECT eventstore.archive_events(before_position => 1000);
SELECT eventstore.create_store('reg_archive.times', 'off');
SET pg_eventstore.store = 'reg_archive.times';
-- of aggregate b, version 2 is young and 3 is old; c is old, d is young
SELECT eventstore.append_to_aggregate('b', '{x,y,z}', '{1,2,3}', occurred_at => '{2026-01-01 00:00+00,2026-03-01 00:00+00,2026-01-02 00:00+00}');
SELECT eventstore.append_to_aggregate('c', '{x,y}', '{1,2}', occurred_at => '{2026-01-03 00:00+00,2026-01-04 00:00+00}');
SELECT eventstore.append_to_aggregate('d', '{x,y}', '{1,2}', occurred_at => '{2026-03-03 00:00+00,2026-03-04 00:00+00}');
SELECT eventstore.append_event('none', '1', occurred_at => '2026-01-05 00:00+00');
SELECT eventstore.append_event('none', '1', occurred_at => '2026-04-05 00:00+00');
SELECT eventstore.archive_events(before_time => '2026-02-01 00:00+00', dry_run => true);
SELECT eventstore.archive_events(before_time => '2026-02-01 00:00+00', max_count => 2, dry_run => true);
SELECT eventstore.archive_events(before_time => '2026-02-01 00:00+00', max_count => 1);
SELECT eventstore.archive_events(before_time => '2026-02-01 00:00+00', max_count => 1);
SELECT eventstore.archive_events(before_time => '2026-02-01 00:00+00', aggregate_ids => '{b,d}', before_position => 100);
SELECT eventstore.archive_events(before_time => '2026-02-01 00:00+00');
SELECT aggregate_id, aggregate_version, position FROM times ORDER BY position;
SELECT eventstore.archive_events(aggregate_ids => '{b,nobody,NULL}');
SELECT eventstore.archive_events(aggregate_ids => '{}');
SELECT eventstore.archive_events(before_position => 0), eventstore.archive_events(before_position => -9223372036854775808);
SELECT eventstore.archive_events(before_position => 9223372036854775807, before_time => '-infinity');
SELECT aggregate_id, aggregate_version, position FROM times ORDER BY position;
SELECT eventstore.archive_events();
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.archive_events(before_position => 1, max_count => 0);
SELECT eventstore.archive_events(before_position => 1, store => 'times_archive');

-- what is held back
INSERT INTO eventstore.archive_holds VALUES ('times', 'reader', 7), ('times', 'other', 100), ('events', 'reader', 1);
SELECT eventstore.archive_limit(), eventstore.archive_limit('times');
SELECT eventstore.archive_events(before_position => 1000);
UPDATE eventstore.archive_holds SET position = 9 WHERE store = 'times'::regclass AND name = 'reader';
SELECT eventstore.archive_limit();
SELECT eventstore.archive_events(before_position => 1000);
DELETE FROM eventstore.archive_holds;
SELECT eventstore.archive_limit('events') = eventstore.high_water_mark('events') AS mark;
-- what has not been announced
SELECT eventstore.create_store('reg_archive.announced');
SET pg_eventstore.store = 'reg_archive.announced';
SELECT eventstore.append_event('t', '1');
DO $$ BEGIN WHILE eventstore.archive_limit() < 1 LOOP PERFORM pg_sleep(0.01); COMMIT; END LOOP; END $$;
UPDATE eventstore.watermarks SET announced = 0 WHERE store = 'announced'::regclass;
SELECT eventstore.archive_limit(), eventstore.archive_events(before_position => 2);
UPDATE eventstore.watermarks SET announced = 1 WHERE store = 'announced'::regclass;
SELECT eventstore.archive_limit(), eventstore.archive_events(before_position => 2);

-- batches, each in its own transaction
SELECT eventstore.create_store('reg_archive.many', 'off');
SET pg_eventstore.store = 'reg_archive.many';
INSERT INTO many (event_type, aggregate_id, aggregate_version, data) SELECT 't', 'a-' || n % 7, n / 7 + 1, to_jsonb(n) FROM generate_series(0, 999) n;
SET client_min_messages = notice;
CALL eventstore.archive_all(before_position => 301, batch_size => 100);
CALL eventstore.archive_all('many', before_position => 301);
CALL eventstore.archive_all();
\echo :LAST_ERROR_SQLSTATE
CALL eventstore.archive_all(before_position => 2, batch_size => 0);
BEGIN;
CALL eventstore.archive_all(before_position => 401);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SET client_min_messages = warning;
SELECT count(*), min(position) FROM many;
SELECT count(DISTINCT xmin::text) FROM many_archive;
SELECT count(*), count(DISTINCT position) FROM eventstore.read_events(max_count => 2000);

-- dropping it: the store is not used without
DROP TABLE many_archive;
SELECT count(*), min(position) FROM eventstore.read_events(max_count => 2000);
-- another one, by another name, in another schema, which is linked whatever its name
CREATE SCHEMA reg_archive_old;
SELECT eventstore.create_archive('many', '"reg_archive_old"."Odd Archive"');
SELECT count(*), min(position) FROM eventstore.read_events(max_count => 2000);
SELECT eventstore.get_aggregate_version('a-0');
SELECT eventstore.append_event('t', '1', 'a-0');
SET client_min_messages = notice;
SELECT eventstore.create_archive('many', 'other');
SET client_min_messages = warning;
SELECT eventstore.archive_events(before_position => 311);
ALTER TABLE reg_archive_old."Odd Archive" RENAME TO renamed;
SELECT count(*) FROM eventstore.read_events(max_count => 2000);
ALTER TABLE reg_archive_old.renamed SET SCHEMA reg_archive;
ALTER TABLE many RENAME TO lots;
SET pg_eventstore.store = 'reg_archive.lots';
SELECT count(*) FROM eventstore.read_events(max_count => 2000);
SELECT store, archive FROM eventstore.archives WHERE store = 'lots'::regclass;
SELECT eventstore.append_event('t', '1', 'a-0');
-- wider columns, in the store first
ALTER TABLE lots ALTER aggregate_id TYPE varchar(50) COLLATE "C";
SELECT eventstore.append_event('t', '1', repeat('x', 40));
SELECT aggregate_version FROM eventstore.get_events_by_aggregate(repeat('x', 40));
SELECT eventstore.archive_events(aggregate_ids => ARRAY[repeat('x', 40)]);
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE renamed ALTER aggregate_id TYPE varchar(50) COLLATE "C";
SELECT eventstore.archive_events(aggregate_ids => ARRAY[repeat('x', 40)]);
SELECT eventstore.append_event('t', '1', repeat('x', 40));

-- an archive that has lost its shape
ALTER TABLE renamed DROP CONSTRAINT "Odd Archive_position_key";
SELECT eventstore.append_event('t', '1', 'a-0');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE renamed ADD UNIQUE (position);
-- what was restored in spite of the archive
ALTER TABLE lots DISABLE TRIGGER USER;
INSERT INTO lots (position, event_id, event_type, data) SELECT nextval(pg_get_serial_sequence('lots', 'position')), event_id, 'again', '1' FROM renamed ORDER BY position LIMIT 1;
ALTER TABLE lots ENABLE TRIGGER USER;
\set VERBOSITY terse
SELECT eventstore.archive_events(before_position => 9999);
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM renamed;
-- one that a table in the way does not become, and one that becomes it
CREATE TABLE announced_archive2 (LIKE announced);
SELECT eventstore.create_store('reg_archive.more', 'off');
SELECT eventstore.create_archive('more', 'reg_archive.announced_archive2');
SELECT eventstore.create_archive('more', 'reg_archive.announced_archive');
SELECT eventstore.create_archive('more', 'reg_archive.more');
CREATE TABLE ready (LIKE more INCLUDING INDEXES);
SELECT eventstore.create_archive('more', 'reg_archive.ready');
DELETE FROM ready;
-- what the archive cannot be made for
SELECT eventstore.create_store('reg_archive.wide', 'off');
SELECT eventstore.create_archive('wide', tablespace => 'reg_no_such');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE wide ADD extra int;
SELECT eventstore.create_archive('wide');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE wide DROP extra;
ALTER TABLE wide ENABLE ROW LEVEL SECURITY;
SELECT eventstore.archive_events('wide', 1);
ALTER TABLE wide DISABLE ROW LEVEL SECURITY;
-- a column that is gone has moved the others
SELECT eventstore.append_event('t', '1', 'w', store => 'wide'), eventstore.archive_events('wide', 10);
SELECT eventstore.append_event('t', '2', 'w', store => 'wide');
SET pg_eventstore.direct_append = off;
SELECT eventstore.append_event('t', '3', 'w', store => 'wide');
SELECT eventstore.get_aggregate_version('w', store => 'wide');
RESET pg_eventstore.direct_append;
SELECT eventstore.create_archive('wide', tablespace => 'pg_default');

DROP TABLE wide_archive;
SELECT eventstore.create_archive('wide', tablespace => 'pg_default');

-- a store with events in its archive alone is not empty
SELECT eventstore.archive_events('wide', 10);
SELECT eventstore.drop_store('wide');
SELECT eventstore.drop_store('wide', force => true);
SELECT to_regclass('wide_archive');
-- a link that is changed by hand counts at once
SELECT eventstore.get_aggregate_version('a-1', store => 'events');
BEGIN;
DROP TRIGGER eventstore_archive ON events_archive;
SELECT eventstore.get_aggregate_version('a-1', store => 'events');
ROLLBACK;
SELECT eventstore.get_aggregate_version('a-1', store => 'events');
BEGIN;
SELECT eventstore.create_archive('times') IS NOT NULL;
ROLLBACK;
-- a store that was dropped and came again takes its archive again
SELECT eventstore.create_store('reg_archive.again', 'off');
SELECT eventstore.append_to_aggregate('g', '{t,t,t}', '{1,2,3}', store => 'again');
SELECT eventstore.archive_events('again', 10);
DROP TABLE again;
SELECT eventstore.create_store('reg_archive.again', 'off');
SELECT eventstore.get_aggregate_version('g', store => 'again');
SELECT eventstore.create_archive('again'), eventstore.get_aggregate_version('g', store => 'again');
SELECT position, aggregate_version FROM eventstore.append('{"event_type": "t", "aggregate_id": "g"}', store => 'again');
SELECT eventstore.archive_events('again', 10);
-- rolled back with what was moved
BEGIN;
SELECT eventstore.create_store('reg_archive.undone', 'off');
SAVEPOINT s;
SELECT eventstore.append_event('t', '1', 'u', store => 'undone'), eventstore.append_event('t', '1', 'u', store => 'undone');
SAVEPOINT s2;
SELECT eventstore.archive_events('undone', before_position => 2);
SELECT count(*) FROM undone;
ROLLBACK TO s2;
SELECT count(*) FROM undone;
SELECT eventstore.get_aggregate_version('u', store => 'undone');
COMMIT;
SELECT eventstore.append_event('t', '1', 'u', store => 'undone');

DROP VIEW both_tables;
RESET search_path;
RESET pg_eventstore.store;
SELECT count(eventstore.drop_store(store, true)) FROM eventstore.stores WHERE store::text LIKE 'reg\_archive.%';
SELECT count(*) FROM eventstore.archives;
SELECT relname FROM pg_class WHERE relnamespace = 'reg_archive'::regnamespace AND relkind = 'r' ORDER BY relname;
DROP SCHEMA reg_archive CASCADE;
DROP SCHEMA reg_archive_old CASCADE;
