BEGIN;
SELECT * FROM eventstore.poll(current_setting('pg_eventstore.store') || '-head', :n) \aset p_
SELECT eventstore.ack(current_setting('pg_eventstore.store') || '-head', :p_delivery::bigint);
ROLLBACK;
