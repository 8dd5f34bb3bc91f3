-- empty_store(): in a database for tests, and nowhere else
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA reg_empty;
SELECT eventstore.create_store('reg_empty.events', 'off');
SELECT eventstore.append_event('t', '1', 'a', event_id => 'a-1', store => 'reg_empty.events');
SELECT eventstore.empty_store('reg_empty.events');
\echo :LAST_ERROR_SQLSTATE
-- which no session and no role makes of it
SET pg_eventstore.test_database = on;
\echo :LAST_ERROR_SQLSTATE
SET LOCAL pg_eventstore.test_database = on;
SELECT set_config('pg_eventstore.test_database', 'on', false);
SET pg_eventstore.test_database = off;
CREATE FUNCTION reg_empty.empty() RETURNS bigint LANGUAGE sql SET pg_eventstore.test_database = on AS $$ SELECT eventstore.empty_store('reg_empty.events') $$;
SELECT reg_empty.empty();
SELECT count(*) FROM reg_empty.events;

-- but a setting of the database, in new sessions
SELECT current_database() AS db \gset
ALTER DATABASE :"db" SET pg_eventstore.test_database = on;
SELECT eventstore.empty_store('reg_empty.events');
\c -
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET pg_eventstore.store = 'reg_empty.events';
SELECT eventstore.append_event('t', '2', 'a'), eventstore.append_event('t', '3', 'b');
SELECT eventstore.create_archive();
SELECT eventstore.archive_events(aggregate_ids => '{b}');
SELECT eventstore.set_archive_hold('reader', 1), eventstore.set_retention('reg_empty.events', '1 year');
SELECT eventstore.empty_store('reg_empty.events');
-- nothing is left, and positions go on
SELECT (SELECT count(*) FROM reg_empty.events), (SELECT count(*) FROM reg_empty.events_archive), (SELECT count(*) FROM eventstore.read_events(include_archived => true)),
       (SELECT count(*) FROM eventstore.archive_holds WHERE store = 'reg_empty.events'::regclass);
SELECT eventstore.high_water_mark(), eventstore.get_aggregate_version('a'), eventstore.get_aggregate_version('b');
SELECT eventstore.append_event('t', '4', 'a', 0, event_id => 'a-1'), eventstore.append_event('t', '5', 'b', 0);
SELECT position, event_id = 'a-1' AS again, aggregate_id, aggregate_version, data FROM eventstore.read_events(3);
-- the archive stays, with its rules
SELECT archive, max_age FROM eventstore.archives WHERE store = 'reg_empty.events'::regclass;
-- in a transaction, with what it has appended itself, and undone with it
BEGIN;
SELECT eventstore.append_event('t', '6', 'a');
SELECT eventstore.empty_store('reg_empty.events');
SELECT eventstore.append_event('t', '7', 'a');
ROLLBACK;
SELECT data FROM eventstore.read_events();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM reg_empty.events;
SELECT eventstore.append_event('t', '6', 'a');
SELECT eventstore.empty_store('reg_empty.events');
SELECT count(*) FROM reg_empty.events;
ROLLBACK;

-- rows that refer to events
CREATE TABLE reg_empty.mine (event_id varchar(36) REFERENCES reg_empty.events);
INSERT INTO reg_empty.mine VALUES ('a-1');
SELECT eventstore.empty_store('reg_empty.events');
DELETE FROM reg_empty.mine;
SELECT eventstore.empty_store('reg_empty.events');
SELECT eventstore.empty_store('reg_empty.events');
DROP TABLE reg_empty.mine;

-- the snapshots of the store are deleted, too
SELECT eventstore.save_snapshot('s', eventstore.append_event('t', '1', 's'), '1');
SELECT eventstore.empty_store('reg_empty.events');
SELECT count(*) FROM eventstore.snapshots WHERE store = 'reg_empty.events'::regclass;

-- what keeps events is not taken for success
SELECT eventstore.append_event('t', '8', 'c'), eventstore.append_event('t', '9', 'd');
CREATE FUNCTION reg_empty.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN OLD.aggregate_id = 'c' THEN OLD END; END $$;
CREATE TRIGGER keep BEFORE DELETE ON reg_empty.events FOR EACH ROW EXECUTE FUNCTION reg_empty.keep();
SELECT eventstore.empty_store('reg_empty.events');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM reg_empty.events;
DROP TRIGGER keep ON reg_empty.events;
-- the permission is for this statement alone
CREATE FUNCTION reg_empty.more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM reg_empty.events; RETURN OLD; END $$;
CREATE TRIGGER more BEFORE DELETE ON reg_empty.events FOR EACH ROW EXECUTE FUNCTION reg_empty.more();
SELECT eventstore.empty_store('reg_empty.events');
DROP TRIGGER more ON reg_empty.events;
DELETE FROM reg_empty.events;
TRUNCATE reg_empty.events;
\echo :LAST_ERROR_SQLSTATE

-- of its owner alone
CREATE ROLE reg_empty_user;
GRANT USAGE ON SCHEMA eventstore, reg_empty TO reg_empty_user;
GRANT ALL ON reg_empty.events, reg_empty.events_archive TO reg_empty_user;
SET ROLE reg_empty_user;
SELECT eventstore.empty_store('reg_empty.events');
RESET ROLE;
-- events that row security hides
ALTER TABLE reg_empty.events OWNER TO reg_empty_user;
SELECT eventstore.empty_store('reg_empty.events');
ALTER TABLE reg_empty.events_archive OWNER TO reg_empty_user;
ALTER TABLE reg_empty.events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON reg_empty.events USING (aggregate_id = 'c');
SET ROLE reg_empty_user;
SELECT eventstore.empty_store('reg_empty.events');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
ALTER TABLE reg_empty.events NO FORCE ROW LEVEL SECURITY;
SET ROLE reg_empty_user;
SELECT eventstore.empty_store('reg_empty.events');
RESET ROLE;

-- other things
SELECT eventstore.empty_store(NULL);
SELECT eventstore.empty_store('pg_class');
SELECT eventstore.empty_store('reg_empty.events_archive');
BEGIN READ ONLY;
SELECT eventstore.empty_store('reg_empty.events');
ROLLBACK;

ALTER DATABASE :"db" RESET pg_eventstore.test_database;
DROP SCHEMA reg_empty CASCADE;
REVOKE ALL ON SCHEMA eventstore FROM reg_empty_user;
DROP ROLE reg_empty_user;
