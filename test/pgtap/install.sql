-- Who may install the extension, and into what.
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS pg_eventstore;
SET LOCAL client_min_messages = warning;

SELECT plan(25);

DROP EXTENSION pg_eventstore CASCADE;
SELECT has_schema('eventstore', 'DROP EXTENSION leaves the schema');
SELECT is_empty($$SELECT relname FROM pg_class WHERE relnamespace = 'eventstore'::regnamespace$$, 'but nothing in it');
SELECT lives_ok('CREATE EXTENSION pg_eventstore', 'which can be used again');
DROP EXTENSION pg_eventstore CASCADE;
DROP SCHEMA eventstore CASCADE;

SELECT throws_ok('CREATE EXTENSION pg_eventstore SCHEMA public', '0A000', NULL, 'its schema is fixed');

CREATE ROLE pgtap_installer;
CREATE ROLE pgtap_other;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO pgtap_installer', current_database()); END $$;
SET LOCAL ROLE pgtap_installer;
SELECT throws_ok('CREATE EXTENSION pg_eventstore', '42501', NULL, 'no role but a superuser');

-- a schema that somebody has laid out as a trap: nothing of it is used
CREATE SCHEMA eventstore;
RESET ROLE;
SELECT throws_matching('CREATE EXTENSION pg_eventstore', 'schema "eventstore" cannot be used', 'a schema of another role');
SELECT throws_ok('CREATE EXTENSION pg_eventstore', '55000', NULL, 'its SQLSTATE');
ALTER SCHEMA eventstore OWNER TO CURRENT_USER;
GRANT CREATE ON SCHEMA eventstore TO pgtap_installer;
SELECT throws_ok('CREATE EXTENSION pg_eventstore', '55000', NULL, 'one in which another role may create');
SET LOCAL ROLE pgtap_installer;
CREATE FUNCTION eventstore.append_events(text, integer) RETURNS integer LANGUAGE sql AS 'SELECT 0';
RESET ROLE;
REVOKE CREATE ON SCHEMA eventstore FROM pgtap_installer;
SELECT throws_ok('CREATE EXTENSION pg_eventstore', '55000', NULL, 'one that has a function');
DROP FUNCTION eventstore.append_events(text, integer);
CREATE TYPE eventstore.event AS ENUM ();
SELECT throws_ok('CREATE EXTENSION pg_eventstore', '55000', NULL, 'or a type');
DROP TYPE eventstore.event;
CREATE OPERATOR eventstore.= (FUNCTION = int4eq, LEFTARG = int4, RIGHTARG = int4);
SELECT throws_ok('CREATE EXTENSION pg_eventstore', '55000', NULL, 'or an operator');
DROP OPERATOR eventstore.= (int4, int4);
ALTER DEFAULT PRIVILEGES IN SCHEMA eventstore GRANT ALL ON TABLES TO pgtap_installer;
SELECT throws_ok('CREATE EXTENSION pg_eventstore', '55000', NULL, 'or default privileges');
ALTER DEFAULT PRIVILEGES IN SCHEMA eventstore REVOKE ALL ON TABLES FROM pgtap_installer;
GRANT USAGE ON SCHEMA eventstore TO pgtap_other;

-- another superuser than the first: the default store is his, nothing else
CREATE ROLE pgtap_super SUPERUSER;
SET LOCAL ROLE pgtap_super;
SELECT lives_ok('CREATE EXTENSION pg_eventstore', 'an empty schema of a superuser is used');
RESET ROLE;
SELECT is((SELECT nspowner FROM pg_namespace WHERE nspname = 'eventstore'), 10::oid, 'and belongs to the bootstrap superuser then');
SELECT table_owner_is('eventstore', 'events', 'pgtap_super', 'who installs it owns the default store');
SELECT is_empty($$SELECT relname FROM pg_class WHERE relnamespace = 'eventstore'::regnamespace AND relkind IN ('r', 'v')
                   AND relowner <> 10 AND relname <> 'events'$$, 'and no other table or view');
SELECT is_empty($$SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'eventstore'::regnamespace AND proowner <> 10$$, 'nor function');
SELECT throws_ok('SELECT eventstore.begin_install()', '42883', NULL, 'the functions of the script are gone');

-- the default store can be given away
ALTER TABLE eventstore.events OWNER TO pgtap_installer;
GRANT USAGE ON SCHEMA eventstore TO pgtap_installer;
SET LOCAL ROLE pgtap_installer;
SELECT is(eventstore.append_event('T', '1', 'a', 0), 1, 'its owner may append');
SELECT is(eventstore.advance_watermark(), 1::bigint, 'and advance the watermark');
SELECT is(eventstore.erase_aggregate('a', 'request'), 1, 'and erase');
SELECT lives_ok($$SELECT eventstore.set_notifications('eventstore.events', 'off')$$, 'and change its notifications');
RESET ROLE;
SELECT is((SELECT notifications FROM eventstore.stores WHERE store = 'eventstore.events'::regclass), 'off', 'which its trigger has');
SET LOCAL ROLE pgtap_installer;
SELECT throws_ok($$SELECT eventstore.create_store('eventstore.second')$$, '42501', NULL, 'but not create stores in schema eventstore');
GRANT SELECT, INSERT ON eventstore.events TO pgtap_other;
SET LOCAL ROLE pgtap_other;
SELECT is(eventstore.append_event('T', '1', 'a', 1), 2, 'others may append when granted');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
