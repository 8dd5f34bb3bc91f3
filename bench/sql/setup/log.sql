-- Makes a store with :events events of aggregates that take turns, and a subscription with 16
-- partitions for each round.
SELECT eventstore.create_store('bench.log', 'off');
CREATE TABLE bench.history AS
SELECT n + 1 AS position, 'order_placed'::text AS event_type,
       'order-' || n % (:events / 10) AS aggregate_id, 'Order'::text AS aggregate_type, n / (:events / 10) + 1 AS aggregate_version,
       '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'::jsonb AS data
  FROM generate_series(0, :events - 1) n;
SELECT eventstore.import_events('bench.history', 'bench.log');
DROP TABLE bench.history;
VACUUM (ANALYZE) bench.log;
SELECT eventstore.create_subscription('log_' || round, 'bench.log', partitions => 16) FROM generate_series(1, :rounds) round;

-- how many events of the log the consumers of a subscription have received
CREATE FUNCTION bench.consumed(subscription text) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  last bigint;
  received bigint;
  remaining bigint := 0;
BEGIN
  PERFORM eventstore.ack(subscription, d.delivery)
    FROM (SELECT DISTINCT p.delivery FROM eventstore.subscription_partitions p WHERE p.subscription = consumed.subscription AND p.delivery IS NOT NULL) d;
  PERFORM eventstore.release(subscription, c.consumer)
    FROM eventstore.subscription_consumers c WHERE c.subscription = consumed.subscription;
  LOOP
    SELECT count(*), max(p.delivery) INTO received, last FROM eventstore.poll(subscription, 100000, 'rest', ack => last) p;
    EXIT WHEN received = 0;
    remaining := remaining + received;
  END LOOP;
  RETURN (SELECT count(*) FROM bench.log) - remaining;
END $$;
