\set left :left - 1
\if :left < 0
SELECT eventstore.reset_subscription('bench', 0);
\set left :events / :n - 1
\set p_delivery 0
\set p_position 0
\endif
\set last :p_position
SELECT * FROM eventstore.poll('bench', :n, 'consumer', '0', NULLIF(:p_delivery::bigint, 0)) \aset p_
\if :p_position <> :last + :n
SELECT 1 / 0 AS the_batch_is_not_full;
\endif
