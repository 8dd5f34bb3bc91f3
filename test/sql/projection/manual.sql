-- Projections that a session runs.
SET client_min_messages = warning;
CREATE SCHEMA reg_projection;
SELECT eventstore.create_store('reg_projection.s');
SET pg_eventstore.store = 'reg_projection.s';
SET search_path = reg_projection;
CREATE TABLE reg_projection.totals (aggregate_id text PRIMARY KEY, events int, amount int);
CREATE FUNCTION reg_projection.add_one(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO totals VALUES (e.aggregate_id, 1, (e.data->>'amount')::int)
  ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + 1, amount = totals.amount + excluded.amount $$;
CREATE FUNCTION reg_projection.add_all(e eventstore.event[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO totals
  SELECT aggregate_id, count(*), sum((data->>'amount')::int) FROM unnest(e) GROUP BY 1
  ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + excluded.events, amount = totals.amount + excluded.amount $$;
SELECT count(eventstore.append_event('added', jsonb_build_object('amount', i), 'a' || i % 3)) FROM generate_series(1, 10) i;
SELECT eventstore.create_projection('one', 'reg_projection.add_one(eventstore.event)', 'manual', tables => '{reg_projection.totals}');
SELECT eventstore.run_projection('one', 4);
SELECT * FROM reg_projection.totals ORDER BY 1;
SELECT eventstore.run_projection('one');
SELECT eventstore.run_projection('one');
SELECT * FROM reg_projection.totals ORDER BY 1;
TRUNCATE reg_projection.totals;
SELECT eventstore.create_projection('all', 'reg_projection.add_all(eventstore.event[])', 'manual');
SELECT eventstore.run_projection('all', 4), eventstore.run_projection('all', 4), eventstore.run_projection('all', 4), eventstore.run_projection('all', 4);
SELECT * FROM reg_projection.totals ORDER BY 1;
-- not under a snapshot that is older than other transactions
SELECT eventstore.append_event('added', '{"amount": 1}', 'a1');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT eventstore.run_projection('all');
ROLLBACK;
SELECT eventstore.run_projection('all');
-- the settings of a session do not matter
SET quote_all_identifiers = on;
SELECT eventstore.create_projection('all', 'reg_projection.add_all(eventstore.event[])', 'manual');
RESET quote_all_identifiers;
-- not these
CREATE FUNCTION pg_temp.add_none(e eventstore.event) RETURNS void LANGUAGE sql AS '';
\set VERBOSITY sqlstate
SELECT eventstore.create_projection('temp', 'pg_temp.add_none(eventstore.event)', 'manual');
\set VERBOSITY default
SELECT eventstore.create_projection('temp', 'reg_projection.add_one(eventstore.event)', 'manual', tables => '{pg_class}');
SELECT eventstore.create_projection('temp', 'reg_projection.add_one(eventstore.event)', 'manual', tables => '{reg_projection.s}');
SELECT eventstore.create_projection('temp', 'reg_projection.add_one(eventstore.event)', 'manual', tables => '{eventstore.snapshots}');
SELECT eventstore.drop_projection('one'), eventstore.drop_projection('all');
