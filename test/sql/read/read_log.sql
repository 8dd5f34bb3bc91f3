-- the ordered log: read_events, the high-water mark, watermarks, open appends
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_log.events', 'off'), eventstore.create_store('reg_log.other', 'off');
SET pg_eventstore.store = 'reg_log.events';
\pset null '(null)'

-- the SQLSTATE and message of a command, or that there was none
CREATE FUNCTION pg_temp.error(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
-- the positions of what a call reads, in its order
CREATE FUNCTION pg_temp.read(VARIADIC arguments text[] DEFAULT '{}') RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  result bigint[];
BEGIN
  EXECUTE format('SELECT array_agg(position) FROM eventstore.read_events(%s)', array_to_string(arguments, ', ')) INTO result;
  RETURN result;
END $$;

-- nothing yet
SELECT pg_temp.read(), eventstore.high_water_mark(), eventstore.wait_for_events(0, '0');
SELECT pg_temp.read('backwards => true');
SELECT store, position FROM eventstore.watermarks WHERE store = 'reg_log.events'::regclass;

-- 1 to 3, 4 rolled back, 5, 6 and 7 rolled back, 8 to 10, 11 and 12 rolled back, 13, 14
SELECT eventstore.append_to_aggregate('order-1', '{placed,paid,shipped}', '{1,2,3}', aggregate_type => 'order');
BEGIN;
SELECT eventstore.append_event('placed', '{}');
ROLLBACK;
SELECT eventstore.append_event('pinged', '{}', metadata => '{"m": 1}');
BEGIN;
SAVEPOINT s;
SELECT eventstore.append_to_aggregate('order-2', '{placed,paid}', '{1,2}', aggregate_type => 'order');
ROLLBACK TO s;
SELECT eventstore.append_to_aggregate('cart-1', '{opened,filled,opened}', '{1,2,3}', aggregate_type => 'cart');
COMMIT;
DO $$
BEGIN
  PERFORM eventstore.append_to_aggregate('cart-1', '{filled,filled}', '{4,5}');
  RAISE EXCEPTION 'undo';
EXCEPTION WHEN raise_exception THEN
  NULL;
END $$;
SELECT eventstore.append_to_aggregate('order-2', '{placed,paid}', '{1,2}', aggregate_type => 'order');
SELECT eventstore.append_event('placed', '{}', 'order-1', store => 'reg_log.other');

-- the columns of an event are those of the other readers
SELECT count(*) FROM (SELECT * FROM eventstore.read_events() EXCEPT TABLE reg_log.events) difference;
SELECT count(*) FROM (TABLE reg_log.events EXCEPT SELECT * FROM eventstore.read_events()) difference;
SELECT position, event_type, aggregate_id, aggregate_type, aggregate_version, data FROM eventstore.read_events();

-- after_position: an event's, a gap's, below; above: see checkpoint.sql
SELECT pg_temp.read('0'), pg_temp.read('NULL'), pg_temp.read('-1'), pg_temp.read('-9223372036854775808');
SELECT pg_temp.read('3'), pg_temp.read('4'), pg_temp.read('13');
SELECT pg_temp.read('14');

-- max_count
SELECT pg_temp.read('0', '2'), pg_temp.read('3', '1'), pg_temp.read('3', '100'), pg_temp.read('3', '2147483647');
SELECT pg_temp.read('0', '0');
SELECT * FROM eventstore.read_events(0, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.read(), pg_temp.read('5', 'NULL'), pg_temp.read('backwards => true');

-- backwards: newest first, from the end or from below a position
SELECT pg_temp.read('0', 'backwards => true'), pg_temp.read('NULL', 'backwards => true');
SELECT pg_temp.read('9', 'backwards => true'), pg_temp.read('7', 'backwards => true'), pg_temp.read('1', 'backwards => true');
SELECT pg_temp.read('100', 'backwards => true'), pg_temp.read('-1', 'backwards => true');
SELECT pg_temp.read('0', '3', 'backwards => true'), pg_temp.read('9', '3', 'backwards => true'), pg_temp.read('9', '0', 'backwards => true');
SELECT pg_temp.read('3', 'backwards => NULL');

-- event_types
SELECT pg_temp.read('event_types => ''{paid}'''), pg_temp.read('event_types => ''{paid,opened}'''), pg_temp.read('event_types => ''{paid,paid}''');
SELECT pg_temp.read('event_types => ''{nothing}'''), pg_temp.read('event_types => ''{Paid}'''), pg_temp.read('event_types => ''{""}''');
SELECT pg_temp.read('event_types => NULL'), pg_temp.read('event_types => ''{}'''), pg_temp.read('event_types => ''{NULL}''');
SELECT pg_temp.read('event_types => ''{NULL,paid}'''), pg_temp.read('event_types => ''{{paid,opened},{filled,nothing}}''');
SELECT pg_temp.read('2', '1', '''{paid}'''), pg_temp.read('14', '1', '''{paid}'''), pg_temp.read('0', '0', '''{paid}''');
SELECT pg_temp.read('event_types => ARRAY[''paid'', ''opened'']::varchar[]');
SELECT pg_temp.read('event_types => ARRAY[repeat(''x'', 1000)]');
-- aggregate_types; events of no aggregate have none
SELECT pg_temp.read('aggregate_types => ''{order}'''), pg_temp.read('aggregate_types => ''{order,cart}'''), pg_temp.read('aggregate_types => ''{}''');
SELECT pg_temp.read('aggregate_types => ''{NULL}'''), pg_temp.read('aggregate_types => ''{NULL,cart}'''), pg_temp.read('aggregate_types => ''{nothing}''');
-- both; backwards; other elements, arrays and limits by the same statement
SELECT pg_temp.read('event_types => ''{placed,opened}''', 'aggregate_types => ''{order}'''),
       pg_temp.read('event_types => ''{placed}''', 'aggregate_types => ''{cart}'''),
       pg_temp.read('event_types => ''{}''', 'aggregate_types => ''{cart}''');
SELECT pg_temp.read('event_types => ''{paid,placed}''', 'backwards => true'),
       pg_temp.read('14', '1', '''{paid}''', 'NULL', 'true'),
       pg_temp.read('14', 'aggregate_types => ''{order}''', 'backwards => true'),
       pg_temp.read('2', 'event_types => ''{placed}''', 'aggregate_types => ''{order}''', 'backwards => true');
SELECT pg_temp.read('0', 'NULL', 'NULL', 'NULL', 'NULL', 'NULL');
SELECT pg_temp.read('0', '1', '''{paid,opened}'''), pg_temp.read('8', '1', '''{paid,opened}''');

-- another store
SELECT pg_temp.read('store => ''reg_log.other'''), pg_temp.read('1', 'store => ''reg_log.other'''), eventstore.high_water_mark('reg_log.other');
SELECT position, event_type, aggregate_id FROM eventstore.read_events(store => 'reg_log.other', event_types => '{placed}');

-- page by page to the end, both ways, with and without a filter: nothing missed, nothing twice
CREATE FUNCTION pg_temp.pages(size integer, backwards boolean, event_types text[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  seen bigint[] := '{}';
  page bigint[];
BEGIN
  LOOP
    page := ARRAY(SELECT position FROM eventstore.read_events(coalesce(seen[cardinality(seen)], 0), size, event_types, NULL, backwards));
    EXIT WHEN page = '{}';
    seen := seen || page;
  END LOOP;
  RETURN seen;
END $$;
SELECT size, pg_temp.pages(size, false, NULL) = ARRAY(SELECT position FROM reg_log.events ORDER BY position) AS forwards,
       pg_temp.pages(size, true, NULL) = ARRAY(SELECT position FROM reg_log.events ORDER BY position DESC) AS backwards
  FROM unnest('{1,2,3,9,100}'::int[]) size;
SELECT pg_temp.pages(1, false, '{placed,opened}'), pg_temp.pages(2, true, '{placed,opened}');

-- the mark goes on where nothing was stored
SELECT eventstore.high_water_mark(), eventstore.high_water_mark(NULL);
BEGIN;
SELECT eventstore.append_event('placed', '{}');
ROLLBACK;
SELECT eventstore.high_water_mark(), pg_temp.read('14');

-- within a transaction that appends: its own events are there, also in the statement that appends
BEGIN;
SELECT eventstore.append_event('placed', '{}') IS NULL AS appended, pg_temp.read('14');
SELECT pg_temp.read('14'), eventstore.high_water_mark(), eventstore.wait_for_events(14, '0');
SAVEPOINT s;
SELECT eventstore.append_event('placed', '{}') IS NULL AS appended;
SELECT pg_temp.read('14');
ROLLBACK TO s;
SELECT pg_temp.read('14');
ROLLBACK;
SELECT pg_temp.read('14');
SELECT eventstore.append_event('placed', '{}') IS NULL AS appended;
SELECT pg_temp.read('14');

-- in other queries: LATERAL, a join, the select list, a view, a cursor, prepared, PL/pgSQL
SELECT s.store, e.position FROM eventstore.stores s, LATERAL eventstore.read_events(0, 1, store => s.store) e
  WHERE s.store::text LIKE 'reg\_log.%' ORDER BY 1;
SELECT n, e.position FROM generate_series(7, 15, 4) n LEFT JOIN LATERAL eventstore.read_events(n, 1) e ON true;
SELECT (eventstore.read_events(13)).position;
CREATE VIEW reg_log.payments AS SELECT position, data FROM eventstore.read_events(0, 1000, '{paid}', store => 'reg_log.events');
SELECT * FROM reg_log.payments ORDER BY position DESC LIMIT 1;
DROP VIEW reg_log.payments;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT position FROM eventstore.read_events(3, 3);
FETCH LAST FROM c;
FETCH BACKWARD 2 FROM c;
COMMIT;
PREPARE next AS SELECT position FROM eventstore.read_events($1, $2, $3);
EXECUTE next(8, 1, NULL);
EXECUTE next(8, 1, '{paid}');
DEALLOCATE next;
-- a consumer that keeps its checkpoint in the transaction
CREATE TABLE reg_log.checkpoint (position bigint);
INSERT INTO reg_log.checkpoint VALUES (0);
CREATE PROCEDURE reg_log.consume(batches integer) LANGUAGE plpgsql AS $$
DECLARE
  e eventstore.event;
BEGIN
  FOR batch IN 1..batches LOOP
    FOR e IN SELECT r.* FROM reg_log.checkpoint c, eventstore.read_events(c.position, 5) r LOOP
      UPDATE reg_log.checkpoint SET position = e.position;
    END LOOP;
    COMMIT;
  END LOOP;
END $$;
CALL reg_log.consume(1);
TABLE reg_log.checkpoint;
CALL reg_log.consume(3);
TABLE reg_log.checkpoint;

-- the planner's estimates
CREATE FUNCTION pg_temp.rows_of(call text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) SELECT * FROM eventstore.' || call INTO plan;
  RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
SELECT call, pg_temp.rows_of(call) FROM (VALUES ('read_events()'), ('read_events(0, 7)')) c (call);

-- read-only transactions, and snapshots that were taken before
BEGIN READ ONLY;
SELECT pg_temp.read('13', '1'), eventstore.high_water_mark(), eventstore.wait_for_events(13, '0');
SELECT eventstore.advance_watermark();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.read('13', '1');
SELECT eventstore.append_event('placed', '{}', event_id => 'rr') IS NULL AS appended;
SELECT event_id, event_type FROM eventstore.read_events(0, 1, backwards => true);
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT pg_temp.read('13', '1'), eventstore.wait_for_events(13, '0');
COMMIT;

-- wait_for_events: found at once, however long the time-out; NULL when it is over
SELECT max(position) AS last FROM reg_log.events \gset
SELECT eventstore.high_water_mark(), :last AS last;
SELECT eventstore.wait_for_events(), eventstore.wait_for_events(NULL), eventstore.wait_for_events(-5, '0'),
       eventstore.wait_for_events(0, '1 millisecond'), eventstore.wait_for_events(0, '178000000 years'),
       eventstore.wait_for_events(:last - 1, '1 day'), eventstore.wait_for_events(0, '0', store => 'reg_log.other');
SELECT eventstore.wait_for_events(:last, '0'),
       eventstore.wait_for_events(1, '0', store => 'reg_log.other'), eventstore.wait_for_events(:last, '1 microsecond');
-- positions that were rolled back are no events, before or while it waits
BEGIN;
SELECT eventstore.append_to_aggregate('order-9', '{placed,placed}', '{1,2}');
ROLLBACK;
SELECT eventstore.high_water_mark(), eventstore.wait_for_events(:last, '20 milliseconds');
-- it waits as long as it is told, and no longer
CREATE FUNCTION pg_temp.waited(after bigint, timeout interval, OUT result bigint, OUT waited interval) LANGUAGE plpgsql AS $$
DECLARE
  start timestamptz := clock_timestamp();
BEGIN
  result := eventstore.wait_for_events(after, timeout);
  waited := clock_timestamp() - start;
END $$;
SELECT result, waited >= '150 milliseconds' AS waited, waited < '10 seconds' AS in_time FROM pg_temp.waited(:last, '150 milliseconds');
SELECT result, waited >= '100 milliseconds' AS waited, waited < '10 seconds' AS in_time FROM pg_temp.waited(:last, '1 day -86399.9 seconds');
-- and can be cancelled
SET statement_timeout = '100ms';
SELECT eventstore.wait_for_events(:last, '1 hour');
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;
SELECT pg_temp.error('SELECT eventstore.wait_for_events(0, NULL)');
SELECT pg_temp.error('SELECT eventstore.wait_for_events(0, ''-1 second'')');
SELECT pg_temp.error('SELECT eventstore.wait_for_events(0, ''-1 microsecond'')');
SELECT pg_temp.error('SELECT eventstore.wait_for_events(0, ''1 month -31 days'')');
SELECT pg_temp.error('SELECT eventstore.wait_for_events(0, ''-178000000 years'')');

-- errors of all
SELECT call, pg_temp.error('SELECT eventstore.' || call) FROM unnest(ARRAY[
  'read_events(store => ''reg_log.nothing'')', 'read_events(store => 1::oid)', 'read_events(store => ''pg_class'')',
  'read_events(store => ''reg_log.events_position_seq'')', 'read_events(store => ''reg_log.events_pkey'')',
  'read_events(store => ''eventstore.stores'')', 'read_events(store => ''eventstore.watermarks'')', 'read_events(0, -1, ''{x}'')',
  'high_water_mark(''reg_log.nothing'')', 'high_water_mark(1::oid)', 'high_water_mark(''pg_class'')',
  'wait_for_events(store => ''reg_log.nothing'')', 'wait_for_events(store => 1::oid)', 'wait_for_events(store => ''pg_class'')',
  'advance_watermark(''reg_log.nothing'')', 'advance_watermark(1::oid)', 'advance_watermark(''pg_class'')']) call;
SET pg_eventstore.store = 'reg_log.nothing';
SELECT call, pg_temp.error('SELECT eventstore.' || call) FROM unnest(ARRAY[
  'read_events()', 'high_water_mark()', 'wait_for_events()', 'advance_watermark()']) call;
SET pg_eventstore.store = 'reg_log.events';
-- a sequence that hands out positions in advance has no mark
ALTER SEQUENCE reg_log.other_position_seq CACHE 10;
SELECT call, pg_temp.error('SELECT eventstore.' || call) FROM unnest(ARRAY[
  'read_events(store => ''reg_log.other'')', 'read_events(store => ''reg_log.other'', event_types => ''{x}'')',
  'high_water_mark(''reg_log.other'')', 'wait_for_events(store => ''reg_log.other'')', 'advance_watermark(''reg_log.other'')']) call;
ALTER SEQUENCE reg_log.other_position_seq CACHE 1;
SELECT pg_temp.read('store => ''reg_log.other''');

-- watermarks, and plain SQL that reads by them
CREATE VIEW reg_log.watermark AS SELECT position FROM eventstore.watermarks WHERE store = 'reg_log.events'::regclass;
PREPARE plain(bigint) AS SELECT array_agg(position ORDER BY position) FROM reg_log.events
  WHERE position > $1 AND position <= (SELECT position FROM eventstore.watermarks WHERE store = 'reg_log.events'::regclass);
TABLE reg_log.watermark;
EXECUTE plain(8);
SELECT eventstore.advance_watermark();
TABLE reg_log.watermark;
SELECT updated_at BETWEEN now() - interval '1 minute' AND clock_timestamp() AS now FROM eventstore.watermarks WHERE store = 'reg_log.events'::regclass;
EXECUTE plain(8);
-- it stays until it is advanced
SELECT eventstore.append_event('placed', '{}', event_id => 'e-22');
EXECUTE plain(18);
SELECT eventstore.advance_watermark(NULL);
EXECUTE plain(18);
-- one that is where it should be is not written
SELECT ctid, xmin FROM eventstore.watermarks WHERE store = 'reg_log.events'::regclass \gset was_
SELECT eventstore.advance_watermark('reg_log.events');
SELECT ctid = :'was_ctid' AND xmin = :was_xmin AS same FROM eventstore.watermarks WHERE store = 'reg_log.events'::regclass;
-- it comes and goes with its transaction, together with the events of the same
BEGIN;
SELECT eventstore.append_event('placed', '{}', event_id => 'e-23');
SELECT eventstore.advance_watermark();
EXECUTE plain(18);
ROLLBACK;
TABLE reg_log.watermark;
SELECT eventstore.append_event('placed', '{}', event_id => 'e-24');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT eventstore.append_event('placed', '{}', event_id => 'e-25');
SELECT eventstore.advance_watermark();
COMMIT;
EXECUTE plain(18);
-- the other store has its own
SELECT eventstore.advance_watermark('reg_log.other');
SELECT store, position FROM eventstore.watermarks WHERE store::text LIKE 'reg\_log.%' ORDER BY store::text;

-- a renamed or moved store stays the same
ALTER TABLE reg_log.other RENAME TO "Other Events";
CREATE SCHEMA "Reg Log";
ALTER TABLE reg_log."Other Events" SET SCHEMA "Reg Log";
SELECT store, position FROM eventstore.watermarks WHERE store = '"Reg Log"."Other Events"'::regclass;
SELECT eventstore.append_event('paid', '{}', 'order-1', store => '"Reg Log"."Other Events"');
SELECT pg_temp.read('store => ''"Reg Log"."Other Events"'''), pg_temp.read('1', 'event_types => ''{paid}''', 'store => ''"Reg Log"."Other Events"''');
SELECT eventstore.high_water_mark('"Reg Log"."Other Events"'), eventstore.wait_for_events(1, '0', store => '"Reg Log"."Other Events"'),
       eventstore.advance_watermark('"Reg Log"."Other Events"');
SELECT pg_temp.error('SELECT eventstore.read_events(store => ''reg_log.other'')');
-- dropped and made again: it begins anew, and the old one leaves nothing behind
SELECT '"Reg Log"."Other Events"'::regclass::oid AS old \gset
SELECT eventstore.drop_store('"Reg Log"."Other Events"', true);
SELECT count(*) FROM eventstore.watermarks WHERE store = :old;
SELECT eventstore.create_store('"Reg Log"."Other Events"', 'off');
SELECT eventstore.high_water_mark('"Reg Log"."Other Events"'), eventstore.wait_for_events(0, '0', store => '"Reg Log"."Other Events"');
SELECT count(*) FROM eventstore.watermarks WHERE store = '"Reg Log"."Other Events"'::regclass;
SELECT eventstore.append_event('paid', '{}', 'order-1', store => '"Reg Log"."Other Events"');
SELECT pg_temp.read('store => ''"Reg Log"."Other Events"'''), eventstore.advance_watermark('"Reg Log"."Other Events"');
SELECT eventstore.drop_store('"Reg Log"."Other Events"', true);
DROP SCHEMA "Reg Log";

-- the sequence set back and forth: marks follow, this session's and the watermark
SELECT setval('reg_log.events_position_seq', 9);
SELECT eventstore.high_water_mark(), pg_temp.read('5'), pg_temp.read('5', 'event_types => ''{opened,filled}'''), eventstore.wait_for_events(9, '0');
SELECT eventstore.advance_watermark();
TABLE reg_log.watermark;
SELECT setval('reg_log.events_position_seq', 25);
SELECT eventstore.high_water_mark(), eventstore.wait_for_events(24, '0'), eventstore.advance_watermark();
EXECUTE plain(18);
SELECT setval('reg_log.events_position_seq', 100000);
SELECT eventstore.high_water_mark(), eventstore.wait_for_events(25, '0');
SELECT eventstore.append_event('placed', '{}', event_id => 'e-100001');
SELECT pg_temp.read('24'), pg_temp.read('24', 'event_types => ''{placed}'''), eventstore.advance_watermark();
-- emptied by a superuser: nobody may pass over the events that take the positions again
SET session_replication_role = replica;
TRUNCATE reg_log.events RESTART IDENTITY;
RESET session_replication_role;
SELECT eventstore.high_water_mark(), eventstore.wait_for_events(0, '0'), pg_temp.read();
SELECT eventstore.append_event('placed', '{}', event_id => 'anew');
SELECT eventstore.high_water_mark(), pg_temp.read(), eventstore.advance_watermark();
TABLE reg_log.watermark;

-- open appends
CREATE VIEW pg_temp.own AS SELECT store, gid, usename = current_user AS mine, application_name = current_setting('application_name') AS application,
    since = now() AS since, state, query LIKE '%own%' AS query, first_position
  FROM eventstore.open_appends WHERE pid = pg_backend_pid();
SELECT * FROM pg_temp.own;
SELECT eventstore.create_store('reg_log.other', 'off');
SELECT setval('reg_log.other_position_seq', 200);
BEGIN;
SELECT count(*) FROM eventstore.read_events();
SELECT * FROM pg_temp.own;
SELECT eventstore.append_event('placed', '{}') IS NULL AS appended, eventstore.append_event('placed', '{}') IS NULL AS twice;
INSERT INTO reg_log.other (event_type, data) VALUES ('placed', '{}');
SELECT * FROM pg_temp.own ORDER BY store::text;
SAVEPOINT s;
SELECT eventstore.append_event('placed', '{}') IS NULL AS appended;
ROLLBACK TO s;
SELECT store, first_position FROM pg_temp.own ORDER BY store::text;
COMMIT;
SELECT * FROM pg_temp.own;
-- a loser holds nothing back
BEGIN;
SELECT pg_temp.error('SELECT eventstore.append_event(''placed'', ''{}'', ''order-1'', 7)');
SELECT * FROM pg_temp.own;
ROLLBACK;
-- other advisory locks are not taken for appends
BEGIN;
SELECT pg_advisory_xact_lock(seq::int, 0), pg_advisory_xact_lock(seq::bigint << 32)
  FROM (SELECT 'reg_log.events_position_seq'::regclass::oid) s (seq);
SELECT * FROM pg_temp.own;
ROLLBACK;

-- who may
CREATE ROLE reg_log_reader;
GRANT USAGE ON SCHEMA eventstore, reg_log TO reg_log_reader;
SET ROLE reg_log_reader;
SELECT pg_temp.error('SELECT eventstore.' || call) FROM unnest(ARRAY[
  'read_events()', 'read_events(event_types => ''{x}'')', 'high_water_mark()', 'wait_for_events(0, ''0'')', 'advance_watermark()']) call;
RESET ROLE;
GRANT SELECT ON reg_log.events TO reg_log_reader;
SET ROLE reg_log_reader;
SELECT count(*) > 0 AS some, eventstore.high_water_mark() > 0 AS mark, eventstore.wait_for_events(0, '0') > 0 AS waited FROM eventstore.read_events();
SELECT count(*) > 0 AS some FROM eventstore.read_events(event_types => '{placed}');
SELECT pg_temp.error('SELECT eventstore.advance_watermark()');
RESET ROLE;
SELECT eventstore.advance_watermark() > 0 AS advanced;
-- also when there is nothing to write
SET ROLE reg_log_reader;
SELECT pg_temp.error('SELECT eventstore.advance_watermark()');
RESET ROLE;
DROP OWNED BY reg_log_reader;
DROP ROLE reg_log_reader;

DEALLOCATE ALL;
RESET pg_eventstore.store;
DROP VIEW reg_log.watermark;
SELECT eventstore.drop_store('reg_log.events', true), eventstore.drop_store('reg_log.other', true);
DROP SCHEMA reg_log CASCADE;
