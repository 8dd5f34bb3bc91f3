\set last :p_delivery
\set p_delivery 0
SELECT * FROM eventstore.poll('log_' || :round, 1, 'consumer-' || :client_id, '0', NULLIF(:last::bigint, 0)) \aset p_
