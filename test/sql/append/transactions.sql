-- appends within transactions of every shape
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_transactions.events');
SET pg_eventstore.store = 'reg_transactions.events';

-- rollback and commit
BEGIN;
SELECT eventstore.append_event('t', '{}', 'a', 0);
ROLLBACK;
SELECT eventstore.get_aggregate_version('a');
BEGIN;
SELECT eventstore.append_event('t', '{}', 'a', 0);
SELECT eventstore.get_aggregate_version('a');
SELECT eventstore.append_event('t', '{}', 'a', 1);
COMMIT;
SELECT eventstore.get_aggregate_version('a');

-- savepoints: kept, rolled back, nested
BEGIN;
SELECT eventstore.append_event('t', '{}', 's', 0);
SAVEPOINT one;
SELECT eventstore.append_event('t', '{}', 's', 1);
SAVEPOINT two;
SELECT eventstore.append_event('t', '{}', 's', 2);
ROLLBACK TO two;
SELECT eventstore.get_aggregate_version('s');
RELEASE one;
SAVEPOINT three;
SELECT eventstore.append_event('t', '{}', 's', 9);
ROLLBACK TO three;
SELECT eventstore.append_event('t', '{}', 's', 2);
COMMIT;
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('s');

-- exception blocks: conflict, then once more
DO $$
DECLARE
  version integer;
BEGIN
  FOR attempt IN 0..10 LOOP
    BEGIN
      version := eventstore.append_event('t', to_jsonb(attempt), 's', attempt);
      EXIT;
    EXCEPTION WHEN SQLSTATE '40V01' THEN
      CONTINUE;
    END;
  END LOOP;
  ASSERT version = 4, version::text;
END $$;
SELECT data FROM eventstore.get_events_by_aggregate('s', 4);
-- an append undone by its block
DO $$
BEGIN
  BEGIN
    PERFORM eventstore.append_event('t', '{}', 's', 4);
    RAISE 'undo';
  EXCEPTION WHEN raise_exception THEN
    NULL;
  END;
  ASSERT eventstore.append_event('t', '{}', 's', 4) = 5;
END $$;
-- class 40 is what drivers map to a concurrency failure
DO $$
BEGIN
  PERFORM eventstore.append_event('t', '{}', 's', 1);
EXCEPTION WHEN transaction_rollback THEN
  RAISE WARNING 'caught';
END $$;

-- two appends in one statement: the second sees the first
SELECT eventstore.append_event('t', '{}', 'two', 0), eventstore.append_event('t', '{}', 'two', 1);
SELECT eventstore.append_event('t', '{}', 'two', eventstore.append_event('t', '{}', 'two', 2));
SELECT eventstore.append_event('t', '{}', 'two', 5), eventstore.append_event('t', '{}', 'two', 9);
SELECT eventstore.get_aggregate_version('two');
VALUES (eventstore.append_event('t', '{}', 'two')), (eventstore.append_event('t', '{}', 'two'));

-- an append and a reader in one statement: the reader has the statement's snapshot
WITH appended AS MATERIALIZED (SELECT eventstore.append_event('t', '{}', 'cte', 0) AS version)
SELECT version, (SELECT count(*) FROM eventstore.get_events_by_aggregate('cte')) AS read FROM appended;
SELECT count(*) FROM eventstore.get_events_by_aggregate('cte');
-- events read and appended again
SELECT eventstore.append_to_aggregate('copy', array_agg(event_type ORDER BY aggregate_version), array_agg(data ORDER BY aggregate_version), 0)
  FROM eventstore.get_events_by_aggregate('s');
-- a row of a table and the event about it
CREATE TABLE reg_transactions.orders (id text PRIMARY KEY, version integer);
WITH o AS (INSERT INTO reg_transactions.orders VALUES ('o-1', 0) RETURNING id)
SELECT eventstore.append_event('ordered', '{}', id, 0) FROM o;
INSERT INTO reg_transactions.orders SELECT 'o-2', eventstore.append_event('ordered', '{}', 'o-2', 0);
UPDATE reg_transactions.orders SET version = eventstore.append_event('changed', '{}', id, 1);
SELECT * FROM reg_transactions.orders ORDER BY id;

-- a DO block and a procedure that commit
DO $$
BEGIN
  FOR i IN 0..4 LOOP
    PERFORM eventstore.append_event('t', '{}', 'do', i / 2);
    IF i % 2 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
  END LOOP;
END $$;
SELECT eventstore.get_aggregate_version('do');
CREATE PROCEDURE reg_transactions.several() LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.append_event('t', '{}', 'procedure', 0);
  COMMIT;
  PERFORM eventstore.append_event('t', '{}', 'procedure', 1);
  COMMIT AND CHAIN;
  INSERT INTO reg_transactions.events (event_type, data) VALUES ('t', '{}');
  ROLLBACK;
  PERFORM eventstore.append_event('t', '{}', 'procedure', 2);
END $$;
CALL reg_transactions.several();
SELECT array_agg(aggregate_version) FROM eventstore.get_events_by_aggregate('procedure');
-- a loop over a reader that commits as it goes
DO $$
DECLARE
  e eventstore.event;
BEGIN
  FOR e IN SELECT * FROM eventstore.get_events_by_aggregate('procedure') LOOP
    PERFORM eventstore.append_event('seen', to_jsonb(e.aggregate_version), 'seen');
    COMMIT;
  END LOOP;
END $$;
SELECT array_agg(data) FROM eventstore.get_events_by_aggregate('seen');

-- isolation levels
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT eventstore.append_event('t', '{}', 'iso', 0);
SELECT eventstore.append_event('t', '{}', 'iso', 1), (SELECT count(*) FROM eventstore.get_events_by_aggregate('iso'));
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT eventstore.append_event('t', '{}', 'iso', 2);
SELECT count(*) FROM eventstore.get_events_by_aggregate('iso');
COMMIT;

-- store, events and all in one transaction
BEGIN;
SELECT eventstore.create_store('reg_transactions.brief');
SELECT eventstore.append_event('t', '{}', 'a', 0, store => 'reg_transactions.brief');
SELECT count(*) FROM eventstore.get_latest_events(store => 'reg_transactions.brief');
ROLLBACK;
SELECT to_regclass('reg_transactions.brief') IS NULL AS gone;
-- created in a savepoint that is rolled back, and again
BEGIN;
SAVEPOINT s;
SELECT eventstore.create_store('reg_transactions.brief');
SELECT eventstore.append_event('t', '{}', 'a', 0, store => 'reg_transactions.brief');
ROLLBACK TO s;
SELECT eventstore.create_store('reg_transactions.brief');
SELECT eventstore.append_event('t', '{}', 'a', 0, store => 'reg_transactions.brief');
COMMIT;
-- dropped and rolled back
BEGIN;
SELECT eventstore.drop_store('reg_transactions.brief', true);
ROLLBACK;
SELECT eventstore.append_event('t', '{}', 'a', 1, store => 'reg_transactions.brief');

-- inserts by hand between appends, at each end
BEGIN;
SELECT eventstore.append_event('t', '{}', 'hand', 0);
SAVEPOINT s;
INSERT INTO reg_transactions.events (event_type, aggregate_id, aggregate_version, data) VALUES ('t', 'hand', 2, '{}');
RELEASE s;
SELECT eventstore.append_event('t', '{}', 'hand', 2);
COMMIT;

-- after a failed statement nothing goes on
BEGIN;
SELECT eventstore.append_event('t', '{}', 'failed');
SELECT eventstore.append_event('t', '{}', 'failed', 7);
SELECT eventstore.append_event('t', '{}', 'failed');
COMMIT;
SELECT eventstore.get_aggregate_version('failed');

SELECT aggregate_id, count(*), max(aggregate_version) FROM reg_transactions.events GROUP BY 1 ORDER BY 1;
RESET pg_eventstore.store;
DROP PROCEDURE reg_transactions.several();
DROP TABLE reg_transactions.orders;
SELECT eventstore.drop_store('reg_transactions.events', force => true), eventstore.drop_store('reg_transactions.brief', force => true);
DROP SCHEMA reg_transactions;
