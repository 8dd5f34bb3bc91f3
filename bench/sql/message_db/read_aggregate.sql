\set a random(1, :events / :n)
SELECT * FROM get_stream_messages('order-' || :n || '-' || :a);
