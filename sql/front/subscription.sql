
-- Subscriptions. A subscription of a sliced store consists of a subscription of each slot,
-- whose name is that of the slot's store, a slash and the name, such as
-- shop.orders_003/mails. So stores do not share names on a node. A delivery belongs to one
-- slot, which is in the last ten bits of its token. The setting pg_eventstore.store names
-- the sliced store, as no function but create_subscription() has a store as argument.
CREATE OR REPLACE FUNCTION eventstore.front_subscription(
  subscription text,
  store text,
  function text DEFAULT NULL,
  OUT map text,
  OUT slots integer[],
  OUT names text[])
RETURNS record LANGUAGE plpgsql AS $$
DECLARE
  slot_store text := pg_catalog.substring(subscription, '^(.+)/[^/]*$');
BEGIN
  IF subscription IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'argument "subscription" must not be null';
  END IF;
  map := eventstore.front_store(COALESCE(slot_store, store), function);
  IF slot_store IS NOT NULL THEN
    slots := ARRAY[eventstore.front_one_slot(slot_store, 'a subscription whose name has a slash')];
    names := ARRAY[subscription];
  ELSE
    slots := eventstore.front_slots(store);
    names := ARRAY(SELECT pg_catalog.concat(eventstore.store_of_slot(map, s), '/', subscription)
                     FROM pg_catalog.unnest(slots) WITH ORDINALITY AS given (s, n) ORDER BY n);
  END IF;
END $$;
COMMENT ON FUNCTION eventstore.front_subscription(text, text, text) IS
'For the functions of the front: the map, the slots and the subscriptions of the slots of a subscription.';

CREATE OR REPLACE FUNCTION eventstore.remote_create_subscription(text, slots integer[], names text[], text[], text[], bigint, integer, interval, integer, interval, text)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.create_subscription(s.name, eventstore.store_of_slot($1, s.n), $4, $5, $6, $7, $8, $9, $10, $11);
$$;
CREATE OR REPLACE FUNCTION eventstore.create_subscription(
  name text,
  store text DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  start_position bigint DEFAULT 0,
  partitions integer DEFAULT 1,
  lease interval DEFAULT '30 seconds',
  max_attempts integer DEFAULT 10,
  backoff interval DEFAULT '1 second',
  on_exhausted text DEFAULT 'park')
RETURNS void LANGUAGE plpgsql
SET client_min_messages = error -- the notices of nodes about subscriptions that exist arrive as warnings
AS $$
DECLARE
  s record := eventstore.front_subscription(name, store, 'create_subscription');
BEGIN
  IF s.names[1] OPERATOR(pg_catalog.=) name THEN
    RAISE invalid_parameter_value USING
      MESSAGE = pg_catalog.format('name "%s" cannot be given to a subscription of a sliced store', name),
      DETAIL = 'A name with a slash is that of the subscription of one slot.';
  END IF;
  IF start_position OPERATOR(pg_catalog.>) 0 THEN
    PERFORM eventstore.front_one_slot(COALESCE(store, pg_catalog.current_setting('pg_eventstore.store')), 'start_position');
  END IF;
  PERFORM eventstore.remote_create_subscription(s.map, s.slots, s.names, event_types, aggregate_types, start_position, partitions, lease,
    max_attempts, backoff, on_exhausted);
END $$;
COMMENT ON FUNCTION eventstore.create_subscription(text, text, text[], text[], bigint, integer, interval, integer, interval, text) IS
'create_subscription() on all slots. If a node cannot be reached, call the function again: subscriptions that exist are left as they are. The settings pg_eventstore.store of later calls must name the same store.
name: the name, without a slash.
start_position: 0 for the start, NULL for the end, or a position if the store is one slot.
Errors: 0A000 a position for a store of several slots; 22023 the name is not possible; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_alter_subscription(text, slots integer[], names text[], text[], text[], integer, interval, integer, interval, text, name)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.alter_subscription(s.name, $4, $5, $6, $7, $8, $9, $10, $11);
$$;
CREATE OR REPLACE FUNCTION eventstore.alter_subscription(
  name text,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  partitions integer DEFAULT NULL,
  lease interval DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  backoff interval DEFAULT NULL,
  on_exhausted text DEFAULT NULL,
  owner name DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL, 'alter_subscription');
BEGIN
  PERFORM eventstore.remote_alter_subscription(s.map, s.slots, s.names, event_types, aggregate_types, partitions, lease, max_attempts,
    backoff, on_exhausted, owner);
END $$;
COMMENT ON FUNCTION eventstore.alter_subscription(text, text[], text[], integer, interval, integer, interval, text, name) IS
'alter_subscription() on all slots, or on the slot that the name begins with. If a node cannot be reached, call the function again.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_drop_subscription(text, slots integer[], names text[])
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) JOIN eventstore.subscriptions d ON d.name OPERATOR(pg_catalog.=) s.name CROSS JOIN LATERAL eventstore.drop_subscription(d.name);
$$;
CREATE OR REPLACE FUNCTION eventstore.drop_subscription(name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL, 'drop_subscription');
BEGIN
  PERFORM eventstore.remote_drop_subscription(s.map, s.slots, s.names);
  IF NOT FOUND THEN
    RAISE undefined_object USING
      MESSAGE = pg_catalog.format('subscription "%s" does not exist', name),
      DETAIL = pg_catalog.format('No slot of store "%s" has it.', s.map),
      HINT = 'The setting pg_eventstore.store names the store of a subscription.';
  END IF;
END $$;
COMMENT ON FUNCTION eventstore.drop_subscription(text) IS
'drop_subscription() on all slots that have it, or on the slot that the name begins with. If a node cannot be reached, call the function again.
Errors: 42704 no slot has the subscription; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_pause_subscription(text, slots integer[], names text[])
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.pause_subscription(s.name);
$$;
CREATE OR REPLACE FUNCTION eventstore.pause_subscription(name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL, 'pause_subscription');
BEGIN
  PERFORM eventstore.remote_pause_subscription(s.map, s.slots, s.names);
END $$;
COMMENT ON FUNCTION eventstore.pause_subscription(text) IS
'pause_subscription() on all slots, or on the slot that the name begins with.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_resume_subscription(text, slots integer[], names text[])
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.resume_subscription(s.name);
$$;
CREATE OR REPLACE FUNCTION eventstore.resume_subscription(name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL, 'resume_subscription');
BEGIN
  PERFORM eventstore.remote_resume_subscription(s.map, s.slots, s.names);
END $$;
COMMENT ON FUNCTION eventstore.resume_subscription(text) IS
'resume_subscription() on all slots, or on the slot that the name begins with.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_reset_subscription(text, slots integer[], names text[], bigint, timestamptz)
RETURNS SETOF bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT r.r FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.reset_subscription(s.name, $4, $5) r (r);
$$;
CREATE OR REPLACE FUNCTION eventstore.reset_subscription(
  name text,
  to_position bigint DEFAULT NULL,
  to_time timestamptz DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL, 'reset_subscription');
  reached bigint[];
BEGIN
  IF to_position OPERATOR(pg_catalog.<>) 0 AND pg_catalog.cardinality(s.slots) OPERATOR(pg_catalog.>) 1 THEN
    RAISE feature_not_supported USING
      MESSAGE = 'to_position works on one slot',
      DETAIL = 'Each slot has its own positions.',
      HINT = pg_catalog.format('Reset the subscription of a slot, such as "%s", or use to_time.', s.names[1]);
  END IF;
  reached := ARRAY(SELECT eventstore.remote_reset_subscription(s.map, s.slots, s.names, to_position, to_time));
  RETURN CASE WHEN pg_catalog.cardinality(reached) OPERATOR(pg_catalog.=) 1 THEN reached[1] END;
END $$;
COMMENT ON FUNCTION eventstore.reset_subscription(text, bigint, timestamptz) IS
'reset_subscription() on all slots, or on the slot that the name begins with.
to_position: 0 for the start, or a position if the name is that of the subscription of one slot.
Returns the position if there is one slot; otherwise NULL.
Errors: 0A000 a position for several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

-- The slots of a consumer's call about parked events: that of the aggregate, the slot that is
-- named, or all.
CREATE OR REPLACE FUNCTION eventstore.front_parked(
  subscription text,
  function text,
  aggregate_id text,
  at_position bigint,
  OUT map text,
  OUT slots integer[],
  OUT names text[])
RETURNS record LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(subscription, NULL, function);
  n integer;
BEGIN
  map := s.map;
  slots := s.slots;
  names := s.names;
  IF pg_catalog.cardinality(slots) OPERATOR(pg_catalog.=) 1 THEN
    RETURN;
  END IF;
  IF aggregate_id IS NOT NULL THEN
    n := eventstore.front_slot(map, aggregate_id);
    slots := ARRAY[n];
    names := ARRAY[s.names[pg_catalog.array_position(s.slots, n)]];
  ELSIF at_position IS NOT NULL THEN
    RAISE feature_not_supported USING
      MESSAGE = 'at_position works on one slot',
      DETAIL = 'Each slot has its own positions.',
      HINT = pg_catalog.format('Give the aggregate, too, or name the subscription of the slot, such as "%s".', names[1]);
  END IF;
END $$;
COMMENT ON FUNCTION eventstore.front_parked(text, text, text, bigint) IS
'For the functions of the front: the slots of a call about parked events.';

CREATE OR REPLACE FUNCTION eventstore.remote_replay_parked(text, slots integer[], names text[], text, bigint)
RETURNS SETOF bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT r.r FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.replay_parked(s.name, $4, $5) r (r);
$$;
CREATE OR REPLACE FUNCTION eventstore.replay_parked(
  subscription text,
  aggregate_id text DEFAULT NULL,
  at_position bigint DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_parked(subscription, 'replay_parked', aggregate_id, at_position);
BEGIN
  RETURN (SELECT pg_catalog.sum(n) FROM eventstore.remote_replay_parked(s.map, s.slots, s.names, aggregate_id, at_position) n);
END $$;
COMMENT ON FUNCTION eventstore.replay_parked(text, text, bigint) IS
'replay_parked() on the slot of the aggregate, on the slot that the name begins with, or on all slots. Returns the sum.
Errors: 0A000 at_position is given without aggregate for several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_discard_parked(text, slots integer[], names text[], text, bigint, text)
RETURNS SETOF bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT r.r FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.discard_parked(s.name, $4, $5, $6) r (r);
$$;
CREATE OR REPLACE FUNCTION eventstore.discard_parked(
  subscription text,
  aggregate_id text DEFAULT NULL,
  at_position bigint DEFAULT NULL,
  reason text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_parked(subscription, 'discard_parked', aggregate_id, at_position);
BEGIN
  RETURN (SELECT pg_catalog.sum(n) FROM eventstore.remote_discard_parked(s.map, s.slots, s.names, aggregate_id, at_position, reason) n);
END $$;
COMMENT ON FUNCTION eventstore.discard_parked(text, text, bigint, text) IS
'discard_parked() on the slot of the aggregate, on the slot that the name begins with, or on all slots. Returns the sum.
Errors: 0A000 at_position is given without aggregate for several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';
