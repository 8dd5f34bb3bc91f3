\set k random(1, :events / 100 / :loaders)
\set c random(0, :loaders - 1)
\set a abs(hash(:k * 64 + :c, 1)) % 1000000000000000
SELECT * FROM eventstore.get_events_by_aggregate('order-' || :a);
