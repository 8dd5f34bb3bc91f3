INSERT INTO bench.events (event_type, aggregate_id, aggregate_type, aggregate_version, data)
SELECT 'order_placed', 'hot-' || h, 'Order', 1, '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'
  FROM generate_series(1, 100) h;

-- an append that expects a wrong version, and whose error is caught
CREATE FUNCTION conflict(aggregate text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO bench.events (event_type, aggregate_id, aggregate_type, aggregate_version, data)
  VALUES ('order_placed', aggregate, 'Order', 1, '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}');
EXCEPTION WHEN unique_violation THEN
  NULL;
END $$;
