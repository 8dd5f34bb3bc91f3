\set a random(1, 1000000000000000)
SELECT eventstore.append_event('order_placed', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}', 'order-' || :a, aggregate_type => 'Order');
