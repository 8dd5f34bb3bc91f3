-- poll() and ack(): order, tokens, redelivery, partitions, filters, waiting
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS reg_poll CASCADE;
SELECT eventstore.create_store('reg_poll.events', 'off');
RESET client_min_messages;
SET pg_eventstore.store = 'reg_poll.events';
\set SHOW_CONTEXT never
-- polls, keeps the token for reg_poll.token(), and shows "position aggregate attempt" of each event
CREATE FUNCTION reg_poll.poll(name text, max_count int DEFAULT NULL, consumer text DEFAULT NULL, ack bigint DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  shown text;
  token bigint;
BEGIN
  SELECT string_agg(concat_ws(' ', position, aggregate_id, attempt), ', ' ORDER BY n), max(p.delivery) INTO shown, token
    FROM eventstore.poll(name, max_count, consumer, ack => ack) WITH ORDINALITY AS p(delivery, attempt, partition, position, event_id, event_type, occurred_at,
           correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata, n);
  PERFORM set_config('reg_poll.token_' || coalesce(consumer, ''), token::text, false) WHERE token IS NOT NULL;
  RETURN shown;
END $$;
CREATE FUNCTION reg_poll.token(consumer text DEFAULT '') RETURNS bigint LANGUAGE sql AS $$SELECT current_setting('reg_poll.token_' || consumer)::bigint$$;
-- runs a command that fails, and shows its error, without the numbers of tokens
CREATE FUNCTION reg_poll.error(command text) RETURNS text LANGUAGE plpgsql AS $$
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
CREATE VIEW reg_poll.partitions AS SELECT subscription AS s, partition AS p, checkpoint, consumer, in_flight, attempt, retry_at > now() AS waits, stopped
  FROM eventstore.subscription_partitions WHERE subscription ~ '^reg_p' ORDER BY 1, 2;

SELECT count(eventstore.append_event('T' || n % 2, to_jsonb(n), 'a' || n % 3, event_id => 'e' || n, aggregate_type => 'A', metadata => '{}')) FROM generate_series(1, 9) n;
SELECT eventstore.create_subscription('reg_p1');
SELECT attempt, partition, position, event_id, event_type, aggregate_id, aggregate_type, aggregate_version, data, metadata FROM eventstore.poll('reg_p1', 2, 'c');
-- without an acknowledgement: the same events, with a new token
SELECT delivery AS old FROM eventstore.subscription_partitions WHERE subscription = 'reg_p1' \gset
SELECT reg_poll.poll('reg_p1', 2, 'c');
SELECT reg_poll.token('c') <> :old AS another;
SELECT reg_poll.error(format('SELECT eventstore.ack(''reg_p1'', %s)', :old));
-- from the third time on one at a time, as one of them may be what kills the consumer
SELECT reg_poll.poll('reg_p1', 2, 'c');
SELECT eventstore.reset_subscription('reg_p1', 0);
SELECT reg_poll.poll('reg_p1', 2, 'c');
-- another consumer, and one without a name, get nothing
SELECT reg_poll.poll('reg_p1', 2, 'd');
SELECT reg_poll.poll('reg_p1', 2);
SELECT eventstore.ack('reg_p1', reg_poll.token('c'));
TABLE reg_poll.partitions;
-- an acknowledgement twice
SELECT reg_poll.error($$SELECT eventstore.ack('reg_p1', reg_poll.token('c'))$$);
-- parts of a delivery
SELECT reg_poll.poll('reg_p1', 4, 'c');
SELECT eventstore.ack('reg_p1', reg_poll.token('c'), 0);
SELECT eventstore.ack('reg_p1', reg_poll.token('c'), 4);
SELECT eventstore.ack('reg_p1', reg_poll.token('c'), 3);
TABLE reg_poll.partitions;
SELECT reg_poll.poll('reg_p1', 4, 'c');
SELECT reg_poll.error($$SELECT eventstore.ack('reg_p1', reg_poll.token('c'), 7)$$);
SELECT eventstore.ack('reg_p1', reg_poll.token('c'), 6);
TABLE reg_poll.partitions;
-- poll that acknowledges first
SELECT reg_poll.poll('reg_p1', 2, 'c');
SELECT reg_poll.poll('reg_p1', 2, 'c', reg_poll.token('c'));
SELECT reg_poll.poll('reg_p1', 2, 'c', reg_poll.token('c'));
SELECT name, checkpoint, lag, lag_seconds > 0 AS late, in_flight, consumers, parked FROM eventstore.subscriptions WHERE name = 'reg_p1';

-- without names: a poll is a consumer of its own
SELECT eventstore.reset_subscription('reg_p1', 0);
SELECT reg_poll.poll('reg_p1', 3);
SELECT reg_poll.poll('reg_p1', 3);
SELECT eventstore.ack('reg_p1', reg_poll.token());
SELECT reg_poll.poll('reg_p1', 3);
-- the start is moved while a delivery is out: it is void
SELECT eventstore.reset_subscription('reg_p1', 0);
SELECT reg_poll.error($$SELECT eventstore.ack('reg_p1', reg_poll.token())$$);
SELECT reg_poll.poll('reg_p1', 1);

-- a token of another subscription, or of none
SELECT eventstore.create_subscription('reg_p2');
SELECT reg_poll.error($$SELECT eventstore.ack('reg_p2', reg_poll.token())$$);
SELECT reg_poll.error($$SELECT eventstore.ack('reg_p2', 1)$$);
SELECT reg_poll.error($$SELECT eventstore.ack('reg_p2', NULL)$$);
SELECT eventstore.drop_subscription('reg_p2'), eventstore.drop_subscription('reg_p1');

-- everything in one transaction: rolled back, it was not polled
SELECT eventstore.create_subscription('reg_p1');
BEGIN;
SELECT reg_poll.poll('reg_p1', 3, 'c');
SELECT eventstore.ack('reg_p1', reg_poll.token('c'));
SELECT reg_poll.poll('reg_p1', 3, 'c');
ROLLBACK;
TABLE reg_poll.partitions;

BEGIN;
SELECT reg_poll.poll('reg_p1', 3, 'c');
SAVEPOINT s;
SELECT eventstore.ack('reg_p1', reg_poll.token('c'));
ROLLBACK TO s;
SELECT reg_poll.poll('reg_p1', 3, 'c');
SELECT eventstore.ack('reg_p1', reg_poll.token('c'));
COMMIT;
TABLE reg_poll.partitions;
-- a transaction that has appended gets its own events, too
BEGIN;
SELECT eventstore.append_event('T', '0', 'own');
SELECT reg_poll.poll('reg_p1', NULL, 'c');
SELECT eventstore.ack('reg_p1', reg_poll.token('c'));
ROLLBACK;
SELECT reg_poll.poll('reg_p1', NULL, 'c');
SELECT eventstore.ack('reg_p1', reg_poll.token('c'));
-- at every isolation level
SELECT eventstore.reset_subscription('reg_p1', 0);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT reg_poll.poll('reg_p1', 3, 'c'), eventstore.ack('reg_p1', reg_poll.token('c'));
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT reg_poll.poll('reg_p1', 3, 'c'), eventstore.ack('reg_p1', reg_poll.token('c'));
COMMIT;
TABLE reg_poll.partitions;
BEGIN READ ONLY;
SELECT * FROM eventstore.poll('reg_p1');
ROLLBACK;
BEGIN READ ONLY;
SELECT eventstore.ack('reg_p1', 1);
ROLLBACK;
-- prepared: the partition stays locked, and polls pass it by
BEGIN;
SELECT reg_poll.poll('reg_p1', 2, 'c');
PREPARE TRANSACTION 'reg_poll';
SELECT reg_poll.poll('reg_p1', 2, 'd'), reg_poll.poll('reg_p1', 2, 'c'), reg_poll.poll('reg_p1', 2);
COMMIT PREPARED 'reg_poll';
SELECT eventstore.ack('reg_p1', reg_poll.token('c'));
TABLE reg_poll.partitions;
SELECT eventstore.drop_subscription('reg_p1');

-- a lease ends: another consumer gets the events, and the acknowledgement of the first one changes nothing
SELECT eventstore.create_subscription('reg_p1', lease => '0.05 s');
SELECT reg_poll.poll('reg_p1', 3, 'c');
SELECT pg_sleep(0.1);
-- as long as nobody has them, the lease is no matter
SELECT eventstore.ack('reg_p1', reg_poll.token('c'), 1);
SELECT eventstore.extend_lease('reg_p1', reg_poll.token('c'), '1 h') > now() + interval '59 min' AS extended;
SELECT reg_poll.poll('reg_p1', 3, 'd');
SELECT eventstore.extend_lease('reg_p1', reg_poll.token('c')) < now() + interval '1 min' AS extended;
SELECT pg_sleep(0.1);
SELECT reg_poll.poll('reg_p1', 3, 'd');
SELECT reg_poll.error($$SELECT eventstore.ack('reg_p1', reg_poll.token('c'))$$);
SELECT reg_poll.error($$SELECT eventstore.nack('reg_p1', reg_poll.token('c'), 2)$$);
SELECT reg_poll.error($$SELECT eventstore.park('reg_p1', reg_poll.token('c'), 2)$$);
SELECT reg_poll.error($$SELECT eventstore.extend_lease('reg_p1', reg_poll.token('c'))$$);
SELECT reg_poll.error($$SELECT eventstore.extend_lease('reg_p1', reg_poll.token('d'), '-1 s')$$);
SELECT reg_poll.error($$SELECT eventstore.extend_lease('reg_p1', reg_poll.token('d'), '1 year')$$);
-- the delivery that was lost had several events: they come one at a time now
SELECT eventstore.ack('reg_p1', reg_poll.token('d'));
SELECT reg_poll.poll('reg_p1', 3, 'd'), eventstore.ack('reg_p1', reg_poll.token('d'));
SELECT reg_poll.poll('reg_p1', 3, 'd'), eventstore.ack('reg_p1', reg_poll.token('d'));
-- shutdown
SELECT eventstore.alter_subscription('reg_p1', lease => '1 h');
SELECT reg_poll.poll('reg_p1', 3, 'd');
SELECT eventstore.release('reg_p1', 'd'), eventstore.release('reg_p1', 'd');
TABLE reg_poll.partitions;
SELECT count(*) FROM eventstore.subscription_consumers WHERE subscription = 'reg_p1' AND consumer = 'd';
SELECT reg_poll.error($$SELECT eventstore.release('reg_p1', NULL)$$);
-- a lease in the far future, as if the clock had been set back, does not hold
SELECT reg_poll.poll('reg_p1', 3, 'c');
UPDATE eventstore.subscription_progress SET lease_until = clock_timestamp() + interval '1 year' WHERE subscription = 'reg_p1';
UPDATE eventstore.subscription_consumers SET seen_at = clock_timestamp() + interval '1 year' WHERE subscription = 'reg_p1';
SELECT consumers FROM eventstore.subscriptions WHERE name = 'reg_p1';
SELECT reg_poll.poll('reg_p1', 3, 'd');
SELECT eventstore.drop_subscription('reg_p1');

-- partitions: known values of the hash, which must never change
SELECT eventstore.create_subscription('reg_p16', partitions => 16, start_position => NULL);
SELECT count(eventstore.append_event('H', '1', a)) FROM unnest(ARRAY['123456789', 'order-1', 'order-2', 'é', '']) a WHERE a <> '';
SELECT eventstore.append_event('H', '1', event_id => '123456789');
SELECT partition, aggregate_id, CASE WHEN aggregate_id IS NULL THEN event_id END AS event_id FROM eventstore.poll('reg_p16', consumer => 'c');
SELECT partition, first_slot, last_slot FROM eventstore.subscription_progress WHERE subscription = 'reg_p16' ORDER BY 1 LIMIT 2;
SELECT eventstore.drop_subscription('reg_p16');
-- consumers with names share the partitions, and each aggregate is with one of them
SELECT eventstore.create_subscription('reg_p8', partitions => 8, start_position => NULL);
SELECT count(eventstore.append_event('S', to_jsonb(n), 's' || n % 40)) FROM generate_series(1, 400) n;
-- the first one gets all, as it is alone
SELECT count(*), count(DISTINCT partition) FROM eventstore.poll('reg_p8', 100, 'c1');
SELECT count(*) FROM eventstore.poll('reg_p8', 100, 'c2');
-- from the next poll on it leaves half of them to the second
SELECT count(eventstore.ack('reg_p8', delivery)) FROM (SELECT DISTINCT delivery FROM eventstore.subscription_partitions WHERE subscription = 'reg_p8' AND delivery IS NOT NULL) d;
SELECT count(*), count(DISTINCT partition) FROM eventstore.poll('reg_p8', 100, 'c1');
SELECT count(*), count(DISTINCT partition) FROM eventstore.poll('reg_p8', 100, 'c2');
SELECT count(*), count(DISTINCT partition) FROM eventstore.poll('reg_p8', 100, 'c3');
SELECT consumers, in_flight FROM eventstore.subscriptions WHERE name = 'reg_p8';
-- then a third
SELECT count(eventstore.release('reg_p8', 'c' || n)) FROM generate_series(1, 2) n;
SELECT count(*) > 0 AS delivered, count(DISTINCT partition) FROM eventstore.poll('reg_p8', 100, 'c1');
SELECT count(*) > 0 AS delivered, count(DISTINCT partition) FROM eventstore.poll('reg_p8', 100, 'c2');
SELECT count(*) > 0 AS delivered, count(DISTINCT partition) FROM eventstore.poll('reg_p8', 100, 'c3');
-- all events, each once, each aggregate in order
SELECT count(eventstore.release('reg_p8', 'c' || n)) FROM generate_series(1, 3) n;
CREATE TABLE reg_poll.handled (n serial, aggregate_id text, aggregate_version int, data jsonb);
CREATE PROCEDURE reg_poll.drain(name text) LANGUAGE plpgsql AS $$
DECLARE
  c text;
  none int := 0;
  d bigint;
BEGIN
  WHILE none < 3 LOOP
    none := none + 1;
    FOREACH c IN ARRAY ARRAY['c1', 'c2', 'c3'] LOOP
      WITH p AS (SELECT * FROM eventstore.poll(name, 7, c)),
           h AS (INSERT INTO reg_poll.handled (aggregate_id, aggregate_version, data) SELECT aggregate_id, aggregate_version, data FROM p)
      SELECT max(delivery) INTO d FROM p;
      IF d IS NOT NULL THEN
        PERFORM eventstore.ack(name, d);
        none := 0;
      END IF;
    END LOOP;
  END LOOP;
END $$;
CALL reg_poll.drain('reg_p8');
SELECT count(*), count(DISTINCT data),
       (SELECT count(*) FROM (SELECT aggregate_version - lag(aggregate_version) OVER (PARTITION BY aggregate_id ORDER BY n) AS step FROM reg_poll.handled) s WHERE step <> 1) AS out_of_order
  FROM reg_poll.handled;
SELECT lag, lag_seconds FROM eventstore.subscriptions WHERE name = 'reg_p8';
SELECT max(checkpoint) - min(checkpoint) < 256 AS close FROM eventstore.subscription_partitions WHERE subscription = 'reg_p8';

-- filters; what does not pass moves the checkpoints along, if it is much
SELECT eventstore.create_subscription('reg_pf', event_types => '{Rare}', partitions => 2, start_position => NULL);
SELECT eventstore.append_event('Rare', '1', 'r1'), eventstore.append_event('Common', '1', 'r1'), eventstore.append_event('Rare', '2', 'r2');
SELECT reg_poll.poll('reg_pf', 1, 'c') IS NOT NULL AS one, reg_poll.poll('reg_pf', 10, 'c', reg_poll.token('c')) IS NOT NULL AS other,
       reg_poll.poll('reg_pf', 10, 'c', reg_poll.token('c')) AS none;
SELECT count(eventstore.append_event('Common', '1', 'r' || n % 5)) FROM generate_series(1, 100) n;
SELECT checkpoint AS before FROM eventstore.subscriptions WHERE name = 'reg_pf' \gset
SELECT reg_poll.poll('reg_pf');
SELECT checkpoint - :before AS moved, lag FROM eventstore.subscriptions WHERE name = 'reg_pf';
SELECT count(eventstore.append_event('Common', '1', 'r' || n % 5)) FROM generate_series(1, 300) n;
SELECT reg_poll.poll('reg_pf');
SELECT checkpoint - :before > 300 AS moved, lag FROM eventstore.subscriptions WHERE name = 'reg_pf';
-- the lag of a subscription to what does not come: from where nothing was found, and in seconds, too
SELECT eventstore.create_subscription('reg_plag', event_types => '{Never}');
SELECT eventstore.high_water_mark() - lag AS from_position, lag_seconds > 0 AS old FROM eventstore.subscriptions WHERE name = 'reg_plag';
SELECT count(eventstore.append_event('Common', '1', 'r' || n % 5)) FROM generate_series(1, 1200) n;
SELECT eventstore.high_water_mark() - lag AS from_position, lag_seconds > 0 AS old FROM eventstore.subscriptions WHERE name = 'reg_plag';
SELECT count(*) FROM eventstore.poll('reg_plag');
SELECT lag, lag_seconds FROM eventstore.subscriptions WHERE name = 'reg_plag';
SELECT eventstore.drop_subscription('reg_plag');
-- filters are changed
SELECT eventstore.alter_subscription('reg_pf', event_types => '{Common}', aggregate_types => '{B}');
SELECT eventstore.append_event('Common', '1', 'b', aggregate_type => 'B'), eventstore.append_event('Common', '1', 'r1'), eventstore.append_event('Rare', '1', 'b');
SELECT count(*), min(event_type), min(aggregate_id) FROM eventstore.poll('reg_pf');

-- an idle poll writes nothing
CALL reg_poll.drain('reg_p8');
SELECT count(*) FROM eventstore.poll('reg_p8', 10, 'c1');
SELECT count(*) FROM eventstore.poll('reg_p8', 10, 'c1', '0.03 s');
-- the server writes WAL, too, so not every look finds 0
CREATE FUNCTION reg_poll.wal(n int) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
  before pg_lsn := pg_current_wal_insert_lsn();
BEGIN
  PERFORM eventstore.poll('reg_p8', 10, 'c1'), eventstore.poll('reg_p8', 10), eventstore.poll('reg_p8', 10, 'c9', '0.03 s');
  RETURN pg_current_wal_insert_lsn() - before;
END $$;
SELECT min(reg_poll.wal(n)) AS wal, pg_current_xact_id_if_assigned() FROM generate_series(1, 10) n;
-- waiting ends when there is an event, or when the time is over
SELECT clock_timestamp() AS begun \gset
SELECT count(*) FROM eventstore.poll('reg_p8', 10, 'c1', '0.2 s');
SELECT clock_timestamp() - :'begun' BETWEEN interval '0.2 s' AND interval '5 s' AS waited;
SET statement_timeout = '0.2 s';
SELECT count(*) FROM eventstore.poll('reg_p8', 10, 'c1', '1 day');
RESET statement_timeout;
SELECT reg_poll.error($$SELECT * FROM eventstore.poll('reg_p8', wait => '-1 s')$$);

-- bad arguments
SELECT reg_poll.error($$SELECT * FROM eventstore.poll('reg_p8', 0)$$);
SELECT reg_poll.error($$SELECT * FROM eventstore.poll('reg_p8', -1)$$);
SELECT count(*) FROM eventstore.poll('reg_p8', 1000000);
SELECT reg_poll.error($$SELECT * FROM eventstore.poll('reg_p8', consumer => '')$$);
SELECT reg_poll.error($$SELECT * FROM eventstore.poll('reg_p8', consumer => repeat('x', 10000))$$);
SELECT reg_poll.error($$SELECT * FROM eventstore.poll('reg_p8', ack => 1)$$);
SELECT reg_poll.error($$SELECT * FROM eventstore.poll('reg_none')$$);

-- the planner expects max_count rows
CREATE FUNCTION reg_poll.plan_rows(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) SELECT * FROM eventstore.' || call INTO plan;
  RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
SELECT reg_poll.plan_rows($$poll('reg_p8')$$), reg_poll.plan_rows($$poll('reg_p8', 7)$$), reg_poll.plan_rows($$poll('reg_p8', 5000)$$), reg_poll.plan_rows($$poll('reg_p8', NULL)$$);

-- the rate: events per second, of about a minute
SELECT eventstore.create_subscription('reg_prate', partitions => 2);
SELECT rate FROM eventstore.subscriptions WHERE name = 'reg_prate';
SELECT reg_poll.poll('reg_prate', 240, 'c') IS NOT NULL AS delivered;
SELECT rate BETWEEN 3 AND 4 AS right FROM eventstore.subscriptions WHERE name = 'reg_prate';
UPDATE eventstore.subscription_progress SET delivered_at = delivered_at - interval '1 minute' WHERE subscription = 'reg_prate';
SELECT rate BETWEEN 1 AND 1.48 AS less FROM eventstore.subscriptions WHERE name = 'reg_prate';
SELECT reg_poll.poll('reg_prate', 60, 'c', reg_poll.token('c')) IS NOT NULL AS delivered;
SELECT rate BETWEEN 2 AND 2.48 AS more FROM eventstore.subscriptions WHERE name = 'reg_prate';
UPDATE eventstore.subscription_progress SET delivered_at = delivered_at - interval '1 year' WHERE subscription = 'reg_prate';
SELECT rate < 1e-9 AS none FROM eventstore.subscriptions WHERE name = 'reg_prate';
UPDATE eventstore.subscription_progress SET delivered_at = delivered_at + interval '2 years' WHERE subscription = 'reg_prate';
SELECT rate BETWEEN 1 AND 3 AS "clock set back" FROM eventstore.subscriptions WHERE name = 'reg_prate';
SELECT eventstore.drop_subscription('reg_prate');

-- a million at once, many partitions
SELECT eventstore.create_subscription('reg_p1024', partitions => 1024);
SELECT count(*), count(DISTINCT partition) > 30 AS many FROM eventstore.poll('reg_p1024', 1000000, 'c');
SELECT count(eventstore.ack('reg_p1024', d)) FROM (SELECT delivery FROM eventstore.subscription_partitions WHERE subscription = 'reg_p1024' AND delivery IS NOT NULL LIMIT 1) x(d);
SELECT count(*) FROM eventstore.poll('reg_p1024', 1000000, 'c');

-- a checkpoint that the store has not given
UPDATE eventstore.subscription_progress SET checkpoint = 100000 WHERE subscription = 'reg_p8';
SELECT * FROM eventstore.poll('reg_p8');
\echo :LAST_ERROR_SQLSTATE

-- every column, null or not: of the store, of the store and its archive, of a store with another column
SELECT eventstore.create_store('reg_poll.columns', 'off');
INSERT INTO reg_poll.columns (event_type, correlation_id, causation_id, aggregate_id, aggregate_type, data, metadata)
SELECT 'T' || n, CASE WHEN n & 1 > 0 THEN 'r' || n END, CASE WHEN n & 2 > 0 THEN 's' || n END, CASE WHEN n & 4 > 0 THEN 'a' || n END,
       CASE WHEN n & 8 > 0 THEN 'A' END, to_jsonb(repeat('x' || n, n * n * n)), CASE WHEN n & 16 > 0 THEN to_jsonb(n) END
  FROM generate_series(0, 31) n;
CREATE FUNCTION reg_poll.same(name text) RETURNS text LANGUAGE sql AS $$
  WITH p AS MATERIALIZED (SELECT * FROM eventstore.poll(name, 100)),
       e AS (SELECT position, event_id, event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version, data, metadata FROM p),
       r AS MATERIALIZED (SELECT * FROM eventstore.read_events(store => 'reg_poll.columns'))
  SELECT format('%s events, %s differ, %s are missing, attempts %s to %s, partitions %s to %s, deliveries %s', count(*), (SELECT count(*) FROM (TABLE e EXCEPT TABLE r) d),
           (SELECT count(*) FROM (TABLE r EXCEPT TABLE e) d), min(attempt), max(attempt), min(partition), max(partition), count(DISTINCT delivery)) FROM p
$$;
SELECT eventstore.create_subscription('reg_columns' || n, 'reg_poll.columns') FROM generate_series(1, 3) n;
SELECT reg_poll.same('reg_columns1');
SELECT eventstore.create_archive('reg_poll.columns');
SELECT count(eventstore.reset_subscription('reg_columns' || n, NULL::bigint)) FROM generate_series(1, 3) n;
SELECT eventstore.archive_events(before_position => 17, store => 'reg_poll.columns');
SELECT eventstore.reset_subscription('reg_columns' || n, 0) FROM generate_series(2, 3) n;
SELECT reg_poll.same('reg_columns2');
ALTER TABLE reg_poll.columns ADD COLUMN extra text DEFAULT 'more';
SELECT reg_poll.same('reg_columns3');
SET client_min_messages = warning;
SELECT eventstore.drop_store('reg_poll.columns', true);
RESET client_min_messages;

-- row security
CREATE ROLE reg_poll_reader;
GRANT USAGE ON SCHEMA eventstore, reg_poll TO reg_poll_reader;
GRANT SELECT ON reg_poll.events TO reg_poll_reader;
ALTER TABLE reg_poll.events ENABLE ROW LEVEL SECURITY;
SET ROLE reg_poll_reader;
SELECT eventstore.create_subscription('reg_prls');
SELECT reg_poll.error($$SELECT * FROM eventstore.poll('reg_prls')$$);
RESET ROLE;
SELECT count(*) FROM eventstore.poll('reg_prls', 3);
SET client_min_messages = warning;
SELECT eventstore.drop_store('reg_poll.events', true);
DROP OWNED BY reg_poll_reader;
DROP ROLE reg_poll_reader;
DROP SCHEMA reg_poll CASCADE;
