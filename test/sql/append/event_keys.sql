-- keys of an event that are nearly known ones: refused, with both names, and nothing stored
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_event_keys.events', 'off');
SET pg_eventstore.store = 'reg_event_keys.events';
\set VERBOSITY default

SELECT eventstore.append_events('{"event_type": "x", "aggregateId": "o-1", "total": 3}');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_events('[{"event_type": "x"}, {"event_type": "x", "aggregate_id": "o-1", "event-id": "e-1"}]');
SELECT eventstore.append_events('{"event_type": "x", "aggregateId": "o-1", "data": {}}');
SELECT * FROM eventstore.append('[{"event_type": "x", "AggregateType": "Order"}]');
SELECT * FROM eventstore.append('[{"event_type": "x", "data": 1, "OccurredAt": "2026-01-31T12:00:00Z"}]');
-- before what is missing because of it
SELECT eventstore.append_events('{"eventType": "x"}');
SELECT eventstore.append_events('{"event_type": "x", "Data": {"n": 1}}');
SELECT eventstore.append_events('{"event_type": "x", "event_type ": "y"}');
-- also beside the key that it resembles
SELECT eventstore.append_events('{"event_type": "x", "aggregate_id": "o-1", "aggregateId": "o-2"}');

-- each key, in each way of writing
CREATE FUNCTION pg_temp.state_of(events jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.append_events(events);
  RETURN 'stored';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT key, way, pg_temp.state_of(jsonb_build_object('event_type', 't', written, 'v'))
  FROM unnest('{event_id,event_type,occurred_at,correlation_id,causation_id,aggregate_id,aggregate_type,aggregate_version,data,metadata}'::text[]) WITH ORDINALITY k (key, n),
       LATERAL (VALUES ('camel', lower(left(key, 1)) || substr(replace(initcap(replace(key, '_', ' ')), ' ', ''), 2)),
                       ('upper', upper(key)), ('kebab', replace(key, '_', '-')), ('doubled', key || '_')) w (way, written)
 WHERE written <> key
 ORDER BY n, way;

-- keys that only look a little like one are data; so is whatever is inside data or metadata; ids are not keys
BEGIN;
SELECT eventstore.append_events('{"event_type": "x", "aggregate_id": "free", "aggregate_ids": 1, "event.id": 2, "type": 3, "Position": 4, "position": 5, "_": 6, "-": 7, "": 8, "Événement": 9}');
SELECT eventstore.append_events('{"event_type": "x", "aggregate_id": "free", "data": {"aggregateId": "o-1"}, "metadata": {"eventId": 1}}');
SELECT aggregate_version, data, metadata FROM eventstore.get_events_by_aggregate('free');
SELECT aggregate_id, aggregate_version FROM eventstore.append('[{"event_type": "x", "aggregate_id": "event-id"}]', '{"event-id": 0, "eventId": 0, "EVENT_ID": 0}');
ROLLBACK;
-- a position beside data is an unknown key, however it is written
SELECT eventstore.append_events('{"event_type": "x", "data": 1, "Position": 4}');

-- a key that is not there, and one that is null
SELECT eventstore.append_events('[{"event_type": "x"}, {"data": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_events('[{"event_type": "x"}, {"event_type": null}]');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_events('{}');
SELECT eventstore.append_to_aggregate('a', '{x,NULL}', '{1,2}');
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,NULL}');
SELECT eventstore.append_event(NULL, '1');
SELECT eventstore.append_event('x', NULL);

SELECT count(*) AS stored FROM reg_event_keys.events;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_event_keys.events', force => true);
DROP SCHEMA reg_event_keys;
