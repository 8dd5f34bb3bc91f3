\set left :left - 1
\if :left < 0
SELECT eventstore.reset_subscription('bench', 0);
\set left :events / :n - 1
\set p_position 0
\endif
\set last :p_position
BEGIN;
SELECT * FROM eventstore.poll('bench', :n, 'consumer') \aset p_
SELECT eventstore.ack('bench', :p_delivery::bigint);
COMMIT;
\if :p_position <> :last + :n
SELECT 1 / 0 AS the_batch_is_not_full;
\endif
