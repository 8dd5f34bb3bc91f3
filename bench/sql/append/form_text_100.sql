\if :ready = 0
SELECT events::text AS events, 1 AS ready FROM bench.batches WHERE n = 1 \gset
\endif
SELECT * FROM eventstore.append(:events);
