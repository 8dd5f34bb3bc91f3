-- the triggers for the rows that logical replication brings: in another session they do
-- nothing, however they are enabled, and rows of a statement are taken as those of a
-- subscription are
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA reg_received;
SELECT eventstore.create_store('reg_received.orders', 'off');
SELECT eventstore.append_to_aggregate('a', '{e,e}', '{1,2}', event_ids => '{reg_received-1,reg_received-2}', store => 'reg_received.orders');
SET pg_eventstore.store = 'reg_received.orders';
SELECT eventstore.create_subscription('reg_received', lease => '1 hour');
CREATE FUNCTION reg_received.subscribed() RETURNS text LANGUAGE sql AS $$
  SELECT concat_ws(' ', d.lease, p.checkpoint, p.attempt, (SELECT string_agg(concat_ws('/', position, reason), ',' ORDER BY position) FROM eventstore.subscription_parked WHERE subscription = 'reg_received'),
                   (SELECT string_agg(consumer, ',') FROM eventstore.subscription_consumers WHERE subscription = 'reg_received'))
    FROM eventstore.subscription_definitions d JOIN eventstore.subscription_progress p USING (subscription) WHERE subscription = 'reg_received' $$;

-- enabled as a restore with --disable-triggers leaves them
BEGIN;
DO $$ BEGIN
  EXECUTE (SELECT string_agg(format('ALTER TABLE %s DISABLE TRIGGER ALL; ALTER TABLE %1$s ENABLE TRIGGER ALL', tgrelid::regclass), '; ')
             FROM pg_trigger WHERE tgfoid = 'eventstore.receive_row()'::regprocedure);
END $$;
SELECT eventstore.redact_event('reg_received-1', 'reg_received 1'), eventstore.erase_aggregate('a', 'reg_received 2');
SELECT events, reason FROM eventstore.erasures WHERE reason LIKE 'reg_received %' ORDER BY 1;
SELECT eventstore.advance_watermark();
SELECT position FROM eventstore.watermarks WHERE store = 'reg_received.orders'::regclass;
SELECT eventstore.set_archive_hold('h', 1);
SELECT eventstore.set_archive_hold('h', 2);
SELECT name, position FROM eventstore.archive_holds WHERE store = 'reg_received.orders'::regclass;
UPDATE eventstore.notifier_status SET failed_starts = failed_starts + 1 RETURNING failed_starts > 0 AS updated;
DELETE FROM eventstore.notifier_status;
SELECT count(*) FROM eventstore.notifier_status;
SELECT eventstore.create_subscription('reg_received');
SELECT eventstore.alter_subscription('reg_received', lease => '2 hours');
SELECT eventstore.park('reg_received', delivery, 1, 'bad') FROM eventstore.poll('reg_received', 1, 'c');
INSERT INTO eventstore.subscription_consumers VALUES ('reg_received', 'd', now());
SELECT reg_received.subscribed();
SELECT eventstore.drop_subscription('reg_received');
SELECT reg_received.subscribed();
ROLLBACK;

-- in a session that is a replica, as a restore can be
SELECT eventstore.redact_event('reg_received-1', 'reg_received 1'), eventstore.erase_aggregate('a', 'reg_received 2');
SELECT eventstore.advance_watermark(), eventstore.set_archive_hold('h', 1);
BEGIN;
SELECT eventstore.park('reg_received', delivery, 1, 'bad') FROM eventstore.poll('reg_received', 1, 'c');
SELECT reg_received.subscribed();
SET LOCAL session_replication_role = replica;
INSERT INTO eventstore.subscription_definitions
  SELECT subscription, owner, event_types, aggregate_types, partitions, next_partitions, '3 hours', max_attempts, backoff, on_exhausted, paused, store, epoch, runner, created_at
    FROM eventstore.subscription_definitions WHERE subscription = 'reg_received';
INSERT INTO eventstore.subscription_progress (subscription, partition, first_slot, last_slot, checkpoint, epoch) VALUES ('reg_received', 0, 0, 1023, 2, 1);
INSERT INTO eventstore.subscription_parked (subscription, position, slot, blocks, behind, reason, parked_at) VALUES ('reg_received', 1, 0, false, false, 'worse', now()), ('reg_received', 2, 0, false, false, 'new', now());
INSERT INTO eventstore.subscription_consumers VALUES ('reg_received', 'd', now());
DELETE FROM eventstore.subscription_consumers WHERE subscription = 'reg_received';
SELECT reg_received.subscribed();
INSERT INTO eventstore.erasures
  SELECT * FROM eventstore.erasures WHERE reason LIKE 'reg_received %';
INSERT INTO eventstore.erasures
  SELECT left(erasure_id, -1) || 'x', erased_at, erased_by, session_role, store, store_name, aggregate_id, event_id, events, values_given, reason
    FROM eventstore.erasures WHERE reason LIKE 'reg_received %';
SELECT reason, count(*) FROM eventstore.erasures WHERE reason LIKE 'reg_received %' GROUP BY 1 ORDER BY 1;
INSERT INTO eventstore.watermarks VALUES ('reg_received.orders', 1, now(), 0);
SELECT position FROM eventstore.watermarks WHERE store = 'reg_received.orders'::regclass;
INSERT INTO eventstore.archive_holds SELECT store, name, position + 1 FROM eventstore.archive_holds WHERE store = 'reg_received.orders'::regclass;
SELECT name, position FROM eventstore.archive_holds WHERE store = 'reg_received.orders'::regclass;
DELETE FROM eventstore.notifier_status;
SELECT count(*) FROM eventstore.notifier_status;
ROLLBACK;

RESET pg_eventstore.store;
SELECT eventstore.drop_store('reg_received.orders', true);
DROP SCHEMA reg_received CASCADE;
