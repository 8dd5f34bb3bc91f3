\set a random(1, :events / :n)
SELECT * FROM eventstore.get_events_by_aggregate('order-' || :n || '-' || :a);
