\set h random(1, 100)
SELECT write_message(gen_random_uuid()::varchar, 'hot-' || :h, 'order_placed', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}');
