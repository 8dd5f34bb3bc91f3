-- checkpoints: beyond what the store has given, and moved over filtered events
SET client_min_messages = warning;
SET pg_eventstore.store = 'reg_checkpoint.events';
SELECT eventstore.create_store('reg_checkpoint.events', 'off');

-- the SQLSTATE and detail of a command, or that there was none
CREATE FUNCTION pg_temp.error(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN SQLSTATE || ' ' || detail;
END $$;
-- what each function that takes a checkpoint says to one
CREATE FUNCTION pg_temp.errors(checkpoint bigint) RETURNS TABLE (call text, error text) LANGUAGE sql AS $$
  SELECT c, pg_temp.error(format('SELECT eventstore.' || c, checkpoint)) FROM unnest(ARRAY[
    'read_events(%L)', 'read_events(%L, 0)', 'read_events(%L, event_types => ''{a}'')', 'wait_for_events(%L, ''0'')',
    'wait_for_events(%L, ''0'', ''{a}'')', 'next_checkpoint(%L)', 'next_checkpoint(%L, ''{a}'')', 'export_events(%L)',
    'set_archive_hold(''reader'', %L)']) c
$$;
CREATE VIEW pg_temp.given AS SELECT p, pg_temp.error(format('SELECT eventstore.read_events(%L)', p)) FROM unnest('{0,5,8,9,10,12,13,9223372036854775807}'::bigint[]) p;

-- a store that has given nothing
SELECT * FROM pg_temp.errors(0);
SELECT * FROM pg_temp.errors(1);
SELECT eventstore.read_events(5000);
\echo :LAST_ERROR_SQLSTATE

-- 1 to 8
SELECT eventstore.append_to_aggregate('order-1', '{a,b,c,a,b,c,c,c}', array_fill('{}'::jsonb, '{8}'), aggregate_type => 'order');
SELECT * FROM pg_temp.errors(8);
SELECT * FROM pg_temp.errors(9);
SELECT * FROM pg_temp.errors(9223372036854775807);
-- NULL and negative positions are the start of the log
SELECT * FROM pg_temp.errors(NULL);
SELECT * FROM pg_temp.errors(-1);
SELECT * FROM pg_temp.errors(-9223372036854775808);
SELECT eventstore.set_archive_hold('reader', NULL);
-- a reader that goes backwards, and what is no checkpoint, may name any bound
SELECT count(*) FROM eventstore.read_events(9223372036854775807, backwards => true);
SELECT eventstore.archive_events(before_position => 9223372036854775807, dry_run => true);
-- the positions of open and of undone appends were given
BEGIN;
SELECT eventstore.append_to_aggregate('order-2', '{a,b}', '{1,2}') IS NULL AS appended;
TABLE pg_temp.given;
ROLLBACK;
TABLE pg_temp.given;
SELECT * FROM pg_temp.errors(10);
-- a role that may only read
CREATE ROLE reg_checkpoint_reader;
GRANT USAGE ON SCHEMA eventstore, reg_checkpoint TO reg_checkpoint_reader;
GRANT SELECT ON reg_checkpoint.events TO reg_checkpoint_reader;
SET ROLE reg_checkpoint_reader;
SELECT * FROM pg_temp.errors(11);
RESET ROLE;
REVOKE SELECT ON reg_checkpoint.events FROM reg_checkpoint_reader;
GRANT SELECT (event_id) ON reg_checkpoint.events TO reg_checkpoint_reader;
SET ROLE reg_checkpoint_reader;
SELECT pg_temp.error('SELECT eventstore.set_archive_hold(''reader'', 11)'), pg_temp.error('SELECT eventstore.set_archive_hold(''reader'', 10)');
RESET ROLE;
SELECT eventstore.set_archive_hold('reader', NULL);
-- the sequence behind the events, in the store or the archive, or behind the watermark
SELECT setval('reg_checkpoint.events_position_seq', 3);
TABLE pg_temp.given;
SELECT setval('reg_checkpoint.events_position_seq', 10);
SELECT eventstore.archive_events(before_position => 9);
SELECT setval('reg_checkpoint.events_position_seq', 1, false);
TABLE pg_temp.given;
SET ROLE reg_checkpoint_reader;
SELECT pg_temp.error('SELECT eventstore.set_archive_hold(''reader'', 9)'), pg_temp.error('SELECT eventstore.set_archive_hold(''reader'', 8)');
RESET ROLE;
SELECT eventstore.set_archive_hold('reader', NULL);
INSERT INTO eventstore.watermarks VALUES ('reg_checkpoint.events', 12, now());
TABLE pg_temp.given;
DELETE FROM eventstore.watermarks WHERE store = 'reg_checkpoint.events'::regclass;
SELECT setval('reg_checkpoint.events_position_seq', 10);
-- the sequence restarted, with and without a value that was taken
ALTER SEQUENCE reg_checkpoint.events_position_seq RESTART 11;
TABLE pg_temp.given;
-- next_checkpoint: before the first event that passes, or the mark; c is at 3, 6, 7 and 8
CREATE FUNCTION pg_temp.next(types text[], aggregate_types text[] DEFAULT NULL, include_archived boolean DEFAULT true) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(concat(p, '-', eventstore.next_checkpoint(p, types, aggregate_types, include_archived => include_archived)), ' ' ORDER BY p)
    FROM generate_series(0, 10) p
$$;
SELECT eventstore.high_water_mark();
SELECT pg_temp.next(NULL), pg_temp.next('{a}'), pg_temp.next('{c}'), pg_temp.next('{d}'), pg_temp.next('{}'), pg_temp.next('{NULL}');
SELECT pg_temp.next(NULL, '{order}'), pg_temp.next(NULL, '{cart}'), pg_temp.next('{b}', '{order}'), pg_temp.next('{b}', '{cart}');
SELECT pg_temp.next('{a}', NULL, false), pg_temp.next(NULL, NULL, false);
SELECT eventstore.next_checkpoint(), eventstore.next_checkpoint(NULL, '{b}'), eventstore.next_checkpoint(-5, '{a}'), eventstore.next_checkpoint(-5, '{d}');

-- errors
SELECT c, pg_temp.error('SELECT eventstore.next_checkpoint(' || c || ')') FROM unnest(ARRAY['11', 'store => ''pg_class''', 'store => 1::oid']) c;
CREATE ROLE reg_checkpoint_nobody;
GRANT USAGE ON SCHEMA eventstore, reg_checkpoint TO reg_checkpoint_nobody;
SET ROLE reg_checkpoint_nobody;
SELECT eventstore.next_checkpoint(0, '{a}');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
BEGIN READ ONLY;
SELECT eventstore.next_checkpoint(0, '{c}');
COMMIT;

-- a filtered reader that moves on at any moment gets what passes, once and in order
CREATE FUNCTION pg_temp.follow(types text[], size integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  seen bigint[] := '{}';
  checkpoint bigint := 0;
  page bigint[];
BEGIN
  FOR round IN 1..12 LOOP
    IF round % 3 > 0 THEN
      checkpoint := eventstore.next_checkpoint(checkpoint, types);
    END IF;
    page := ARRAY(SELECT position FROM eventstore.read_events(checkpoint, size, types));
    seen := seen || page;
    checkpoint := coalesce(page[cardinality(page)], checkpoint);
  END LOOP;
  RETURN seen || eventstore.next_checkpoint(checkpoint, types);
END $$;
SELECT pg_temp.follow('{c}', 1), pg_temp.follow('{a}', 2), pg_temp.follow('{d}', 2), pg_temp.follow(NULL, 3);

-- wait_for_events returns for an event that passes
SELECT eventstore.wait_for_events(0, '0', '{c}'), eventstore.wait_for_events(8, '0', '{c}'),
       eventstore.wait_for_events(5, '0', '{a}'), eventstore.wait_for_events(4, '0', '{b}');
SELECT eventstore.wait_for_events(0, '0', NULL, '{order}'), eventstore.wait_for_events(0, '0', NULL, '{cart}'),
       eventstore.wait_for_events(0, '0', '{a}', '{cart}'), eventstore.wait_for_events(0, '20 ms', '{}');
SELECT eventstore.wait_for_events(0, '0', '{a}', include_archived => false);
SET statement_timeout = '100ms';
SELECT eventstore.wait_for_events(0, '1 hour', '{d}');
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;
-- its own open append, which passes or does not
BEGIN;
SELECT eventstore.append_event('d', '{}') IS NULL AS appended, eventstore.next_checkpoint(10, '{d}') AS before_it, eventstore.next_checkpoint(10, '{c}') AS past_it;
SELECT eventstore.wait_for_events(10, '0', '{d}'), eventstore.wait_for_events(10, '0', '{c}');
ROLLBACK;

SELECT eventstore.drop_store('reg_checkpoint.events', force => true);
DROP SCHEMA reg_checkpoint;
DROP OWNED BY reg_checkpoint_reader, reg_checkpoint_nobody;
DROP ROLE reg_checkpoint_reader, reg_checkpoint_nobody;
