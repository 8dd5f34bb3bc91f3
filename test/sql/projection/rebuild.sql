-- Rebuilds.
SET client_min_messages = warning;
CREATE SCHEMA reg_rebuild;
SELECT eventstore.create_store('reg_rebuild.s');
SET pg_eventstore.store = 'reg_rebuild.s';
SET search_path = reg_rebuild;
CREATE TABLE totals (aggregate_id text PRIMARY KEY, events int, amount int, twice int GENERATED ALWAYS AS (amount * 2) STORED);
CREATE VIEW totals_view AS SELECT sum(amount) AS amount FROM totals;
CREATE TABLE log (n serial, aggregate_id text);
CREATE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO totals VALUES (e.aggregate_id, 1, (e.data->>'amount')::int)
  ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + 1, amount = totals.amount + excluded.amount;
  INSERT INTO log (aggregate_id) VALUES (e.aggregate_id) $$;
CREATE FUNCTION add_qualified(e eventstore.event[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO reg_rebuild.totals SELECT aggregate_id, count(*), sum((data->>'amount')::int) FROM unnest(e) GROUP BY 1
  ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + excluded.events, amount = totals.amount + excluded.amount;
  INSERT INTO reg_rebuild.log (aggregate_id) SELECT aggregate_id FROM unnest(e); END $$;
SELECT count(eventstore.append_event('added', jsonb_build_object('amount', i), 'a' || i % 3)) FROM generate_series(1, 2000) i;
CREATE TABLE should AS SELECT aggregate_id, count(*)::int AS events, sum((data->>'amount')::int)::int AS amount FROM s GROUP BY 1;
CREATE VIEW differences AS (SELECT aggregate_id, events, amount FROM totals EXCEPT TABLE should) UNION ALL (TABLE should EXCEPT SELECT aggregate_id, events, amount FROM totals);
CREATE PROCEDURE spoil() LANGUAGE sql AS $$ UPDATE totals SET amount = 0 WHERE aggregate_id = 'a1'; DELETE FROM totals WHERE aggregate_id = 'a2'; INSERT INTO totals VALUES ('x', 1, 1) ON CONFLICT DO NOTHING; DELETE FROM log $$;
SELECT eventstore.create_projection('p', 'add_one(eventstore.event)', tables => '{totals, log}', batch_size => 300);
SELECT eventstore.wait_for_projection('p') > 0;
SELECT (SELECT count(*) FROM differences), (SELECT count(*) FROM log), amount FROM totals_view;
-- beside the tables
CALL spoil();
SELECT eventstore.rebuild_projection('p');
SELECT name, state, rebuild_of FROM eventstore.projections WHERE name LIKE 'p%' ORDER BY 1;
SELECT eventstore.wait_for_projection('p.rebuild') > 0;
SELECT (SELECT count(*) FROM differences), (SELECT count(*) FROM log), amount FROM totals_view;
SELECT name, state, lag FROM eventstore.projections ORDER BY 1;
-- it has ended
SELECT eventstore.wait_for_projection('p.rebuild', timeout => '0') > 0;
SELECT eventstore.wait_for_projection('q.rebuild', timeout => '0');
SELECT eventstore.wait_for_projection('.rebuild', timeout => '0');
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'eventstore_rebuild%';
-- it goes on
SELECT eventstore.append_event('added', '{"amount": 0}', 'a1');
SELECT eventstore.wait_for_projection('p') > 0;
SELECT events FROM totals WHERE aggregate_id = 'a1';
UPDATE should SET events = events + 1 WHERE aggregate_id = 'a1';
-- in place
CALL spoil();
SELECT eventstore.rebuild_projection('p', in_place => true);
SELECT eventstore.wait_for_projection('p') > 0;
SELECT (SELECT count(*) FROM differences), (SELECT count(*) FROM log), amount FROM totals_view;
-- its handler is replaced before the worker runs it
CALL spoil();
BEGIN;
SELECT eventstore.rebuild_projection('p');
SELECT eventstore.pause_projection('p.rebuild');
COMMIT;
SELECT replace(pg_get_functiondef('add_one(eventstore.event)'::regprocedure), 'e.aggregate_id, 1', 'e.aggregate_id, +1') \gexec
SELECT eventstore.resume_projection('p.rebuild');
SELECT eventstore.wait_for_projection('p.rebuild') > 0;
SELECT (SELECT count(*) FROM differences), (SELECT count(*) FROM log), amount FROM totals_view;
-- a handler that uses the tables themselves
SELECT eventstore.alter_projection('p', 'add_qualified(eventstore.event[])');
CALL spoil();
SELECT eventstore.rebuild_projection('p');
SELECT eventstore.wait_for_projection('p.rebuild') > 0;
SELECT (SELECT count(*) FROM differences), (SELECT count(*) FROM log), amount FROM totals_view;
SELECT eventstore.drop_projection('p');
-- inline
TRUNCATE totals, log;
SELECT eventstore.create_projection('i', 'add_one(eventstore.event)', 'inline', tables => '{totals, log}', batch_size => 5000);
SELECT (SELECT count(*) FROM differences), (SELECT count(*) FROM log), amount FROM totals_view;
CALL spoil();
SELECT eventstore.rebuild_projection('i');
SELECT eventstore.wait_for_projection('i.rebuild') > 0;
SELECT (SELECT count(*) FROM differences), (SELECT count(*) FROM log), amount FROM totals_view;
SELECT eventstore.append_event('added', '{"amount": 0}', 'a1');
SELECT events FROM totals WHERE aggregate_id = 'a1';
SELECT eventstore.drop_projection('i');
-- manual
TRUNCATE totals, log;
SELECT eventstore.create_projection('m', 'add_one(eventstore.event)', 'manual', tables => '{totals, log}');
SELECT eventstore.run_projection('m'), eventstore.run_projection('m'), eventstore.run_projection('m'), eventstore.run_projection('m');
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.alter_projection('m', batch_size => 10);
SELECT eventstore.rebuild_projection('m.rebuild');
SELECT eventstore.poll('m.rebuild');
SELECT eventstore.run_projection('m.rebuild'), eventstore.run_projection('m.rebuild'), eventstore.run_projection('m.rebuild'), eventstore.run_projection('m.rebuild');
SELECT name, state, position FROM eventstore.projections;
-- its handler is replaced
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.run_projection('m.rebuild', 1500);
CREATE OR REPLACE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO totals VALUES (e.aggregate_id, 1, 1)
  ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + 1, amount = totals.amount + 1;
  INSERT INTO log (aggregate_id) VALUES (e.aggregate_id) $$;
SELECT eventstore.run_projection('m.rebuild', 1500);
SELECT eventstore.rebuild_projection('m');
BEGIN;
SELECT count(*) FROM totals;
SELECT eventstore.run_projection('m.rebuild', 1500);
ROLLBACK;
SELECT eventstore.run_projection('m.rebuild', 1500), eventstore.run_projection('m.rebuild', 1500), eventstore.run_projection('m.rebuild', 1500);
SELECT sum(events) = (SELECT count(*) FROM s) AND sum(amount) = sum(events) AND sum(events) = (SELECT count(*) FROM log) AS complete FROM totals;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'eventstore_rebuild%';
-- a rebuild whose handler fails does not end
CREATE OR REPLACE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  IF e."position" > 1001 THEN RAISE 'not now'; END IF; INSERT INTO totals VALUES (e.aggregate_id, 1, 1) ON CONFLICT DO NOTHING; END $$;
CREATE TABLE before AS SELECT aggregate_id, events, amount FROM totals;
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.run_projection('m.rebuild', 1001);
SELECT eventstore.run_projection('m.rebuild');
SELECT eventstore.pause_projection('m.rebuild');
SELECT eventstore.run_projection('m.rebuild');
SELECT (SELECT count(*) FROM (TABLE before EXCEPT SELECT aggregate_id, events, amount FROM totals) d), (SELECT count(*) FROM eventstore.projections WHERE rebuild_of = 'm');
SELECT eventstore.drop_projection('m.rebuild');
-- a handler that names the schema, and meets a row of the table
CREATE OR REPLACE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  IF e.aggregate_version = 1 THEN INSERT INTO reg_rebuild.totals VALUES (e.aggregate_id, 1, 1); END IF; END $$;
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.run_projection('m.rebuild'), eventstore.run_projection('m.rebuild');
SELECT (SELECT count(*) FROM totals), (SELECT count(*) FROM eventstore.projections WHERE rebuild_of = 'm');
-- a handler that writes to a partition
CREATE TABLE parts (aggregate_id text PRIMARY KEY) PARTITION BY LIST (aggregate_id);
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
CREATE OR REPLACE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE sql AS $$ INSERT INTO parts_rest VALUES (e.aggregate_id) ON CONFLICT DO NOTHING $$;
SELECT eventstore.alter_projection('m', tables => '{parts}');
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.run_projection('m.rebuild');
SELECT count(*) FROM parts;
-- a table with a trigger, or a foreign key, is not copied; a schema that is left over does no harm
CREATE TABLE parents (id text PRIMARY KEY);
INSERT INTO parents SELECT DISTINCT aggregate_id FROM s;
CREATE TABLE children (id text PRIMARY KEY REFERENCES parents, n int NOT NULL);
CREATE TABLE counted (id text PRIMARY KEY, n int NOT NULL, changes int NOT NULL DEFAULT 0);
CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changes := OLD.changes + 1; RETURN NEW; END $$;
CREATE TRIGGER count_change BEFORE UPDATE ON counted FOR EACH ROW EXECUTE FUNCTION count_change();
CREATE OR REPLACE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO children VALUES (e.aggregate_id, 1) ON CONFLICT (id) DO UPDATE SET n = children.n + 1;
  INSERT INTO counted VALUES (e.aggregate_id, 1) ON CONFLICT (id) DO UPDATE SET n = counted.n + 1 $$;
SELECT eventstore.alter_projection('m', tables => '{children, counted}');
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.run_projection('m.rebuild'), eventstore.run_projection('m');
SELECT sum(n) = sum(changes) + 3 AND sum(n) = (SELECT count(*) FROM s) AS complete FROM counted;
SELECT sum(n) = (SELECT count(*) FROM s) AS complete FROM children;
SELECT eventstore.alter_projection('m', tables => '{log}');
CREATE OR REPLACE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE sql AS $$ INSERT INTO log (aggregate_id) VALUES (e.aggregate_id) $$;
SELECT eventstore.rebuild_projection('m');
DELETE FROM eventstore.projection_definitions WHERE projection = 'm.rebuild';
DELETE FROM eventstore.subscription_definitions WHERE subscription = 'm.rebuild';
DELETE FROM eventstore.subscription_progress WHERE subscription = 'm.rebuild';
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.drop_projection('m.rebuild');
SELECT eventstore.drop_projection('m.rebuild');
SET client_min_messages = error;
DO $$ BEGIN EXECUTE (SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace WHERE nspname LIKE 'eventstore_rebuild%'); END $$;
SET client_min_messages = warning;
-- a handler of another role
CREATE ROLE reg_rebuild_other;
ALTER FUNCTION add_one(eventstore.event) OWNER TO reg_rebuild_other;
SELECT eventstore.run_projection('m');
ALTER FUNCTION add_one(eventstore.event) OWNER TO CURRENT_ROLE;
DROP ROLE reg_rebuild_other;
-- errors
SELECT eventstore.alter_projection('m', tables => '{}');
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.alter_projection('m', tables => '{totals}');
SELECT eventstore.create_projection('n', 'add_one(eventstore.event)', 'manual', tables => '{totals}');
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.drop_projection('n');
CREATE TABLE child (aggregate_id text REFERENCES totals ON DELETE CASCADE);
SELECT eventstore.alter_projection('m', tables => '{totals}');
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.alter_projection('m', tables => '{totals, child}');
SELECT eventstore.rebuild_projection('m');
SELECT eventstore.drop_projection('m');
DROP SCHEMA reg_rebuild CASCADE;
