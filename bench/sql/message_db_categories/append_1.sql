\set a random(1, 1000000000000000)
\set c random(1, 100)
SELECT write_message(gen_random_uuid()::varchar, 'order' || :c || '-' || :a, 'order_placed', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}');
