SELECT eventstore.append_event('order_placed', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}', 'hot-' || h, aggregate_type => 'Order')
  FROM generate_series(1, 100) h;

-- an append that expects a wrong version, and whose error is caught
CREATE FUNCTION conflict(aggregate text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.append_event('order_placed', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}',
    aggregate, aggregate_type => 'Order', expected_version => 7);
EXCEPTION WHEN SQLSTATE '40V01' THEN
  NULL;
END $$;
