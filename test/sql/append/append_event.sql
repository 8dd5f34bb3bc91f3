-- append_event(): one event by named arguments
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_append_event.events');
SET pg_eventstore.store = 'reg_append_event.events';
\pset null '(null)'

-- few arguments, all of them, none by name
SELECT eventstore.append_event('ping', '{"n": 1}');
SELECT eventstore.append_event('opened', '{}', 'door-1');
SELECT eventstore.append_event(
  event_type => 'closed',
  data => '{"by": "me"}',
  aggregate_id => 'door-1',
  expected_version => 1,
  aggregate_type => 'Door',
  metadata => '{"ip": "::1"}',
  event_id => 'e-3',
  occurred_at => '2026-01-31 12:00:00+00',
  correlation_id => 'c-1',
  causation_id => 'e-2',
  store => 'reg_append_event.events');
SELECT eventstore.append_event('locked', '[1]', 'door-1', 2, 'Door', '{}', 'e-4', '2026-01-31 12:00:01+00', 'c-1', 'e-3',
                               'reg_append_event.events');
SELECT position, event_type, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata
  FROM reg_append_event.events ORDER BY position;
SELECT event_id, occurred_at FROM reg_append_event.events WHERE position > 2 ORDER BY position;

-- JSON null is data, SQL null is none
SELECT eventstore.append_event('t', 'null', 'n');
SELECT data, metadata FROM eventstore.get_events_by_aggregate('n');
SELECT eventstore.append_event('t', NULL, 'n');
SELECT eventstore.append_event(NULL, '{}', 'n');

-- JSON null metadata is none, as in append_events()
SELECT eventstore.append_event('t', '{}', 'n', metadata => 'null');
SELECT metadata FROM eventstore.get_events_by_aggregate('n', 2);

-- nulls everywhere else mean the default
SELECT eventstore.append_event('t', '{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- expected version
SELECT eventstore.append_event('t', '{}', 'door-1', 0);
SELECT eventstore.append_event('t', '{}', 'door-1', 2);
SELECT eventstore.append_event('t', '{}', 'door-1', 4);
SELECT eventstore.append_event('t', '{}', 'door-1', -1);
SELECT eventstore.append_event('t', '{}', expected_version => 0);
SELECT eventstore.append_event('t', '{}', 'door-1', 3);

-- empty strings and times that are none
SELECT eventstore.append_event('', '{}', 'n');
SELECT eventstore.append_event('t', '{}', '');
SELECT eventstore.append_event('t', '{}', 'n', event_id => '');
SELECT eventstore.append_event('t', '{}', 'n', occurred_at => 'infinity');
SELECT eventstore.append_event('t', '{}', 'n', occurred_at => '-infinity');
SELECT eventstore.append_event('t', '{}', 'n', occurred_at => '4713-01-01 00:00:00+00 BC');

-- once for each row of a query, in its order
SELECT n, eventstore.append_event('t', to_jsonb(n), 'many') FROM generate_series(1, 5) n;
SELECT aggregate_version, data FROM eventstore.get_events_by_aggregate('many');

-- values of other types that become text
CREATE DOMAIN reg_append_event.order_id AS text CHECK (VALUE LIKE 'o-%');
SELECT eventstore.append_event('t', '{}', 'o-1'::reg_append_event.order_id);
SELECT eventstore.append_event('t'::varchar(10), '{}', 'o-1'::varchar);
SELECT eventstore.append_event('t', '{}', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'::uuid::text);
DROP DOMAIN reg_append_event.order_id;

-- a prepared statement
PREPARE one(text, jsonb, text, integer) AS SELECT eventstore.append_event($1, $2, $3, $4);
EXECUTE one('t', '{}', 'p', 0);
EXECUTE one('t', '{}', 'p', 1);
EXECUTE one('t', '{}', 'p', NULL);
EXECUTE one('t', '{}', 'p', 1);
DEALLOCATE one;
SELECT eventstore.get_aggregate_version('p');

SELECT count(*), max(position) FROM reg_append_event.events;

-- an append reads the last event of its aggregate and no other, with or without a type
SELECT eventstore.append_to_aggregate('long', array_fill('t'::text, ARRAY[1000]), array_fill('1'::jsonb, ARRAY[1000]));
SELECT eventstore.append_to_aggregate('typed', array_fill('t'::text, ARRAY[1000]), array_fill('1'::jsonb, ARRAY[1000]), aggregate_type => 'Long');
BEGIN;
SELECT pg_stat_get_xact_tuples_fetched('reg_append_event.idx_events_aggregate_id'::regclass) AS before \gset
SELECT eventstore.append_event('t', '1', 'long', 1000);
SELECT eventstore.append_event('t', '1', 'typed', 1000);
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "long", "data": 1}, {"event_type": "t", "aggregate_id": "long", "data": 1}]', 1001);
SELECT count(*) FROM eventstore.append('[{"event_type": "t", "aggregate_id": "long", "data": 1}, {"event_type": "t", "aggregate_id": "typed", "data": 1}]');
SELECT pg_stat_get_xact_tuples_fetched('reg_append_event.idx_events_aggregate_id'::regclass) - :before AS read;
COMMIT;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_append_event.events', force => true);
DROP SCHEMA reg_append_event;
