SELECT eventstore.create_projection('totals', 'bench.add_event(eventstore.event)', store => 'bench.log', batch_size => :n);
SELECT eventstore.wait_for_projection('totals', timeout => '60 seconds');
