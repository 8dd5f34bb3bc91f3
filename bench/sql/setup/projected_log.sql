-- Makes a store with :events events of 10,007 aggregates, in an order like a random one, and
-- the procedures that do the work of a projection by hand. A procedure commits after
-- each batch of "size" events. It reads only the columns that it needs, except where the
-- handler gets an event, and stores no checkpoint.
\ir projections.sql
SELECT eventstore.create_store('bench.log');
CREATE TABLE bench.history AS
SELECT n + 1 AS position, 'order_placed'::text AS event_type, 'order-' || n::bigint * 7919 % 10007 AS aggregate_id,
       'Order'::text AS aggregate_type, n / 10007 + 1 AS aggregate_version,
       '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'::jsonb AS data
  FROM generate_series(0, :events - 1) n;
SELECT eventstore.import_events('bench.history', 'bench.log');
DROP TABLE bench.history;
VACUUM (ANALYZE) bench.log;

CREATE PROCEDURE bench.add_batches(size integer) LANGUAGE plpgsql AS $$
DECLARE
  last constant bigint := (SELECT max(position) FROM bench.log);
BEGIN
  FOR low IN 0 .. last - 1 BY size LOOP
    INSERT INTO bench.totals AS t
    SELECT aggregate_id, count(*), sum((data->>'quantity')::integer)
      FROM (SELECT aggregate_id, data FROM bench.log WHERE position > low ORDER BY position LIMIT size) e
     GROUP BY aggregate_id
    ON CONFLICT (aggregate_id) DO UPDATE SET events = t.events + excluded.events, quantity = t.quantity + excluded.quantity;
    COMMIT;
  END LOOP;
END $$;

CREATE PROCEDURE bench.add_events(size integer) LANGUAGE plpgsql AS $$
DECLARE
  last constant bigint := (SELECT max(position) FROM bench.log);
  event eventstore.event;
BEGIN
  FOR low IN 0 .. last - 1 BY size LOOP
    FOR event IN
      SELECT position, event_id, event_type, occurred_at, correlation_id, causation_id, aggregate_id, aggregate_type,
             aggregate_version, data, metadata
        FROM bench.log WHERE position > low ORDER BY position LIMIT size
    LOOP
      -- an expression is prepared once in a transaction; PERFORM would plan the handler at each call
      IF bench.add_event(event) IS NOT NULL THEN NULL; END IF;
    END LOOP;
    COMMIT;
  END LOOP;
END $$;

CREATE PROCEDURE bench.run_to_end(projection text) LANGUAGE plpgsql AS $$
BEGIN
  WHILE eventstore.run_projection(projection) > 0 LOOP
    COMMIT;
  END LOOP;
END $$;

-- A call of wait_for_projection() keeps its snapshot, and so the row versions that the
-- projection has replaced since the call. So the calls are short.
CREATE PROCEDURE bench.wait_until_current(projection text) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 1000 LOOP
    EXIT WHEN eventstore.wait_for_projection(projection, timeout => '0.1 seconds') IS NOT NULL;
    COMMIT;
  END LOOP;
END $$;
