-- paging by time: a page continues after the last event of the page before, also among events of one time
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_paging.events', 'off');
SET pg_eventstore.store = 'reg_paging.events';
-- 300 events of one call have the time of its transaction; before and after them others, against their positions
SELECT eventstore.append_event('t', to_jsonb(n), 'late-' || n, aggregate_type => 'T', correlation_id => 'c', causation_id => 'd', occurred_at => '9999-12-31Z')
  FROM generate_series(1, 3) n \g /dev/null
SELECT count(*) FROM eventstore.append((SELECT jsonb_agg(jsonb_build_object('event_type', 't', 'aggregate_id', 'a-' || n % 7, 'aggregate_type', 'T',
  'correlation_id', 'c', 'causation_id', 'd', 'n', n) ORDER BY n) FROM generate_series(1, 300) n));
SELECT eventstore.append_event('other', '0', aggregate_type => 'U', correlation_id => 'c2', causation_id => 'd2', occurred_at => '2020-01-01Z');
SELECT eventstore.append_event('t', to_jsonb(n), 'early-' || n, aggregate_type => 'T', correlation_id => 'c', causation_id => 'd',
  occurred_at => CASE WHEN n < 5 THEN timestamptz '2020-01-01 00:00:00.123456Z' ELSE '1815-12-10Z' END) FROM generate_series(1, 6) n \g /dev/null

-- the positions of all pages, one after another; a cursor is the position, with or without the time
CREATE FUNCTION pg_temp.pages(reader text, value text, size integer, with_time boolean DEFAULT false) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  seen bigint[] := '{}';
  page bigint[];
  times timestamptz[];
BEGIN
  LOOP
    EXECUTE format('SELECT array_agg(position), array_agg(occurred_at) FROM eventstore.%I($1, after_position => $2, max_count => $3, start_date => $4)', reader)
      INTO page, times USING value, seen[cardinality(seen)], size, CASE WHEN with_time THEN times[cardinality(times)] END;
    EXIT WHEN page IS NULL;
    seen := seen || page;
    IF cardinality(seen) > 1000 THEN
      RAISE EXCEPTION 'pages repeat';
    END IF;
  END LOOP;
  RETURN seen;
END $$;
SELECT reader, size, pg_temp.pages(reader, value, size) = wanted AS pages, pg_temp.pages(reader, value, size, true) = wanted AS with_time
  FROM (VALUES ('get_events_by_type', 't'), ('get_events_by_aggregate_type', 'T'), ('get_events_by_correlation_id', 'c'), ('get_events_by_causation_id', 'd')) r (reader, value),
       unnest('{1,7,100,309,1000}'::int[]) size,
       (SELECT array_agg(position ORDER BY occurred_at, position) AS wanted FROM reg_paging.events WHERE event_type = 't') w
  ORDER BY reader, size;

-- a client whose times have milliseconds only passes a time that is too early; the position decides
SELECT array_agg(data) FROM eventstore.get_events_by_type('t', '2020-01-01Z', max_count => 5);
SELECT array_agg(e.data) FROM (SELECT position FROM eventstore.get_events_by_type('t', '2020-01-01Z') LIMIT 1) first,
  LATERAL eventstore.get_events_by_type('t', '2020-01-01 00:00:00.123Z', first.position, 5) e;
-- a start date later than the event at the position; 0 and NULL begin at the start
SELECT count(*) FROM (SELECT position FROM eventstore.get_events_by_type('t') LIMIT 1) first, LATERAL eventstore.get_events_by_type('t', '9999-12-31Z', first.position) e;
SELECT count(*) AS "0", (SELECT count(*) FROM eventstore.get_events_by_type('t', NULL, NULL)) AS "null" FROM eventstore.get_events_by_type('t', after_position => 0);
-- an event of another kind is a place in time like any
SELECT array_agg(data) FROM (SELECT position FROM eventstore.get_events_by_type('other')) other, LATERAL eventstore.get_events_by_type('t', after_position => other.position, max_count => 5) e;
-- a position without an event has no place in time
SELECT * FROM eventstore.get_events_by_type('t', after_position => 4000);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM eventstore.get_events_by_causation_id('d', '2020-01-01Z', -1);

-- the other readers page by what orders them: versions, and positions
CREATE FUNCTION pg_temp.versions(size integer, backwards boolean) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
  seen int[] := '{}';
  page int[];
BEGIN
  LOOP
    page := ARRAY(SELECT aggregate_version FROM eventstore.get_events_by_aggregate('a-1', CASE WHEN NOT backwards THEN seen[cardinality(seen)] + 1 END,
      CASE WHEN backwards THEN seen[cardinality(seen)] - 1 END, size, backwards));
    EXIT WHEN page = '{}';
    seen := seen || page;
  END LOOP;
  RETURN seen;
END $$;
SELECT pg_temp.versions(5, false) = ARRAY(SELECT generate_series(1, 43)) AS forwards, pg_temp.versions(5, true) = ARRAY(SELECT generate_series(43, 1, -1)) AS backwards;

RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_paging.events', true);
DROP SCHEMA reg_paging;
