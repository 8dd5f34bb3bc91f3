\set a random(1, 1000000000000000)
INSERT INTO bench.row_notify (event_type, aggregate_id, aggregate_type, aggregate_version, data)
VALUES ('order_placed', 'order-' || :a, 'Order', (random() * 2000000000)::int + 1, '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}');
