-- a table with events that becomes an archive: it must hold what came before the events of the store
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA reg_adopt;
SELECT eventstore.create_store('reg_adopt.events', 'off');
SET pg_eventstore.store = 'reg_adopt.events';
-- a: 1 to 3 are old, 4 and 5 are in the store; b is only in the store, c only old; 7 is of no aggregate
SELECT eventstore.append_to_aggregate('a', array_fill('t'::text, '{5}'), array_fill('1'::jsonb, '{5}'), event_ids => '{a-1,a-2,a-3,a-4,a-5}');
SELECT eventstore.append_to_aggregate('b', '{t,t}', '{1,1}', event_ids => '{b-1,b-2}');
SELECT eventstore.append_event('t', '1', 'c', event_id => 'c-1'), eventstore.append_event('t', '1', event_id => 'n-1');
CREATE TABLE reg_adopt.old (LIKE reg_adopt.events INCLUDING INDEXES INCLUDING CONSTRAINTS);
CREATE FUNCTION pg_temp.try(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
  hint text;
BEGIN
  EXECUTE change;
  PERFORM eventstore.create_archive(name => 'reg_adopt.old');
  RAISE EXCEPTION 'adopted' USING DETAIL = (SELECT last_value FROM reg_adopt.events_position_seq);
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, detail, hint);
END $$;
\pset format unaligned
\pset tuples_only on
-- events of the same table, which are in the store still
SELECT pg_temp.try('INSERT INTO reg_adopt.old SELECT * FROM reg_adopt.events');
SELECT pg_temp.try($$INSERT INTO reg_adopt.old SELECT * FROM reg_adopt.events WHERE event_id = 'n-1'$$);
-- another event with the id, the position, or the version of one of the store
SELECT pg_temp.try($$INSERT INTO reg_adopt.old VALUES (100, 'b-2', 't', now(), NULL, NULL, 'x', NULL, 1, '1')$$);
SELECT pg_temp.try($$INSERT INTO reg_adopt.old VALUES (6, 'x-1', 't', now(), NULL, NULL, 'x', NULL, 1, '1')$$);
SELECT pg_temp.try($$INSERT INTO reg_adopt.old VALUES (100, 'x-1', 't', now(), NULL, NULL, 'b', NULL, 2, '1')$$);
-- versions after those of the store; the first event is named
SELECT pg_temp.try($$INSERT INTO reg_adopt.old SELECT 100 + n, 'x-' || n, 't', now(), NULL, NULL, 'b', NULL, n, '1' FROM generate_series(3, 5) n$$);
-- and none of that: versions before those of the store, and other aggregates
SELECT pg_temp.try('SELECT 1');
SELECT pg_temp.try($$ALTER TABLE reg_adopt.events DISABLE TRIGGER USER; WITH d AS (DELETE FROM reg_adopt.events WHERE event_id < 'a-4' OR event_id = 'c-1' RETURNING *) INSERT INTO reg_adopt.old SELECT * FROM d$$);
SELECT pg_temp.try($$INSERT INTO reg_adopt.old VALUES (100, 'x-1', 't', now(), NULL, NULL, 'x', NULL, 1, '1')$$);
-- the owner's own ways to compare are not used
CREATE FUNCTION reg_adopt.never(text, text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR reg_adopt.= (LEFTARG = text, RIGHTARG = text, FUNCTION = reg_adopt.never);
SET search_path = reg_adopt, pg_catalog;
SELECT pg_temp.try('INSERT INTO reg_adopt.old SELECT * FROM reg_adopt.events');
RESET search_path;
RESET pg_eventstore.store;
SET client_min_messages = error;
DROP SCHEMA reg_adopt CASCADE;
