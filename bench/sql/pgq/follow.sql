\set left :left - 1
\if :left < 0
SELECT pgq.register_consumer_at(queue_name, 'consumer', min(tick_id))
  FROM pgq.queue JOIN pgq.tick ON tick_queue = queue_id WHERE queue_name = 'log_' || :n GROUP BY queue_name;
\set left :events / :n - 1
\set p_ev_id 0
\endif
\set last :p_ev_id
BEGIN;
SELECT pgq.next_batch('log_' || :n, 'consumer') AS batch \gset
SELECT * FROM pgq.get_batch_events(:batch) \aset p_
SELECT pgq.finish_batch(:batch);
COMMIT;
\if :p_ev_id <> :last + :n
SELECT 1 / 0 AS the_batch_is_not_full;
\endif
