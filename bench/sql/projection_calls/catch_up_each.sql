SELECT eventstore.create_projection('totals', 'bench.add_event(eventstore.event)', 'manual', 'bench.log', batch_size => :n);
CALL bench.run_to_end('totals');
