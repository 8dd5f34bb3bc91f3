SET client_min_messages = warning;
CREATE SCHEMA reg_async;
SELECT eventstore.create_store('reg_async.s');
SET pg_eventstore.store = 'reg_async.s';
SET search_path = reg_async;
CREATE TABLE reg_async.totals (aggregate_id text PRIMARY KEY, events int, amount int);
CREATE FUNCTION reg_async.add_one(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO totals VALUES (e.aggregate_id, 1, (e.data->>'amount')::int)
  ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + 1, amount = totals.amount + excluded.amount $$;
SELECT eventstore.create_projection('one', 'reg_async.add_one(eventstore.event)', tables => '{reg_async.totals}');
SELECT count(eventstore.append_event('added', jsonb_build_object('amount', i), 'a' || i % 3)) FROM generate_series(1, 10) i;
SELECT pg_sleep(0.5);
SELECT * FROM reg_async.totals ORDER BY 1;
SELECT checkpoint, lag, last_error, problem FROM eventstore.subscriptions;
