-- errors: SQLSTATE, message, DETAIL, HINT, CONTEXT and the fields that programs read
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_errors.events');
SELECT eventstore.create_store('reg_errors."Odd ""Store"""');
SET pg_eventstore.store = 'reg_errors.events';
SELECT eventstore.append_event('t', '{}', 'a', event_id => 'e-1', aggregate_type => 'A');

-- all there is to an error; of CONTEXT, the line on events
CREATE FUNCTION pg_temp.error(command text,
  OUT code text, OUT message text, OUT detail text, OUT hint text, OUT context text,
  OUT schema_name text, OUT table_name text)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  message := 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT, schema_name = SCHEMA_NAME, table_name = TABLE_NAME;
  context := substring(context from '(?n)^(?:appending|reading) .*$');
END $$;
\x on
\pset null '(null)'

-- 40V01
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', 'a', 5)$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a"}, {"event_type": "t", "aggregate_id": "a"}]', 0)$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_to_aggregate('none', '{t}', '{1}', 2)$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append('[{"event_type": "t", "aggregate_id": "b"}]', '{"a": 2}')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append('[]', '{"a": 2}')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', 'a', 5, store => 'reg_errors."Odd ""Store"""')$$);

-- the last line of a conflict's DETAIL is JSON, whatever the aggregate's id
DO $$
DECLARE
  id text;
  detail text;
  conflict jsonb;
BEGIN
  FOREACH id IN ARRAY ARRAY['plain', 'quote"d', 'back\slash', E'new\nline', E'\t\x01', '{"aggregate_id": "x"}', U&'\20AC', ' ', '%s%n'] LOOP
    BEGIN
      PERFORM eventstore.append_event('t', '{}', id, 3);
      RAISE 'no conflict';
    EXCEPTION WHEN SQLSTATE '40V01' THEN
      GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
      conflict := regexp_replace(detail, '.*\n', '');
      ASSERT conflict = jsonb_build_object('aggregate_id', id, 'expected', 3, 'actual', 0), conflict::text;
    END;
  END LOOP;
END $$;

-- a conflict that only the unique index sees: somebody inserted the version by hand
CREATE FUNCTION pg_temp.intrude() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    INSERT INTO reg_errors.events (event_type, aggregate_id, aggregate_version, data)
      VALUES ('intruder', NEW.aggregate_id, NEW.aggregate_version, '{}');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER intrude BEFORE INSERT ON reg_errors.events FOR EACH ROW EXECUTE FUNCTION pg_temp.intrude();
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', 'a', 1)$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', 'a')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append('[{"event_type": "t"}, {"event_type": "t", "aggregate_id": "b"}, {"event_type": "t", "aggregate_id": "a"}]')$$);
-- whatever the index is called by now
ALTER INDEX reg_errors.idx_events_aggregate_id RENAME TO versions;
SELECT code, message FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', 'a', 1)$$);
ALTER TABLE reg_errors.events RENAME CONSTRAINT versions TO "Versions";
SELECT code, message FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', 'a', 1)$$);
DROP TRIGGER intrude ON reg_errors.events;

-- 23505, and a further unique index of the user's own
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('u', '{}', 'a', event_id => 'e-1')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t", "event_id": "f"}, {"event_type": "t", "event_id": "e-1"}]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t", "event_id": "f"}, {"event_type": "t", "event_id": "f"}]')$$);
-- of an event that stands there already, as the unique index tells, whatever it is called by now
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('u', '{}', 'a', 1, event_id => 'e-1')$$);
ALTER INDEX reg_errors.events_pkey RENAME TO ids;
SELECT code, message FROM pg_temp.error($$SELECT eventstore.append_event('u', '{}', 'a', 1, event_id => 'e-1')$$);
-- a position that is taken
SELECT setval('reg_errors.events_position_seq', 1, false), last_value AS last FROM reg_errors.events_position_seq \gset
SELECT code, message FROM pg_temp.error($$SELECT eventstore.append_event('u', '{}', 'a', 1)$$);
ALTER INDEX reg_errors.events_position_key RENAME TO positions;
SELECT setval('reg_errors.events_position_seq', 1, false) \gset
SELECT code, message FROM pg_temp.error($$SELECT eventstore.append_event('u', '{}', 'a', 1)$$);
SELECT setval('reg_errors.events_position_seq', :last) \gset
-- texts about to be cut: an id that comes twice, around the 1000 bytes that an error shows
SET pg_eventstore.store = 'reg_errors."Odd ""Store"""';
ALTER TABLE reg_errors."Odd ""Store""" ALTER event_id TYPE varchar(2000) COLLATE "C", ALTER aggregate_id TYPE varchar(2000) COLLATE "C";
\x off
SELECT n, bytes, code, octet_length(message) AS message, octet_length(detail) AS detail, message ~ (letter || '[.]{3}') AS cut
  FROM generate_series(999, 1005) n, (VALUES ('x', 1), (U&'\00E9', 2), (U&'\20AC', 3)) c (letter, bytes),
       format($$SELECT eventstore.append_events(jsonb_build_array(jsonb_build_object('event_type', 't', 'event_id', %1$L), jsonb_build_object('event_type', 't', 'event_id', %1$L)))$$,
              repeat(letter, n / bytes)) command, pg_temp.error(command)
 ORDER BY bytes, n;
SELECT n, code, length(message) AS message, length(context) AS context
  FROM generate_series(999, 1005) n, pg_temp.error(format('SELECT eventstore.append_event(''t'', ''{}'', %L, 7)', repeat('x', n)))
 ORDER BY n;
\x on
SET pg_eventstore.store = 'reg_errors.events';
CREATE UNIQUE INDEX one_name ON reg_errors.events ((data ->> 'name'));
SELECT eventstore.append_event('t', '{"name": "x"}', 'n');
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{"name": "x"}', 'n')$$);
DROP INDEX reg_errors.one_name;
-- a duplicate key that a user's trigger runs into, on the same indexes but with another key, is no conflict of this call
CREATE FUNCTION pg_temp.follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    INSERT INTO reg_errors.events (event_id, event_type, aggregate_id, aggregate_version, data)
      VALUES (NEW.data ->> 'id', 'follower', NEW.data ->> 'of', (NEW.data ->> 'version')::integer, '{}');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER INSERT ON reg_errors.events FOR EACH ROW EXECUTE FUNCTION pg_temp.follow();
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{"id": "f-1", "of": "a", "version": 1}', 'f')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{"id": "f-1", "of": "a", "version": 1}', 'f', 0)$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_to_aggregate('f', '{t,t}', '{"{\"id\": \"f-1\"}", "{\"id\": \"f-1\"}"}', 0)$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{"id": "e-1"}', 'f')$$);
-- with the key of the call's own event, it is one
SELECT code, message FROM pg_temp.error($$SELECT eventstore.append_event('t', '{"id": "f-1", "of": "f", "version": 1}', 'f')$$);
DROP TRIGGER follow ON reg_errors.events;
ALTER TABLE reg_errors.events ADD CONSTRAINT no_bad CHECK (event_type <> 'bad');
SELECT code, message, context, table_name FROM pg_temp.error($$SELECT eventstore.append_event('bad', '{}', 'n')$$);
ALTER TABLE reg_errors.events DROP CONSTRAINT no_bad;

-- 22023, 22004, 22P02, 22001
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('1')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": 1}]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t", "data": 1, "dta": 2}]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a"}, {"event_type": "t", "aggregate_id": "b"}]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_type": "B"}]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a", "aggregate_version": 7}]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', 'a', -1)$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events(NULL)$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t"}, null]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t"}, {}]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t", "occurred_at": "never"}]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', repeat('x', 37))$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_to_aggregate('a', '{t,u}', '{1}')$$);

-- 42P01, 42809
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', store => 1::regclass)$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', store => 'pg_catalog.pg_class')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', store => 'eventstore.stores')$$);
SET pg_eventstore.store = 'reg_errors.none';
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}')$$);
SET pg_eventstore.store = 'reg_errors.events';

-- 25006: every function that writes; readers do not mind
BEGIN READ ONLY;
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', 'a')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_events('[{"event_type": "t"}]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append_to_aggregate('a', '{t}', '{1}')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.append('[{"event_type": "t"}]')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.create_store('reg_errors.more')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.drop_store('reg_errors.events')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.set_notifications('reg_errors.events', 'off')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.next_position('reg_errors.events_position_seq')$$);
SELECT event_type, aggregate_version FROM eventstore.get_events_by_aggregate('a');
SELECT eventstore.get_aggregate_version('a');
SELECT count(*) FROM eventstore.stores WHERE store = 'reg_errors.events'::regclass;
COMMIT;

-- 0A000: events are immutable
SELECT * FROM pg_temp.error($$UPDATE reg_errors.events SET data = '1'$$);
SELECT * FROM pg_temp.error($$DELETE FROM reg_errors."Odd ""Store"""$$);
SELECT * FROM pg_temp.error($$TRUNCATE reg_errors.events$$);

-- trigger functions called as if they were others
SELECT * FROM pg_temp.error($$SELECT eventstore.after_append()$$);
CREATE TABLE reg_errors.plain (a integer);
CREATE TRIGGER t AFTER INSERT ON reg_errors.plain FOR EACH ROW EXECUTE FUNCTION eventstore.after_append('commit', 'x');
SELECT * FROM pg_temp.error($$INSERT INTO reg_errors.plain VALUES (1)$$);
DROP TRIGGER t ON reg_errors.plain;
CREATE TRIGGER t AFTER UPDATE ON reg_errors.plain FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change();
SELECT * FROM pg_temp.error($$UPDATE reg_errors.plain SET a = 1$$);
DROP TRIGGER t ON reg_errors.plain;
-- a trigger without its arguments makes no store
CREATE TRIGGER t AFTER INSERT ON reg_errors.plain FOR EACH STATEMENT EXECUTE FUNCTION eventstore.after_append();
SELECT * FROM pg_temp.error($$INSERT INTO reg_errors.plain VALUES (1)$$);
\x off
SELECT store, notifications FROM eventstore.stores WHERE store::text LIKE 'reg_errors.%' ORDER BY store::text COLLATE "C";
DROP TABLE reg_errors.plain;

-- privileges: 42501
CREATE ROLE reg_errors_nobody;
GRANT USAGE ON SCHEMA eventstore, reg_errors TO reg_errors_nobody;
SET ROLE reg_errors_nobody;
\x on
SELECT * FROM pg_temp.error($$SELECT eventstore.append_event('t', '{}', 'a', store => 'reg_errors.events')$$);
SELECT * FROM pg_temp.error($$SELECT * FROM eventstore.get_events_by_aggregate('a', store => 'reg_errors.events')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.get_aggregate_version('a', 'reg_errors.events')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.drop_store('reg_errors.events', true)$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.set_notifications('reg_errors.events', 'off')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.next_position('reg_errors.events_position_seq')$$);
SELECT * FROM pg_temp.error($$SELECT eventstore.create_store('reg_errors.mine')$$);
\x off
RESET ROLE;
-- INSERT and SELECT on the table are all that an appender needs
GRANT INSERT, SELECT ON reg_errors.events TO reg_errors_nobody;
SET ROLE reg_errors_nobody;
SELECT eventstore.append_event('t', '{}', 'role', 0, store => 'reg_errors.events');
INSERT INTO reg_errors.events (event_type, data) VALUES ('t', '{}');
SELECT count(*) FROM eventstore.get_events_by_aggregate('role', store => 'reg_errors.events');
RESET ROLE;

-- how it looks in psql
SELECT eventstore.append_event('t', '{}', 'a', 5);
\echo :LAST_ERROR_SQLSTATE

-- an error leaves the session as it was
SELECT eventstore.append_event('t', '{}', 'a', 1);
SHOW search_path;

RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_errors.events', force => true), eventstore.drop_store('reg_errors."Odd ""Store"""', force => true);
REVOKE ALL ON SCHEMA eventstore FROM reg_errors_nobody;
DROP SCHEMA reg_errors;
DROP ROLE reg_errors_nobody;
