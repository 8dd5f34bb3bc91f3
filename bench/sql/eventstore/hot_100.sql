\set h random(1, 100)
SELECT eventstore.append_event('order_placed', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}', 'hot-' || :h, aggregate_type => 'Order');
