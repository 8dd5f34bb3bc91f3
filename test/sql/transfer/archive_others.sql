-- What is imported, exported and erased where a store has an archive
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SELECT eventstore.create_store('reg_archive_others.events', 'off');
SET pg_eventstore.store = 'reg_archive_others.events';
SELECT imported, present FROM eventstore.import_events($$
  SELECT 'e-' || n AS event_id, 'counted' AS event_type, timestamptz '2026-01-01Z' + n * interval '1 day' AS occurred_at,
         CASE WHEN n % 5 > 0 THEN 'agg-' || n % 2 END AS aggregate_id, to_jsonb(n) AS data
    FROM generate_series(1, 20) n $$);
SELECT eventstore.archive_events(before_position => 11);
CREATE VIEW reg_archive_others.places AS
  SELECT 'live' AS place, * FROM reg_archive_others.events UNION ALL SELECT 'archive', * FROM reg_archive_others.events_archive;

-- export: the archive, too, unless told otherwise
SELECT count(*), min(position), max(position) FROM eventstore.export_events();
SELECT count(*), min(position), max(position) FROM eventstore.export_events(include_archived => NULL);
SELECT count(*), min(position), max(position) FROM eventstore.export_events(include_archived => false);
SELECT position, event FROM eventstore.export_events(9, 3);

-- import: what is in the archive is there already
SELECT imported, present FROM eventstore.import_events('TABLE reg_archive_others.events_archive');
SELECT imported, present FROM eventstore.import_events('SELECT event FROM eventstore.export_events()');
SELECT imported, present FROM eventstore.import_events($$
  SELECT 'e-' || n AS event_id, 'counted' AS event_type, timestamptz '2026-01-01Z' + n * interval '1 day' AS occurred_at,
         CASE WHEN n % 5 > 0 THEN 'agg-' || n % 2 END AS aggregate_id, to_jsonb(n) AS data
    FROM generate_series(1, 25) n $$);
SELECT imported, present FROM eventstore.import_json('[{"event_id": "e-1", "event_type": "counted", "aggregate_id": "agg-1", "aggregate_version": 1, "data": 2}]');
SELECT imported, present FROM eventstore.import_json('[{"event_id": "other", "event_type": "counted", "aggregate_id": "agg-1", "aggregate_version": 1, "data": 1}]');
SELECT imported, present FROM eventstore.import_json('[{"event_id": "e-1", "event_type": "counted", "aggregate_id": "new", "data": 1}]');
-- also past the limit of locks, with an event of the same aggregate that is new
SET pg_eventstore.max_aggregate_locks = 0;
SELECT imported, present FROM eventstore.import_events($$
  SELECT 'e-' || n AS event_id, 'counted' AS event_type, timestamptz '2026-01-01Z' + n * interval '1 day' AS occurred_at,
         CASE WHEN n % 5 > 0 THEN 'agg-' || n % 2 END AS aggregate_id, to_jsonb(n) AS data
    FROM generate_series(1, 30) n $$);
RESET pg_eventstore.max_aggregate_locks;
SELECT place, count(*), min(position), max(position) FROM reg_archive_others.places GROUP BY 1 ORDER BY 1;
SELECT aggregate_id, count(*), max(aggregate_version) FROM reg_archive_others.places WHERE aggregate_id IS NOT NULL GROUP BY 1 ORDER BY 1;

-- the planner's estimates
CREATE FUNCTION pg_temp.rows_of(call text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) SELECT * FROM eventstore.' || call INTO plan;
  RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
SELECT imported FROM eventstore.import_events('SELECT ''t'' AS event_type, 1 AS data FROM generate_series(1, 3000)');
ANALYZE reg_archive_others.events, reg_archive_others.events_archive;
SELECT call, pg_temp.rows_of(call) FROM unnest(ARRAY['export_events()', 'export_events(0, 7)', 'export_events(1000)', 'export_events(include_archived => false)',
  'read_events()', 'read_events(include_archived => false)', 'get_latest_events()', 'get_latest_events(include_archived => false)', 'get_latest_events(NULL, NULL, NULL)']) call;

-- erasing reaches the archive, and needs the privilege there, too
CREATE ROLE reg_archive_others_officer;
GRANT USAGE ON SCHEMA eventstore, reg_archive_others TO reg_archive_others_officer;
GRANT SELECT, UPDATE (data, metadata) ON reg_archive_others.events TO reg_archive_others_officer;
SET ROLE reg_archive_others_officer;
-- so does an export
SELECT count(*) FROM eventstore.export_events();
SELECT count(*) FROM eventstore.export_events(include_archived => false);
SELECT eventstore.erase_aggregate('agg-1', 'requested');
RESET ROLE;
GRANT SELECT, UPDATE (data, metadata) ON reg_archive_others.events_archive TO reg_archive_others_officer;
SET ROLE reg_archive_others_officer;
SELECT eventstore.erase_aggregate('agg-1', 'requested');
SELECT eventstore.erase_aggregate('agg-1', 'requested');
SELECT eventstore.redact_event('e-2', 'requested', '"masked"');
SELECT eventstore.redact_event('e-5', 'requested');
SELECT eventstore.redact_event('e-99', 'requested');
UPDATE reg_archive_others.events_archive SET data = '1';
RESET ROLE;
SELECT place, aggregate_id, data, count(*) FROM reg_archive_others.places WHERE metadata IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT aggregate_id, event_id, events, values_given, reason FROM eventstore.erasures WHERE store = 'reg_archive_others.events'::regclass ORDER BY erased_at;
-- what is erased goes on its way
SELECT eventstore.archive_events(before_position => 21);
SELECT place, aggregate_id, data, count(*) FROM reg_archive_others.places WHERE metadata IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT * FROM eventstore.progress;

DROP VIEW reg_archive_others.places;
SELECT eventstore.drop_store('reg_archive_others.events', true);
DROP SCHEMA reg_archive_others CASCADE;
REVOKE USAGE ON SCHEMA eventstore FROM reg_archive_others_officer;
DROP ROLE reg_archive_others_officer;
