-- Makes a read table of totals, and handlers that fill it: one for batches of events, one
-- for single events.
CREATE TABLE bench.totals (aggregate_id text PRIMARY KEY, events bigint NOT NULL, quantity bigint NOT NULL);

CREATE FUNCTION bench.add_batch(events eventstore.event[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO bench.totals AS t
  SELECT aggregate_id, count(*), sum((data->>'quantity')::integer) FROM unnest(events) GROUP BY aggregate_id
  ON CONFLICT (aggregate_id) DO UPDATE SET events = t.events + excluded.events, quantity = t.quantity + excluded.quantity
$$;

CREATE FUNCTION bench.add_event(event eventstore.event) RETURNS void LANGUAGE sql AS $$
  INSERT INTO bench.totals AS t VALUES (event.aggregate_id, 1, (event.data->>'quantity')::integer)
  ON CONFLICT (aggregate_id) DO UPDATE SET events = t.events + 1, quantity = t.quantity + excluded.quantity
$$;
