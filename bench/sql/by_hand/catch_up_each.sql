CALL bench.add_events(:n);
