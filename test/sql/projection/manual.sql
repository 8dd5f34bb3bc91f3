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
SELECT eventstore.drop_projection('one'), eventstore.drop_projection('all');
