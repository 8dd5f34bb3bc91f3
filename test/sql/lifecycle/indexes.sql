-- create_store(): which indexes a store gets
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.indexes(store text) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT regexp_replace(indexdef, '^CREATE (UNIQUE )?INDEX (\S+) ON \S+ ', '\2: \1')
    FROM pg_indexes WHERE schemaname = 'reg_indexes' AND tablename = store ORDER BY 1
$$;

SELECT eventstore.create_store('reg_indexes.usual');
SELECT * FROM pg_temp.indexes('usual');
SELECT eventstore.create_store('reg_indexes.bare', indexes => '{}');
SELECT * FROM pg_temp.indexes('bare');
SELECT eventstore.create_store('reg_indexes.chosen', 'off', indexes => '{event_type_position,correlation_id,event_type_position,aggregate_type_position}');
SELECT * FROM pg_temp.indexes('chosen');

-- a store that is there keeps what it has
SELECT eventstore.create_store('reg_indexes.bare');
SELECT eventstore.create_store('reg_indexes.bare', indexes => '{event_type}');
SELECT * FROM pg_temp.indexes('bare');

-- the names are checked in any case, and nothing is left behind
\set VERBOSITY default
SELECT eventstore.create_store('reg_indexes.bare', indexes => '{position}');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.create_store('reg_indexes_2.wrong', indexes => '{event_type,"Event_type"}');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.create_store('reg_indexes_2.wrong', indexes => '{event_type,NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT to_regnamespace('reg_indexes_2') IS NULL AS nothing_left;

-- all appends and reads work without the further indexes, too
SET pg_eventstore.store = 'reg_indexes.bare';
SELECT eventstore.append_event('placed', '{"n": 1}', 'order-1', aggregate_type => 'Order', correlation_id => 'c', causation_id => 'd');
SELECT eventstore.append_to_aggregate('order-1', '{paid,shipped}', '{1,2}', 1, correlation_id => 'c', causation_id => 'd');
SELECT eventstore.append_events('{"event_type": "placed", "aggregate_id": "order-2", "aggregate_type": "Order", "n": 2}');
SELECT aggregate_id, aggregate_version, event_type FROM eventstore.get_events_by_type('placed');
SELECT aggregate_id, aggregate_version, event_type FROM eventstore.get_events_by_aggregate_type('Order');
SELECT aggregate_id, aggregate_version, event_type FROM eventstore.get_events_by_correlation_id('c');
SELECT aggregate_id, aggregate_version, event_type FROM eventstore.get_events_by_causation_id('d');
SELECT aggregate_id, aggregate_version, event_type FROM eventstore.read_events(event_types => '{placed}');
SELECT aggregate_id, aggregate_version, event_type FROM eventstore.get_latest_events(2);
RESET pg_eventstore.store;

-- one by type and position serves the log of a rare type
INSERT INTO reg_indexes.chosen (event_type, data)
SELECT CASE WHEN i % 2000 = 0 THEN 'rare' ELSE 'common' END, '1' FROM generate_series(1, 20000) i;
VACUUM ANALYZE reg_indexes.chosen;
BEGIN;
SELECT count(*) FROM eventstore.read_events(3000, 5, event_types => '{rare}', store => 'reg_indexes.chosen');
SELECT indexrelid::regclass, pg_stat_get_xact_tuples_returned(indexrelid) AS read FROM pg_index
 WHERE indrelid = 'reg_indexes.chosen'::regclass AND pg_stat_get_xact_tuples_returned(indexrelid) > 1;
COMMIT;

DROP SCHEMA reg_indexes CASCADE;
