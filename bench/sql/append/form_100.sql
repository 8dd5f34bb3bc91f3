\set n random(1, 100)
SELECT a.* FROM bench.batches b, eventstore.append(b.events) a WHERE b.n = :n;
