-- retention: rules of a store, what they make due, dry runs
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT eventstore.create_store('reg_retention.events', 'off');
SET pg_eventstore.store = 'reg_retention.events';
SET search_path = reg_retention;
-- a: 5 events, the first 3 of them old; b: 3 old ones; c: 1 young one, 1 old one after it; of none: an old and a young one
SELECT eventstore.append_to_aggregate('a', '{x,x,x,x,x}', '{1,2,3,4,5}', occurred_at =>
  ARRAY[now() - interval '5 days', now() - interval '4 days', now() - interval '3 days', now(), now()]);
SELECT eventstore.append_to_aggregate('b', '{x,x,x}', '{1,2,3}', occurred_at =>
  ARRAY[now() - interval '9 days', now() - interval '8 days', now() - interval '50 hours']);
SELECT eventstore.append_to_aggregate('c', '{x,x}', '{1,2}', occurred_at => ARRAY[now(), now() - interval '3 days']);
SELECT eventstore.append_event('x', '1', occurred_at => now() - interval '3 days');
SELECT eventstore.append_event('x', '2');
CREATE FUNCTION pg_temp.held() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(coalesce(aggregate_id, '-') || coalesce(aggregate_version::text, ''), ' ' ORDER BY position) FROM reg_retention.events
$$;

-- no rule, nothing to do, and no archive for it
SELECT * FROM eventstore.apply_retention();
SELECT * FROM eventstore.apply_retention(dry_run => false);
SELECT * FROM eventstore.archives WHERE store::text LIKE '%events';

-- age alone
SELECT eventstore.set_retention('events', '60 hours');
SELECT * FROM eventstore.archives WHERE store::text LIKE '%events';
SELECT * FROM eventstore.apply_retention();
SELECT * FROM eventstore.apply_retention(max_count => 2);
SELECT * FROM eventstore.archives WHERE store::text LIKE '%events';
-- count alone
SELECT eventstore.set_retention('events', max_count_per_aggregate => 2);
SELECT * FROM eventstore.apply_retention();
-- both; each is counted as if alone, but an event is moved once
SELECT eventstore.set_retention('events', '60 hours', 1);
SELECT * FROM eventstore.archives WHERE store::text LIKE '%events';
SELECT * FROM eventstore.apply_retention();
SELECT pg_temp.held();
SELECT * FROM eventstore.apply_retention(dry_run => false, max_count => 4);
SELECT pg_temp.held();
SELECT * FROM eventstore.apply_retention(dry_run => false);
SELECT pg_temp.held();
SELECT * FROM eventstore.archives WHERE store::text LIKE '%events';
SELECT * FROM eventstore.apply_retention();
-- the count goes by versions, whatever is in the archive
SELECT eventstore.append_event('x', '6', 'a');
SELECT * FROM eventstore.apply_retention();
-- what is held back stays
INSERT INTO eventstore.archive_holds VALUES ('events', 'h', 4);
SELECT * FROM eventstore.apply_retention();
SELECT * FROM eventstore.apply_retention(dry_run => false);
DELETE FROM eventstore.archive_holds;
SET client_min_messages = notice;
CALL eventstore.archive_all();
SET client_min_messages = warning;
SELECT pg_temp.held();
SELECT string_agg(coalesce(aggregate_id, '-') || coalesce(aggregate_version::text, ''), ' ' ORDER BY position) FROM eventstore.read_events();

-- no rules any more; the archive stays
SELECT eventstore.set_retention('events');
SELECT * FROM eventstore.archives WHERE store::text LIKE '%events';
SELECT * FROM eventstore.apply_retention();

-- what is no rule
SELECT eventstore.set_retention('events', '0');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.set_retention('events', '-1 day');
-- an age of which no calendar tells whether it is above zero, or that is longer ago than any time
SELECT eventstore.set_retention('events', '1 month -29 days');
SELECT eventstore.set_retention('events', '1 day -1 second');
SELECT eventstore.set_retention('events', '5000 years 1 second');
SELECT eventstore.set_retention('events', '178000000 years');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.set_retention('events', '2500000 days');
SELECT eventstore.set_retention('events', '5000 years');
SELECT * FROM eventstore.apply_retention();
SELECT eventstore.set_retention('events', '1799999 days 24 hours');
SELECT * FROM eventstore.apply_retention();
SELECT eventstore.set_retention('events', NULL, 2147483647);
SELECT * FROM eventstore.apply_retention();
SELECT eventstore.set_retention('events');
-- PostgreSQL 17 and later know an age without end
DO $$
BEGIN
  PERFORM eventstore.set_retention('events', 'infinity');
  RAISE 'taken';
EXCEPTION WHEN invalid_parameter_value OR invalid_datetime_format THEN NULL;
END $$;
-- what the owner has written into the trigger by hand is no rule, and keeps nobody from looking
CREATE OR REPLACE TRIGGER eventstore_retention BEFORE TRUNCATE ON events_archive
  FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change('a while', 'some');
SELECT * FROM eventstore.archives WHERE store = 'events'::regclass;
SELECT * FROM eventstore.apply_retention();
\echo :LAST_ERROR_SQLSTATE
TRUNCATE events_archive;
-- the trigger of the rules may be renamed; the greatest number is one
ALTER TRIGGER eventstore_retention ON events_archive RENAME TO "my Rules";
SELECT eventstore.set_retention('events', NULL, 2147483647);
SELECT max_age, max_count_per_aggregate FROM eventstore.archives WHERE store = 'events'::regclass;
SELECT * FROM eventstore.apply_retention();
SELECT tgname FROM pg_trigger WHERE tgrelid = 'events_archive'::regclass AND tgnargs = 2;
SELECT eventstore.set_retention('events');
SELECT eventstore.set_retention('events', max_count_per_aggregate => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.set_retention('events', max_count_per_aggregate => -1);
SELECT eventstore.set_retention(NULL, '1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.set_retention('events_archive', '1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM eventstore.apply_retention(max_count => 0);
CREATE ROLE reg_retention_user;
GRANT USAGE ON SCHEMA eventstore, reg_retention TO reg_retention_user;
GRANT SELECT ON events TO reg_retention_user;
SET ROLE reg_retention_user;
SELECT eventstore.set_retention('events', '1 day');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT eventstore.set_retention('events', '60 hours', 1);
SET ROLE reg_retention_user;
SELECT * FROM eventstore.apply_retention();
SELECT * FROM eventstore.apply_retention(dry_run => false);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;

RESET search_path;
SELECT eventstore.drop_store('reg_retention.events', true);
SELECT * FROM eventstore.archives WHERE store::text LIKE '%events';
DROP SCHEMA reg_retention;
DROP OWNED BY reg_retention_user;
DROP ROLE reg_retention_user;
