\set k :k + 1
\set a abs(hash(:k * 64 + :client_id, 1)) % 1000000000000000
SELECT eventstore.append_to_aggregate('order-' || :a, array_fill('order_placed'::text, ARRAY[100]),
  array_fill('{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'::jsonb, ARRAY[100]), aggregate_type => 'Order');
