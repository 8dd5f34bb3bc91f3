\set p random(0, 199000)
SELECT * FROM eventstore.read_events(:p, 1000);
