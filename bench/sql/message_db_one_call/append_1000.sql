\set a random(1, 1000000000000000)
SELECT count(write_message(gen_random_uuid()::varchar, 'order-' || :a, 'order_placed', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'))
  FROM generate_series(1, 1000);
