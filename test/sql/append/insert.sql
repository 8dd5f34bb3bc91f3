-- plain INSERT, COPY and MERGE are held to the rules of the append functions
SET client_min_messages = warning;
\set SHOW_CONTEXT errors
CREATE ROLE reg_insert_writer;
CREATE ROLE reg_insert_owner;
SELECT eventstore.create_store('reg_insert.events', 'off');
GRANT USAGE ON SCHEMA eventstore, reg_insert TO reg_insert_writer, reg_insert_owner;
GRANT SELECT, INSERT ON reg_insert.events TO reg_insert_writer;
GRANT SELECT ON reg_insert.events_position_seq TO reg_insert_writer;
GRANT CREATE ON SCHEMA reg_insert TO reg_insert_owner;
ALTER TABLE reg_insert.events OWNER TO reg_insert_owner;
SET pg_eventstore.store = 'reg_insert.events';
SET search_path = reg_insert;
-- the error of a statement, in one line
CREATE FUNCTION public.reg_insert_error(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE state text; message text; detail text; hint text; context text;
BEGIN
  EXECUTE command;
  RETURN 'none';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
  RETURN regexp_replace(concat_ws(E'\n', state || ': ' || message, nullif(regexp_replace(detail, '^Failing row.*', ''), ''), nullif(hint, ''), (regexp_match(context, '^inserting [^\n]*'))[1]),
    '[0-9a-f]{8}-[0-9a-f-]{27}', 'a new id', 'g');
END $$;
CREATE VIEW held AS SELECT position, event_id, aggregate_id, aggregate_version AS version, aggregate_type AS type FROM events ORDER BY position;
GRANT SELECT ON held TO reg_insert_writer;

-- versions and types that are left out follow; those that are given must be the next
SET ROLE reg_insert_writer;
INSERT INTO events (event_id, event_type, aggregate_id, aggregate_type, data) VALUES ('1', 't', 'a', 'T', '1'), ('2', 't', 'a', NULL, '1'), ('3', 't', 'b', NULL, '1'), ('4', 't', 'a', 'T', '1'), ('5', 't', NULL, NULL, '1');
INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('6', 't', 'b', 2, '1'), ('7', 't', 'b', 3, '1'), ('8', 't', 'b', NULL, '1'), ('9', 't', 'a', 4, '1') RETURNING position, aggregate_version, aggregate_type;
TABLE held;
SELECT eventstore.append_event('t', '1', 'a', 4, event_id => '10');
COPY events (event_id, event_type, aggregate_id, aggregate_version, data) FROM stdin;
11	t	a	6	1
12	t	a	\N	1
13	t	c	1	1
\.
MERGE INTO events e USING (VALUES ('13'), ('14')) v (id) ON e.event_id = v.id WHEN NOT MATCHED THEN INSERT (event_id, event_type, aggregate_id, data) VALUES (v.id, 't', 'c', '1');
WITH more AS (INSERT INTO events (event_id, event_type, aggregate_id, data) VALUES ('15', 't', 'd', '1') RETURNING event_id)
INSERT INTO events (event_id, event_type, aggregate_id, data) SELECT event_id || '+', 't', 'e', '1' FROM more;
SELECT * FROM held WHERE position > 9;

-- what a role that does not own the store may not choose
SELECT public.reg_insert_error($$INSERT INTO events (position, event_id, event_type, data) VALUES (100000000, 'p', 't', '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (position, event_id, event_type, data) SELECT last_value + 1, 'p', 't', '1' FROM events_position_seq$$);
SELECT public.reg_insert_error($$INSERT INTO events (position, event_id, event_type, data) VALUES (-1, 'p', 't', '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('v', 't', 'new', 7, '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('v', 't', 'new', 1, '1'), ('w', 't', 'new', 3, '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('v', 't', 'new', 2, '1'), ('w', 't', 'new', 1, '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('v', 't', 'a', 9, '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_type, data) VALUES ('v', 't', 'a', 'U', '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_type, data) VALUES ('v', 't', 'new', 'T', '1'), ('w', 't', 'new', 'U', '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events SELECT * FROM events$$);
SELECT public.reg_insert_error($$MERGE INTO events e USING (VALUES ('p')) v (id) ON e.event_id = v.id WHEN NOT MATCHED THEN INSERT (position, event_id, event_type, data) VALUES (5000, 'p', 't', '1')$$);
\set VERBOSITY terse
COPY events (position, event_type, data) FROM stdin;
100000000	t	1
\.
COPY events (event_type, aggregate_id, aggregate_version, data) FROM stdin;
t	new	1	1
t	new	2	1
t	new	4	1
\.
\set VERBOSITY default
-- a position of the store counts once, in its transaction
BEGIN;
SELECT eventstore.next_position('events_position_seq') AS mine \gset
SAVEPOINT s;
INSERT INTO events (position, event_type, data) VALUES (:mine, 'mine', '1');
ROLLBACK TO s;
SELECT public.reg_insert_error(format($$INSERT INTO events (position, event_id, event_type, data) VALUES (%s, 'p', 't', '1')$$, :mine)) ~ '^42501' AS refused;
SAVEPOINT s;
SELECT eventstore.append_event('t', '1', 'new') \g /dev/null
SELECT last_value AS appended FROM events_position_seq \gset
ROLLBACK TO s;
SELECT public.reg_insert_error(format($$INSERT INTO events (position, event_id, event_type, data) VALUES (%s, 'p', 't', '1')$$, :appended)) ~ '^42501' AS refused;
SELECT eventstore.next_position('events_position_seq') AS mine \gset
COMMIT;
SELECT public.reg_insert_error(format($$INSERT INTO events (position, event_id, event_type, data) VALUES (%s, 'p', 't', '1')$$, :mine)) ~ '^42501' AS refused;
-- a version comes after its predecessor in the order of positions, too
BEGIN;
SELECT eventstore.next_position('events_position_seq') AS mine \gset
SELECT eventstore.append_event('t', '1', 'order', 0);
INSERT INTO events (position, event_type, aggregate_id, data) VALUES (:mine, 't', 'order', '1') RETURNING aggregate_version, position > :mine AS later;
COMMIT;
SELECT array_agg(aggregate_version ORDER BY position) FROM events WHERE aggregate_id = 'order';
-- what is taken is left to the unique indexes, so ON CONFLICT works
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('v', 't', 'a', 2, '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, data) VALUES ('2', 't', 'a', '1')$$);
INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('2', 't', 'a', 2, '1'), ('20', 't', 'd', 2, '1') ON CONFLICT DO NOTHING RETURNING event_id;
INSERT INTO events (event_id, event_type, aggregate_id, data) VALUES ('2', 't', 'a', '1'), ('21', 't', 'd', '1') ON CONFLICT (event_id) DO NOTHING RETURNING event_id, aggregate_version;
-- the rules of a single event
CREATE FUNCTION pg_temp.event(id text, type text, aggregate text, at text, version integer DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
  SELECT public.reg_insert_error(format('INSERT INTO events (event_id, event_type, aggregate_id, occurred_at, aggregate_version, data) VALUES (%L, %L, %L, %L, %L, ''1'')', id, type, aggregate, at, version))
$$;
SELECT pg_temp.event('', 't', NULL, 'now');
SELECT pg_temp.event('x', '', NULL, 'now');
SELECT pg_temp.event('x', 't', '', 'now');
SELECT pg_temp.event('x', 't', NULL, 'infinity');
SELECT pg_temp.event('x', 't', NULL, '-infinity');
SELECT pg_temp.event('x', 't', NULL, 'now', 1);
SELECT pg_temp.event('x', 't', 'a', 'now', 0);
-- nulls, and what only the table refuses
SELECT pg_temp.event(NULL, 't', NULL, 'now');
SELECT pg_temp.event('x', NULL, NULL, 'now');
SELECT pg_temp.event('x', 't', NULL, NULL);
SELECT public.reg_insert_error($$INSERT INTO events (event_type, data) VALUES ('t', NULL)$$);
SELECT public.reg_insert_error($$INSERT INTO events (position, event_type, data) VALUES (NULL, 't', '1')$$);
RESET ROLE;

-- with the right to insert only, also of some columns
CREATE ROLE reg_insert_blind;
GRANT USAGE ON SCHEMA eventstore, reg_insert TO reg_insert_blind;
GRANT INSERT (event_type, aggregate_id, aggregate_type, aggregate_version, data) ON events TO reg_insert_blind;
SET ROLE reg_insert_blind;
INSERT INTO events (event_type, aggregate_id, data) VALUES ('blind', 'a', '1'), ('blind', NULL, '1'), ('blind', 'blind', '1');
INSERT INTO events (event_type, aggregate_id, aggregate_type, data) VALUES ('blind', 'blind', 'B', '1'), ('blind', 'blind', NULL, '2');
SELECT public.reg_insert_error($$INSERT INTO reg_insert.events (event_type, aggregate_id, aggregate_type, data) VALUES ('blind', 'blind', 'C', '1')$$) ~ '^22023' AS refused;
-- an error tells such a role neither the version nor the type of an aggregate
SELECT public.reg_insert_error(format($$INSERT INTO reg_insert.events (event_type, aggregate_id, %s, data) VALUES ('blind', 'blind', %s, '1')$$, c, v)) ~ 'does not fit' AS hidden,
       public.reg_insert_error(format($$INSERT INTO reg_insert.events (event_type, aggregate_id, %s, data) VALUES ('blind', 'blind', %s, '1')$$, c, v)) ~ '"B"|version 3|version 4' AS told
  FROM (VALUES ('aggregate_type', '''C'''), ('aggregate_version', '9'), ('aggregate_version', '2')) v(c, v);
RESET ROLE;
SELECT aggregate_id, aggregate_version, aggregate_type FROM events WHERE event_type = 'blind' ORDER BY position;

-- the owner's new events obey the same rules; its own positions mean restored events, in any order
SET ROLE reg_insert_owner;
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('v', 't', 'new', 1, '1'), ('w', 't', 'new', 3, '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (position, event_type, event_id, data) VALUES (0, 't', '', '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (position, event_type, occurred_at, data) VALUES (0, 't', 'infinity', '1')$$) ~ '^22023' AS refused;
INSERT INTO events (position, event_type, aggregate_id, aggregate_version, data) VALUES (1012, 't', 'restored', 12, '1');
INSERT INTO events (position, event_type, aggregate_id, aggregate_version, data) VALUES (1011, 't', 'restored', 11, '1'), (1014, 't', 'restored', 14, '1');
INSERT INTO events (position, event_type, aggregate_id, aggregate_version, data) VALUES (1013, 't', 'restored', 13, '1');
SELECT setval('events_position_seq', 1014);
INSERT INTO events (event_type, aggregate_id, data) VALUES ('t', 'restored', '1') RETURNING position, aggregate_version;
-- a version below those that are there is not the next, though it is not taken
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('v', 't', 'restored', 3, '1')$$);
RESET ROLE;
-- a superuser counts as the owner
INSERT INTO events (position, event_type, aggregate_id, aggregate_version, data) VALUES (1010, 't', 'restored', 10, '1');
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('v', 't', 'new', 2, '1')$$) ~ '^22023' AS refused;
-- a role in whose name the owner inserts
CREATE FUNCTION restore(p bigint) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ INSERT INTO reg_insert.events (position, event_type, data) VALUES (p, 'restored', '1') $$;
ALTER FUNCTION restore OWNER TO reg_insert_owner;
SET ROLE reg_insert_writer;
SELECT restore(1009);
RESET ROLE;

-- triggers: what ours sees is what the others have made of the row
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.event_type := CASE WHEN NEW.event_type <> 'empty' THEN NEW.event_type ELSE '' END;
  IF NEW.event_type = 'moved' THEN NEW.position := 5000; END IF;
  IF NEW.event_type = 'nested' THEN
    INSERT INTO reg_insert.events (event_type, aggregate_id, data) VALUES ('inner', NEW.aggregate_id, '1');
    PERFORM eventstore.append_event('inner', '1', NEW.aggregate_id, store => 'reg_insert.events');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER later BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION change();
SET ROLE reg_insert_writer;
SELECT public.reg_insert_error($$INSERT INTO events (event_type, data) VALUES ('empty', '1')$$) ~ '^22023' AS refused, public.reg_insert_error($$INSERT INTO events (event_type, data) VALUES ('moved', '1')$$) ~ '^42501' AS refused_too;
SELECT public.reg_insert_error($$SELECT eventstore.append_event('empty', '1', 'a')$$);
INSERT INTO events (event_type, aggregate_id, data) VALUES ('nested', 'nest', '1'), ('t', 'nest', '2');
SELECT aggregate_version, event_type FROM events WHERE aggregate_id = 'nest' ORDER BY position;
SELECT eventstore.append_event('nested', '1', 'nest2');
RESET ROLE;
DROP TRIGGER later ON events;
-- a view and a rule
CREATE VIEW window_on AS SELECT * FROM events;
GRANT INSERT ON window_on TO reg_insert_writer;
ALTER VIEW window_on OWNER TO reg_insert_owner;
SET ROLE reg_insert_writer;
INSERT INTO window_on (event_type, aggregate_id, data) VALUES ('viewed', 'view', '1');
SELECT public.reg_insert_error($$INSERT INTO window_on (event_type, aggregate_id, aggregate_version, data) VALUES ('viewed', 'view', 3, '1')$$) ~ '^22023' AS refused, public.reg_insert_error($$INSERT INTO window_on (position, event_type, data) VALUES (6000, 'viewed', '1')$$) ~ '^42501' AS refused_too;
RESET ROLE;

-- row security: what is hidden counts as for an append
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON events TO reg_insert_writer USING (aggregate_id LIKE 'mine-%') WITH CHECK (aggregate_id LIKE 'mine-%');
SET ROLE reg_insert_writer;
INSERT INTO events (event_type, aggregate_id, data) VALUES ('t', 'mine-1', '1'), ('t', 'mine-1', '2') RETURNING aggregate_version;
SELECT public.reg_insert_error($$INSERT INTO events (event_type, aggregate_id, data) VALUES ('t', 'a', '1')$$) ~ '^42501' AS refused;
SELECT public.reg_insert_error($$INSERT INTO events (event_type, aggregate_id, aggregate_version, data) VALUES ('t', 'mine-1', 5, '1')$$) ~ '^22023' AS refused;
RESET ROLE;
DROP POLICY own ON events;
ALTER TABLE events DISABLE ROW LEVEL SECURITY;

-- the limit of locks, and the locks
SET ROLE reg_insert_writer;
BEGIN;
INSERT INTO events (event_type, aggregate_id, data) SELECT 't', 'many-' || n % 1500, '1' FROM generate_series(1, 3000) n;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 17750 AND pid = pg_backend_pid();
COMMIT;
RESET ROLE;
SELECT count(*), max(aggregate_version) FROM events WHERE aggregate_id LIKE 'many-%';

-- an index in another order
DROP VIEW held, window_on;
ALTER TABLE events DROP CONSTRAINT idx_events_aggregate_id;
CREATE UNIQUE INDEX descending ON events (aggregate_id DESC, aggregate_version DESC);
INSERT INTO events (event_type, aggregate_id, data) VALUES ('t', 'a', '1'), ('t', 'z', '2'), ('t', 'z', '3') RETURNING aggregate_version;

-- with an archive: versions and ids go on from both tables
SELECT eventstore.create_archive();
SELECT eventstore.append_to_aggregate('old', '{t,t,t}', '{1,2,3}', 0, event_ids => '{o-1,o-2,o-3}'), eventstore.append_to_aggregate('gone', '{t,t}', '{1,2}', 0, event_ids => '{g-1,g-2}') \g /dev/null
SELECT eventstore.archive_events(aggregate_ids => '{old}', max_count => 2), eventstore.archive_events(aggregate_ids => '{gone}');
SET ROLE reg_insert_writer;
INSERT INTO events (event_id, event_type, aggregate_id, data) VALUES ('o-4', 't', 'old', '4'), ('g-3', 't', 'gone', '3'), ('g-4', 't', 'gone', '4') RETURNING aggregate_version;
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('x', 't', 'old', 1, '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('x', 't', 'old', 4, '1') ON CONFLICT DO NOTHING$$);
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('x', 't', 'gone', 1, '1')$$) ~ '^23505' AS refused;
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, aggregate_version, data) VALUES ('x', 't', 'gone', 6, '1')$$) ~ '^22023' AS refused;
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, data) VALUES ('o-1', 't', '1')$$);
SELECT public.reg_insert_error($$INSERT INTO events (event_id, event_type, aggregate_id, data) VALUES ('o-3', 't', 'old', '1') ON CONFLICT DO NOTHING$$);
-- the archive takes what archiving moves, and from its owner
RESET ROLE;
GRANT SELECT, INSERT, DELETE ON events, events_archive TO reg_insert_writer;
SET ROLE reg_insert_writer;
SELECT public.reg_insert_error($$INSERT INTO events_archive SELECT * FROM events WHERE event_id = '1'$$);
SELECT public.reg_insert_error($$INSERT INTO events_archive (position, event_id, event_type, occurred_at, aggregate_id, aggregate_version, data) VALUES (1, 'x', 't', now(), 'new', 5, '1')$$) ~ '^42501' AS refused;
SELECT eventstore.archive_events(aggregate_ids => '{old}', max_count => 1);
RESET ROLE;
SET ROLE reg_insert_owner;
INSERT INTO events_archive (position, event_id, event_type, occurred_at, aggregate_id, aggregate_version, data) VALUES (0, 'x', 't', now(), 'brought', 1, '1');
INSERT INTO events (event_type, aggregate_id, data) VALUES ('t', 'brought', '2') RETURNING aggregate_version;
SELECT public.reg_insert_error($$INSERT INTO events_archive (position, event_id, event_type, occurred_at, data) VALUES (-1, '', 't', now(), '1')$$) ~ '^22023' AS refused;
RESET ROLE;

-- create_store() puts the trigger back
DROP TRIGGER zz_eventstore_check ON events;
SELECT eventstore.append_event('t', '1', 'a') > 0 AS appended;
SELECT eventstore.create_store('reg_insert.events') \g /dev/null
SELECT tgrelid::regclass, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgfoid = 'eventstore.check_insert'::regproc AND tgrelid::regclass::text LIKE 'events%' ORDER BY 1;
-- it is no trigger of other tables and other events
CREATE TABLE other (i integer);
CREATE TRIGGER t BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION eventstore.check_insert();
INSERT INTO other VALUES (1);
DROP TRIGGER t ON other;
CREATE TRIGGER t AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION eventstore.check_insert();
INSERT INTO other VALUES (1);
SELECT eventstore.check_insert();

RESET search_path;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_insert.events', true);
DROP SCHEMA reg_insert CASCADE;
DROP FUNCTION public.reg_insert_error;
DROP OWNED BY reg_insert_writer, reg_insert_owner, reg_insert_blind;
DROP ROLE reg_insert_writer, reg_insert_owner, reg_insert_blind;
