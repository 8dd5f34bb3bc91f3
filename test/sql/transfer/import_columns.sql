-- the columns of an import: their names, and which types are taken
SET client_min_messages = warning;
SET TimeZone = 'Europe/Berlin';
SELECT eventstore.create_store('reg_columns.events', 'off');
SET pg_eventstore.store = 'reg_columns.events';
\set VERBOSITY default
\set SHOW_CONTEXT never

-- names
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, 1 AS data, 'o-1' AS "aggregateId" $$);
SELECT * FROM eventstore.import_events($$ SELECT 't' AS eventtype, 1 AS data $$);
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, 1 AS data, 'x' AS colour $$);
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type $$);
SELECT * FROM eventstore.import_events($$ SELECT 1 AS data $$);
SELECT * FROM eventstore.import_events($$ SELECT NULL AS event_type, 1 AS data $$);
SELECT * FROM eventstore.import_events($$ SELECT 't' AS event_type, NULL::jsonb AS data $$);
-- keys in JSON
SELECT * FROM eventstore.import_json('[{"event_type": "x"}, {"event_type": "x", "aggregateId": "o-1", "data": 1}]');
SELECT * FROM eventstore.import_json('[{"event_type": "x", "Aggregate_ID": "o-1"}]');
SELECT * FROM eventstore.import_json('[{"data": 1}]');
SELECT * FROM eventstore.import_events($$ SELECT 17 AS line, '{"eventType": "x"}' AS event $$);

-- a version is a whole number, of whatever type
CREATE FUNCTION pg_temp.imported(columns text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  event record;
  detail text;
  hint text;
BEGIN
  PERFORM eventstore.import_events('SELECT ''e'' AS event_id, ''t'' AS event_type, 1 AS data, ' || columns);
  SELECT * INTO event FROM eventstore.get_latest_events(1);
  -- the same again stores nothing
  ASSERT (SELECT present = 1 FROM eventstore.import_events('SELECT ''e'' AS event_id, ''t'' AS event_type, 1 AS data, ' || columns));
  RAISE EXCEPTION USING ERRCODE = 'ZZZZZ', MESSAGE = concat_ws('/', 'ok', event.aggregate_id, event.aggregate_version, event.correlation_id, event.metadata,
    to_char(CASE WHEN columns LIKE '%occurred_at%' THEN nullif(event.occurred_at, now()) END AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'));
EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
  RETURN SQLERRM;
WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
SELECT given, pg_temp.imported(format('''a'' AS aggregate_id, %s AS aggregate_version', given)) FROM unnest(ARRAY[
  '1', '1::smallint', '1::bigint', '1.0', '1.4', '0.6', '1e0::real', '1.4::real', '1::float8', '1.5::float8', '''1''', '''1.0''', '''1.4''', '''one''', '''1''::char(5)', '''1''::jsonb', '''1.0''::jsonb', '''1.4''::jsonb', '''"1"''::jsonb',
  '''NaN''::numeric', '''Infinity''::float8', '2147483648', '2147483648::numeric', '1e30', '1e30::float8', '1234567::real', '2147483646::float8', '0', '-1.0', 'true', '''1''::bit(4)', '''1''::"char"', '1::oid', '1::money', 'NULL', 'NULL::numeric']) given;
-- lines, too
SELECT given, pg_temp.imported(format('%s AS line', given)) FROM unnest(ARRAY['7', '7.0', '7.5', '7::float8', 'true', 'NULL::text']) given;
\set SHOW_CONTEXT always
SELECT * FROM eventstore.import_events($$ SELECT 16777215::real AS line, '' AS event_type, 1 AS data $$);
SELECT * FROM eventstore.import_events($$ SELECT 9007199254740991::float8 AS line, '' AS event_type, 1 AS data $$);
\set SHOW_CONTEXT never

-- a time is timestamptz, or text in the form that JSON has
SELECT given, pg_temp.imported(format('%s AS occurred_at', given)) FROM unnest(ARRAY[
  'timestamptz ''2026-03-29 02:30:00+00''', 'timestamptz(3) ''2026-03-29 02:30:00.123456+00''', '''2026-03-29T02:30:00Z''', '''2026-03-29T02:30:00''', '''2026-03-29''::varchar', '''2026-03-29T02:30:00+02''::char(40)',
  'timestamp ''2026-03-29 02:30:00''', 'timestamp ''2026-03-29 02:30:00'' AT TIME ZONE ''UTC''', 'date ''2026-03-29''', '''now''', '''tomorrow''', '''01/02/2024''', '''''', 'time ''12:00''', '1769860800', '''"2026-03-29T02:30:00Z"''::jsonb', 'interval ''1 day''', 'NULL', 'NULL::timestamp', 'timestamptz ''infinity''']) given;
SET DateStyle = 'SQL, DMY';
SELECT pg_temp.imported('''03/02/2026''::text AS occurred_at'), pg_temp.imported('timestamptz ''03/02/2026 00:00 UTC'' AS occurred_at');
RESET DateStyle;

-- ids and types: texts, and what has one text whatever the settings are
CREATE TYPE reg_columns.colour AS ENUM ('red', 'not red');
CREATE DOMAIN reg_columns.id AS uuid;
SELECT given, pg_temp.imported(format('%s AS correlation_id', given)) FROM unnest(ARRAY[
  '''x''', '''x''::varchar', '''x''::name', '''x''::"char"', '''x  ''::char(9)', '''x  ''', '1', '1::smallint', '1::bigint', '1.50', '''6f6b2c1e-7a53-4b1c-9d0a-000000000001''::uuid', '''6f6b2c1e-7a53-4b1c-9d0a-000000000001''::reg_columns.id', '''not red''::reg_columns.colour',
  'true', '1.5::real', '1::float8', 'date ''2026-03-29''', 'timestamptz ''2026-03-29''', 'interval ''1 day''', '''\x01''::bytea', '''"x"''::jsonb', '''"x"''::json', 'ARRAY[1]', 'ROW(1)', '''x''::xml', '''10.0.0.1''::inet', '1::money', '1::oid', '''pg_class''::regclass', 'int4range(1, 2)', 'NULL', 'NULL::boolean']) given;

-- data and metadata: JSON, its text, and numbers that are exact
SELECT given, pg_temp.imported(format('%s AS metadata', given)) FROM unnest(ARRAY[
  '''{"a": 1}''::jsonb', '''{"b": 1, "a": 1, "a": 2}''::json', '''{"a": 1}''', '''5''', '''text''', '''5''::varchar', '''5''::name', '5', '5::bigint', '5.50', '5::float8', 'true', 'NULL', 'NULL::boolean', 'ARRAY[1]', 'ROW(1)', '''<x/>''::xml', 'date ''2026-01-01''', '''NaN''::numeric', '1::money', '''pg_class''::regclass']) given;

RESET TimeZone;
RESET pg_eventstore.store;
SELECT count(*) AS stored FROM reg_columns.events;
SELECT eventstore.drop_store('reg_columns.events', force => true);
DROP SCHEMA reg_columns CASCADE;
