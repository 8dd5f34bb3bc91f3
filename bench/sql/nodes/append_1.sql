\set n random(1, 10000)
SELECT eventstore.append_event('order_placed', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}', id, aggregate_type => 'Order', store => store) FROM ids WHERE n = :n;
