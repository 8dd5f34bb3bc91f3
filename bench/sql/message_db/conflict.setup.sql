SELECT write_message(gen_random_uuid()::varchar, 'hot-' || h, 'order_placed', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}')
  FROM generate_series(1, 100) h;

-- an append that expects a wrong version, and whose error is caught
CREATE FUNCTION conflict(aggregate text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM write_message(gen_random_uuid()::varchar, aggregate, 'order_placed',
    '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}', expected_version => 7);
EXCEPTION WHEN raise_exception THEN
  NULL;
END $$;
