\set a random(1, 1000000000000000)
SELECT a.* FROM eventstore.append(jsonb_build_object('event_type', 'order_placed', 'aggregate_id', 'order-' || :a,
  'aggregate_type', 'Order', 'data', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'::jsonb)) a;
