-- appends by prepared transactions: the mark stops before them, whoever asks
SELECT current_setting('max_prepared_transactions')::int < 2 AS disabled \gset
\if :disabled
\echo skipped: prepared transactions are disabled
\quit
\endif
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_prepared.events', 'off'), eventstore.create_store('reg_prepared.announced');
SET pg_eventstore.store = 'reg_prepared.events';
\pset null '(null)'
CREATE VIEW pg_temp.appends AS SELECT store, pid, gid, usename = current_user AS mine, application_name, since <= clock_timestamp() AS since, state, query, first_position
  FROM eventstore.open_appends WHERE store::text LIKE 'reg\_prepared.%';

SELECT eventstore.append_to_aggregate('a', '{t,t}', '{1,2}');
BEGIN;
SELECT eventstore.append_event('t', '3', 'a');
PREPARE TRANSACTION 'reg_prepared "one"';
SELECT * FROM pg_temp.appends;
SELECT eventstore.append_event('t', '4');
SELECT position FROM eventstore.read_events(2);
SELECT eventstore.wait_for_events(2, '20 milliseconds');
COMMIT PREPARED 'reg_prepared "one"';
SELECT * FROM pg_temp.appends;
SELECT position, data FROM eventstore.read_events(2);
SELECT eventstore.wait_for_events(2, '0');

-- a session that has prepared its own transaction is a reader like any other
SELECT setval('reg_prepared.events_position_seq', 127);
SELECT eventstore.high_water_mark(), eventstore.advance_watermark();
BEGIN;
SELECT eventstore.append_event('t', '128');
-- within it, its events are there
SELECT eventstore.high_water_mark();
SELECT position FROM eventstore.read_events(4);
PREPARE TRANSACTION 'reg_prepared two';
SELECT gid, first_position FROM pg_temp.appends;
SELECT eventstore.high_water_mark(), eventstore.wait_for_events(4, '0');
SELECT eventstore.advance_watermark();
SELECT position FROM eventstore.watermarks WHERE store = 'reg_prepared.events'::regclass;
SELECT eventstore.append_event('t', '129');
SELECT position FROM eventstore.read_events(4);
SELECT position FROM eventstore.read_events(4, event_types => '{t}');
ROLLBACK PREPARED 'reg_prepared two';
SELECT position, data FROM eventstore.read_events(4);

-- several, in several stores
SELECT setval('reg_prepared.events_position_seq', 255);
BEGIN;
SELECT eventstore.append_event('t', '256');
SELECT eventstore.append_event('t', '1', store => 'reg_prepared.announced');
PREPARE TRANSACTION 'reg_prepared three';
SELECT setval('reg_prepared.events_position_seq', 319);
BEGIN;
SELECT eventstore.append_event('t', '320');
PREPARE TRANSACTION 'reg_prepared four';
SELECT store, gid, first_position FROM pg_temp.appends ORDER BY store::text, first_position;
SELECT eventstore.high_water_mark(), eventstore.high_water_mark('reg_prepared.announced');
COMMIT PREPARED 'reg_prepared three';
SELECT eventstore.high_water_mark(), eventstore.high_water_mark('reg_prepared.announced');
SELECT position FROM eventstore.read_events(129);
ROLLBACK PREPARED 'reg_prepared four';
SELECT eventstore.high_water_mark();
SELECT position FROM eventstore.read_events(0, store => 'reg_prepared.announced');

RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_prepared.events', true), eventstore.drop_store('reg_prepared.announced', true);
DROP SCHEMA reg_prepared;
