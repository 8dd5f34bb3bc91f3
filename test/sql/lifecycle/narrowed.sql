-- columns that would change a value: a narrowed time, and texts of an archive that would be cut
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_narrowed.events', 'off');
SET pg_eventstore.store = 'reg_narrowed.events';

-- a time that is rounded is not the one that was given: the same call again would not find it
CREATE FUNCTION pg_temp.append_once() RETURNS integer LANGUAGE sql RETURN
  eventstore.append_events('{"event_type": "t", "event_id": "e-1", "aggregate_id": "a", "occurred_at": "2026-01-31T12:00:00.123456Z", "data": 1}', 0);
ALTER TABLE reg_narrowed.events ALTER occurred_at TYPE timestamptz(3);
SELECT pg_temp.append_once();
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.append_once();
SELECT * FROM eventstore.import_json('{"event_type": "t", "event_id": "e-1", "occurred_at": "2026-01-31T12:00:00.123456Z"}');
INSERT INTO reg_narrowed.events (event_type, data) VALUES ('t', '1');
SELECT count(*) FROM eventstore.read_events();
SELECT eventstore.create_store('reg_narrowed.events', 'off');
ALTER TABLE reg_narrowed.events ALTER occurred_at TYPE timestamptz(6);
SELECT pg_temp.append_once();
ALTER TABLE reg_narrowed.events ALTER occurred_at TYPE timestamptz;
SELECT pg_temp.append_once();
SELECT pg_temp.append_once();

-- an existing table that is to become a store, or an archive
CREATE TABLE reg_narrowed.plain (LIKE reg_narrowed.events INCLUDING ALL);
ALTER TABLE reg_narrowed.plain ALTER occurred_at TYPE timestamptz(0), ALTER position DROP DEFAULT;
SELECT eventstore.create_store('reg_narrowed.plain', 'off');
SELECT eventstore.create_archive('reg_narrowed.events', 'reg_narrowed.plain');
ALTER TABLE reg_narrowed.plain ALTER occurred_at TYPE timestamptz;

-- an archive that is narrower than its store would cut trailing blanks without a word, and refuse longer texts
ALTER TABLE reg_narrowed.plain ALTER event_id TYPE varchar(30) COLLATE "C";
SELECT eventstore.create_archive('reg_narrowed.events', 'reg_narrowed.plain');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE reg_narrowed.plain ALTER event_id TYPE varchar(36) COLLATE "C";
SELECT eventstore.create_archive('reg_narrowed.events', 'reg_narrowed.plain');
ALTER TABLE reg_narrowed.events ALTER event_id TYPE varchar(100) COLLATE "C", ALTER aggregate_id TYPE varchar COLLATE "C";
SELECT eventstore.append_event('t', '2', 'a', event_id => repeat('x', 36) || ' ');
SELECT eventstore.archive_events(before_position => 100);
CALL eventstore.archive_all(before_position => 100);
ALTER TABLE reg_narrowed.plain ALTER event_id TYPE varchar(100) COLLATE "C";
SELECT eventstore.archive_events(before_position => 100);
ALTER TABLE reg_narrowed.plain ALTER aggregate_id TYPE varchar COLLATE "C";
SELECT eventstore.archive_events(before_position => 100);
SELECT '<' || event_id || '>' AS event_id FROM reg_narrowed.plain ORDER BY position;
-- an archive whose times are rounded stops everything that uses it
ALTER TABLE reg_narrowed.plain ALTER occurred_at TYPE timestamptz(3);
SELECT pg_temp.append_once();
ALTER TABLE reg_narrowed.plain ALTER occurred_at TYPE timestamptz;
-- a text that is too long by blanks is refused by an append, and cut by an INSERT, as SQL has it
ALTER TABLE reg_narrowed.events ALTER event_id TYPE varchar(36) COLLATE "C";
SELECT eventstore.append_event('t', '3', event_id => repeat('y', 36) || ' ');
SELECT eventstore.append_event('t', '3', correlation_id => repeat('y', 36) || ' ');

RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_narrowed.events', force => true);
DROP SCHEMA reg_narrowed CASCADE;
