-- What a fault must not do to a subscription: a delivery that is lost in part, a definition that changes, a replay that is lost
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS reg_faults CASCADE;
SELECT eventstore.create_store('reg_faults.events', 'off');
RESET client_min_messages;
SET pg_eventstore.store = 'reg_faults.events';
\set SHOW_CONTEXT never
-- polls, keeps the token for reg_faults.token(), and shows "position aggregate attempt" of each event
CREATE FUNCTION reg_faults.poll(name text, max_count int DEFAULT NULL, consumer text DEFAULT NULL, ack bigint DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  shown text;
  token bigint;
BEGIN
  SELECT string_agg(concat_ws(' ', position, aggregate_id, attempt), ', ' ORDER BY position), max(delivery) INTO shown, token
    FROM eventstore.poll(name, max_count, consumer, ack => ack);
  PERFORM set_config('reg_faults.token_' || coalesce(consumer, ''), token::text, false) WHERE token IS NOT NULL;
  RETURN shown;
END $$;
CREATE FUNCTION reg_faults.token(consumer text DEFAULT '') RETURNS bigint LANGUAGE sql AS $$SELECT current_setting('reg_faults.token_' || consumer)::bigint$$;
CREATE FUNCTION reg_faults.error(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
BEGIN
  EXECUTE command;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
  RETURN regexp_replace(concat_ws(' ', SQLSTATE, message, nullif('- ' || detail, '- ')), '\d{9,}', 'TOKEN', 'g');
END $$;

-- of a delivery of two partitions another consumer has got one: the delivery is lost
SELECT count(eventstore.append_event('T', to_jsonb(n), 'a' || n % 4)) FROM generate_series(1, 8) n;
SELECT eventstore.create_subscription('reg_q', partitions => 2, lease => '0.05 s');
SELECT reg_faults.poll('reg_q', 10, 'a'), count(*) AS partitions FROM eventstore.subscription_partitions WHERE subscription = 'reg_q' AND consumer = 'a';
SELECT pg_sleep(0.1);
SELECT reg_faults.poll('reg_q', 1, 'b') IS NOT NULL AS delivered, count(*) AS partitions FROM eventstore.subscription_partitions WHERE subscription = 'reg_q' AND consumer = 'a';
SELECT count(*) AS partitions FROM eventstore.subscription_partitions WHERE subscription = 'reg_q' AND consumer = 'a';
SELECT reg_faults.error($$SELECT eventstore.ack('reg_q', reg_faults.token('a'))$$);
SELECT reg_faults.error($$SELECT eventstore.ack('reg_q', reg_faults.token('a'), 4)$$);
SELECT reg_faults.error($$SELECT eventstore.nack('reg_q', reg_faults.token('a'), 2)$$);
SELECT reg_faults.error($$SELECT eventstore.park('reg_q', reg_faults.token('a'), 2)$$);
SELECT reg_faults.error($$SELECT eventstore.extend_lease('reg_q', reg_faults.token('a'))$$);
SELECT eventstore.ack('reg_q', reg_faults.token('b'));
SELECT reg_faults.poll('reg_q', 1, 'a') IS NOT NULL AS again;
SELECT eventstore.ack('reg_q', reg_faults.token('a'));
-- a delivery that was acknowledged in part goes on with fewer partitions
SELECT eventstore.reset_subscription('reg_q', 0), eventstore.alter_subscription('reg_q', lease => '1 h');
SELECT reg_faults.poll('reg_q', 3, 'a');
SELECT eventstore.ack('reg_q', reg_faults.token('a'), 2), eventstore.ack('reg_q', reg_faults.token('a'));
SELECT eventstore.drop_subscription('reg_q');

-- a lease that is a little longer than the longest one holds, as the clock may have been set back
SELECT eventstore.create_subscription('reg_q', lease => '1 day');
SELECT reg_faults.poll('reg_q', 1, 'a');
UPDATE eventstore.subscription_progress SET lease_until = lease_until + interval '1 min' WHERE subscription = 'reg_q';
SELECT reg_faults.poll('reg_q', 1, 'b');
SELECT eventstore.drop_subscription('reg_q');

-- an event that was not delivered is not exhausted: the one that was is of another type now, or deleted
SELECT eventstore.append_event('A', '1', 'z'), eventstore.append_event('B', '2', 'z');
SELECT eventstore.create_subscription('reg_q', event_types => '{A,B}', start_position => 8, max_attempts => 1);
SELECT reg_faults.poll('reg_q', 1, 'a');
SELECT eventstore.alter_subscription('reg_q', event_types => '{B}');
SELECT reg_faults.error($$SELECT eventstore.ack('reg_q', reg_faults.token('a'))$$);
SELECT reg_faults.poll('reg_q', 1, 'b');
SELECT parked FROM eventstore.subscriptions WHERE name = 'reg_q';
-- the same types in another order, and twice, are the same
SELECT eventstore.alter_subscription('reg_q', event_types => '{B,B}');
SELECT eventstore.ack('reg_q', reg_faults.token('b'));
SELECT eventstore.alter_subscription('reg_q', event_types => '{B,A}');
SELECT event_types FROM eventstore.subscriptions WHERE name = 'reg_q';
SET client_min_messages = error;
SELECT eventstore.create_subscription('reg_q', event_types => '{A,B,A}');
RESET client_min_messages;
SELECT eventstore.alter_subscription('reg_q', event_types => '{B,NULL}');
SELECT eventstore.create_subscription('reg_q2', aggregate_types => '{{a,b},{c,d}}');
SELECT eventstore.drop_subscription('reg_q');

-- attempts are kept by a poll that does not come to the event
SELECT eventstore.create_subscription('reg_q', partitions => 2, start_position => NULL, lease => '0.02 s');
SELECT eventstore.high_water_mark() AS start \gset
SELECT count(eventstore.append_event('T', '1', '123456789')) FROM generate_series(1, 3);
SELECT eventstore.append_event('T', '1', 'order-1');
SELECT count(DISTINCT partition) FROM eventstore.poll('reg_q', 10, 'a');
SELECT eventstore.ack('reg_q', min(delivery), :start + 3) FROM eventstore.subscription_partitions WHERE subscription = 'reg_q';
SELECT pg_sleep(0.05);
SELECT position - :start AS n, attempt FROM eventstore.poll('reg_q', 10, 'b');
SELECT pg_sleep(0.05);
UPDATE eventstore.subscription_progress SET checkpoint = :start WHERE subscription = 'reg_q' AND attempt = 0;
SELECT position - :start AS n, attempt FROM eventstore.poll('reg_q', 2, 'c');
SELECT partition, attempt FROM eventstore.subscription_partitions WHERE subscription = 'reg_q' ORDER BY 1;
SELECT eventstore.drop_subscription('reg_q');

-- parked events are replayed after a change of the partitions, in a store where nothing new comes
SELECT eventstore.create_subscription('reg_q', partitions => 2);
SELECT reg_faults.poll('reg_q', 1, 'a');
SELECT eventstore.park('reg_q', reg_faults.token('a'), 1, 'test');
SELECT reg_faults.poll('reg_q', 1, 'a') IS NOT NULL AS delivered, eventstore.release('reg_q', 'a') > 0 AS released;
SELECT eventstore.alter_subscription('reg_q', partitions => 1);
SELECT eventstore.replay_parked('reg_q', at_position => 1);
SELECT reg_faults.poll('reg_q', 1, 'a');
SELECT eventstore.ack('reg_q', reg_faults.token('a'));
SELECT eventstore.drop_subscription('reg_q');

-- some of the parked events of an aggregate are replayed: a new one comes after the others
SELECT eventstore.create_subscription('reg_q', start_position => NULL);
SELECT eventstore.high_water_mark() AS start \gset
SELECT count(eventstore.append_event('T', to_jsonb(n), 'k')) FROM generate_series(1, 3) n;
SELECT reg_faults.poll('reg_q', 1, 'a') IS NOT NULL AS delivered;
SELECT eventstore.park('reg_q', reg_faults.token('a'), :start + 1, 'test');
SELECT reg_faults.poll('reg_q', 10, 'a');
SELECT eventstore.replay_parked('reg_q', at_position => :start + 2);
SELECT eventstore.append_event('T', '4', 'k');
SELECT position - :start AS n FROM eventstore.poll('reg_q', 10, 'a');
SELECT eventstore.ack('reg_q', min(delivery)) FROM eventstore.subscription_partitions WHERE subscription = 'reg_q';
SELECT position - :start AS n FROM eventstore.poll('reg_q', 10, 'a');
SELECT position - :start AS n, replay FROM eventstore.parked_events WHERE subscription = 'reg_q' ORDER BY 1;
SELECT eventstore.replay_parked('reg_q', 'k');
SELECT position - :start AS n FROM eventstore.poll('reg_q', 10, 'a');
SELECT eventstore.ack('reg_q', min(delivery)) FROM eventstore.subscription_partitions WHERE subscription = 'reg_q';

-- a replay that is lost comes one at a time, and only what is lost again and again is parked again
SELECT eventstore.alter_subscription('reg_q', lease => '0.02 s', max_attempts => 2);
SELECT eventstore.high_water_mark() AS start \gset
SELECT count(eventstore.append_event('T', '1', a)) FROM unnest('{ok1,bad,ok2}'::text[]) a;
CREATE PROCEDURE reg_faults.park_next() LANGUAGE plpgsql AS $$
DECLARE
  event record;
BEGIN
  SELECT * INTO event FROM eventstore.poll('reg_q', 1);
  PERFORM eventstore.park('reg_q', event.delivery, event.position, 'by hand');
END $$;
CALL reg_faults.park_next();
CALL reg_faults.park_next();
CALL reg_faults.park_next();
SELECT eventstore.replay_parked('reg_q');
SELECT aggregate_id, attempt FROM eventstore.poll('reg_q', 10);
SELECT pg_sleep(0.05);
SELECT aggregate_id, attempt, eventstore.ack('reg_q', delivery) FROM eventstore.poll('reg_q', 10);
SELECT aggregate_id, attempt FROM eventstore.poll('reg_q', 10);
SELECT pg_sleep(0.05);
SELECT aggregate_id, attempt, eventstore.ack('reg_q', delivery) FROM eventstore.poll('reg_q', 10);
SELECT aggregate_id, attempts, replay FROM eventstore.parked_events WHERE subscription = 'reg_q';

-- three consumers share four partitions, though they acknowledge with the next poll
SELECT eventstore.create_subscription('reg_q4', partitions => 4, start_position => NULL);
SELECT count(eventstore.append_event('S', to_jsonb(n), 's' || n % 40)) FROM generate_series(1, 600) n;
CREATE TABLE reg_faults.got (consumer text, events int);
CREATE PROCEDURE reg_faults.share(consumers text[]) LANGUAGE plpgsql AS $$
DECLARE
  name text;
  token bigint;
  got int;
BEGIN
  FOR round IN 1 .. 15 LOOP
    FOREACH name IN ARRAY consumers LOOP
      SELECT count(*), max(delivery) INTO got, token
        FROM eventstore.poll('reg_q4', 10, name, ack => nullif(current_setting('reg_faults.share_' || name, true), '')::bigint);
      PERFORM set_config('reg_faults.share_' || name, coalesce(token::text, ''), false);
      INSERT INTO reg_faults.got VALUES (name, got);
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
CALL reg_faults.share('{c1,c2,c3}');
SELECT consumer, sum(events) >= 50 AS share FROM reg_faults.got GROUP BY 1 ORDER BY 1;
SELECT eventstore.drop_subscription('reg_q4');

-- a partition that is far behind does not take all deliveries
SELECT eventstore.create_subscription('reg_q4', partitions => 4, start_position => NULL, lease => '0.1 s');
SELECT eventstore.high_water_mark() AS start \gset
SELECT count(eventstore.append_event('S', '1', 'order-1')) FROM generate_series(1, 1500);
SELECT eventstore.append_event('S', '1', 'order-2'), eventstore.append_event('S', '1', '123456789');
UPDATE eventstore.subscription_progress SET checkpoint = :start + 1500 WHERE subscription = 'reg_q4' AND partition <> 1 AND partition <> (SELECT partition FROM eventstore.poll('reg_q4', 1) LIMIT 1);
SELECT count(*) > 0 AS behind FROM eventstore.poll('reg_q4', 5, 'c1') WHERE aggregate_id <> 'order-1';
SELECT eventstore.drop_subscription('reg_q4');

-- what row security hides, and what cannot be read, in the views
SELECT eventstore.discard_parked('reg_q');
CALL reg_faults.park_next();
CREATE ROLE reg_faults_reader;
GRANT USAGE ON SCHEMA eventstore, reg_faults TO reg_faults_reader;
GRANT SELECT ON reg_faults.events TO reg_faults_reader;
SET ROLE reg_faults_reader;
SELECT count(*), min(reason) FROM eventstore.parked_events WHERE subscription = 'reg_q';
RESET ROLE;
ALTER TABLE reg_faults.events ENABLE ROW LEVEL SECURITY;
SET ROLE reg_faults_reader;
SELECT count(*), min(reason) FROM eventstore.parked_events WHERE subscription = 'reg_q';
SELECT last_error FROM eventstore.subscriptions WHERE name = 'reg_q';
SELECT last_error FROM eventstore.subscription_partitions WHERE subscription = 'reg_q';
RESET ROLE;
ALTER TABLE reg_faults.events DISABLE ROW LEVEL SECURITY;
SELECT last_error FROM eventstore.subscriptions WHERE name = 'reg_q';
SET client_min_messages = error;
SELECT eventstore.create_archive() IS NOT NULL AS created;
SELECT eventstore.archive_events(before_position => 2);
DROP TABLE reg_faults.events_archive;
RESET client_min_messages;
SELECT reason, event_id FROM eventstore.parked_events WHERE subscription = 'reg_q';

-- progress that does not belong to the definition, as after a restore of one of them
SELECT eventstore.create_subscription('reg_q6', start_position => 0);
UPDATE eventstore.subscription_progress SET epoch = epoch + 1 WHERE subscription = 'reg_q6';
SELECT lag, problem FROM eventstore.subscriptions WHERE name = 'reg_q6';
SET client_min_messages = error;
SELECT eventstore.create_archive() IS NOT NULL AS created;
RESET client_min_messages;
SELECT lag, problem FROM eventstore.subscriptions WHERE name = 'reg_q6';
SELECT * FROM eventstore.poll('reg_q6');
SELECT eventstore.reset_subscription('reg_q6', 0);
SELECT count(*) > 0 AS delivered FROM eventstore.poll('reg_q6', 10);
DELETE FROM eventstore.subscription_progress WHERE subscription = 'reg_q6';
SELECT * FROM eventstore.poll('reg_q6');
SELECT lag, problem FROM eventstore.subscriptions WHERE name = 'reg_q6';
SELECT eventstore.drop_subscription('reg_q6');

-- many versions of a row in one transaction: its page gets full, and the index leads to the next page
SELECT eventstore.create_subscription('reg_q7', partitions => 2);
CREATE TEMPORARY TABLE pages AS SELECT (ctid::text::point)[0] AS page FROM eventstore.subscription_progress WHERE subscription = 'reg_q7' ORDER BY partition LIMIT 1;
DO $$
BEGIN
  FOR n IN 1 .. 200 LOOP
    PERFORM eventstore.extend_lease('reg_q7', max(delivery)) FROM eventstore.poll('reg_q7', 1, repeat('c', 250));
    IF (SELECT count(*) FROM eventstore.subscription_partitions WHERE subscription = 'reg_q7' AND consumer IS NOT NULL) <> 1 THEN
      RAISE 'the row is lost';
    END IF;
    PERFORM eventstore.release('reg_q7', repeat('c', 250));
  END LOOP;
END $$;
SELECT count(*) > 0 AS on_another_page FROM eventstore.subscription_progress s, pages WHERE s.subscription = 'reg_q7' AND (s.ctid::text::point)[0] <> page;
DROP TABLE pages;
SELECT count(*) FROM eventstore.poll('reg_q7', 1);
SELECT eventstore.drop_subscription('reg_q7');

-- a reason of any length
SET client_min_messages = error;
SELECT eventstore.create_archive() IS NOT NULL AS created;
RESET client_min_messages;
SELECT eventstore.create_subscription('reg_q5', start_position => NULL);
SELECT eventstore.append_event('T', '1', 'r');
SELECT eventstore.nack('reg_q5', delivery, position, repeat('é', 100000)) IS NOT NULL AS waits FROM eventstore.poll('reg_q5');
SELECT length(last_error), right(last_error, 12) FROM eventstore.subscriptions WHERE name = 'reg_q5';
-- events of the future are not late
SELECT eventstore.reset_subscription('reg_q5') > 0 AS reset;
SELECT eventstore.append_event('T', '1', occurred_at => now() + interval '1 day') IS NULL AS appended;
SELECT lag, lag_seconds FROM eventstore.subscriptions WHERE name = 'reg_q5';
SET client_min_messages = warning;
SELECT eventstore.drop_store('reg_faults.events', true);
DROP OWNED BY reg_faults_reader;
DROP ROLE reg_faults_reader;
DROP SCHEMA reg_faults CASCADE;
