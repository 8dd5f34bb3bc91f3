SELECT eventstore.append_event('order_placed', '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}', 'hot-1', aggregate_type => 'Order');
