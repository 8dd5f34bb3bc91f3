-- What the examples need: a subscription for each, and a table to fill. To be run once, as a migration.
SELECT eventstore.create_subscription('mails', partitions => 4, lease => '30 seconds', max_attempts => 3);
SELECT eventstore.create_subscription('activity', partitions => 4);

CREATE TABLE activity (
  aggregate_id text PRIMARY KEY,
  events bigint NOT NULL,
  last_event text NOT NULL);

-- Exactly once in PL/pgSQL: a transaction for each batch. See psql/exactly_once.sh.
CREATE PROCEDURE handle_activity(consumer text) LANGUAGE plpgsql AS $$
DECLARE
  event record;
BEGIN
  FOR event IN SELECT * FROM eventstore.poll('activity', 100, consumer, wait => '5 seconds') LOOP
    BEGIN
      INSERT INTO activity VALUES (COALESCE(event.aggregate_id, 'none'), 1, event.event_type)
      ON CONFLICT (aggregate_id) DO UPDATE SET events = activity.events + 1, last_event = EXCLUDED.last_event;
    EXCEPTION WHEN others THEN
      -- an event that failed leaves nothing behind; the effects of those before it stay, and they are acknowledged
      PERFORM eventstore.nack('activity', event.delivery, event.position, SQLERRM);
      RETURN;
    END;
  END LOOP;
  IF event.delivery IS NOT NULL THEN
    PERFORM eventstore.ack('activity', event.delivery);
  END IF;
END $$;
