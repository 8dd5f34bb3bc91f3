BEGIN;
SELECT * FROM eventstore.poll('log_' || :round, 1, 'consumer-' || :client_id) \aset p_
SELECT eventstore.ack('log_' || :round, :p_delivery::bigint);
COMMIT;
