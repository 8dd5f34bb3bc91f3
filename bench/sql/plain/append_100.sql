\set a random(1, 1000000000000000)
INSERT INTO bench.events (event_type, aggregate_id, aggregate_type, aggregate_version, data)
SELECT t, 'order-' || :a, 'Order', i, d
  FROM unnest(array_fill('order_placed'::text, ARRAY[100]),
    array_fill('{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'::jsonb, ARRAY[100])) WITH ORDINALITY u (t, d, i);
