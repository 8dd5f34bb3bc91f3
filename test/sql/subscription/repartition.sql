-- The number of partitions is changed: nothing is lost, and nothing that was acknowledged is repeated.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS reg_repartition CASCADE;
SELECT eventstore.create_store('reg_repartition.events', 'off');
RESET client_min_messages;
SET pg_eventstore.store = 'reg_repartition.events';
\set SHOW_CONTEXT never
SELECT count(eventstore.append_event('T', to_jsonb(n), 'a' || n % 50)) FROM generate_series(1, 1000) n;
CREATE TABLE reg_repartition.handled (n serial, position bigint, aggregate_id text, version int, partition int, partitions int);
-- polls once; acknowledges all, a part, or nothing
CREATE FUNCTION reg_repartition.work(name text, max_count int, consumer text, acknowledge bool DEFAULT true) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  token bigint;
  events int;
BEGIN
  CREATE TEMP TABLE polled ON COMMIT DROP AS SELECT * FROM eventstore.poll(name, max_count, consumer);
  SELECT max(delivery), count(*) INTO token, events FROM polled;
  IF acknowledge AND token IS NOT NULL THEN
    INSERT INTO reg_repartition.handled (position, aggregate_id, version, partition, partitions)
      SELECT p.position, p.aggregate_id, p.aggregate_version, p.partition, s.partitions FROM polled p, eventstore.subscriptions s WHERE s.name = work.name ORDER BY p.position;
    PERFORM eventstore.ack(name, token);
  END IF;
  DROP TABLE polled;
  RETURN events;
END $$;
CREATE VIEW reg_repartition.state AS
  SELECT partitions, next_partitions, (SELECT count(*) FROM eventstore.subscription_partitions p WHERE p.subscription = s.name) AS rows, in_flight
    FROM eventstore.subscriptions s WHERE name = 'reg_r';
CREATE VIEW reg_repartition.result AS
  SELECT count(*), count(DISTINCT position) AS distinct,
         (SELECT count(*) FROM (SELECT version - lag(version) OVER (PARTITION BY aggregate_id ORDER BY n) AS step FROM reg_repartition.handled) s WHERE step <> 1) AS out_of_order,
         (SELECT count(*) FROM (SELECT FROM reg_repartition.handled GROUP BY aggregate_id, partitions HAVING count(DISTINCT partition) > 1) s) AS moved
    FROM reg_repartition.handled;

SELECT eventstore.create_subscription('reg_r', partitions => 3);
-- the partitions get apart
SELECT reg_repartition.work('reg_r', 100, 'a'), reg_repartition.work('reg_r', 40, 'b');
SELECT reg_repartition.work('reg_r', 10, 'a', false), reg_repartition.work('reg_r', 30, 'b'), reg_repartition.work('reg_r', 30, 'b');
SELECT count(DISTINCT checkpoint) > 1 AS apart FROM eventstore.subscription_partitions WHERE subscription = 'reg_r';
-- a delivery is out: the change waits, nothing new is delivered, but to its consumer the same again
SELECT eventstore.alter_subscription('reg_r', partitions => 7);
TABLE reg_repartition.state;
SELECT reg_repartition.work('reg_r', 10, 'b');
SELECT reg_repartition.work('reg_r', 10, 'a');
TABLE reg_repartition.state;
-- the next poll makes it
SELECT reg_repartition.work('reg_r', 10, 'b');
TABLE reg_repartition.state;
SELECT count(*) FILTER (WHERE floors IS NOT NULL) > 0 AS floors FROM eventstore.subscription_progress WHERE subscription = 'reg_r';
SELECT min(first_slot), max(last_slot), sum(last_slot - first_slot + 1) FROM eventstore.subscription_progress WHERE subscription = 'reg_r';
-- without a delivery it is made at once; from seven to two, and to 1024, and back to one
SELECT reg_repartition.work('reg_r', 50, 'a'), reg_repartition.work('reg_r', 20, 'b'), reg_repartition.work('reg_r', 5, 'c');
SELECT eventstore.alter_subscription('reg_r', partitions => 2);
TABLE reg_repartition.state;
SELECT reg_repartition.work('reg_r', 50, 'a'), reg_repartition.work('reg_r', 20, 'b');
SELECT eventstore.alter_subscription('reg_r', partitions => 1024);
TABLE reg_repartition.state;
SELECT min(first_slot), max(last_slot), sum(last_slot - first_slot + 1) FROM eventstore.subscription_progress WHERE subscription = 'reg_r';
SELECT reg_repartition.work('reg_r', 50, 'a'), reg_repartition.work('reg_r', 20, 'b');
SELECT eventstore.alter_subscription('reg_r', partitions => 1);
TABLE reg_repartition.result;
SELECT sum(reg_repartition.work('reg_r', 100, 'a')) FROM generate_series(1, 20);
TABLE reg_repartition.result;
SELECT lag, checkpoint, partitions FROM eventstore.subscriptions WHERE name = 'reg_r';
SELECT floors FROM eventstore.subscription_progress WHERE subscription = 'reg_r';

-- a lease that has ended does not hold up the change; pauses and stops are kept
SELECT eventstore.reset_subscription('reg_r', 0);
SELECT eventstore.alter_subscription('reg_r', lease => '0.02 s', backoff => '1 h');
SELECT reg_repartition.work('reg_r', 10, 'a', false), pg_sleep(0.05);
SELECT eventstore.alter_subscription('reg_r', partitions => 4);
TABLE reg_repartition.state;
SELECT DISTINCT checkpoint, suspect_to FROM eventstore.subscription_progress WHERE subscription = 'reg_r';
SELECT count(*), count(DISTINCT partition) FROM eventstore.poll('reg_r', 100, 'b');
SELECT eventstore.nack('reg_r', delivery, min(position)) IS NOT NULL AS waits FROM eventstore.poll('reg_r', 100, 'b') GROUP BY delivery;
SELECT eventstore.alter_subscription('reg_r', partitions => 2);
TABLE reg_repartition.state;
SELECT count(*) FILTER (WHERE retry_at IS NOT NULL) AS waiting FROM eventstore.subscription_partitions WHERE subscription = 'reg_r';
-- parked events stay with their aggregates
SELECT eventstore.reset_subscription('reg_r', 0);
SELECT eventstore.park('reg_r', delivery, min(position), 'test') FROM eventstore.poll('reg_r', 100, 'b') GROUP BY delivery;
SELECT eventstore.alter_subscription('reg_r', partitions => 16);
SELECT count(*) > 0 AS delivered, count(*) FILTER (WHERE aggregate_id = 'a1') AS parked FROM eventstore.poll('reg_r', 1000, 'b');
SELECT eventstore.release('reg_r', 'b') > 0 AS released;
SELECT eventstore.replay_parked('reg_r', 'a1', 1);
SELECT position, aggregate_id FROM eventstore.poll('reg_r', 1000, 'b');
SET client_min_messages = warning;
SELECT eventstore.drop_store('reg_repartition.events', true);
DROP SCHEMA reg_repartition CASCADE;
