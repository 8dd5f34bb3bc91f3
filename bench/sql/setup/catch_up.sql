-- Prepares a run of a case that catches up: drops the projection, and empties the read table.
SELECT eventstore.drop_projection(name) FROM eventstore.projections;
TRUNCATE bench.totals;
