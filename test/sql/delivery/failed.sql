-- nack(), attempts, backoff, park(), and what becomes of exhausted events; replay_parked(), discard_parked()
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS reg_failed CASCADE;
SELECT eventstore.create_store('reg_failed.events', 'off');
RESET client_min_messages;
SET pg_eventstore.store = 'reg_failed.events';
\set SHOW_CONTEXT never
-- polls, keeps the token for reg_failed.token(), and shows "position aggregate attempt" of each event
CREATE FUNCTION reg_failed.poll(name text, max_count int DEFAULT NULL, consumer text DEFAULT NULL, ack bigint DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  shown text;
  token bigint;
BEGIN
  SELECT string_agg(concat_ws(' ', position, aggregate_id, attempt), ', ' ORDER BY n), max(p.delivery) INTO shown, token
    FROM eventstore.poll(name, max_count, consumer, ack => ack) WITH ORDINALITY AS p(delivery, attempt, partition, position, event_id, event_type, occurred_at,
           correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata, n);
  PERFORM set_config('reg_failed.token_' || coalesce(consumer, ''), token::text, false) WHERE token IS NOT NULL;
  RETURN shown;
END $$;
CREATE FUNCTION reg_failed.token(consumer text DEFAULT '') RETURNS bigint LANGUAGE sql AS $$SELECT current_setting('reg_failed.token_' || consumer)::bigint$$;
-- runs a command that fails, and shows its error, without the numbers of tokens
CREATE FUNCTION reg_failed.error(command text) RETURNS text LANGUAGE plpgsql AS $$
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
CREATE VIEW reg_failed.partitions AS SELECT subscription AS s, partition AS p, checkpoint, consumer, in_flight, attempt, retry_at > now() AS waits, stopped
  FROM eventstore.subscription_partitions WHERE subscription ~ '^reg_f' ORDER BY 1, 2;

CREATE VIEW reg_failed.parked AS SELECT subscription AS s, position, aggregate_id, data, attempts, behind, replay, reason
  FROM eventstore.parked_events WHERE subscription ~ '^reg_f' ORDER BY 1, 2;
CREATE FUNCTION reg_failed.nack(name text, at_position bigint, retry_after interval DEFAULT NULL, consumer text DEFAULT 'c') RETURNS text LANGUAGE sql AS
  $$SELECT coalesce(round(extract(epoch FROM eventstore.nack(name, reg_failed.token(consumer), at_position, 'bad ' || at_position, retry_after) - clock_timestamp()))::text || ' s', 'none')$$;

SELECT count(eventstore.append_event('T', to_jsonb(n), 'a' || n % 3)) FROM generate_series(1, 9) n;
-- park: the events before the one that failed are done with, it is tried again alone, and then set aside with those behind it
SELECT eventstore.create_subscription('reg_f1', max_attempts => 3, backoff => '1 h');
SELECT reg_failed.poll('reg_f1', 5, 'c');
SELECT reg_failed.nack('reg_f1', 3);
TABLE reg_failed.partitions;
SELECT last_error, last_error_at IS NOT NULL AS at, lag, parked FROM eventstore.subscriptions WHERE name = 'reg_f1';
-- the partition waits, and a token that was used is of no more use
SELECT reg_failed.poll('reg_f1', 5, 'c');
SELECT reg_failed.error($$SELECT reg_failed.nack('reg_f1', 3)$$);
SELECT reg_failed.error($$SELECT eventstore.ack('reg_f1', reg_failed.token('c'))$$);
UPDATE eventstore.subscription_progress SET retry_at = clock_timestamp() - interval '1 s' WHERE subscription = 'reg_f1';
SELECT reg_failed.poll('reg_f1', 5, 'c');
-- not an event of the delivery
SELECT reg_failed.error($$SELECT reg_failed.nack('reg_f1', 2)$$);
SELECT reg_failed.error($$SELECT reg_failed.nack('reg_f1', 4)$$);
SELECT reg_failed.error($$SELECT reg_failed.nack('reg_f1', 400)$$);
SELECT reg_failed.error($$SELECT reg_failed.nack('reg_f1', NULL)$$);
SELECT reg_failed.error($$SELECT reg_failed.nack('reg_f1', 3, '-1 s')$$);
SELECT reg_failed.error($$SELECT reg_failed.nack('reg_f1', 3, '2 days')$$);
SELECT reg_failed.error($$SELECT eventstore.nack('reg_none', 1, 1)$$);
SELECT reg_failed.error($$SELECT eventstore.park('reg_f1', reg_failed.token('c'), 4)$$);
-- doubled, or as the call says
SELECT reg_failed.nack('reg_f1', 3);
UPDATE eventstore.subscription_progress SET retry_at = NULL WHERE subscription = 'reg_f1';
SELECT reg_failed.poll('reg_f1', 5, 'c');
SELECT reg_failed.nack('reg_f1', 3, '0');
TABLE reg_failed.parked;
TABLE reg_failed.partitions;
SELECT reg_failed.poll('reg_f1', 20, 'c');
SELECT eventstore.ack('reg_f1', reg_failed.token('c'));
TABLE reg_failed.parked;
SELECT parked, lag FROM eventstore.subscriptions WHERE name = 'reg_f1';
-- new events of the aggregate are parked behind it, too
SELECT eventstore.append_event('T', '10', 'a0'), eventstore.append_event('T', '11', 'a1');
SELECT reg_failed.poll('reg_f1', 20, 'c'), eventstore.ack('reg_f1', reg_failed.token('c'));
-- given out again: in order, before newer ones
SELECT eventstore.replay_parked('reg_f1', 'none'), eventstore.replay_parked('reg_f1', 'a0', 2), eventstore.replay_parked('reg_f1', 'a0');
SELECT eventstore.append_event('T', '12', 'a0'), eventstore.append_event('T', '13', 'a2');
SELECT reg_failed.poll('reg_f1', 2, 'c');
SELECT reg_failed.poll('reg_f1', 2, 'd');
SELECT reg_failed.poll('reg_f1', 2, 'c');
SELECT eventstore.ack('reg_f1', reg_failed.token('c'), 3);
TABLE reg_failed.parked;
SELECT eventstore.ack('reg_f1', reg_failed.token('c'));
SELECT reg_failed.poll('reg_f1', 20, 'c');
SELECT eventstore.ack('reg_f1', reg_failed.token('c'));
SELECT reg_failed.poll('reg_f1', 20, 'c');
SELECT eventstore.ack('reg_f1', reg_failed.token('c'));
TABLE reg_failed.parked;
TABLE reg_failed.partitions;
-- it fails again: parked again, with those behind it
SELECT eventstore.reset_subscription('reg_f1', 2);
SELECT reg_failed.poll('reg_f1', 20, 'c');
SELECT eventstore.park('reg_f1', reg_failed.token('c'), 3, 'by hand');
SELECT reg_failed.poll('reg_f1', 20, 'c');
SELECT eventstore.ack('reg_f1', reg_failed.token('c'));
SELECT eventstore.replay_parked('reg_f1');
SELECT reg_failed.poll('reg_f1', 20, 'c');
SELECT reg_failed.error($$SELECT reg_failed.nack('reg_f1', 4)$$);
SELECT reg_failed.nack('reg_f1', 6);
TABLE reg_failed.parked;
SELECT reg_failed.poll('reg_f1', 20, 'c');
-- discarded: the first ones, then all
SELECT eventstore.discard_parked('reg_f1', 'a0', 6, 'of no use'), eventstore.discard_parked('reg_f1', 'a0', 6);
TABLE reg_failed.parked;
SELECT eventstore.append_event('T', '14', 'a0');
SELECT reg_failed.poll('reg_f1', 20, 'c');
SELECT eventstore.discard_parked('reg_f1');
SELECT eventstore.append_event('T', '15', 'a0');
SELECT reg_failed.poll('reg_f1', 20, 'c'), eventstore.ack('reg_f1', reg_failed.token('c'));
-- a replay that nobody acknowledges ends, too
SELECT eventstore.reset_subscription('reg_f1', 14);
SELECT reg_failed.poll('reg_f1', 1, 'c') IS NOT NULL AS delivered;
SELECT eventstore.park('reg_f1', reg_failed.token('c'), 15);
SELECT eventstore.replay_parked('reg_f1');
SELECT reg_failed.poll('reg_f1', 20, 'c'), reg_failed.poll('reg_f1', 20, 'c'), reg_failed.poll('reg_f1', 20, 'c');
SELECT reg_failed.poll('reg_f1', 20, 'c');
TABLE reg_failed.parked;
-- what a delivery has passed by is parked for good when the delivery is acknowledged; if the events before it are
-- discarded meanwhile, it is delivered then
SELECT eventstore.reset_subscription('reg_f1', 2);
SELECT reg_failed.poll('reg_f1', 1, 'c');
SELECT eventstore.park('reg_f1', reg_failed.token('c'), 3);
SELECT reg_failed.poll('reg_f1', 4, 'c');
TABLE reg_failed.parked;
SELECT eventstore.discard_parked('reg_f1', 'a0'), eventstore.discard_parked('reg_f1', 'a0');
TABLE reg_failed.parked;
SELECT reg_failed.nack('reg_f1', 7, '0');
SELECT reg_failed.poll('reg_f1', 20, 'c');
SELECT reg_failed.poll('reg_f1', 20, 'c', reg_failed.token('c'));
SELECT reg_failed.poll('reg_f1', 20, 'c', reg_failed.token('c'));
SELECT eventstore.ack('reg_f1', reg_failed.token('c'));
TABLE reg_failed.parked;
SELECT eventstore.reset_subscription('reg_f1', 14);
SELECT reg_failed.poll('reg_f1', 1, 'c') IS NOT NULL AS delivered;
SELECT eventstore.park('reg_f1', reg_failed.token('c'), 15);
-- a reset takes those out of the parked ones that are delivered again
SELECT eventstore.reset_subscription('reg_f1', 15);
SELECT count(*) FROM eventstore.parked_events WHERE subscription = 'reg_f1';
SELECT eventstore.reset_subscription('reg_f1', 5);
SELECT count(*) FROM eventstore.parked_events WHERE subscription = 'reg_f1';
SELECT eventstore.drop_subscription('reg_f1');

-- an event that kills its consumer is found, and it alone is parked
SELECT eventstore.create_subscription('reg_f2', max_attempts => 2, lease => '0.02 s', on_exhausted => 'skip');
CREATE TABLE reg_failed.handled (n serial, position bigint);
DO $$
DECLARE
  polls int := 0;
  seen bigint[];
  token bigint;
BEGIN
  WHILE polls < 100 AND (SELECT lag FROM eventstore.subscriptions WHERE name = 'reg_f2') > 0 LOOP
    polls := polls + 1;
    SELECT array_agg(p.position ORDER BY p.position), max(p.delivery) INTO seen, token FROM eventstore.poll('reg_f2', 20) p;
    IF seen @> '{6}' OR token IS NULL THEN
      PERFORM pg_sleep(0.025); -- crashed
    ELSE
      INSERT INTO reg_failed.handled (position) SELECT unnest(seen);
      PERFORM eventstore.ack('reg_f2', token);
    END IF;
  END LOOP;
  RAISE NOTICE 'less than 60 polls: %', polls < 60;
END $$;
TABLE reg_failed.parked;
SELECT count(*), count(DISTINCT position), bool_or(position = 6) AS sixth,
       (SELECT count(*) FROM (SELECT position < lag(position) OVER (ORDER BY n) AS back FROM reg_failed.handled) s WHERE back) AS out_of_order FROM reg_failed.handled;
SELECT eventstore.drop_subscription('reg_f2');
-- the same consumer, restarted under its name
SELECT eventstore.create_subscription('reg_f2', max_attempts => 4);
DO $$
DECLARE
  polls int := 0;
  seen bigint[];
  token bigint;
BEGIN
  TRUNCATE reg_failed.handled;
  WHILE polls < 100 AND (SELECT lag FROM eventstore.subscriptions WHERE name = 'reg_f2') > 0 LOOP
    polls := polls + 1;
    SELECT array_agg(p.position ORDER BY p.position), max(p.delivery) INTO seen, token FROM eventstore.poll('reg_f2', 20, 'c') p;
    IF NOT seen @> '{6}' THEN
      INSERT INTO reg_failed.handled (position) SELECT unnest(seen);
      PERFORM eventstore.ack('reg_f2', token);
    END IF;
  END LOOP;
  RAISE NOTICE 'less than 60 polls: %', polls < 60;
END $$;
TABLE reg_failed.parked;
SELECT count(*), count(DISTINCT position), bool_or(position IN (SELECT position FROM eventstore.parked_events WHERE subscription = 'reg_f2')) AS parked FROM reg_failed.handled;
SELECT eventstore.drop_subscription('reg_f2');

-- skip: later events of the aggregate go on
SELECT eventstore.create_subscription('reg_f3', max_attempts => 1, on_exhausted => 'skip');
SELECT reg_failed.poll('reg_f3', 5, 'c');
SELECT reg_failed.nack('reg_f3', 3);
SELECT reg_failed.poll('reg_f3', 4, 'c');
SELECT eventstore.park('reg_f3', reg_failed.token('c'), 7, 'by hand');
SELECT reg_failed.poll('reg_f3', 20, 'c');
TABLE reg_failed.parked;
SELECT eventstore.drop_subscription('reg_f3');

-- stop: the partition waits for resume_subscription(), other partitions go on
SELECT eventstore.create_subscription('reg_f4', max_attempts => 1, on_exhausted => 'stop');
SELECT reg_failed.poll('reg_f4', 5, 'c');
SELECT reg_failed.nack('reg_f4', 3);
TABLE reg_failed.partitions;
SELECT stopped, parked, last_error FROM eventstore.subscriptions WHERE name = 'reg_f4';
SELECT reg_failed.poll('reg_f4', 5, 'c');
SELECT eventstore.resume_subscription('reg_f4');
SELECT reg_failed.poll('reg_f4', 5, 'c');
SELECT eventstore.ack('reg_f4', reg_failed.token('c'));
-- a lost delivery stops it, too
SELECT eventstore.alter_subscription('reg_f4', lease => '0.02 s');
SELECT reg_failed.poll('reg_f4', 1, 'c'), pg_sleep(0.03);
SELECT reg_failed.poll('reg_f4', 5, 'd');
TABLE reg_failed.partitions;
SELECT last_error FROM eventstore.subscriptions WHERE name = 'reg_f4';
SELECT eventstore.drop_subscription('reg_f4');

-- several partitions: those without the event that failed go on at once; events before it are done with
SELECT eventstore.create_subscription('reg_f5', partitions => 4, backoff => '1 h');
SELECT partition, position, aggregate_id FROM eventstore.poll('reg_f5', 6, 'c');
SELECT eventstore.nack('reg_f5', delivery, 4) IS NOT NULL FROM eventstore.subscription_partitions WHERE subscription = 'reg_f5' AND delivery IS NOT NULL LIMIT 1;
TABLE reg_failed.partitions;
SELECT partition, position, aggregate_id FROM eventstore.poll('reg_f5', 6, 'c');
SELECT eventstore.drop_subscription('reg_f5');

-- events of no aggregate are parked alone
SELECT eventstore.create_subscription('reg_f6', start_position => NULL, max_attempts => 1);
SELECT count(eventstore.append_event('T', to_jsonb(n))) FROM generate_series(1, 3) n;
SELECT regexp_count(reg_failed.poll('reg_f6', 5, 'c'), ',') + 1 AS events;
SELECT eventstore.park('reg_f6', reg_failed.token('c'), min(position), 'first') FROM eventstore.get_latest_events(3);
SELECT regexp_count(reg_failed.poll('reg_f6', 5, 'c'), ',') + 1 AS events;
SELECT reason, data, behind FROM reg_failed.parked;
SELECT eventstore.ack('reg_f6', reg_failed.token('c')), eventstore.replay_parked('reg_f6');
SELECT regexp_count(reg_failed.poll('reg_f6', 5, 'c'), ',') + 1 AS events;
SELECT eventstore.ack('reg_f6', reg_failed.token('c'));
SELECT count(*) FROM reg_failed.parked;

-- erased events come as their tombstones, archived ones from the archive
SELECT eventstore.erase_aggregate('a1', 'test') > 0 AS erased;
SET client_min_messages = warning;
SELECT eventstore.create_archive();
SELECT eventstore.archive_limit() = (SELECT checkpoint FROM eventstore.subscriptions WHERE name = 'reg_f6') AS limited;
SELECT eventstore.archive_events(before_position => 6);
RESET client_min_messages;
SELECT eventstore.create_subscription('reg_f7', backoff => '0');
SELECT eventstore.archive_limit();
SELECT position, aggregate_id, data, metadata FROM eventstore.poll('reg_f7', 7, 'c');
SELECT reg_failed.poll('reg_f7', 7, 'c');
SELECT reg_failed.nack('reg_f7', 2), eventstore.archive_limit();
SELECT reg_failed.poll('reg_f7', 7, 'c');
SELECT eventstore.park('reg_f7', reg_failed.token('c'), 2, 'archived');
TABLE reg_failed.parked;
SELECT reg_failed.poll('reg_f7', 100, 'c') IS NOT NULL AS delivered, eventstore.ack('reg_f7', reg_failed.token('c'));
SELECT eventstore.replay_parked('reg_f7');
SELECT reg_failed.poll('reg_f7', 2, 'c'), eventstore.ack('reg_f7', reg_failed.token('c'));
SELECT eventstore.archive_limit() = eventstore.high_water_mark() AS free;
-- one event by its position: those of no aggregate alone, those of an aggregate with the earlier ones
SELECT eventstore.create_subscription('reg_f8', start_position => NULL, partitions => 2);
SELECT eventstore.high_water_mark() AS start \gset
SELECT count(eventstore.append_event('L', to_jsonb(n), event_id => 'loose-' || n)) FROM generate_series(1, 3) n;
SELECT count(eventstore.append_event('L', to_jsonb(n), 'tied')) FROM generate_series(1, 3) n;
CREATE PROCEDURE reg_failed.park_next() LANGUAGE plpgsql AS $$
DECLARE
  event record;
BEGIN
  SELECT * INTO event FROM eventstore.poll('reg_f8', 1, 'c');
  PERFORM eventstore.park('reg_f8', event.delivery, event.position, 'by hand');
END $$;
CALL reg_failed.park_next();
CALL reg_failed.park_next();
CALL reg_failed.park_next();
CALL reg_failed.park_next();
SELECT reg_failed.poll('reg_f8', 10, 'c');
SELECT position - :start AS n, aggregate_id, behind FROM eventstore.parked_events WHERE subscription = 'reg_f8' ORDER BY 1;
SELECT eventstore.replay_parked('reg_f8', at_position => :start + 2), eventstore.replay_parked('reg_f8', at_position => :start + 5),
       eventstore.replay_parked('reg_f8', 'tied', :start + 1), eventstore.replay_parked('reg_f8', at_position => :start + 7);
SELECT position - :start AS n, replay FROM eventstore.parked_events WHERE subscription = 'reg_f8' ORDER BY 1;
SELECT eventstore.discard_parked('reg_f8', at_position => :start + 3), eventstore.discard_parked('reg_f8', at_position => :start + 3);
SELECT position - :start AS n, data FROM eventstore.poll('reg_f8', 10, 'c');
SELECT eventstore.ack('reg_f8', max(delivery)) FROM eventstore.subscription_partitions WHERE subscription = 'reg_f8';
SELECT position - :start AS n FROM eventstore.parked_events WHERE subscription = 'reg_f8' ORDER BY 1;
SET client_min_messages = warning;
SELECT eventstore.drop_store('reg_failed.events', true);
SELECT count(*) FROM eventstore.subscription_parked WHERE subscription ~ '^reg_f';
DROP SCHEMA reg_failed CASCADE;
