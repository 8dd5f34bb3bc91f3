SELECT eventstore.create_projection('totals', 'bench.add_batch(eventstore.event[])', store => 'bench.log', batch_size => :n);
CALL bench.wait_until_current('totals');
