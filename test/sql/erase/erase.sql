-- erasing personal data: what goes, what stays, who may, what is recorded
SET client_min_messages = warning;
\pset null '(null)'
\set SHOW_CONTEXT never
SELECT eventstore.create_store('reg_erase.events', 'off', 'reg_erase');
SET pg_eventstore.store = 'reg_erase.events';
LISTEN reg_erase;
CREATE VIEW records AS
SELECT store, erased_by = current_user AS by_me, session_role = session_user AS my_session, aggregate_id, event_id, events, values_given, reason
  FROM eventstore.erasures WHERE store_name LIKE 'reg_erase.%' ORDER BY erasure_id;

SELECT eventstore.append_to_aggregate('user-1', '{created,renamed,moved}', ARRAY['{"name": "Ann"}', '{"name": "Bea"}', 'null']::jsonb[], 0, 'User',
  ARRAY['{"ip": "10.0.0.1"}', NULL, '{}']::jsonb[], '{u-1,u-2,u-3}', '{2026-01-01,2026-01-02,2026-01-03}', 'cor', 'cau');
SELECT eventstore.append_to_aggregate('user-2', '{created,renamed}', ARRAY['{"name": "Cid"}', '{"name": "Dan"}']::jsonb[], event_ids => '{v-1,v-2}');
SELECT eventstore.append_event('mailed', '{"to": "Eve"}', metadata => '{"ip": "10.0.0.2"}', event_id => 'w-1');
CREATE TABLE before AS SELECT * FROM reg_erase.events;

-- an aggregate; that is no news for who listens or waits
SELECT eventstore.set_notifications('reg_erase.events', 'commit');
SELECT eventstore.erase_aggregate('user-1', 'request 17');
SELECT aggregate_id, aggregate_version, data, metadata FROM reg_erase.events ORDER BY position;
-- all else is as it was
SELECT count(*) FROM reg_erase.events e JOIN before b USING (position, event_id, event_type, occurred_at)
 WHERE ROW (e.correlation_id, e.causation_id, e.aggregate_id, e.aggregate_type, e.aggregate_version)
   IS NOT DISTINCT FROM ROW (b.correlation_id, b.causation_id, b.aggregate_id, b.aggregate_type, b.aggregate_version);
SELECT position, event_type, data FROM eventstore.read_events(0, 2);
SELECT eventstore.get_aggregate_version('user-1'), eventstore.high_water_mark(), eventstore.wait_for_events(6, '0');
TABLE records;
SELECT erasure_id ~ '^[0-9a-f-]{36}$' AS id, erased_at BETWEEN now() - interval '1 minute' AND clock_timestamp() AS recent
  FROM eventstore.erasures WHERE store = 'reg_erase.events'::regclass;
-- again: nothing to do, nothing to record
SELECT eventstore.erase_aggregate('user-1', 'once more');
-- what came later
SELECT eventstore.set_notifications('reg_erase.events', 'off');
SELECT eventstore.append_event('returned', '{"name": "Fay"}', 'user-1', 3, event_id => 'u-4');
SELECT eventstore.set_notifications('reg_erase.events', 'commit');
SELECT eventstore.erase_aggregate('user-1', 'request 18');
SELECT * FROM records WHERE reason <> 'request 17';

-- one event
SELECT eventstore.redact_event('v-1', 'name only', '{"name": "X"}');
SELECT eventstore.redact_event('v-1', 'name only', '{"name": "X"}');
SELECT data, metadata FROM eventstore.get_event('v-1');
SELECT eventstore.redact_event('v-2', 'both', '{"name": "Y"}', '{"redacted": "name"}');
SELECT data, metadata FROM eventstore.get_event('v-2');
SELECT eventstore.redact_event('w-1', 'metadata only', NULL, 'null');
SELECT data, metadata FROM eventstore.get_event('w-1');
SELECT eventstore.redact_event('w-1', 'all');
SELECT eventstore.redact_event('w-1', 'all');
SELECT data, metadata FROM eventstore.get_event('w-1');
SELECT * FROM records WHERE event_id IS NOT NULL;
-- an aggregate of which one event was redacted
SELECT eventstore.erase_aggregate('user-2', 'request 19');

-- what is not there is an error, and not taken for erased
SELECT eventstore.erase_aggregate('user-3', 'r');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.erase_aggregate(' user-1', 'r');
SELECT eventstore.erase_aggregate('', 'r');
SELECT eventstore.redact_event('u-9', 'r');
\echo :LAST_ERROR_SQLSTATE
-- arguments
SELECT eventstore.erase_aggregate(NULL, 'r');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.erase_aggregate('user-1', NULL);
SELECT eventstore.erase_aggregate('user-1', '');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.erase_aggregate('user-1', E' \t\n');
SELECT eventstore.redact_event(NULL, 'r');
SELECT eventstore.redact_event('u-1', NULL);
SELECT eventstore.redact_event('u-1', ' ');
SELECT eventstore.erase_aggregate('user-1', 'r', 'pg_class');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.erase_aggregate('user-1', 'r', 0);
\echo :LAST_ERROR_SQLSTATE
BEGIN READ ONLY;
SELECT eventstore.erase_aggregate('user-1', 'r');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
\set SHOW_CONTEXT errors
SELECT eventstore.erase_aggregate(repeat('long ', 50), 'r');
SELECT eventstore.redact_event('u-9', 'r');
\set SHOW_CONTEXT never

-- events are as immutable as before: by others' statements, after an error, in
-- the same transaction, by a trigger's statement
UPDATE reg_erase.events SET data = '{}';
BEGIN;
SELECT eventstore.erase_aggregate('user-1', 'r');
SAVEPOINT s;
UPDATE reg_erase.events SET data = '{}';
ROLLBACK TO s;
DELETE FROM reg_erase.events;
ROLLBACK;

-- a repeated call whose events were erased is that call again
SELECT eventstore.append_to_aggregate('user-1', '{created,renamed,moved}', ARRAY['{"name": "Ann"}', '{"name": "Bea"}', 'null']::jsonb[], 0, 'User',
  ARRAY['{"ip": "10.0.0.1"}', NULL, '{}']::jsonb[], '{u-1,u-2,u-3}', '{2026-01-01,2026-01-02,2026-01-03}', 'cor', 'cau');
SELECT * FROM eventstore.append('[{"event_id": "w-1", "event_type": "mailed", "data": {"to": "Eve"}}]');
SELECT data FROM eventstore.get_event('w-1');
-- an import that is begun again does not bring the data back
SELECT * FROM eventstore.import_events('before');
SELECT count(*) FROM eventstore.read_events() WHERE data = '{"erased": true}';
-- all that was not erased is compared
SELECT eventstore.append_event('renamed', '{"name": "Ann"}', 'user-1', 0, event_id => 'u-1');
SELECT eventstore.append_event('returned', '{"name": "Fay"}', 'user-1', 3, event_id => 'u-4', correlation_id => 'other');
SELECT eventstore.append_event('returned', '{"name": "Fay"}', 'user-9', 0, event_id => 'u-4');
SELECT eventstore.append_event('returned', '{"name": "Fay"}', 'user-1', 4, event_id => 'u-4');
-- so is the data of an event whose own metadata look like those of an erased one
SELECT eventstore.create_store('reg_erase.own', 'off');
SELECT eventstore.append_event('t', '{"n": 1}', 'o', metadata => '{"erased": true}', event_id => 'o-1', store => 'reg_erase.own');
SELECT eventstore.append_event('t', '{"n": 1}', 'o', metadata => '{"erased": true}', event_id => 'o-1', store => 'reg_erase.own');
SELECT eventstore.append_event('t', '{"n": 2}', 'o', metadata => '{"erased": true}', event_id => 'o-1', store => 'reg_erase.own');
SELECT eventstore.append_event('t', '{"n": 1}', 'o', event_id => 'o-1', store => 'reg_erase.own');
-- a record tells that redact_event() has put the metadata there
BEGIN;
SELECT eventstore.redact_event('o-1', 'r', '{"n": 3}', store => 'reg_erase.own');
SELECT eventstore.append_event('t', '{"n": 2}', 'o', event_id => 'o-1', store => 'reg_erase.own');
ROLLBACK;
SELECT eventstore.drop_store('reg_erase.own', true);
-- so is what was redacted to other values
BEGIN;
SELECT eventstore.redact_event('u-4', 'r', '{"name": "Z"}', '{}');
SELECT eventstore.append_event('returned', '{"name": "Fay"}', 'user-1', 3, event_id => 'u-4');
ROLLBACK;

-- a rollback takes back both
BEGIN;
SELECT eventstore.redact_event('u-4', 'rolled back', '{}');
SELECT reason FROM records WHERE reason = 'rolled back';
ROLLBACK;
SELECT data FROM eventstore.get_event('u-4');
SELECT count(*) FROM records WHERE reason = 'rolled back';

-- nobody changes the records
UPDATE eventstore.erasures SET reason = 'none';
\echo :LAST_ERROR_SQLSTATE
DELETE FROM eventstore.erasures;
TRUNCATE eventstore.erasures;
SELECT eventstore.keep_erasures();
CREATE TABLE reg_erase.odd (id int);
CREATE TRIGGER odd AFTER INSERT ON reg_erase.odd EXECUTE FUNCTION eventstore.keep_erasures();
INSERT INTO reg_erase.odd VALUES (1);
\echo :LAST_ERROR_SQLSTATE

-- the privilege
CREATE ROLE reg_erase_reader;
CREATE ROLE reg_erase_half;
CREATE ROLE reg_erase_blind;
CREATE ROLE reg_erase_officer;
GRANT USAGE ON SCHEMA eventstore, reg_erase TO reg_erase_reader, reg_erase_half, reg_erase_blind, reg_erase_officer;
GRANT SELECT ON reg_erase.events TO reg_erase_reader, reg_erase_half, reg_erase_officer;
GRANT INSERT ON reg_erase.events TO reg_erase_reader;
GRANT UPDATE (data) ON reg_erase.events TO reg_erase_half;
GRANT UPDATE (data, metadata) ON reg_erase.events TO reg_erase_blind, reg_erase_officer;
SET ROLE reg_erase_reader;
SELECT eventstore.erase_aggregate('user-1', 'r');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.redact_event('u-1', 'r');
SET ROLE reg_erase_half;
SELECT eventstore.erase_aggregate('user-1', 'r');
SET ROLE reg_erase_blind;
SELECT eventstore.erase_aggregate('user-1', 'r');
SET ROLE reg_erase_officer;
SELECT eventstore.erase_aggregate('user-1', 'nothing left');
SELECT eventstore.redact_event('u-4', 'by officer', '{"name": "O"}');
-- which is good for nothing else
UPDATE reg_erase.events SET data = '{}';
DELETE FROM reg_erase.events;
SELECT eventstore.append_event('x', '{}', 'user-1');
SELECT count(*) FROM eventstore.erasures;
INSERT INTO eventstore.erasures SELECT;
UPDATE eventstore.erasures SET reason = 'none';
DELETE FROM eventstore.erasures;
TRUNCATE eventstore.erasures;
RESET ROLE;
SELECT erased_by, session_role = session_user AS my_session, reason FROM eventstore.erasures WHERE reason = 'by officer';
-- all of UPDATE will do, too
REVOKE UPDATE (data) ON reg_erase.events FROM reg_erase_half;
GRANT UPDATE ON reg_erase.events TO reg_erase_half;
SET ROLE reg_erase_half;
SELECT eventstore.erase_aggregate('user-1', 'by half');
RESET ROLE;
-- in a SECURITY DEFINER function both roles are told
CREATE FUNCTION reg_erase.forget(id text) RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
  $$SELECT eventstore.erase_aggregate(id, 'by definer', 'reg_erase.events')$$;
ALTER FUNCTION reg_erase.forget OWNER TO reg_erase_officer;
SELECT eventstore.redact_event('u-4', 'r', '0');
SET SESSION AUTHORIZATION reg_erase_reader;
SELECT reg_erase.forget('user-1');
RESET SESSION AUTHORIZATION;
SELECT erased_by, session_role, reason FROM eventstore.erasures WHERE reason = 'by definer';

-- the record cannot be lost on the way
BEGIN;
CREATE RULE lose AS ON INSERT TO eventstore.erasures DO INSTEAD NOTHING;
SELECT eventstore.redact_event('u-4', 'unrecorded', '1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- what its table's triggers do, they do as its owner, and cannot be led astray
CREATE FUNCTION reg_erase.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE WARNING '% % %', current_user = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID), current_setting('search_path'), NEW.erased_by;
  RETURN NEW;
END $$;
BEGIN;
CREATE TRIGGER tell BEFORE INSERT ON eventstore.erasures FOR EACH ROW EXECUTE FUNCTION reg_erase.tell();
SET LOCAL search_path = reg_erase;
SET LOCAL ROLE reg_erase_officer;
SELECT eventstore.redact_event('u-4', 'r', '2');
SELECT current_user, current_setting('search_path');
ROLLBACK;

-- triggers of the store that keep an event as it was, or make it another one
CREATE FUNCTION reg_erase.suppress() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION reg_erase.restore() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.data := OLD.data; RETURN NEW; END $$;
SELECT eventstore.redact_event('u-4', 'r', '3');
CREATE TRIGGER further BEFORE UPDATE ON reg_erase.events FOR EACH ROW EXECUTE FUNCTION reg_erase.suppress();
SELECT eventstore.erase_aggregate('user-1', 'r');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.redact_event('u-4', 'r');
DROP TRIGGER further ON reg_erase.events;
CREATE TRIGGER further BEFORE UPDATE ON reg_erase.events FOR EACH ROW EXECUTE FUNCTION reg_erase.restore();
SELECT eventstore.erase_aggregate('user-1', 'r');
SELECT eventstore.redact_event('u-4', 'r');
DROP TRIGGER further ON reg_erase.events;
CREATE RULE further AS ON UPDATE TO reg_erase.events DO INSTEAD NOTHING;
SELECT eventstore.erase_aggregate('user-1', 'r');
DROP RULE further ON reg_erase.events;
SELECT eventstore.erase_aggregate('user-1', 'r');
-- one that sees the event keeps its own table in step
CREATE TABLE reg_erase.names (event_id text, data jsonb);
INSERT INTO reg_erase.names VALUES ('u-4', '3');
CREATE FUNCTION reg_erase.follow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE reg_erase.names SET data = NEW.data WHERE event_id = NEW.event_id;
  RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER UPDATE ON reg_erase.events FOR EACH ROW EXECUTE FUNCTION reg_erase.follow();
SET ROLE reg_erase_officer;
SELECT eventstore.redact_event('u-4', 'r', '4');
RESET ROLE;
TABLE reg_erase.names;
DROP TRIGGER follow ON reg_erase.events;

-- row security: all of an aggregate, or none of it
SELECT eventstore.redact_event('u-1', 'r', '1'), eventstore.redact_event('u-4', 'r', '1'), eventstore.redact_event('v-1', 'r', '1');
ALTER TABLE reg_erase.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON reg_erase.events FOR SELECT TO reg_erase_officer USING (aggregate_id = 'user-1');
SET ROLE reg_erase_officer;
-- may see, but not change
SELECT eventstore.erase_aggregate('user-1', 'r');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.redact_event('u-1', 'r');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
-- may change some of what it sees
CREATE POLICY changeable ON reg_erase.events FOR UPDATE TO reg_erase_officer USING (aggregate_version > 1);
SET ROLE reg_erase_officer;
SELECT eventstore.erase_aggregate('user-1', 'r');
RESET ROLE;
-- sees only some
DROP POLICY readable ON reg_erase.events;
DROP POLICY changeable ON reg_erase.events;
CREATE POLICY part ON reg_erase.events TO reg_erase_officer USING (aggregate_id = 'user-1' AND aggregate_version > 1);
SET ROLE reg_erase_officer;
SELECT eventstore.erase_aggregate('user-1', 'r');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.redact_event('u-1', 'r');
SELECT eventstore.redact_event('u-4', 'r', '2');
-- sees none
SELECT eventstore.erase_aggregate('user-2', 'r');
\echo :LAST_ERROR_SQLSTATE
SET row_security = off;
SELECT eventstore.erase_aggregate('user-1', 'r');
RESET row_security;
RESET ROLE;
-- sees and changes all of the one aggregate
DROP POLICY part ON reg_erase.events;
CREATE POLICY own ON reg_erase.events TO reg_erase_officer USING (aggregate_id = 'user-1');
SET ROLE reg_erase_officer;
SELECT eventstore.erase_aggregate('user-1', 'r');
SELECT eventstore.erase_aggregate('user-2', 'r');
RESET ROLE;
-- forced on the owner
SELECT eventstore.redact_event('u-1', 'r', '1');
GRANT CREATE ON SCHEMA reg_erase TO reg_erase_officer;
ALTER TABLE reg_erase.events OWNER TO reg_erase_officer;
SET ROLE reg_erase_officer;
SELECT eventstore.erase_aggregate('user-2', 'as owner');
ALTER TABLE reg_erase.events FORCE ROW LEVEL SECURITY;
SELECT eventstore.erase_aggregate('user-2', 'r');
SELECT eventstore.erase_aggregate('user-1', 'as owner');
ALTER TABLE reg_erase.events NO FORCE ROW LEVEL SECURITY;
ALTER TABLE reg_erase.events DISABLE ROW LEVEL SECURITY;
RESET ROLE;
SELECT count(*) FROM reg_erase.events WHERE data <> '{"erased": true}' OR metadata <> '{"erased": true}';
UNLISTEN *;

-- stores with more: columns, indexes on the data, large values, many events
SELECT eventstore.create_store('reg_erase.more', 'off');
SET pg_eventstore.store = 'reg_erase.more';
ALTER TABLE reg_erase.more ADD COLUMN stored_by name DEFAULT current_user,
  ADD COLUMN name text GENERATED ALWAYS AS (data ->> 'name') STORED,
  ALTER aggregate_id TYPE varchar(255) COLLATE "C";
CREATE INDEX ON reg_erase.more USING gin (data);
CREATE INDEX ON reg_erase.more (name);
SELECT eventstore.append_event('t', jsonb_build_object('name', 'Gus', 'notes', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) i)), repeat('g', 100));
SELECT eventstore.erase_aggregate(repeat('g', 100), 'r');
SELECT data, name, stored_by = current_user AS stored_by FROM reg_erase.more;
SET enable_seqscan = off;
SELECT count(*) FROM reg_erase.more WHERE data @> '{"name": "Gus"}';
SELECT count(*) FROM reg_erase.more WHERE name = 'Gus';
RESET enable_seqscan;
SELECT eventstore.append_to_aggregate('many', array_agg('t'::text), array_agg(to_jsonb(i))) FROM generate_series(1, 3000) i;
SELECT eventstore.erase_aggregate('many', 'r');
SELECT count(*), count(*) FILTER (WHERE data = '{"erased": true}'), min(position), max(position), max(aggregate_version) FROM eventstore.get_events_by_aggregate('many');
-- an event of the same transaction, and of another store with the same ids
BEGIN;
SELECT eventstore.append_event('t', '{"name": "Hal"}', 'same', event_id => 'same');
SELECT eventstore.append_event('t', '{"name": "Hal"}', 'same', event_id => 'same', store => 'reg_erase.events');
SELECT eventstore.erase_aggregate('same', 'r');
COMMIT;
SELECT data FROM eventstore.get_event('same');
SELECT data FROM eventstore.get_event('same', 'reg_erase.events');
-- without the table of the records nothing is erased
BEGIN;
ALTER EVENT TRIGGER pg_eventstore_ddl DISABLE;
ALTER TABLE eventstore.erasures RENAME TO gone;
SELECT eventstore.redact_event('same', 'r', '1');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- a hostile search path changes nothing
CREATE SCHEMA reg_erase_hostile;
CREATE FUNCTION reg_erase_hostile.same(jsonb, jsonb) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'hostile'; END $$;
CREATE OPERATOR reg_erase_hostile.<> (FUNCTION = reg_erase_hostile.same, LEFTARG = jsonb, RIGHTARG = jsonb);
CREATE FUNCTION reg_erase_hostile.count() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
SET search_path = reg_erase_hostile, pg_catalog;
SELECT eventstore.redact_event('same', 'r', '2'), eventstore.erase_aggregate('same', 'r');
RESET search_path;
DROP SCHEMA reg_erase_hostile CASCADE;

RESET pg_eventstore.store;
DROP VIEW records;
DROP TABLE before;
SELECT eventstore.drop_store('reg_erase.events', force => true), eventstore.drop_store('reg_erase.more', force => true);
DROP SCHEMA reg_erase CASCADE;
DROP OWNED BY reg_erase_reader, reg_erase_half, reg_erase_blind, reg_erase_officer;
DROP ROLE reg_erase_reader, reg_erase_half, reg_erase_blind, reg_erase_officer;
