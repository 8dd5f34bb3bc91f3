-- events are immutable: everything but INSERT is refused
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_immutable.events');
SET search_path = reg_immutable;
SELECT eventstore.append_to_aggregate('a', '{x,y,z}', '{1,2,3}', event_ids => '{e-1,e-2,e-3}', store => 'events');
CREATE TABLE copy AS TABLE events;

UPDATE events SET data = '0';
\echo :LAST_ERROR_SQLSTATE
UPDATE events SET data = data WHERE false;
UPDATE events SET data = '0' FROM copy WHERE copy.event_id = events.event_id;
DELETE FROM events;
\echo :LAST_ERROR_SQLSTATE
DELETE FROM events WHERE event_id = 'e-1';
DELETE FROM events WHERE false;
DELETE FROM events USING copy WHERE copy.event_id = events.event_id;
TRUNCATE events;
\echo :LAST_ERROR_SQLSTATE
TRUNCATE copy, events;
TRUNCATE events RESTART IDENTITY;
WITH gone AS (DELETE FROM events RETURNING *) SELECT count(*) FROM gone;

-- MERGE: its INSERT is one like any other
MERGE INTO events e USING copy c ON e.event_id = c.event_id WHEN MATCHED THEN UPDATE SET data = '0';
MERGE INTO events e USING copy c ON e.event_id = c.event_id WHEN MATCHED THEN DELETE;
MERGE INTO events e USING copy c ON e.event_id = c.event_id WHEN MATCHED AND false THEN DELETE
  WHEN NOT MATCHED THEN INSERT (event_type, data) VALUES ('t', '{}');
MERGE INTO events e USING (VALUES ('merged')) c (id) ON e.event_id = c.id
  WHEN NOT MATCHED THEN INSERT (event_id, event_type, data) VALUES (c.id, 't', '{}');

-- ON CONFLICT
INSERT INTO events (event_id, event_type, data) VALUES ('e-1', 't', '{}') ON CONFLICT (event_id) DO UPDATE SET data = '0';
INSERT INTO events (event_id, event_type, data) VALUES ('new', 't', '{}') ON CONFLICT (event_id) DO UPDATE SET data = '0';
INSERT INTO events (event_id, event_type, data) VALUES ('e-1', 't', '{}') ON CONFLICT (event_id) DO NOTHING;
INSERT INTO events (event_id, event_type, data) VALUES ('e-1', 't', '{}') ON CONFLICT DO NOTHING;

-- cursors
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM events FOR UPDATE;
MOVE c;
SAVEPOINT s;
UPDATE events SET data = '0' WHERE CURRENT OF c;
ROLLBACK TO s;
DELETE FROM events WHERE CURRENT OF c;
ROLLBACK;

-- through a view that can be updated
CREATE VIEW recent AS SELECT * FROM events;
UPDATE recent SET data = '0';
DELETE FROM recent;
DROP VIEW recent;

-- through a foreign key of the store
CREATE TABLE sources (id varchar(36) COLLATE "C" PRIMARY KEY);
INSERT INTO sources VALUES ('s');
ALTER TABLE events ADD CONSTRAINT source FOREIGN KEY (causation_id) REFERENCES sources ON DELETE CASCADE ON UPDATE CASCADE;
SELECT eventstore.append_event('t', '{}', 'a', causation_id => 's', store => 'events');
DELETE FROM sources;
UPDATE sources SET id = 'r';
TRUNCATE sources;
TRUNCATE sources CASCADE;
ALTER TABLE events DROP CONSTRAINT source;
DROP TABLE sources;

-- and through one that refers to it
CREATE TABLE seen (event_id varchar(36) COLLATE "C" REFERENCES events);
INSERT INTO seen SELECT event_id FROM events;
TRUNCATE events CASCADE;
SELECT count(*) FROM seen;
DROP TABLE seen;

-- for the owner's other roles, too
CREATE ROLE reg_immutable_user;
GRANT USAGE ON SCHEMA reg_immutable TO reg_immutable_user;
GRANT ALL ON events TO reg_immutable_user;
SET ROLE reg_immutable_user;
UPDATE events SET data = '0';
DELETE FROM events;
TRUNCATE events;
SET session_replication_role = replica;
ALTER TABLE events DISABLE TRIGGER eventstore_immutable;
RESET ROLE;

-- the triggers of other tables do not reach it
CREATE FUNCTION wipe() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM reg_immutable.events; RETURN NEW; END $$;
CREATE TRIGGER wipe AFTER INSERT ON copy EXECUTE FUNCTION wipe();
INSERT INTO copy SELECT * FROM copy LIMIT 1;

-- a statement on a parent table does not reach it either
CREATE TABLE parent (LIKE events);
ALTER TABLE events INHERIT parent;
UPDATE parent SET data = '0';
DELETE FROM parent;
TRUNCATE parent;
ALTER TABLE events NO INHERIT parent;
DROP TABLE parent;

-- everything is as it was
SELECT position, event_id = 'merged' AS merged, event_type, aggregate_version, data, causation_id FROM events ORDER BY position;

RESET search_path;
SELECT eventstore.drop_store('reg_immutable.events', force => true);
DROP SCHEMA reg_immutable CASCADE;
DROP ROLE reg_immutable_user;
