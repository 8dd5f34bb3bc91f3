\set left :left - 1
\if :left < 0
\set left :events / :n - 1
\set p_global_position 0
\endif
\set last :p_global_position
SELECT * FROM get_category_messages('order', :p_global_position + 1, :n) \aset p_
SELECT write_message(gen_random_uuid()::varchar, 'order' || chr(58) || 'position-consumer', 'Recorded', jsonb_build_object('position', :p_global_position::bigint));
\if :p_global_position <> :last + :n
SELECT 1 / 0 AS the_batch_is_not_full;
\endif
