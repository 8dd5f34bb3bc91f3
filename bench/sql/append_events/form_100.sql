\set n random(1, 100)
SELECT eventstore.append_events(events) FROM bench.batches WHERE n = :n;
