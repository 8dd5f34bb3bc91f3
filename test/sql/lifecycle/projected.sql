-- A store that has projections is dropped, emptied, or loses its table.
SET client_min_messages = warning;
CREATE SCHEMA reg_projected;
SELECT eventstore.create_store('reg_projected.s');
SET pg_eventstore.store = 'reg_projected.s';
SET search_path = reg_projected;
CREATE TABLE seen (aggregate_id text);
CREATE FUNCTION see(e eventstore.event) RETURNS void LANGUAGE sql AS $$ INSERT INTO seen VALUES (e.aggregate_id) $$;
SELECT eventstore.append_event('e', '1', 'a' || i) FROM generate_series(1, 3) i;
-- drop_store() drops its projections, and the copies of a rebuild
SELECT eventstore.create_projection('dropped', 'see(eventstore.event)', 'manual', tables => '{seen}');
SELECT eventstore.create_projection('dropped inline', 'see(eventstore.event)', 'inline', start_position => NULL);
SELECT eventstore.rebuild_projection('dropped');
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'eventstore_rebuild%';
SELECT eventstore.drop_store('reg_projected.s', force => true);
SELECT projection FROM eventstore.projection_definitions;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'eventstore_rebuild%';
-- the names can be used again
SELECT eventstore.create_store('reg_projected.s');
SELECT eventstore.create_projection('dropped', 'see(eventstore.event)', 'manual', tables => '{seen}');
SELECT eventstore.append_event('e', '1', 'b');
SELECT eventstore.run_projection('dropped');
TABLE seen;
-- DROP TABLE keeps them, and they say so
DROP TABLE s;
SELECT name, state, store, problem FROM eventstore.projections;
SELECT eventstore.run_projection('dropped');
SELECT eventstore.wait_for_projection('dropped');
SELECT eventstore.drop_projection('dropped');
SELECT count(*) FROM eventstore.projections;
DROP SCHEMA reg_projected CASCADE;
