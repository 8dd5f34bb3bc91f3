\set a random(1, 1000000000000000)
INSERT INTO bench.events (event_type, aggregate_id, aggregate_type, aggregate_version, data)
VALUES ('order_placed', 'order-' || :a, 'Order', 1, '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}');
