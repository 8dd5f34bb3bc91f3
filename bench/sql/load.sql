-- 200000 events to read
SELECT count(eventstore.append_to_aggregate('order-' || i, array_fill('order_placed'::text, ARRAY[100]),
    array_fill('{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'::jsonb, ARRAY[100]), aggregate_type => 'Order'))
  FROM generate_series(1, 2000) i;
VACUUM ANALYZE eventstore.events;
