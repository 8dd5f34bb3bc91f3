SELECT eventstore.create_projection('totals', 'bench.add_event(eventstore.event)', store => 'bench.log', batch_size => :n);
CALL bench.wait_until_current('totals');
