-- The definitions of subscriptions. Only the extension writes these tables.
CREATE TABLE eventstore.subscription_definitions (
  subscription text COLLATE "C" PRIMARY KEY,
  owner name NOT NULL,
  event_types text[],
  aggregate_types text[],
  partitions integer NOT NULL,
  next_partitions integer,
  lease interval NOT NULL,
  max_attempts integer NOT NULL,
  backoff interval NOT NULL,
  on_exhausted text NOT NULL,
  paused boolean NOT NULL DEFAULT false,
  store eventstore.regstore NOT NULL,
  epoch bigint NOT NULL,
  runner text NOT NULL DEFAULT 'consumers',
  created_at timestamptz NOT NULL
);
CREATE TRIGGER receive_row BEFORE INSERT ON eventstore.subscription_definitions
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('replace');
ALTER TABLE eventstore.subscription_definitions ENABLE REPLICA TRIGGER receive_row;
SELECT pg_catalog.pg_extension_config_dump('eventstore.subscription_definitions', '');

COMMENT ON TABLE eventstore.subscription_definitions IS
'The definitions of subscriptions. The functions create_subscription() and alter_subscription() write them. View eventstore.subscriptions shows them with their progress.';
COMMENT ON COLUMN eventstore.subscription_definitions.subscription IS 'name of the subscription';
COMMENT ON COLUMN eventstore.subscription_definitions.owner IS 'name of the role whose members may use the subscription';
COMMENT ON COLUMN eventstore.subscription_definitions.event_types IS 'types of the events that are delivered; null for all';
COMMENT ON COLUMN eventstore.subscription_definitions.aggregate_types IS 'types of the aggregates whose events are delivered; null for all';
COMMENT ON COLUMN eventstore.subscription_definitions.partitions IS 'number of partitions';
COMMENT ON COLUMN eventstore.subscription_definitions.next_partitions IS 'number of partitions from the time at which no delivery is outstanding; null if no change is pending';
COMMENT ON COLUMN eventstore.subscription_definitions.lease IS 'time for which a delivery belongs to its consumer';
COMMENT ON COLUMN eventstore.subscription_definitions.max_attempts IS 'number of deliveries of an event before it is exhausted';
COMMENT ON COLUMN eventstore.subscription_definitions.backoff IS 'pause after the first failure of an event; doubles with each failure';
COMMENT ON COLUMN eventstore.subscription_definitions.on_exhausted IS 'what happens to an event after max_attempts: park, skip or stop';
COMMENT ON COLUMN eventstore.subscription_definitions.paused IS 'whether the subscription delivers nothing until resume_subscription() is called';
COMMENT ON COLUMN eventstore.subscription_definitions.store IS 'the store, by its present name; - if the store was dropped, or not restored';
COMMENT ON COLUMN eventstore.subscription_definitions.epoch IS 'a number that changes with the types, the number of partitions and each reset. A poll that has read an earlier number delivers nothing';
COMMENT ON COLUMN eventstore.subscription_definitions.runner IS 'what processes the events: consumers, worker, caller or trigger. All but consumers are for projections: the background worker, a caller of run_projection(), or the trigger of an inline projection';
COMMENT ON COLUMN eventstore.subscription_definitions.created_at IS 'time at which the subscription was created';
COMMENT ON TRIGGER receive_row ON eventstore.subscription_definitions IS 'takes the rows that logical replication brings';

-- The progress: one row for each partition. Each poll and acknowledgement updates a row,
-- so no index covers a column that changes, and the pages keep room for new versions.
CREATE TABLE eventstore.subscription_progress (
  subscription text COLLATE "C",
  partition integer,
  first_slot integer NOT NULL,
  last_slot integer NOT NULL,
  checkpoint bigint NOT NULL,
  floors bigint[],
  delivery bigint,
  consumer text COLLATE "C",
  lease_until timestamptz,
  delivered integer NOT NULL DEFAULT 0,
  delivered_to bigint NOT NULL DEFAULT 0,
  scanned_to bigint NOT NULL DEFAULT 0,
  replaying boolean NOT NULL DEFAULT false,
  attempt integer NOT NULL DEFAULT 0,
  suspect_to bigint NOT NULL DEFAULT 0,
  retry_at timestamptz,
  stopped boolean NOT NULL DEFAULT false,
  last_delivery bigint,
  delivered_at timestamptz,
  rate double precision NOT NULL DEFAULT 0,
  epoch bigint NOT NULL,
  shared integer NOT NULL DEFAULT 0,
  last_error text,
  last_error_at timestamptz,
  PRIMARY KEY (subscription, partition)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
CREATE TRIGGER receive_row BEFORE INSERT ON eventstore.subscription_progress
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('replace');
ALTER TABLE eventstore.subscription_progress ENABLE REPLICA TRIGGER receive_row;
SELECT pg_catalog.pg_extension_config_dump('eventstore.subscription_progress', '');

COMMENT ON TABLE eventstore.subscription_progress IS
'The progress of each partition of each subscription. View eventstore.subscription_partitions shows it. The updates of the extension fire no triggers.';
COMMENT ON COLUMN eventstore.subscription_progress.subscription IS 'name of the subscription';
COMMENT ON COLUMN eventstore.subscription_progress.partition IS 'number of the partition, from 0';
COMMENT ON COLUMN eventstore.subscription_progress.first_slot IS 'first of the 1024 slots that belong to the partition';
COMMENT ON COLUMN eventstore.subscription_progress.last_slot IS 'last of the slots that belong to the partition';
COMMENT ON COLUMN eventstore.subscription_progress.checkpoint IS 'every event of the partition at or below this position was acknowledged or parked';
COMMENT ON COLUMN eventstore.subscription_progress.floors IS 'slots whose checkpoint is higher, after a change of the number of partitions. Each has three elements: first slot, last slot and position. Null means none';
COMMENT ON COLUMN eventstore.subscription_progress.delivery IS 'token of the outstanding delivery; null if there is none';
COMMENT ON COLUMN eventstore.subscription_progress.consumer IS 'consumer that has the delivery; null for one without a name';
COMMENT ON COLUMN eventstore.subscription_progress.lease_until IS 'time at which the lease of the delivery ends';
COMMENT ON COLUMN eventstore.subscription_progress.delivered IS 'number of events of the partition in the last delivery';
COMMENT ON COLUMN eventstore.subscription_progress.delivered_to IS 'position of the last event of the partition in the delivery';
COMMENT ON COLUMN eventstore.subscription_progress.scanned_to IS 'position up to which all events of the partition are in the delivery';
COMMENT ON COLUMN eventstore.subscription_progress.replaying IS 'whether the delivery has parked events, see replay_parked()';
COMMENT ON COLUMN eventstore.subscription_progress.attempt IS 'how often the first event after the checkpoint was delivered';
COMMENT ON COLUMN eventstore.subscription_progress.suspect_to IS 'events up to this position are delivered one at a time, because a delivery that had them was lost';
COMMENT ON COLUMN eventstore.subscription_progress.retry_at IS 'time before which nothing is delivered, after a failure; null for none';
COMMENT ON COLUMN eventstore.subscription_progress.stopped IS 'whether the partition was stopped by an exhausted event';
COMMENT ON COLUMN eventstore.subscription_progress.last_delivery IS 'token of the last delivery that was acknowledged';
COMMENT ON COLUMN eventstore.subscription_progress.delivered_at IS 'time of the last delivery';
COMMENT ON COLUMN eventstore.subscription_progress.rate IS 'events delivered per minute until delivered_at, where recent events count more';
COMMENT ON COLUMN eventstore.subscription_progress.epoch IS 'the epoch of the definition';
COMMENT ON COLUMN eventstore.subscription_progress.shared IS 'number of partitions of the delivery';
COMMENT ON COLUMN eventstore.subscription_progress.last_error IS 'reason of the last failure';
COMMENT ON COLUMN eventstore.subscription_progress.last_error_at IS 'time of the last failure';
COMMENT ON TRIGGER receive_row ON eventstore.subscription_progress IS 'takes the rows that logical replication brings';

-- When each named consumer polled last. Written by a poll that delivers, or that finds
-- the partitions taken by others, at most four times in a lease.
CREATE TABLE eventstore.subscription_consumers (
  subscription text COLLATE "C",
  consumer text COLLATE "C",
  seen_at timestamptz NOT NULL,
  PRIMARY KEY (subscription, consumer)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE TRIGGER receive_row BEFORE INSERT OR UPDATE OR DELETE ON eventstore.subscription_consumers
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('ignore');
ALTER TABLE eventstore.subscription_consumers ENABLE REPLICA TRIGGER receive_row;

COMMENT ON TABLE eventstore.subscription_consumers IS
'The named consumers of subscriptions. A dump does not contain the rows.';
COMMENT ON COLUMN eventstore.subscription_consumers.subscription IS 'name of the subscription';
COMMENT ON COLUMN eventstore.subscription_consumers.consumer IS 'name that the consumer gave itself';
COMMENT ON COLUMN eventstore.subscription_consumers.seen_at IS 'time of a poll; written at most four times in a lease';
COMMENT ON TRIGGER receive_row ON eventstore.subscription_consumers IS 'ignores what logical replication brings';

-- The parked events.
CREATE TABLE eventstore.subscription_parked (
  subscription text COLLATE "C",
  position bigint,
  slot integer NOT NULL,
  aggregate_id text COLLATE "C",
  blocks boolean NOT NULL,
  behind boolean NOT NULL,
  replay boolean NOT NULL DEFAULT false,
  delivery bigint,
  attempts integer NOT NULL DEFAULT 0,
  reason text,
  parked_at timestamptz NOT NULL,
  PRIMARY KEY (subscription, position)
);
CREATE INDEX subscription_parked_aggregate ON eventstore.subscription_parked (subscription, aggregate_id) WHERE blocks;
CREATE INDEX subscription_parked_replay ON eventstore.subscription_parked (subscription, slot) WHERE replay;
CREATE INDEX subscription_parked_order ON eventstore.subscription_parked (subscription, position) WHERE replay;
CREATE TRIGGER receive_row BEFORE INSERT ON eventstore.subscription_parked
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('replace');
ALTER TABLE eventstore.subscription_parked ENABLE REPLICA TRIGGER receive_row;
SELECT pg_catalog.pg_extension_config_dump('eventstore.subscription_parked', '');

COMMENT ON TABLE eventstore.subscription_parked IS
'The parked events of each subscription. View eventstore.parked_events shows them with their contents.';
COMMENT ON COLUMN eventstore.subscription_parked.subscription IS 'name of the subscription';
COMMENT ON COLUMN eventstore.subscription_parked.position IS 'position of the event';
COMMENT ON COLUMN eventstore.subscription_parked.slot IS 'slot of the event, from 0 to 1023';
COMMENT ON COLUMN eventstore.subscription_parked.aggregate_id IS 'aggregate of the event; null for none';
COMMENT ON COLUMN eventstore.subscription_parked.blocks IS 'whether later events of the aggregate are parked, too';
COMMENT ON COLUMN eventstore.subscription_parked.behind IS 'whether the event is parked because an earlier one of its aggregate is';
COMMENT ON COLUMN eventstore.subscription_parked.replay IS 'whether the event is to be delivered again';
COMMENT ON COLUMN eventstore.subscription_parked.delivery IS 'token of the last delivery of the parked event';
COMMENT ON COLUMN eventstore.subscription_parked.attempts IS 'number of deliveries of the event before it was parked, or since replay_parked()';
COMMENT ON COLUMN eventstore.subscription_parked.reason IS 'why the event was parked';
COMMENT ON COLUMN eventstore.subscription_parked.parked_at IS 'time at which the event was parked';
COMMENT ON TRIGGER receive_row ON eventstore.subscription_parked IS 'takes the rows that logical replication brings';

REVOKE ALL ON eventstore.subscription_definitions, eventstore.subscription_progress,
  eventstore.subscription_consumers, eventstore.subscription_parked FROM PUBLIC;
