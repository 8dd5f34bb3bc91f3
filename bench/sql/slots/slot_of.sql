SELECT count(eventstore.slot_of('order-' || i, :slots)) FROM generate_series(1, 1000) AS i;
