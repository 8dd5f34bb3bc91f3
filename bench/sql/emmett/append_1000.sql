\set a random(1, 1000000000000000)
SELECT * FROM emt_append_to_stream(ARRAY(SELECT gen_random_uuid()::text FROM generate_series(1, 1000)),
  array_fill('{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'::jsonb, ARRAY[1000]),
  array_fill('{}'::jsonb, ARRAY[1000]), array_fill('1'::text, ARRAY[1000]),
  array_fill('order_placed'::text, ARRAY[1000]), array_fill('E'::text, ARRAY[1000]),
  'order-' || :a, 'Order', NULL, 'emt' || chr(58) || 'default');
