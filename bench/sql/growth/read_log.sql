\set p random(0, :events - 1000)
SELECT * FROM eventstore.read_events(:p, 1000);
