-- Projections that the background worker runs.
SET client_min_messages = warning;
CREATE SCHEMA reg_async;
SELECT eventstore.create_store('reg_async.s');
SET pg_eventstore.store = 'reg_async.s';
SET search_path = reg_async;
CREATE TABLE totals (aggregate_id text PRIMARY KEY, events int, amount int);
CREATE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO totals VALUES (e.aggregate_id, 1, (e.data->>'amount')::int)
  ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + 1, amount = totals.amount + excluded.amount $$;
CREATE FUNCTION wait(name text) RETURNS boolean LANGUAGE sql AS $$ SELECT eventstore.wait_for_projection(name) IS NOT NULL $$;
SELECT eventstore.create_projection('async', 'add_one(eventstore.event)');
SELECT count(eventstore.append_event('added', jsonb_build_object('amount', i), 'a' || i % 3)) FROM generate_series(1, 10) i;
SELECT wait('async');
TABLE totals ORDER BY 1;
SELECT name, mode, state, store, handler, tables, batch_size, on_error, position, lag, attempts, last_error FROM eventstore.projections;
SELECT name, runner, checkpoint FROM eventstore.subscriptions WHERE name = 'async';
-- a failed event stops it
SELECT eventstore.append_event('added', '{"amount": "x"}', 'a1');
SELECT eventstore.append_event('added', '{"amount": 100}', 'a1');
SELECT wait('async');
SELECT state, position, lag, attempts > 0 AS attempts, retry_at IS NOT NULL AS retry, last_error, last_error_position, last_error_event_type FROM eventstore.projections;
CREATE OR REPLACE FUNCTION add_one(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO totals VALUES (e.aggregate_id, 1, CASE WHEN e.data->>'amount' <> 'x' THEN (e.data->>'amount')::int ELSE 0 END)
  ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + 1, amount = totals.amount + excluded.amount $$;
SELECT eventstore.resume_projection('async');
SELECT wait('async');
TABLE totals ORDER BY 1;
-- park, with the later events of the aggregate
CREATE FUNCTION add_checked(e eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO totals VALUES (e.aggregate_id, 1, (e.data->>'amount')::int)
  ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + 1, amount = totals.amount + excluded.amount $$;
SELECT eventstore.alter_projection('async', 'add_checked(eventstore.event)', on_error => 'park', max_attempts => 2, backoff => '1 ms');
SELECT eventstore.append_event('added', '{"amount": "x"}', 'a1');
SELECT eventstore.append_event('added', '{"amount": 1000}', 'a1');
SELECT eventstore.append_event('added', '{"amount": 10000}', 'a2');
SELECT wait('async');
SELECT state, lag, parked, attempts FROM eventstore.projections;
SELECT position, reason, behind FROM eventstore.parked_events WHERE subscription = 'async' ORDER BY 1;
TABLE totals ORDER BY 1;
SELECT eventstore.alter_projection('async', 'add_one(eventstore.event)');
SELECT eventstore.replay_parked('async');
SELECT wait('async');
TABLE totals ORDER BY 1;
SELECT aggregate_id, count(*) FROM s GROUP BY 1 ORDER BY 1;
-- pause
SELECT eventstore.pause_projection('async');
SELECT wait('async');
SELECT state FROM eventstore.projections;
SELECT eventstore.resume_projection('async');
-- functions of subscriptions
SELECT eventstore.poll('async');
SELECT eventstore.ack('async', 1);
SELECT eventstore.release('async', 'c');
SELECT eventstore.alter_subscription('async', max_attempts => 1);
SELECT eventstore.reset_subscription('async', 0);
SELECT eventstore.pause_subscription('async');
SELECT eventstore.drop_subscription('async');
SELECT eventstore.create_subscription('async');
-- invalid definitions
SELECT eventstore.create_projection('async', 'add_one(eventstore.event)', event_types => '{a}');
SELECT eventstore.create_projection('async', 'add_one(eventstore.event)', tables => '{totals}');
SET client_min_messages = notice;
SELECT eventstore.create_projection('async', 'add_one(eventstore.event)');
SET client_min_messages = warning;
SELECT eventstore.create_projection('x', 'wait(text)');
SELECT eventstore.create_projection('x', 'add_one(eventstore.event)', 'sometimes');
SELECT eventstore.create_projection('x', 'add_one(eventstore.event)', on_error => 'cry');
SELECT eventstore.create_projection('x', 'add_one(eventstore.event)', 'inline', on_error => 'park');
SELECT eventstore.create_projection('x', 'add_one(eventstore.event)', batch_size => 0);
SELECT eventstore.create_projection('x', 'add_one(eventstore.event)', max_attempts => NULL);
SELECT eventstore.create_projection('x', 'add_one(eventstore.event)', tables => '{eventstore.projections}');
SELECT eventstore.create_projection('x', 'add_one(eventstore.event)', start_position => 1000);
SELECT eventstore.create_projection('', 'add_one(eventstore.event)');
SELECT eventstore.run_projection('x');
SELECT eventstore.wait_for_projection('async', 1000);
BEGIN;
SELECT eventstore.append_event('added', '{"amount": 0}', 'a2');
SELECT eventstore.wait_for_projection('async');
ROLLBACK;
-- a handler that appends to its store
CREATE FUNCTION again(e eventstore.event) RETURNS void LANGUAGE sql AS
  $$ SELECT eventstore.append_event('again', '1', store => 'reg_async.s') $$;
SELECT eventstore.create_projection('again', 'again(eventstore.event)', 'manual');
SELECT eventstore.run_projection('again');
-- the handler is dropped
DROP FUNCTION again(eventstore.event);
SELECT state, problem FROM eventstore.projections WHERE name = 'again';
SELECT eventstore.run_projection('again');
SELECT eventstore.drop_projection('again');
SELECT eventstore.drop_projection('async');
SELECT count(*) FROM eventstore.projections;
