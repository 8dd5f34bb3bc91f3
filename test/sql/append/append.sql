-- append(): events of many aggregates in one call
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_append.events');
SET pg_eventstore.store = 'reg_append.events';
\pset null '(null)'

-- one row for each event, in the order of the call
SELECT * FROM eventstore.append('[
  {"event_id": "e-1", "event_type": "ordered", "aggregate_id": "order-1", "n": 1},
  {"event_id": "e-2", "event_type": "emptied", "aggregate_id": "cart-7", "n": 2},
  {"event_id": "e-3", "event_type": "paid", "aggregate_id": "order-1", "n": 3},
  {"event_id": "e-4", "event_type": "tick", "n": 4},
  {"event_id": "e-5", "event_type": "removed", "aggregate_id": "cart-7", "n": 5},
  {"event_id": "e-6", "event_type": "tick", "n": 6}]');
SELECT position, event_id, aggregate_id, aggregate_version, data FROM reg_append.events ORDER BY position;

-- ids made by the store are those returned
WITH made AS (SELECT * FROM eventstore.append('[{"event_type": "t", "aggregate_id": "x"}, {"event_type": "t"}]'))
SELECT count(*), count(DISTINCT event_id), bool_and(length(event_id) = 36) AS ids, bool_and(deduplicated) AS deduplicated FROM made;

-- expected versions
SELECT position, aggregate_id, aggregate_version FROM eventstore.append(
  '[{"event_type": "t", "aggregate_id": "order-1"}, {"event_type": "t", "aggregate_id": "new"}]',
  '{"order-1": 2, "new": 0}');
SELECT position, aggregate_id, aggregate_version FROM eventstore.append(
  '[{"event_type": "t", "aggregate_id": "order-1"}, {"event_type": "t", "aggregate_id": "new"}]', '{"new": 1}');
SELECT position, aggregate_id, aggregate_version FROM eventstore.append(
  '[{"event_type": "t", "aggregate_id": "order-1"}]', '{"order-1": null}');
SELECT position, aggregate_id, aggregate_version FROM eventstore.append(
  '[{"event_type": "t", "aggregate_id": "order-1"}]', '{}');
SELECT position, aggregate_id, aggregate_version FROM eventstore.append(
  '[{"event_type": "t", "aggregate_id": "order-1"}]', '{"order-1": 6.0}');

-- one that does not hold fails all
SELECT * FROM eventstore.append(
  '[{"event_type": "t", "aggregate_id": "order-1"}, {"event_type": "t", "aggregate_id": "new"}]',
  '{"order-1": 7, "new": 1}');
SELECT * FROM eventstore.append('[{"event_type": "t", "aggregate_id": "fresh"}]', '{"fresh": 1}');

-- expectations of aggregates that get no event
SELECT aggregate_version FROM eventstore.append('[{"event_type": "t", "aggregate_id": "order-1"}]', '{"cart-7": 2, "none": 0}');
SELECT * FROM eventstore.append('[{"event_type": "t", "aggregate_id": "order-1"}]', '{"cart-7": 1}');
SELECT * FROM eventstore.append('[{"event_type": "t", "aggregate_id": "order-1"}]', '{"none": 1}');
SELECT * FROM eventstore.append('[{"event_type": "t", "aggregate_id": "order-1"}]', '{"none": null, "cart-7": null}')
  WHERE aggregate_version IS DISTINCT FROM 9;
SELECT * FROM eventstore.append('[{"event_type": "t"}]', '{"cart-7": 3}');

-- no event at all: only the expectations are checked
SELECT * FROM eventstore.append('[]');
SELECT * FROM eventstore.append('[]', '{"cart-7": 2}');
SELECT * FROM eventstore.append('[]', '{"cart-7": 3}');

-- expected versions that are none
SELECT * FROM eventstore.append('[]', '[]');
SELECT * FROM eventstore.append('[]', '3');
SELECT * FROM eventstore.append('[]', 'null');
SELECT * FROM eventstore.append('[]', '{"a": "3"}');
SELECT * FROM eventstore.append('[]', '{"a": 1.5}');
SELECT * FROM eventstore.append('[]', '{"a": 2147483648}');
SELECT * FROM eventstore.append('[]', '{"a": 1e1000}');
SELECT * FROM eventstore.append('[]', '{"a": -1}');
SELECT * FROM eventstore.append('[]', '{"a": []}');
SELECT * FROM eventstore.append('[]', '{"a": {}}');
SELECT * FROM eventstore.append('[]', '{"a": true}');
SELECT * FROM eventstore.append(NULL, '{}');

-- ids that need care in JSON
SELECT aggregate_id, aggregate_version FROM eventstore.append(
  '[{"event_type": "t", "aggregate_id": "a\"b\\c\nd"}]', '{"a\"b\\c\nd": 0}');
SELECT aggregate_id, aggregate_version FROM eventstore.append(
  '[{"event_type": "t", "aggregate_id": "a\"b\\c\nd"}]', '{"a\"b\\c\nd": 0}');

-- types are those of each aggregate
SELECT aggregate_id, aggregate_version FROM eventstore.append('[
  {"event_type": "t", "aggregate_id": "u", "aggregate_type": "User"},
  {"event_type": "t", "aggregate_id": "o", "aggregate_type": "Order"}]');
SELECT * FROM eventstore.append('[
  {"event_type": "t", "aggregate_id": "o"},
  {"event_type": "t", "aggregate_id": "u", "aggregate_type": "Order"}]');

-- many aggregates; more than the session may lock rely on the unique index
SET pg_eventstore.max_aggregate_locks = 10;
SELECT count(*), count(DISTINCT aggregate_id), min(aggregate_version), max(aggregate_version)
  FROM eventstore.append((SELECT jsonb_agg(jsonb_build_object('event_type', 't', 'aggregate_id', 'many-' || n % 2000, 'n', n) ORDER BY n)
                            FROM generate_series(1, 4000) n));
BEGIN;
SELECT count(*) FROM eventstore.append((SELECT jsonb_agg(jsonb_build_object('event_type', 't', 'aggregate_id', 'many-' || n))
                                          FROM generate_series(1, 100) n));
SELECT count(*) AS locks FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND mode = 'ExclusiveLock';
ROLLBACK;
RESET pg_eventstore.max_aggregate_locks;

-- in the select list
SELECT (eventstore.append('[{"event_type": "t", "aggregate_id": "s"}, {"event_type": "t", "aggregate_id": "s"}]')).aggregate_version;

-- one result of many calls, each of which sees the one before
SELECT n, a.aggregate_version FROM generate_series(1, 3) n,
  LATERAL eventstore.append(jsonb_build_array(jsonb_build_object('event_type', 't', 'aggregate_id', 'lateral', 'n', n)),
                            jsonb_build_object('lateral', n - 1)) a ORDER BY n;

SELECT count(*) AS aggregates_with_gaps
  FROM (SELECT FROM reg_append.events WHERE aggregate_id IS NOT NULL
         GROUP BY aggregate_id HAVING max(aggregate_version) <> count(*)) gaps;
SELECT bool_and(data = jsonb_build_object('n', substr(aggregate_id, 6)::int + CASE aggregate_version WHEN 1 THEN 0 ELSE 2000 END))
  AS in_order FROM reg_append.events WHERE aggregate_id LIKE 'many-%' AND aggregate_id <> 'many-0';
SELECT count(*) FROM reg_append.events WHERE aggregate_id NOT LIKE 'many-%';
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_append.events', force => true);
DROP SCHEMA reg_append;
