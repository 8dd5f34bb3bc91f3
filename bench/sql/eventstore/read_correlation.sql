\set c random(1, 3 * :events / 10)
SELECT * FROM eventstore.get_events_by_correlation_id('correlation-' || :c);
