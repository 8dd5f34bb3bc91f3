-- a call that repeats an earlier one is answered as that one was
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_retry.events');
SET pg_eventstore.store = 'reg_retry.events';
\pset null '(null)'

-- append_events, for each kind of expected version
\set two '[{"event_id": "e-1", "event_type": "t", "aggregate_id": "a", "n": 1}, {"event_id": "e-2", "event_type": "t", "aggregate_id": "a", "n": 2}]'
SELECT eventstore.append_events(:'two', 0);
SELECT eventstore.append_events(:'two', 0);
SELECT eventstore.append_events(:'two');
SELECT eventstore.append_events('[{"event_id": "e-3", "event_type": "t", "aggregate_id": "a", "n": 3}]', 2);
SELECT eventstore.append_events('[{"event_id": "e-3", "event_type": "t", "aggregate_id": "a", "n": 3}]', 2);
-- the first call's answer, though the aggregate went on
SELECT eventstore.append_events(:'two', 0);
SELECT eventstore.append_events(:'two');
SELECT count(*), max(position) FROM reg_retry.events;

-- append_event
SELECT eventstore.append_event('t', '{"n": 1}', 'b', 0, 'B', '{"m": 1}', 'b-1', '2026-01-31 12:00:00+00', 'cor', 'cau');
SELECT eventstore.append_event('t', '{"n": 1}', 'b', 0, 'B', '{"m": 1}', 'b-1', '2026-01-31 12:00:00+00', 'cor', 'cau');
SELECT eventstore.append_event('t', '{"n": 1}', 'b', NULL, 'B', '{"m": 1}', 'b-1', '2026-01-31 12:00:00+00', 'cor', 'cau');
SELECT eventstore.append_event('t', '{}', NULL, event_id => 'p-1');
SELECT eventstore.append_event('t', '{}', NULL, event_id => 'p-1');

-- append_to_aggregate
SELECT eventstore.append_to_aggregate('c', '{x,y}', '{1,2}', 0, event_ids => '{c-1,c-2}');
SELECT eventstore.append_to_aggregate('c', '{x,y}', '{1,2}', 0, event_ids => '{c-1,c-2}');
SELECT eventstore.append_to_aggregate('c', '{x,y}', '{1,2}', event_ids => '{c-1,c-2}');

-- append tells it
\set many '[{"event_id": "m-1", "event_type": "t", "aggregate_id": "m"}, {"event_id": "m-2", "event_type": "t", "aggregate_id": "n"}, {"event_id": "m-3", "event_type": "t"}, {"event_id": "m-4", "event_type": "t", "aggregate_id": "m"}]'
SELECT * FROM eventstore.append(:'many', '{"m": 0, "n": 0}');
SELECT * FROM eventstore.append(:'many', '{"m": 0, "n": 0}');
SELECT * FROM eventstore.append(:'many', '{"m": 0}');
SELECT * FROM eventstore.append(:'many');

-- a call by another function is the same call
SELECT eventstore.append_to_aggregate('a', '{t,t}', ARRAY['{"n": 1}', '{"n": 2}']::jsonb[], 0, event_ids => '{e-1,e-2}');

-- what the first call left to the store is not compared: time, type
SELECT eventstore.append_event('t', '{}', 'd', 0, event_id => 'd-1', aggregate_type => 'D');
SELECT eventstore.append_event('t', '{}', 'd', 0, event_id => 'd-1');
-- equal JSON, written otherwise
SELECT eventstore.append_event('t', '{"x": 1.0, "y": [1, 2]}', 'j', event_id => 'j-1');
SELECT eventstore.append_event('t', '{"y": [1, 2.00], "x": 1}', 'j', event_id => 'j-1');
-- a version that is given and right
SELECT eventstore.append_events('[{"event_id": "j-1", "event_type": "t", "aggregate_id": "j", "aggregate_version": 1, "data": {"x": 1, "y": [1, 2]}}]');

-- nothing of the above stored anything twice
SELECT count(*), max(position) FROM reg_retry.events;

-- same id, other content: the first key that differs is named
SELECT eventstore.append_event('t', '{"n": 1}', 'other', 0, 'B', '{"m": 1}', 'b-1', '2026-01-31 12:00:00+00', 'cor', 'cau');
SELECT eventstore.append_event('u', '{"n": 1}', 'b', 0, 'B', '{"m": 1}', 'b-1', '2026-01-31 12:00:00+00', 'cor', 'cau');
SELECT eventstore.append_event('t', '{"n": 2}', 'b', 0, 'B', '{"m": 1}', 'b-1', '2026-01-31 12:00:00+00', 'cor', 'cau');
SELECT eventstore.append_event('t', '{"n": 1}', 'b', 0, 'B', '{"m": 2}', 'b-1', '2026-01-31 12:00:00+00', 'cor', 'cau');
SELECT eventstore.append_event('t', '{"n": 1}', 'b', 0, 'B', NULL, 'b-1', '2026-01-31 12:00:00+00', 'cor', 'cau');
SELECT eventstore.append_event('t', '{"n": 1}', 'b', 0, 'C', '{"m": 1}', 'b-1', '2026-01-31 12:00:00+00', 'cor', 'cau');
SELECT eventstore.append_event('t', '{"n": 1}', 'b', 0, 'B', '{"m": 1}', 'b-1', '2026-01-31 12:00:01+00', 'cor', 'cau');
SELECT eventstore.append_event('t', '{"n": 1}', 'b', 0, 'B', '{"m": 1}', 'b-1', '2026-01-31 12:00:00+00', 'roc', 'cau');
SELECT eventstore.append_event('t', '{"n": 1}', 'b', 0, 'B', '{"m": 1}', 'b-1', '2026-01-31 12:00:00+00', 'cor', NULL);
SELECT eventstore.append_event('u', '{"n": 2}', 'b', NULL, event_id => 'b-1');
SELECT eventstore.append_event('t', '{"n": 2}', NULL, event_id => 'p-1');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_to_aggregate('c', '{x,y}', '{1,3}', 0, event_ids => '{c-1,c-2}');
SELECT * FROM eventstore.append(jsonb_set(:'many', '{2,event_type}', '"u"'));

-- part of a call
SELECT eventstore.append_events('[{"event_id": "e-1", "event_type": "t", "aggregate_id": "a", "n": 1}]', 0);
SELECT eventstore.append_events('[{"event_id": "e-2", "event_type": "t", "aggregate_id": "a", "n": 2}]', 1);
SELECT eventstore.append_events('[{"event_id": "e-2", "event_type": "t", "aggregate_id": "a", "n": 2}]');
-- more than a call: old events before new ones, in either order
SELECT eventstore.append_events('[{"event_id": "e-3", "event_type": "t", "aggregate_id": "a", "n": 3}, {"event_id": "e-4", "event_type": "t", "aggregate_id": "a", "n": 4}]');
SELECT eventstore.append_events('[{"event_id": "e-3", "event_type": "t", "aggregate_id": "a", "n": 3}, {"event_id": "e-4", "event_type": "t", "aggregate_id": "a", "n": 4}]', 2);
SELECT eventstore.append_events('[{"event_id": "e-4", "event_type": "t", "aggregate_id": "a", "n": 4}, {"event_id": "e-3", "event_type": "t", "aggregate_id": "a", "n": 3}]');
-- not one after another
SELECT eventstore.append_events('[{"event_id": "e-1", "event_type": "t", "aggregate_id": "a", "n": 1}, {"event_id": "e-3", "event_type": "t", "aggregate_id": "a", "n": 3}]');
-- swapped
SELECT eventstore.append_events('[{"event_id": "e-2", "event_type": "t", "aggregate_id": "a", "n": 2}, {"event_id": "e-1", "event_type": "t", "aggregate_id": "a", "n": 1}]');
SELECT eventstore.append_events('[{"event_id": "e-2", "event_type": "t", "aggregate_id": "a", "n": 2}, {"event_id": "e-1", "event_type": "t", "aggregate_id": "a", "n": 1}]', 0);
-- another expected version than that of the first call
SELECT eventstore.append_events(:'two', 1);
SELECT eventstore.append_events(:'two', 3);
SELECT eventstore.append_events(:'two', 4);
-- a given version that is not the one the event has
SELECT eventstore.append_events('[{"event_id": "e-3", "event_type": "t", "aggregate_id": "a", "n": 3, "aggregate_version": 2}]');
-- an id that is there, among ids yet to be made
SELECT eventstore.append_events('[{"event_id": "e-1", "event_type": "t", "aggregate_id": "a", "n": 1}, {"event_type": "t", "aggregate_id": "a"}]');
SELECT eventstore.append_events('[{"event_type": "t", "aggregate_id": "a"}, {"event_id": "e-1", "event_type": "t", "aggregate_id": "a", "n": 1}]');
-- an id of another aggregate, within a batch of several
SELECT * FROM eventstore.append('[{"event_type": "t", "aggregate_id": "z"}, {"event_id": "m-3", "event_type": "t", "aggregate_id": "z"}]', '{"z": 0}');

-- without ids every call is a new one
SELECT eventstore.append_event('t', '{}', 'w');
SELECT eventstore.append_event('t', '{}', 'w');
SELECT eventstore.append_event('t', '{}', 'w', 0);

-- in one transaction, and after a rollback to a savepoint
BEGIN;
SELECT eventstore.append_event('t', '{}', 's', 0, event_id => 's-1');
SELECT eventstore.append_event('t', '{}', 's', 0, event_id => 's-1');
SAVEPOINT s;
SELECT eventstore.append_event('t', '{}', 's', 1, event_id => 's-2');
ROLLBACK TO s;
SELECT eventstore.append_event('t', '{}', 's', 1, event_id => 's-2');
COMMIT;
SELECT eventstore.append_event('t', '{}', 's', 1, event_id => 's-2');

-- another store knows nothing of these ids
SELECT eventstore.create_store('reg_retry.more');
SELECT eventstore.append_events(:'two', 0, 'reg_retry.more');

SELECT aggregate_id, count(*), max(aggregate_version) FROM reg_retry.events GROUP BY 1 ORDER BY 1;
RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_retry.events', force => true), eventstore.drop_store('reg_retry.more', force => true);
DROP SCHEMA reg_retry;
