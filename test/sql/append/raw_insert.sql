-- plain INSERT and COPY are as good as the append functions
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_raw_insert.events');
SET pg_eventstore.store = 'reg_raw_insert.events';
SET search_path = reg_raw_insert;

INSERT INTO events (event_type, data) VALUES ('t', '{"n": 1}'), ('t', '{"n": 2}');
INSERT INTO events (event_type, aggregate_id, aggregate_version, data) SELECT 't', 'a', n, to_jsonb(n) FROM generate_series(1, 3) n;
COPY events (event_type, data) FROM stdin WITH (DELIMITER '|');
t|{"n": 6}
t|{"n": 7}
\.
COPY events (event_type, aggregate_id, aggregate_version, data, metadata) FROM stdin WITH (FORMAT csv);
t,a,4,"{""n"": 8}",
t,b,1,9,{}
\.
INSERT INTO events (event_type, data) VALUES ('t', '{}') RETURNING position;
WITH more AS (INSERT INTO events (event_type, data) VALUES ('t', '{}'), ('t', '{}') RETURNING position) SELECT max(position) FROM more;
SELECT position, event_type, aggregate_id, aggregate_version, data FROM events ORDER BY position;

-- the append functions go on from there
SELECT eventstore.append_event('t', '{}', 'a', 4), eventstore.append_event('t', '{}', 'b', 1);
SELECT eventstore.get_aggregate_version('a');

-- ids are UUIDs of version 7, of now, and ascending
SELECT count(*), count(DISTINCT event_id) = count(*) AS distinct,
       bool_and(event_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$') AS version_7,
       bool_and(abs(extract(epoch FROM now()) - ('x' || lpad(substr(replace(event_id, '-', ''), 1, 12), 16, '0'))::bit(64)::bigint / 1000.0) < 600) AS of_now
  FROM events;
SELECT count(*) AS descending FROM (SELECT event_id < lag(event_id) OVER (ORDER BY position) AS d FROM events) e WHERE d;
INSERT INTO events (event_type, aggregate_id, aggregate_version, data) SELECT 'bulk', 'bulk', n, 'null' FROM generate_series(1, 10000) n;
SELECT count(DISTINCT event_id), array_agg(event_id ORDER BY event_id COLLATE "C") = array_agg(event_id ORDER BY position) AS ascending,
       bool_and(event_id::uuid IS NOT NULL) AS uuids, max(position) - min(position) + 1 AS positions
  FROM events WHERE event_type = 'bulk';
SELECT length(eventstore.new_event_id()), pg_typeof(eventstore.new_event_id());

-- the time is that of the transaction
BEGIN;
INSERT INTO events (event_type, data) VALUES ('time', '{}');
SELECT eventstore.append_event('time', '{}');
SELECT bool_and(occurred_at = now()) FROM events WHERE event_type = 'time';
COMMIT;

-- after an append function in the same transaction, in a session that did neither before, and before one
\c
SET client_min_messages = warning;
SET pg_eventstore.store = 'reg_raw_insert.events';
SET search_path = reg_raw_insert;
BEGIN;
SELECT eventstore.append_event('t', '{}', 'order', 0);
INSERT INTO events (event_type, aggregate_id, aggregate_version, data) VALUES ('t', 'order', 2, '{}');
COMMIT;
BEGIN;
INSERT INTO events (event_type, aggregate_id, aggregate_version, data) VALUES ('t', 'order', 3, '{}');
SELECT eventstore.append_event('t', '{}', 'order', 3);
COMMIT;
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('order');

-- an aggregate keeps its type, which an event that is inserted without one gets
SELECT eventstore.append_event('t', '{}', 'typed', 0, 'User');
INSERT INTO events (event_type, aggregate_id, aggregate_version, data) VALUES ('t', 'typed', 2, '{}');
SELECT eventstore.append_event('t', '{}', 'typed', 2, 'Order');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "typed", "aggregate_type": "Order"}]');
SELECT eventstore.append_to_aggregate('typed', '{t}', '{1}', aggregate_type => 'Order');
SELECT * FROM eventstore.append('[{"event_type": "t", "aggregate_id": "typed"}, {"event_type": "t", "aggregate_id": "typed", "aggregate_type": "Order"}]');
SELECT eventstore.append_event('t', '{}', 'typed', 2), eventstore.append_event('t', '{}', 'typed', 3, 'User');
SELECT aggregate_version, aggregate_type FROM eventstore.get_events_by_aggregate('typed');
-- a type may come after events that have none, if it is the only one
INSERT INTO events (event_type, aggregate_id, aggregate_version, data) VALUES ('t', 'untyped', 1, '{}');
SELECT eventstore.append_event('t', '{}', 'untyped', 1, 'User'), eventstore.append_event('t', '{}', 'untyped', 2);
SELECT array_agg(aggregate_type) FROM eventstore.get_events_by_aggregate('untyped');

-- what the table itself refuses
\set VERBOSITY sqlstate
INSERT INTO events (event_type, data) VALUES (NULL, '{}');
INSERT INTO events (event_type) VALUES ('t');
INSERT INTO events (event_type, data, event_id) VALUES ('t', '{}', NULL);
INSERT INTO events (event_type, data, position) VALUES ('t', '{}', NULL);
INSERT INTO events (event_type, data, occurred_at) VALUES ('t', '{}', NULL);
INSERT INTO events (event_type, data, position) VALUES ('t', '{}', 1);
INSERT INTO events (event_type, data, aggregate_id) VALUES ('t', '{}', repeat('x', 37));
\set VERBOSITY terse
INSERT INTO events (event_type, data, aggregate_id, aggregate_version) VALUES ('t', '{}', NULL, 1);
INSERT INTO events (event_type, data, aggregate_version) VALUES ('t', '{}', 1);
INSERT INTO events (event_type, data, aggregate_id, aggregate_version) VALUES ('t', '{}', 'a', 0);
INSERT INTO events (event_type, data, aggregate_id, aggregate_version) VALUES ('t', '{}', 'a', -1);
INSERT INTO events (event_type, data, aggregate_id, aggregate_version) VALUES ('t', '{}', 'a', 1);
\set VERBOSITY default

-- a position that is given is taken as it is, and not announced as new
SELECT eventstore.set_notifications('reg_raw_insert.events', 'commit', 'reg_raw_insert_commit');
LISTEN reg_raw_insert_commit;
INSERT INTO events (position, event_type, data) VALUES (1000000, 'restored', '{}');
UNLISTEN *;

-- in a read-only transaction
BEGIN READ ONLY;
INSERT INTO events (event_type, data) VALUES ('t', '{}');
ROLLBACK;

-- out and in again, as a dump does it
CREATE TABLE saved AS TABLE events;
SELECT eventstore.create_store('reg_raw_insert.restored');
INSERT INTO restored SELECT * FROM saved;
SELECT count(*) FROM (TABLE saved EXCEPT TABLE restored) missing;
SELECT setval('restored_position_seq', (SELECT max(position) FROM restored)) = (SELECT max(position) FROM events) AS same;
SELECT eventstore.append_event('t', '{}', 'order', 4, store => 'restored');
SELECT eventstore.drop_store('restored', true);

-- what the owner restores is compared with the other table: id, position and version
SELECT eventstore.create_store('reg_raw_insert.halves', 'off');
SELECT eventstore.append_to_aggregate('a', '{t,t,t,t}', '{1,2,3,4}', event_ids => '{a-1,a-2,a-3,a-4}', store => 'halves');
SELECT eventstore.archive_events('halves', before_position => 3);
\set VERBOSITY terse
INSERT INTO halves SELECT * FROM halves_archive;
INSERT INTO halves_archive SELECT * FROM halves;
INSERT INTO halves (position, event_id, event_type, data) VALUES (9, 'a-1', 't', '1');
INSERT INTO halves (position, event_id, event_type, data) VALUES (2, 'b-1', 't', '1');
INSERT INTO halves (position, event_id, event_type, aggregate_id, aggregate_version, data) VALUES (9, 'b-1', 't', 'a', 1, '1');
\set VERBOSITY default
INSERT INTO halves (position, event_id, event_type, aggregate_id, aggregate_version, data) VALUES (9, 'b-1', 't', 'a', 2, '1') ON CONFLICT DO NOTHING;
INSERT INTO halves (position, event_id, event_type, aggregate_id, aggregate_version, data) VALUES (9, 'b-1', 't', 'b', 1, '1');
SELECT count(*), count(DISTINCT event_id) FROM eventstore.read_events(max_count => 100, store => 'halves');
SELECT eventstore.drop_store('halves', true);

RESET search_path;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_raw_insert.events', force => true);
DROP SCHEMA reg_raw_insert CASCADE;
