\set t random(0, 19)
\set s random(0, 3 * :events - 2100)
SELECT * FROM eventstore.get_events_by_type('type_' || :t, '2020-01-01Z'::timestamptz + :s * interval '1 second', max_count => 100);
