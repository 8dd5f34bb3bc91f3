SELECT eventstore.get_state('basket', 'basket-' || current_setting('bench.n'));
