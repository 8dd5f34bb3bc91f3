\set p_delivery 0
BEGIN;
SELECT * FROM eventstore.poll('log_' || :round, 1, 'consumer-' || :client_id) \aset p_
\if :p_delivery > 0
SELECT eventstore.ack('log_' || :round, :p_delivery::bigint);
\endif
COMMIT;
