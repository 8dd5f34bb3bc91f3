-- occurred_at in JSON: which texts are times, and that no setting decides what they mean
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_times.events', 'off');
SET pg_eventstore.store = 'reg_times.events';
SET TimeZone = 'Europe/Berlin';
SET DateStyle = 'SQL, DMY';

-- what a text is taken for, as a time in UTC; or the error
CREATE FUNCTION pg_temp.time_of(given text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  stored timestamptz;
  detail text;
BEGIN
  PERFORM eventstore.append_events(jsonb_build_object('event_type', 't', 'aggregate_id', 'a', 'event_id', 'e', 'occurred_at', given));
  SELECT occurred_at INTO stored FROM eventstore.get_event('e');
  -- the same call again stores nothing
  PERFORM eventstore.append_events(jsonb_build_object('event_type', 't', 'aggregate_id', 'a', 'event_id', 'e', 'occurred_at', given));
  ASSERT (SELECT count(*) = 1 FROM reg_times.events);
  RAISE EXCEPTION USING ERRCODE = 'ZZZZZ', MESSAGE = to_char(stored AT TIME ZONE 'UTC', 'FMYYYY-MM-DD HH24:MI:SS.US BC');
EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
  RETURN SQLERRM;
WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN SQLSTATE || ' ' || detail;
END $$;

-- ISO 8601, extended and basic; and PostgreSQL's own output
SELECT given, pg_temp.time_of(given) FROM unnest(ARRAY[
  '2026-01-31T12:00:00Z', '2026-01-31t12:00:00z', '2026-01-31 12:00:00Z', '2026-01-31T12:00Z',
  '2026-01-31T12:00:00.1Z', '2026-01-31T12:00:00.123456Z', '2026-01-31T12:00:00,5Z', '2026-01-31T12:00:00.123456789Z', '2026-01-31T23:59:59.9999999Z',
  '2026-01-31T12:00:00+02:00', '2026-01-31T12:00:00+02', '2026-01-31T12:00:00+0200', '2026-01-31T12:00:00-09:30', '2026-01-31T12:00:00.000-00:00',
  '20260131T120000Z', '20260131T1200Z', '20260131T120000.5+0530', '20260131 120000Z', '20260131', '2026-01-31T24:00:00Z', '2026-12-31T23:59:60Z',
  '2026-01-31 12:00:00+00', '2026-01-31 12:00:00.5+05:45', '1890-01-31 12:00:00-00:01:15', '1890-01-31T12:00:00+00:53:28', '12026-01-31 12:00:00+00', '12026-01-31T12:00:00+00:00', '294276-12-31 23:59:59.999999+00',
  '0044-03-15 12:00:00+00 BC', '0044-03-15T12:00:00+00:00 BC', '4713-01-01 00:00:00+00 BC',
  -- without a zone: UTC, in whatever session
  '2026-01-31T12:00:00', '2026-01-31 12:00:00.25', '2026-01-31', '0044-03-15 BC', '20260131T120000', '2026-03-29T02:30:00', '2026-10-25T02:30:00']) given;

-- anything else is refused
SELECT given, pg_temp.time_of(given) FROM unnest(ARRAY[
  'now', 'today', 'tomorrow', 'yesterday', 'epoch', 'allballs', 'infinity', '-infinity', 'never', '',
  '01/02/2024', '1/2/2024 12:00', '01-02-2024', '01.02.2024', 'Jan 2 2024', '2 January 2024 12:00 UTC', 'Fri Jan 02 12:00:00 2026 CET', '02.01.2026 12:00:00 CET',
  '2026-01-31T12:00:00 Europe/Berlin', '2026-01-31T12:00:00 CET', '2026-01-31T12:00:00 UTC', '2026-01-31T12:00:00CET', '2026-01-31 12:00:00 PM', '2026-01-31T12:00:00Z now',
  ' 2026-01-31T12:00:00Z', '2026-01-31T12:00:00Z ', E'2026-01-31T12:00:00Z\n', '2026-01-31  12:00:00Z', '2026-01-31T', '2026-01-31Z', '2026-01-31+02:00',
  '2026-1-31T12:00:00Z', '2026-01-1', '26-01-31', '026-01-31', '2026-0131', '202601-31', '1202601311200', '20260131120000', '2026-031', '2026031', '2026-W05-6', '2026W056', 'J2461072', '2026.031', '2026-01', '2026', '+2026-01-31', '-0044-03-15', '1769860800', '12:00:00Z', 'T12:00:00Z',
  '2026-01-31T12Z', '2026-01-31T12', '2026-01-31T1:00Z', '2026-01-31T12:0Z', '2026-01-31T12:00:0Z', '2026-01-31T12:00:00.Z', '2026-01-31T12:00.5Z', '2026-01-31T12.5Z', '2026-01-31T12:0000Z', '2026-01-31T1200:00Z',
  '2026-01-31T12:00:00+2', '2026-01-31T12:00:00+02:0', '2026-01-31T12:00:00+02:00:0', '2026-01-31T12:00:00+', '2026-01-31T12:00:00+02:00Z', '2026-01-31T12:00:00--02', '2026-01-31T12:00:00 +02:00', '0044-03-15 12:00:00 BC+00', '0044-03-15 bc', '0044-03-15 AD', U&'2026-01-31T12:00:00\221202:00', U&'\0662\0660\0662\0666-01-31']) given;
-- of the right shape, but no such time
SELECT given, pg_temp.time_of(given) FROM unnest(ARRAY[
  '2026-02-30', '2026-13-01T00:00:00Z', '2026-00-10', '2026-01-00', '0000-01-01', '2026-01-31T25:00:00Z', '2026-01-31T24:00:01Z', '2026-01-31T12:60:00Z', '2026-01-31T12:00:61Z', '2026-01-31T12:00:00+16:00', '2026-01-31T12:00:00+12:60', '294277-01-01', '300000-01-01', '999999-01-01T00:00:00Z', '4714-11-23 23:59:59+00 BC', '2023-02-29', '20230229T000000Z']) given;
-- long ones are cut in the message
SELECT length(pg_temp.time_of(repeat('2026-01-31 ', 1000)));

-- the message
\set VERBOSITY default
SELECT eventstore.append_events('[{"event_type": "t"}, {"event_type": "t", "occurred_at": "tomorrow"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_events('{"event_type": "t", "occurred_at": "2026-02-30T12:00:00Z"}');
\echo :LAST_ERROR_SQLSTATE

-- whatever the settings are, the time is the same
CREATE TABLE reg_times.seen (given text, taken timestamptz);
SELECT set_config('DateStyle', style, false), set_config('TimeZone', zone, false), set_config('IntervalStyle', intervals, false),
       pg_temp.time_of('2026-02-03T04:05:06'), pg_temp.time_of('2026-02-03'), pg_temp.time_of('0044-03-15 BC'), pg_temp.time_of('20260203T040506.5+01')
  FROM (VALUES ('ISO, YMD', 'UTC', 'postgres'), ('German, DMY', 'America/New_York', 'sql_standard'), ('Postgres, MDY', 'Asia/Kathmandu', 'iso_8601'), ('SQL, YMD', '-13:30', 'postgres_verbose')) s (style, zone, intervals);
-- what PostgreSQL writes in style ISO, and to_jsonb in any style, is taken back
SET DateStyle = 'ISO, DMY';
SET TimeZone = 'Europe/London';
SELECT bool_and(pg_temp.time_of(t::text) = x AND pg_temp.time_of(to_jsonb(t) #>> '{}') = x), count(*)
  FROM generate_series(timestamptz '0500-01-01 00:00:00.123457+00 BC', '12000-01-01', '123 days 04:05:06.789') t,
       to_char(t AT TIME ZONE 'UTC', 'FMYYYY-MM-DD HH24:MI:SS.US BC') x
 WHERE extract(day FROM t) = 1;

RESET TimeZone;
RESET DateStyle;
RESET IntervalStyle;
RESET pg_eventstore.store;
SELECT count(*) AS stored FROM reg_times.events;
SELECT eventstore.drop_store('reg_times.events', force => true);
DROP SCHEMA reg_times CASCADE;
