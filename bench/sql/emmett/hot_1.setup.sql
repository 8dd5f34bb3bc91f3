-- the streams exist, since sessions that create the same stream would get an error
SELECT success FROM generate_series(1, 100) h,
  emt_append_to_stream(ARRAY[gen_random_uuid()::text], ARRAY['{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'::jsonb], ARRAY['{}'::jsonb],
    ARRAY['1'], ARRAY['order_placed'], ARRAY['E'], 'hot-' || h, 'Order', NULL, 'emt:default');
