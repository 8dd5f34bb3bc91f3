-- Importing events, and exporting them
CREATE SCHEMA reg_import;
SET TimeZone = 'UTC';
SELECT eventstore.create_store('reg_import.source', 'off');
SELECT eventstore.create_store('reg_import.target', 'off');
SET pg_eventstore.store = 'reg_import.target';

SELECT event_id, aggregate_id, aggregate_version FROM eventstore.append(
  '[{"event_id": "e-1", "event_type": "opened", "aggregate_id": "a", "aggregate_type": "Account", "data": {"n": 1}, "occurred_at": "2024-01-01T00:00:00Z"},
    {"event_id": "e-2", "event_type": "opened", "aggregate_id": "b", "aggregate_type": "Account", "data": [1, {"x": null}], "metadata": {"by": "me"}, "correlation_id": "c", "causation_id": "e-1", "occurred_at": "2024-01-02T00:00:00.123456Z"},
    {"event_id": "e-3", "event_type": "paid", "aggregate_id": "a", "data": 5, "occurred_at": "2024-01-03T00:00:00Z"},
    {"event_id": "e-4", "event_type": "noted", "data": "text", "occurred_at": "2024-01-04T00:00:00Z"}]',
  store => 'reg_import.source');

-- from a table, in the order of its positions
SELECT * FROM eventstore.import_events('reg_import.source');
SELECT * FROM eventstore.get_latest_events();
-- the same again stores nothing
SELECT * FROM eventstore.import_events('reg_import.source');
SELECT * FROM eventstore.import_events('TABLE reg_import.source');
SELECT count(*) FROM reg_import.target;
-- begun again with more
SELECT eventstore.append_event('closed', '{}', 'a', 2, event_id => 'e-5', occurred_at => '2024-01-05Z', store => 'reg_import.source');
SELECT * FROM eventstore.import_events('reg_import.source');
SELECT position, event_id, aggregate_version FROM reg_import.target ORDER BY position;

-- from a query, with values of other types
SELECT * FROM eventstore.import_events($$
  SELECT '018f0000-0000-7000-8000-00000000000' || n AS event_id, 'counted' AS event_type, (timestamp '2024-02-01' + n * interval '1 day') AT TIME ZONE 'UTC' AS occurred_at,
         'q' AS aggregate_id, n::bigint AS aggregate_version, json_build_object('n', n) AS data, NULL AS metadata
    FROM generate_series(1, 3) n$$);
SELECT * FROM eventstore.import_events('SELECT gen_random_uuid() AS event_id, $q$x$q$::name AS event_type, 1.0 AS data');
SELECT event_type, occurred_at, aggregate_version, data FROM eventstore.get_events_by_aggregate('q');
-- a query without rows
SELECT * FROM eventstore.import_events('SELECT 1 AS event_type, 1 AS data WHERE false');

-- from JSON, and from rows of it
SELECT * FROM eventstore.import_json('[{"event_id": "j-1", "event_type": "t", "aggregate_id": "j", "n": 1}, {"event_id": "j-2", "event_type": "t", "aggregate_id": "j", "n": 2}]');
SELECT * FROM eventstore.import_json('[{"event_id": "j-2", "event_type": "t", "aggregate_id": "j", "n": 2}, {"event_id": "j-3", "event_type": "t", "aggregate_id": "j", "n": 3}]');
SELECT * FROM eventstore.import_json(' {"event_id": "j-4", "event_type": "t", "aggregate_id": "j", "aggregate_version": 4, "n": 4}');
SELECT * FROM eventstore.import_json('[]');
SELECT * FROM eventstore.import_events($$ SELECT 7 AS line, '{"event_id": "j-5", "event_type": "t", "aggregate_id": "j"}' AS event $$);
SELECT event_id, aggregate_version, data FROM eventstore.get_events_by_aggregate('j');

-- what is wrong is named, and nothing is stored
CREATE TABLE reg_import.lines (line bigint, event text);
INSERT INTO reg_import.lines VALUES (11, '{"event_type": "t", "aggregate_id": "w"}'), (12, '{"event_type": "t", "aggregate_id": "w"');

\set SHOW_CONTEXT always
SELECT * FROM eventstore.import_events('reg_import.lines');
UPDATE reg_import.lines SET event = '[1]' WHERE line = 12;
SELECT * FROM eventstore.import_events('reg_import.lines');
UPDATE reg_import.lines SET event = NULL WHERE line = 12;
SELECT * FROM eventstore.import_events('reg_import.lines');
UPDATE reg_import.lines SET event = '{"event_type": "t", "aggregate_id": "w", "aggregate_version": 3}' WHERE line = 12;
SELECT * FROM eventstore.import_events('reg_import.lines');
UPDATE reg_import.lines SET event = '{"event_type": "t", "data": 1, "occurred_at": "yesterdy"}' WHERE line = 12;
SELECT * FROM eventstore.import_events('reg_import.lines');
UPDATE reg_import.lines SET event = '{"event_type": 5}' WHERE line = 12;
SELECT * FROM eventstore.import_events('reg_import.lines');
\set VERBOSITY default
\set SHOW_CONTEXT errors
SELECT count(*) FROM reg_import.target WHERE aggregate_id = 'w';
-- other content, another id, another version, no id
SELECT * FROM eventstore.import_json('[{"event_id": "e-1", "event_type": "opened", "aggregate_id": "a", "aggregate_version": 1, "data": {"n": 2}}]');
SELECT * FROM eventstore.import_json('[{"event_id": "e-9", "event_type": "opened", "aggregate_id": "a", "aggregate_version": 1, "data": {"n": 1}}]');
SELECT * FROM eventstore.import_json('[{"event_id": "e-1", "event_type": "opened", "aggregate_id": "a", "aggregate_version": 2, "data": {"n": 1}}]');
SELECT * FROM eventstore.import_json('[{"event_type": "opened", "aggregate_id": "a", "aggregate_version": 1, "data": {"n": 1}}]');
SELECT * FROM eventstore.import_json('[{"event_id": "e-1", "event_type": "t", "aggregate_id": "new"}]');
SELECT * FROM eventstore.import_json('[{"event_id": "x", "event_type": "t"}, {"event_id": "x", "event_type": "t"}]');
SELECT * FROM eventstore.import_json('[{"event_id": "y", "event_type": "t", "aggregate_id": "a", "aggregate_type": "Other"}]');
-- columns
SELECT * FROM eventstore.import_events('SELECT 1 AS event_type, 2 AS colour');
SELECT * FROM eventstore.import_events('SELECT 1 AS line');
SELECT * FROM eventstore.import_events('SELECT 1 AS event_type');
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, '{' AS data $$);
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, '{}' AS data, 'a' AS aggregate_id, 0 AS aggregate_version $$);
SELECT * FROM eventstore.import_events('no_such_table');
SELECT * FROM eventstore.import_events('SELEC 1');
SELECT * FROM eventstore.import_events('CREATE TABLE reg_import.t ()');
SELECT * FROM eventstore.import_events('SELECT 1; SELECT 2');
SELECT * FROM eventstore.import_events('');
SELECT * FROM eventstore.import_events(NULL);
SELECT * FROM eventstore.import_json(NULL);
SELECT * FROM eventstore.import_json('5');
SELECT * FROM eventstore.import_events('[]');
SELECT * FROM eventstore.import_events('reg_import.source', 'reg_import.lines');
START TRANSACTION READ ONLY;
SELECT * FROM eventstore.import_events('reg_import.source');
ROLLBACK;

-- several lots; a store that is no plain one; the store itself as the source
SELECT eventstore.create_store('reg_import.many', 'off');
SELECT * FROM eventstore.import_events($$
  SELECT 'm-' || n AS event_id, 't' AS event_type, 'agg-' || n % 7 AS aggregate_id, n / 7 + 1 AS aggregate_version, '1'::jsonb AS data, n AS line
    FROM generate_series(0, 3499) n$$, 'reg_import.many');
SELECT count(*), count(DISTINCT aggregate_id), max(aggregate_version), max(position) - min(position) FROM reg_import.many;
SELECT * FROM eventstore.import_events($$
  SELECT 'm-' || n AS event_id, 't' AS event_type, 'agg-' || n % 7 AS aggregate_id, n / 7 + 1 AS aggregate_version, '1'::jsonb AS data, n AS line
    FROM generate_series(0, 4199) n$$, 'reg_import.many');
SELECT * FROM eventstore.import_events($$
  SELECT 'm-' || n AS event_id, 't' AS event_type, 'agg-' || n % 7 AS aggregate_id, n / 7 + CASE n WHEN 5555 THEN 2 ELSE 1 END AS aggregate_version, '1'::jsonb AS data, n AS line
    FROM generate_series(0, 6999) n$$, 'reg_import.many');
SELECT count(*) FROM reg_import.many;
SELECT * FROM eventstore.import_events('SELECT event_type, data, aggregate_id FROM reg_import.many ORDER BY position LIMIT 1500', 'reg_import.many');
CREATE FUNCTION reg_import.shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.event_type := upper(NEW.event_type); RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT ON reg_import.many FOR EACH ROW EXECUTE FUNCTION reg_import.shout();
SELECT * FROM eventstore.import_events($$ SELECT 'shout' AS event_type, 'new' AS aggregate_id, to_jsonb(n) AS data FROM generate_series(1, 1200) n $$, 'reg_import.many');
SELECT event_type, count(*), max(aggregate_version) FROM reg_import.many WHERE aggregate_id = 'new' GROUP BY 1;

SET client_min_messages = warning;
-- columns of other types
CREATE DOMAIN reg_import.moment AS timestamptz;
SET DateStyle = 'SQL, DMY';
SET TimeZone = 'Asia/Kolkata';
SELECT * FROM eventstore.import_events($$
  SELECT 'typed-1'::char(12) AS event_id, 'padded'::char(20) AS event_type, 'typed'::char(30) AS aggregate_id, 1.0 AS aggregate_version,
         '2026-02-01 12:00Z'::reg_import.moment AS occurred_at, 2.50 AS data
  UNION ALL SELECT 'typed-2', 'padded', 'typed', 2, '2026-02-01 12:00Z', 'NaN' WHERE false $$, 'reg_import.many');
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, date '2026-02-03'::timestamptz AS occurred_at, '{"a": 1}'::json AS data, 'typed-3'::name AS event_id $$, 'reg_import.many');
RESET DateStyle;
SET TimeZone = 'UTC';
SELECT '<' || event_id || '>' AS event_id, event_type, aggregate_id, occurred_at, data FROM reg_import.many WHERE event_id LIKE 'typed%' ORDER BY event_id;
SELECT * FROM eventstore.import_events('SELECT 1 AS event_type, true AS data');
SELECT * FROM eventstore.import_events('SELECT 1 AS event_type, ARRAY[1] AS data');
SELECT * FROM eventstore.import_events('SELECT 1 AS event_type, 20260203 AS occurred_at, 1 AS data');
SELECT * FROM eventstore.import_events($$ SELECT 1 AS event_type, 'z' AS aggregate_version, 1 AS data, 8 AS line $$);
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, 'u' AS event_type, 1 AS data $$);
SELECT * FROM eventstore.import_events($$ SELECT '{}' AS event, 'a' AS aggregate_id $$);

-- the same id twice is there already the second time, wherever it stands
SELECT * FROM eventstore.import_events($$ SELECT 'twice-' || n % 10 AS event_id, 't' AS event_type, n % 10 AS data FROM generate_series(0, 24) n $$);
SELECT * FROM eventstore.import_events($$ SELECT 'again-' || n % 1500 AS event_id, 't' AS event_type, n % 1500 AS data FROM generate_series(0, 2999) n $$);
SELECT * FROM eventstore.import_events($$ SELECT 'third-' || n % 10 AS event_id, 't' AS event_type, n AS data FROM generate_series(0, 24) n $$);

-- metadata that an INSERT made JSON null
INSERT INTO reg_import.target (event_id, event_type, data, metadata) VALUES ('null-1', 't', '1', 'null');
SELECT * FROM eventstore.import_events($$ SELECT event_id, event_type, data, metadata FROM reg_import.target WHERE event_id = 'null-1' $$);

-- what a query or a trigger may do meanwhile
CREATE FUNCTION reg_import.nested(n integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    PERFORM eventstore.append_to_aggregate('nested', array_fill('t'::text, ARRAY[5000]) || '', array_fill('1'::jsonb, ARRAY[5001]));
  EXCEPTION WHEN OTHERS THEN NULL;
  END;
  IF n = 30 THEN RAISE 'row %', n; END IF;
  RETURN 't';
END $$;
SELECT * FROM eventstore.import_events('SELECT 1 AS line, reg_import.nested(n) AS event_type, n AS data FROM generate_series(1, 20) n');
SELECT * FROM eventstore.import_events('SELECT 1 AS line, reg_import.nested(n) AS event_type, n AS data FROM generate_series(1, 31) n');
SELECT * FROM eventstore.import_events($$ SELECT 1 AS line, eventstore.append_event('', '1') AS event_type, 1 AS data $$);
SELECT * FROM eventstore.import_events($$ SELECT 1 AS line, (SELECT imported FROM eventstore.import_json('[{"event_type": ""}]')) AS event_type, 1 AS data $$);
SELECT eventstore.create_store('reg_import.moving', 'off');
CREATE FUNCTION reg_import.ddl(n integer, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF n = 1500 THEN EXECUTE command; END IF;
  RETURN 't';
END $$;
SELECT * FROM eventstore.import_events($$ SELECT reg_import.ddl(n, 'CLOSE ALL') AS event_type, n AS data FROM generate_series(1, 2500) n $$, 'reg_import.moving');
SELECT * FROM eventstore.import_events($$ SELECT reg_import.ddl(n, 'ALTER TABLE reg_import.moving ALTER data TYPE text') AS event_type, n AS data FROM generate_series(1, 2500) n $$, 'reg_import.moving');
\set VERBOSITY sqlstate
SELECT * FROM eventstore.import_events($$ SELECT reg_import.ddl(n, 'ALTER TABLE reg_import.moving ADD CHECK (data < ''2000'') NOT VALID') AS event_type, n AS data FROM generate_series(1, 2500) n $$, 'reg_import.moving');
SELECT * FROM eventstore.import_events($$ SELECT reg_import.ddl(n, 'DROP TABLE reg_import.moving') AS event_type, n AS data FROM generate_series(1, 2500) n $$, 'reg_import.moving');
CREATE FUNCTION reg_import.close_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CLOSE ALL'; RETURN NEW; END $$;
CREATE TRIGGER close_all BEFORE INSERT ON reg_import.moving FOR EACH ROW EXECUTE FUNCTION reg_import.close_all();
SELECT * FROM eventstore.import_events('SELECT 1 AS event_type, n AS data FROM generate_series(1, 2500) n', 'reg_import.moving');
\set VERBOSITY default
SELECT count(*) FROM reg_import.moving;

-- whole rows as JSON: their position is ignored, but data if there is no other
SELECT eventstore.create_store('reg_import.rows', 'off');
SELECT * FROM eventstore.import_events('SELECT to_jsonb(s) AS event FROM reg_import.source s ORDER BY position', 'reg_import.rows');
SELECT count(*) FROM (SELECT event_id, data, metadata FROM reg_import.source EXCEPT SELECT event_id, data, metadata FROM reg_import.rows) d;
SELECT * FROM eventstore.import_json('{"event_type": "moved", "position": 5}', 'reg_import.rows');
SELECT data FROM reg_import.rows WHERE event_type = 'moved';
SELECT * FROM eventstore.import_json('{"event_type": "moved", "data": 1, "Position": 5}', 'reg_import.rows');
SELECT * FROM eventstore.append('{"event_type": "moved", "data": 1, "position": 5}', store => 'reg_import.rows');

-- what a trigger raises is told with the events of the lot
CREATE FUNCTION reg_import.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no lucky numbers'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON reg_import.rows FOR EACH ROW WHEN (NEW.data = '77') EXECUTE FUNCTION reg_import.refuse();
SELECT * FROM eventstore.import_events('SELECT ''n'' AS event_type, n AS data FROM generate_series(1, 100) n', 'reg_import.rows');

-- privileges: those of an append, and of the query
CREATE ROLE reg_import_role;
GRANT USAGE ON SCHEMA reg_import, eventstore TO reg_import_role;
SET ROLE reg_import_role;
SELECT * FROM eventstore.import_json('[]', 'reg_import.target');
RESET ROLE;
GRANT INSERT, SELECT ON reg_import.target TO reg_import_role;
SET ROLE reg_import_role;
SELECT * FROM eventstore.import_json('[]', 'reg_import.target');
SELECT * FROM eventstore.import_events('reg_import.source', 'reg_import.target');
SELECT * FROM eventstore.export_events(store => 'reg_import.source');
RESET ROLE;

-- export, and back
SELECT * FROM eventstore.export_events(store => 'reg_import.source');
SELECT * FROM eventstore.export_events(2, 1, 'reg_import.source');
SELECT * FROM eventstore.export_events(max_count => -1);
SELECT eventstore.create_store('reg_import.back', 'off');
SELECT * FROM eventstore.import_events('SELECT event FROM eventstore.export_events(store => $s$reg_import.source$s$)', 'reg_import.back');
SELECT count(*) FROM (TABLE reg_import.source EXCEPT TABLE reg_import.back) d;
SELECT count(*), count(DISTINCT event) FROM eventstore.export_events(store => 'reg_import.many');

-- a store's own past, which does not grow while it is read
SELECT imported, present FROM eventstore.import_events('SELECT event_type, data FROM reg_import.target ORDER BY position');

-- a cast of the user's own is for the query to make, where the caller sees it: it is a function, which would run with the caller's rights
SELECT eventstore.create_store('reg_import.casts', 'off');
CREATE TYPE reg_import.number AS (n integer);
CREATE FUNCTION reg_import.as_version(reg_import.number, integer, boolean) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RAISE WARNING 'the cast is made with % and %', $2, $3;
  RETURN ($1).n;
END $$;
CREATE CAST (reg_import.number AS integer) WITH FUNCTION reg_import.as_version(reg_import.number, integer, boolean);
CREATE FUNCTION reg_import.as_line(reg_import.number) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'a line is made'; RETURN ($1).n; END $$;
CREATE CAST (reg_import.number AS bigint) WITH FUNCTION reg_import.as_line(reg_import.number);
CREATE CAST (reg_import.number AS timestamptz) WITH INOUT;
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, 'own' AS aggregate_id, ROW(1)::reg_import.number AS aggregate_version, 1 AS data $$, 'reg_import.casts');
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, ROW(1)::reg_import.number AS line, 1 AS data $$, 'reg_import.casts');
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, ROW(1)::reg_import.number AS occurred_at, 1 AS data $$, 'reg_import.casts');
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, 'own' AS aggregate_id, ROW(1)::reg_import.number::integer AS aggregate_version, 1 AS data $$, 'reg_import.casts');
SELECT aggregate_id, aggregate_version FROM reg_import.casts WHERE aggregate_id = 'own';

-- the progress of this session's work, the outermost of it, seen from inside
SELECT * FROM eventstore.progress;
SELECT * FROM eventstore.import_events($$ SELECT 'p' AS event_type, to_jsonb(p.work) AS data FROM (SELECT work FROM eventstore.progress) p $$);
SELECT * FROM eventstore.import_events($$ SELECT 'p' AS event_type, to_jsonb(x.count) AS data FROM (SELECT count(*) FROM eventstore.export_events()) x
  UNION ALL SELECT 'p', to_jsonb(p.work) AS data FROM (SELECT work FROM eventstore.progress) p $$);
SELECT DISTINCT data FROM reg_import.target WHERE event_type = 'p' AND data <> '0' AND jsonb_typeof(data) = 'string';

SET client_min_messages = warning;
DROP SCHEMA reg_import CASCADE;
REVOKE USAGE ON SCHEMA eventstore FROM reg_import_role;
DROP ROLE reg_import_role;
