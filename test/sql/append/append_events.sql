-- append_events(): the events of one aggregate, as JSON
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_append_events.events');
SET pg_eventstore.store = 'reg_append_events.events';

-- flat events: the unknown keys are the data
SELECT eventstore.append_events('[
  {"event_type": "user_created", "aggregate_id": "123", "aggregate_type": "User",
   "user_id": "123", "name": "John Doe", "tags": ["a", {"b": null}]},
  {"event_type": "email_verified", "aggregate_id": "123", "at": "2026-01-31"}]');

-- events with the key data
SELECT eventstore.append_events('[
  {"event_id": "e-3", "event_type": "email_changed", "occurred_at": "2026-01-31T12:00:00+02:00",
   "correlation_id": "c-1", "causation_id": "e-2", "aggregate_id": "123", "aggregate_type": "User",
   "aggregate_version": 3, "data": {"email": "john@example.com"}, "metadata": {"by": "me"}}]', 2);
SELECT position, event_type, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata
  FROM reg_append_events.events ORDER BY position;
SELECT event_id, occurred_at FROM reg_append_events.events WHERE position = 3;
SELECT length(event_id), occurred_at BETWEEN now() - interval '10 minutes' AND now() AS recent
  FROM reg_append_events.events WHERE position < 3 ORDER BY position;

-- one object is one event
SELECT eventstore.append_events('{"event_type": "renamed", "aggregate_id": "123", "name": "Jon"}', 3);

-- data may be any JSON value; JSON null is a value of data and no value of other keys
SELECT eventstore.append_events('[
  {"event_type": "t", "aggregate_id": "json", "data": null, "metadata": null},
  {"event_type": "t", "aggregate_id": "json", "data": "text", "metadata": "text"},
  {"event_type": "t", "aggregate_id": "json", "data": 1.50, "metadata": 0},
  {"event_type": "t", "aggregate_id": "json", "data": true, "metadata": false},
  {"event_type": "t", "aggregate_id": "json", "data": [1, [2, {}]], "metadata": []},
  {"event_type": "t", "aggregate_id": "json", "data": {}, "metadata": {"a": {"b": [null]}}},
  {"event_type": "t", "aggregate_id": "json"},
  {"event_type": "t", "aggregate_id": "json", "event_id": null, "occurred_at": null, "correlation_id": null,
   "causation_id": null, "aggregate_type": null, "aggregate_version": null, "kept": null}]');
SELECT aggregate_version, data, metadata, metadata IS NULL AS no_metadata,
       num_nulls(correlation_id, causation_id, aggregate_type) AS nulls
  FROM reg_append_events.events WHERE aggregate_id = 'json' ORDER BY position;

-- events of no aggregate have no version
\pset null '(null)'
SELECT eventstore.append_events('[{"event_type": "ping", "n": 1}, {"event_type": "ping", "n": 2}]');
SELECT eventstore.append_events('[{"event_type": "ping", "aggregate_id": null, "n": 3}]', NULL);
SELECT aggregate_id, aggregate_version, data FROM reg_append_events.events WHERE event_type = 'ping' ORDER BY position;
\pset null ''

-- expected_version: null any, 0 none yet, n exactly n
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "v"}]', 0);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "v"}, {"event_type": "t", "aggregate_id": "v"}]', 1);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "v"}]', expected_version => NULL);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "v"}]', 0);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "v"}]', 3);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "v"}]', 5);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "new"}]', 1);
SELECT eventstore.get_aggregate_version('v'), eventstore.get_aggregate_version('new');

-- nothing to append
SELECT eventstore.append_events('[]');
SELECT eventstore.append_events('[]', 0);
SELECT eventstore.append_events('[]', 7);

-- ids are compared exactly
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "Case"}]', 0);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "case"}]', 0);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "case "}]', 0);
SELECT eventstore.append_events(jsonb_build_array(jsonb_build_object('event_type', 't', 'aggregate_id', 'ein Größenmaß €')), 0);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "quote\"back\\slash''tick"}]', 0);
SELECT eventstore.get_aggregate_version('quote"back\slash''tick');

-- an aggregate keeps its type; events without one take it over
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "123"}]');
SELECT aggregate_type FROM eventstore.get_events_by_aggregate('123', backwards => true, max_count => 1);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "123", "aggregate_type": "Order"}]');
SELECT eventstore.append_events('[
  {"event_type": "t", "aggregate_id": "mixed", "aggregate_type": "User"},
  {"event_type": "t", "aggregate_id": "mixed", "aggregate_type": "Order"}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "late"}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "late", "aggregate_type": "Late"}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "late", "aggregate_type": "Other"}]');
SELECT aggregate_version, aggregate_type FROM eventstore.get_events_by_aggregate('late');

-- several aggregates are for append()
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a"}, {"event_type": "t", "aggregate_id": "b"}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a"}, {"event_type": "t"}]');

-- all or none
SELECT count(*) FROM reg_append_events.events WHERE aggregate_id IN ('a', 'b', 'mixed', 'new');

-- by an untyped parameter, as drivers send it
PREPARE append_json AS SELECT eventstore.append_events($1, $2);
EXECUTE append_json('[{"event_type": "t", "aggregate_id": "p"}]', 0);
EXECUTE append_json('[{"event_type": "t", "aggregate_id": "p"}]', 1);
EXECUTE append_json('[{"event_type": "t", "aggregate_id": "p"}]', 1);
DEALLOCATE append_json;

-- the argument goes before the setting
SET pg_eventstore.store = 'reg_append_events.no_such';
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "p"}]', 2, 'reg_append_events.events');
RESET pg_eventstore.store;

-- versions have no gaps, and positions follow them
SELECT count(*) AS aggregates_with_gaps
  FROM (SELECT FROM reg_append_events.events WHERE aggregate_id IS NOT NULL
         GROUP BY aggregate_id HAVING max(aggregate_version) <> count(*)) gaps;
SELECT count(*) AS inverted
  FROM reg_append_events.events a JOIN reg_append_events.events b USING (aggregate_id)
 WHERE a.aggregate_version < b.aggregate_version AND a.position > b.position;
SELECT count(*) AS losers_burnt, (SELECT last_value FROM reg_append_events.events_position_seq) AS last_position
  FROM generate_series(1, (SELECT max(position) FROM reg_append_events.events)) p
 WHERE NOT EXISTS (SELECT FROM reg_append_events.events WHERE position = p);

SELECT eventstore.drop_store('reg_append_events.events', force => true);
DROP SCHEMA reg_append_events;
