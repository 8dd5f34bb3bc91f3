-- What an archive must not be, and what must not happen to it
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE reg_archive_squatter;
CREATE SCHEMA reg_archive_guards;
GRANT USAGE, CREATE ON SCHEMA reg_archive_guards TO reg_archive_squatter;
SELECT eventstore.create_store('reg_archive_guards.events', 'off');
SET pg_eventstore.store = 'reg_archive_guards.events';
SELECT eventstore.append_to_aggregate('a', array_fill('t'::text, ARRAY[8]), array_fill('1'::jsonb, ARRAY[8]), aggregate_type => 'A');

-- somebody else's table of the name that the archive would have
CREATE TABLE reg_archive_guards.events_archive (LIKE reg_archive_guards.events INCLUDING INDEXES);
ALTER TABLE reg_archive_guards.events_archive OWNER TO reg_archive_squatter;
SET ROLE reg_archive_squatter;
CREATE FUNCTION reg_archive_guards.seize() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN EXECUTE 'ALTER ROLE reg_archive_squatter SUPERUSER'; RETURN NEW; END $$;
CREATE TRIGGER seize BEFORE INSERT ON reg_archive_guards.events_archive FOR EACH ROW EXECUTE FUNCTION reg_archive_guards.seize();
RESET ROLE;
SELECT eventstore.archive_events(before_position => 3);
SELECT eventstore.create_archive();
SELECT rolsuper FROM pg_roles WHERE rolname = 'reg_archive_squatter';
-- one of the same owner is not taken unasked
ALTER TABLE reg_archive_guards.events_archive OWNER TO CURRENT_USER;
DROP TRIGGER seize ON reg_archive_guards.events_archive;
SELECT eventstore.archive_events(before_position => 3);
SELECT count(*) FROM reg_archive_guards.events;
-- nor one that does not last, or is part of others
CREATE TEMP TABLE passing (LIKE reg_archive_guards.events INCLUDING INDEXES);
SELECT pg_my_temp_schema()::regnamespace AS temp \gset
SELECT eventstore.create_archive(name => :'temp' || '.passing');
CREATE UNLOGGED TABLE reg_archive_guards.unlogged (LIKE reg_archive_guards.events INCLUDING INDEXES);
SELECT eventstore.create_archive(name => 'reg_archive_guards.unlogged');
CREATE TABLE reg_archive_guards.child () INHERITS (reg_archive_guards.events_archive);
SELECT eventstore.create_archive();
DROP TABLE reg_archive_guards.child;
CREATE RULE r AS ON INSERT TO reg_archive_guards.events_archive DO INSTEAD NOTHING;
SELECT eventstore.create_archive();
DROP RULE r ON reg_archive_guards.events_archive;
SELECT eventstore.create_archive();
SELECT eventstore.archive_events(before_position => 3);

-- columns and row security that come later
ALTER TABLE reg_archive_guards.events ADD COLUMN extra integer DEFAULT 7;
SELECT eventstore.archive_events(before_position => 5);
CALL eventstore.archive_all(before_position => 5);
ALTER TABLE reg_archive_guards.events DROP COLUMN extra;
ALTER TABLE reg_archive_guards.events ENABLE ROW LEVEL SECURITY;
SELECT eventstore.archive_events(before_position => 5);
ALTER TABLE reg_archive_guards.events DISABLE ROW LEVEL SECURITY;
ALTER TABLE reg_archive_guards.events_archive ENABLE ROW LEVEL SECURITY;
SELECT eventstore.archive_events(before_position => 5);
SELECT eventstore.append_event('t', '1', 'a');
SELECT eventstore.get_aggregate_version('a');
ALTER TABLE reg_archive_guards.events_archive DISABLE ROW LEVEL SECURITY;

-- a function that the statement calls changes nothing
CREATE FUNCTION reg_archive_guards.meddle() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN DELETE FROM reg_archive_guards.events WHERE position = 8; RETURN true; END $$;
ALTER TABLE reg_archive_guards.events_archive ADD CHECK (reg_archive_guards.meddle()) NOT VALID;
SELECT eventstore.archive_events(before_position => 5);
SELECT count(*) FROM reg_archive_guards.events;
ALTER TABLE reg_archive_guards.events_archive DROP CONSTRAINT events_archive_check;
SELECT eventstore.archive_events(before_position => 5);
SELECT eventstore.append_event('t', '1', 'a');
SELECT count(*), max(aggregate_version) FROM eventstore.get_events_by_aggregate('a');

-- errors tell what was going on, and not the statement
\set SHOW_CONTEXT always
CREATE OR REPLACE FUNCTION reg_archive_guards.seize() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE TRIGGER seize BEFORE INSERT ON reg_archive_guards.events_archive FOR EACH ROW EXECUTE FUNCTION reg_archive_guards.seize();
SELECT eventstore.archive_events(before_position => 6);
CALL eventstore.archive_all(before_position => 6);
DO $$ BEGIN PERFORM eventstore.archive_events(before_position => 6); END $$;
-- a table of another schema may have the archive's name
CREATE SCHEMA reg_archive_guards_other CREATE TABLE events_archive (id integer PRIMARY KEY);
CREATE OR REPLACE FUNCTION reg_archive_guards.seize() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO reg_archive_guards_other.events_archive VALUES (1), (1); RETURN NEW; END $$;
SELECT eventstore.archive_events(before_position => 6);
SET client_min_messages = warning;
DROP SCHEMA reg_archive_guards_other CASCADE;
DROP TRIGGER seize ON reg_archive_guards.events_archive;
-- an event that came without the triggers
ALTER TABLE reg_archive_guards.events DISABLE TRIGGER USER;
INSERT INTO reg_archive_guards.events (position, event_id, event_type, data) SELECT nextval('reg_archive_guards.events_position_seq'), event_id, 'again', '1' FROM reg_archive_guards.events_archive ORDER BY position LIMIT 1;
ALTER TABLE reg_archive_guards.events ENABLE TRIGGER USER;
\set VERBOSITY terse
SELECT eventstore.archive_events(before_position => 100);
\set VERBOSITY default
GRANT USAGE ON SCHEMA eventstore TO reg_archive_squatter;
SET ROLE reg_archive_squatter;
SELECT eventstore.archive_events('reg_archive_guards.events', before_position => 6, dry_run => true);
RESET ROLE;
REVOKE USAGE ON SCHEMA eventstore FROM reg_archive_squatter;
\set SHOW_CONTEXT never

-- a hostile search path changes nothing; triggers of others run under it
CREATE SCHEMA reg_archive_hostile;
DO $$
DECLARE o record;
BEGIN
  FOR o IN SELECT oprname, oprleft::regtype::text AS l, oprright::regtype::text AS r, oprresult::regtype::text AS res FROM pg_operator
            WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname IN ('=', '<>', '<', '>', '<=', '>=', '+', '-', '||')
              AND oprleft IN ('int4'::regtype, 'int8'::regtype, 'text'::regtype, 'timestamptz'::regtype, 'oid'::regtype, 'name'::regtype)
              AND oprright IN ('int4'::regtype, 'int8'::regtype, 'text'::regtype, 'timestamptz'::regtype, 'oid'::regtype, 'interval'::regtype) LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION reg_archive_hostile.%I(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L', 'f' || o.oprname, o.l, o.r, o.res, 'BEGIN RAISE ''hostile''; END');
    EXECUTE format('CREATE OPERATOR reg_archive_hostile.%s (FUNCTION = reg_archive_hostile.%I, LEFTARG = %s, RIGHTARG = %s)', o.oprname, 'f' || o.oprname, o.l, o.r);
  END LOOP;
END $$;
CREATE FUNCTION reg_archive_hostile.count() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE FUNCTION reg_archive_hostile.concat(VARIADIC text[]) RETURNS text LANGUAGE sql AS $$ SELECT 'SELECT hostile'::text $$;
CREATE TABLE reg_archive_hostile.archives AS TABLE eventstore.archives;
CREATE FUNCTION reg_archive_hostile.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'under %', current_setting('search_path'); RETURN NULL; END $$;
SELECT eventstore.create_store('reg_archive_guards.calm', 'off');
SELECT eventstore.append_to_aggregate('a', array_fill('t'::text, ARRAY[6]), array_fill('1'::jsonb, ARRAY[6]), store => 'reg_archive_guards.calm');
-- version 8 is before version 7
INSERT INTO reg_archive_guards.calm (position, event_type, aggregate_id, aggregate_version, data) VALUES (7, 't', 'a', 8, '1'), (8, 't', 'a', 7, '1');
SELECT setval('reg_archive_guards.calm_position_seq', 8) \g /dev/null
SET pg_eventstore.store = 'reg_archive_guards.calm';
GRANT SELECT (data) ON reg_archive_guards.calm TO reg_archive_squatter;
SET search_path = reg_archive_hostile, pg_catalog;
SELECT eventstore.create_archive();
CREATE TRIGGER look AFTER UPDATE ON reg_archive_guards.calm_archive EXECUTE FUNCTION look();
SELECT eventstore.archive_events(before_position => 2, dry_run => true), eventstore.archive_events(before_position => 2), eventstore.archive_events(before_time => 'infinity', max_count => 1);
SELECT eventstore.set_retention('reg_archive_guards.calm', '1 year', 2), eventstore.sync_archive();
SELECT * FROM eventstore.apply_retention();
SELECT * FROM eventstore.apply_retention(dry_run => false);
CALL eventstore.archive_all(aggregate_ids => '{a}', batch_size => 1);
SELECT eventstore.erase_aggregate('a', 'requested'), eventstore.get_aggregate_version('a');
RESET search_path;
SELECT count(*) FROM reg_archive_guards.calm_archive WHERE data = '{"erased": true}';
SELECT eventstore.drop_store('reg_archive_guards.calm', true);
DROP SCHEMA reg_archive_hostile CASCADE;
SET pg_eventstore.store = 'reg_archive_guards.events';

-- a store is not its own archive, whatever its triggers say
CREATE CONSTRAINT TRIGGER self AFTER DELETE ON reg_archive_guards.events FROM reg_archive_guards.events
  FOR EACH ROW EXECUTE FUNCTION eventstore.archive_of_store();
SELECT count(*) FROM eventstore.get_events_by_aggregate('a');
DROP TRIGGER self ON reg_archive_guards.events;
-- it has one, and a table that is linked to it besides makes it ambiguous
CREATE TABLE reg_archive_guards.other (LIKE reg_archive_guards.events_archive INCLUDING ALL);
CREATE CONSTRAINT TRIGGER other AFTER DELETE ON reg_archive_guards.other FROM reg_archive_guards.events
  FOR EACH ROW EXECUTE FUNCTION eventstore.archive_of_store();
SELECT count(*) FROM eventstore.get_events_by_aggregate('a');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE reg_archive_guards.other;
SELECT count(*) FROM eventstore.get_events_by_aggregate('a');
-- the function of the link is no other trigger
CREATE TRIGGER t BEFORE INSERT ON reg_archive_guards.events FOR EACH ROW EXECUTE FUNCTION eventstore.archive_of_store();
SELECT eventstore.append_event('t', '1', store => 'reg_archive_guards.events');
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER t ON reg_archive_guards.events;

SELECT eventstore.drop_store('reg_archive_guards.events', true);
DROP SCHEMA reg_archive_guards CASCADE;
DROP ROLE reg_archive_squatter;
