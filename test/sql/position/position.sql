-- positions and the guard that announces an appender
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_position.events'), eventstore.create_store('reg_position.other');
SET pg_eventstore.store = 'reg_position.events';

-- the guards of this session: store and position
CREATE VIEW pg_temp.guards AS
SELECT s.store::text, l.objid AS position, l.mode, l.granted
  FROM pg_locks l JOIN eventstore.stores s ON s.position_sequence::oid = l.classid
 WHERE l.locktype = 'advisory' AND l.objsubid = 17747 AND l.pid = pg_backend_pid();

-- one for each store and transaction, whatever and however often it appends
BEGIN;
SELECT * FROM pg_temp.guards;
SELECT eventstore.append_event('t', '{}', 'a', 1);
ROLLBACK;
BEGIN;
SELECT eventstore.append_event('t', '{}', 'a');
SELECT * FROM pg_temp.guards;
SELECT eventstore.append_event('t', '{}', 'a'), eventstore.append_to_aggregate('b', '{t,t}', '{1,2}');
INSERT INTO reg_position.other (event_type, data) VALUES ('t', '{}');
SELECT eventstore.append_event('t', '{}', 'a', store => 'reg_position.other');
SELECT * FROM pg_temp.guards ORDER BY store;
COMMIT;
SELECT * FROM pg_temp.guards;
SELECT max(position), (SELECT max(position) FROM reg_position.other) AS other FROM reg_position.events;

-- a loser takes none and burns no position; nor does a retry
BEGIN;
SAVEPOINT s;
SELECT eventstore.append_event('t', '{}', 'a', 7);
ROLLBACK TO s;
SELECT eventstore.append_events('[{"event_type": 1}]');
ROLLBACK TO s;
SELECT eventstore.append_event('t', '{}', repeat('x', 37));
ROLLBACK TO s;
SELECT eventstore.append_events('[]');
SELECT * FROM pg_temp.guards;
COMMIT;
SELECT eventstore.append_event('t', '{}', 'r', 0, event_id => 'r-1'), eventstore.append_event('t', '{}', 'r', 0, event_id => 'r-1');
SELECT last_value FROM reg_position.events_position_seq;

-- ROLLBACK TO SAVEPOINT keeps it: later positions of the transaction rely on it
BEGIN;
SAVEPOINT s;
SELECT eventstore.append_event('t', '{}', 'a');
SELECT * FROM pg_temp.guards;
ROLLBACK TO s;
SELECT * FROM pg_temp.guards;
SELECT eventstore.append_event('t', '{}', 'a');
SELECT * FROM pg_temp.guards;
COMMIT;
SELECT * FROM pg_temp.guards;

-- a rollback leaves a gap, and nothing else
BEGIN;
SELECT position, aggregate_version FROM eventstore.append('[{"event_type": "t", "aggregate_id": "g"}, {"event_type": "t", "aggregate_id": "g"}]');
ROLLBACK;
SELECT position, aggregate_version FROM eventstore.append('[{"event_type": "t", "aggregate_id": "g"}]');

-- it is on the first position
BEGIN;
SELECT eventstore.append_to_aggregate('many', array_agg('t'::text), array_agg('1'::jsonb)) FROM generate_series(1, 200);
SELECT * FROM pg_temp.guards;
COMMIT;
BEGIN;
SELECT eventstore.append_event('t', '{}', 'many', 200);
SELECT position = (SELECT max(position) FROM reg_position.events) AS current, position FROM pg_temp.guards;
COMMIT;
SELECT setval('reg_position.events_position_seq', 6399);
BEGIN;
SELECT position FROM eventstore.append('[{"event_type": "t"}]');
SELECT position FROM pg_temp.guards;
COMMIT;

-- far up: the lower 32 bits of the position
SELECT setval('reg_position.other_position_seq', 9223372036854775805);
BEGIN;
SELECT position FROM eventstore.append('[{"event_type": "t"}, {"event_type": "t"}]', store => 'reg_position.other');
SELECT position FROM pg_temp.guards;
ROLLBACK;
SELECT eventstore.high_water_mark('reg_position.other');
SELECT position FROM eventstore.append('[{"event_type": "t"}]', store => 'reg_position.other');
\echo :LAST_ERROR_SQLSTATE

-- positions and versions run alike
SELECT count(*) AS inverted FROM reg_position.events a JOIN reg_position.events b USING (aggregate_id)
  WHERE a.aggregate_version < b.aggregate_version AND a.position > b.position;

-- next_position: the default, and nothing else
BEGIN;
SELECT eventstore.next_position('reg_position.events_position_seq') = (SELECT last_value FROM reg_position.events_position_seq) AS next;
SELECT position FROM pg_temp.guards;
ROLLBACK;
SELECT eventstore.next_position(NULL) IS NULL AS null;
CREATE SEQUENCE reg_position.loose;
CREATE TABLE reg_position.serial (id serial);
CREATE FUNCTION pg_temp.anonymous(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, 'OID [0-9]+', 'OID N');
END $$;
SELECT pg_temp.anonymous('SELECT eventstore.next_position(''reg_position.loose'')');
SELECT pg_temp.anonymous('SELECT eventstore.next_position(''reg_position.serial_id_seq'')');
SELECT pg_temp.anonymous('SELECT eventstore.next_position(''reg_position.events'')');
SELECT pg_temp.anonymous('SELECT eventstore.next_position(1)');
SELECT pg_temp.anonymous('SELECT eventstore.next_position(0)');
DROP SEQUENCE reg_position.loose;
DROP TABLE reg_position.serial;

-- a sequence that would break the order is refused by every way to append
SELECT eventstore.append_event('t', '{}', 'refused', 0);
ALTER SEQUENCE reg_position.events_position_seq CACHE 10;
SELECT eventstore.append_event('t', '{}', 'refused', 1);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO reg_position.events (event_type, data) VALUES ('t', '{}');
SELECT eventstore.create_store('reg_position.events');
ALTER SEQUENCE reg_position.events_position_seq CACHE 1 INCREMENT 2;
SELECT eventstore.append_event('t', '{}', 'refused', 1);
ALTER SEQUENCE reg_position.events_position_seq INCREMENT 1 CYCLE;
SELECT eventstore.append_event('t', '{}', 'refused', 1);
ALTER SEQUENCE reg_position.events_position_seq INCREMENT -1 NO CYCLE;
SELECT eventstore.append_event('t', '{}', 'refused', 1);
ALTER SEQUENCE reg_position.events_position_seq INCREMENT 1;
SELECT eventstore.append_event('t', '{}', 'refused', 1);
-- also when the transaction has the guard already
BEGIN;
SELECT eventstore.append_event('t', '{}', 'refused', 2);
ALTER SEQUENCE reg_position.events_position_seq CACHE 10;
SELECT eventstore.append_event('t', '{}', 'refused', 3);
ROLLBACK;
SELECT eventstore.append_event('t', '{}', 'refused', 2);

-- a default that is an expression names no sequence for certain: refused by every way, and the view says so
ALTER TABLE reg_position.other ALTER position
  SET DEFAULT eventstore.next_position(pg_get_serial_sequence('reg_position.other', 'position')::regclass);
SELECT eventstore.append_event('t', '{}', store => 'reg_position.other');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO reg_position.other (event_type, data) VALUES ('t', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.create_store('reg_position.other');
SELECT store, position_sequence IS NULL AS none FROM eventstore.stores WHERE store = 'reg_position.other'::regclass;
ALTER TABLE reg_position.other ALTER position SET DEFAULT eventstore.next_position('reg_position.other_position_seq');

-- a sequence that was set back gives positions that are taken: an error that says so, until it is set right
SELECT eventstore.append_to_aggregate('back', '{t,t}', '{1,2}', 0);
SELECT setval('reg_position.events_position_seq', (SELECT max(position) - 1 FROM reg_position.events)) IS NOT NULL AS back;
\set VERBOSITY terse
SELECT eventstore.append_event('t', '{}', 'back', 2);
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION pg_temp.hint(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hint text;
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ' ' || hint;
END $$;
SELECT setval('reg_position.events_position_seq', (SELECT max(position) - 2 FROM reg_position.events)) IS NOT NULL AS back;
SELECT pg_temp.hint('SELECT eventstore.append_to_aggregate(''back'', ''{t,t}'', ''{1,2}'', 2)');
SELECT setval(pg_get_serial_sequence('reg_position.events', 'position'), (SELECT max(position) FROM reg_position.events)) IS NOT NULL AS right;
SELECT eventstore.append_event('t', '{}', 'back', 2);

RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_position.events', force => true), eventstore.drop_store('reg_position.other', force => true);
DROP SCHEMA reg_position;
