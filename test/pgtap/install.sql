-- Who may install the extension, and into what.
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS pg_eventstore;
SET LOCAL client_min_messages = warning;

SELECT plan(19);

DROP EXTENSION pg_eventstore CASCADE;
SELECT has_schema('eventstore', 'DROP EXTENSION leaves the schema');
SELECT is_empty($$SELECT relname FROM pg_class WHERE relnamespace = 'eventstore'::regnamespace$$, 'but nothing in it');
DROP SCHEMA eventstore CASCADE;

SELECT throws_ok('CREATE EXTENSION pg_eventstore SCHEMA public', '0A000', NULL, 'its schema is fixed');

CREATE ROLE pgtap_installer;
CREATE ROLE pgtap_other;
SET LOCAL ROLE pgtap_installer;
SELECT throws_ok('CREATE EXTENSION pg_eventstore', '42501', NULL, 'not without CREATE on the database');
RESET ROLE;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO pgtap_installer', current_database()); END $$;

-- a schema that somebody has laid out as a trap: what the install script calls
-- by name must not be found there, as the script runs as a superuser
CREATE SEQUENCE public.pgtap_trapped;
GRANT USAGE ON SEQUENCE public.pgtap_trapped TO pgtap_installer;
SET LOCAL ROLE pgtap_installer;
CREATE SCHEMA eventstore;
CREATE FUNCTION eventstore.create_store(text) RETURNS regclass LANGUAGE plpgsql AS $$
  BEGIN PERFORM nextval('public.pgtap_trapped'); RETURN NULL; END $$;
CREATE FUNCTION eventstore.create_store(varchar) RETURNS regclass LANGUAGE plpgsql AS $$
  BEGIN PERFORM nextval('public.pgtap_trapped'); RETURN NULL; END $$;
CREATE FUNCTION eventstore.create_store(VARIADIC text[]) RETURNS regclass LANGUAGE plpgsql AS $$
  BEGIN PERFORM nextval('public.pgtap_trapped'); RETURN NULL; END $$;
CREATE FUNCTION eventstore.store_options(anyelement, OUT notifications text, OUT channel text, OUT position_sequence regclass)
LANGUAGE plpgsql AS $$
  BEGIN PERFORM nextval('public.pgtap_trapped'); END $$;
-- whether it succeeds or fails; a sequence keeps its value either way
DO $$ BEGIN CREATE EXTENSION pg_eventstore; EXCEPTION WHEN OTHERS THEN NULL; END $$;
RESET ROLE;
SELECT is((SELECT is_called FROM public.pgtap_trapped), false, 'the install script calls nothing of others');
DROP EXTENSION IF EXISTS pg_eventstore CASCADE;
DROP SCHEMA eventstore CASCADE;

-- the extension is trusted: CREATE on the database is enough
SET LOCAL ROLE pgtap_installer;
SELECT lives_ok('CREATE EXTENSION pg_eventstore', 'with CREATE on the database');
RESET ROLE;
SELECT schema_owner_is('eventstore', 'pgtap_installer');
SELECT table_owner_is('eventstore', 'events', 'pgtap_installer', 'who installs it owns the default store');
SELECT table_owner_is('eventstore', 'watermarks', 'pgtap_installer', 'and the watermarks');
SELECT table_owner_is('eventstore', 'erasures', 'pgtap_installer', 'and the records of erasures');
SET LOCAL ROLE pgtap_installer;
SELECT is(eventstore.append_event('T', '1', 'a', 0), 1, 'and may append');
SELECT is((SELECT count(*) FROM eventstore.get_events_by_aggregate('a')), 1::bigint, 'and read');
SELECT is(eventstore.advance_watermark(), 1::bigint, 'and advance the watermark');
SELECT is(eventstore.erase_aggregate('a', 'request'), 1, 'and erase');
SELECT lives_ok($$SELECT eventstore.set_notifications('eventstore.events', 'off')$$, 'and change its notifications');
SELECT is(eventstore.create_store('second')::text, 'eventstore.second', 'and create stores');
GRANT USAGE ON SCHEMA eventstore TO pgtap_other;
GRANT SELECT, INSERT ON eventstore.events TO pgtap_other;
SET LOCAL ROLE pgtap_other;
SELECT is(eventstore.append_event('T', '1', 'a', 1), 2, 'others may append when granted');
SET LOCAL ROLE pgtap_installer;
SELECT throws_ok($$DROP EXTENSION pg_eventstore$$, '2BP01', NULL, 'not dropped while a store depends on it');
SELECT lives_ok($$DROP EXTENSION pg_eventstore CASCADE$$, 'who installs it may drop it');

SELECT * FROM finish();
ROLLBACK;
