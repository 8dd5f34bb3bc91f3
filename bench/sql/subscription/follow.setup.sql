SELECT eventstore.create_subscription('bench');
