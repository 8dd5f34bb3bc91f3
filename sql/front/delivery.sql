
-- Consumers of subscriptions. One node after the other is asked for a delivery, in a random
-- order, and the node polls one slot after the other until one delivers. A consumer with
-- a name may have a delivery whose answer was lost. It gets this one again, so its slot is
-- looked for first.
CREATE OR REPLACE FUNCTION eventstore.remote_outstanding(text, slots integer[], names text[], text)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) WHERE EXISTS (SELECT FROM eventstore.subscription_partitions p WHERE p.subscription OPERATOR(pg_catalog.=) s.name AND p.consumer OPERATOR(pg_catalog.=) $4 AND p.delivery IS NOT NULL);
$$;

-- The recursion polls the slots in order until one has rows.
CREATE OR REPLACE FUNCTION eventstore.remote_poll(text, integer[], text[], integer, text)
RETURNS TABLE (delivery bigint, attempt integer, partition integer, "position" bigint, event_id varchar, event_type varchar, occurred_at timestamptz, correlation_id varchar, causation_id varchar, aggregate_id varchar, aggregate_type varchar, aggregate_version integer, data jsonb, metadata jsonb)
LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON pg_catalog.int4larger($2[1], 0);
  SELECT p.delivery, p.attempt, p.partition, p."position", p.event_id, p.event_type, p.occurred_at, p.correlation_id, p.causation_id, p.aggregate_id, p.aggregate_type, p.aggregate_version, p.data, p.metadata FROM (WITH RECURSIVE polled (n, events) AS (SELECT 0, NULL::pg_catalog.record[] UNION ALL SELECT polled.n OPERATOR(pg_catalog.+) 1, (SELECT pg_catalog.array_agg(e) FROM eventstore.store_of_slot($1, ($2)[polled.n OPERATOR(pg_catalog.+) 1]) CROSS JOIN LATERAL eventstore.poll(($3)[polled.n OPERATOR(pg_catalog.+) 1], $4, $5) e) FROM polled WHERE polled.events IS NULL AND polled.n OPERATOR(pg_catalog.<) pg_catalog.cardinality($2)) SELECT polled.events FROM polled WHERE polled.events IS NOT NULL) found CROSS JOIN LATERAL pg_catalog.unnest(found.events) p (delivery bigint, attempt integer, partition integer, "position" bigint, event_id varchar, event_type varchar, occurred_at timestamptz, correlation_id varchar, causation_id varchar, aggregate_id varchar, aggregate_type varchar, aggregate_version integer, data jsonb, metadata jsonb);
$$;

CREATE OR REPLACE FUNCTION eventstore.poll(
  subscription text,
  max_count integer DEFAULT 100,
  consumer text DEFAULT NULL,
  wait interval DEFAULT '0',
  ack bigint DEFAULT NULL)
RETURNS TABLE (
  delivery bigint,
  attempt integer,
  partition integer,
  "position" bigint,
  event_id varchar,
  event_type varchar,
  occurred_at timestamptz,
  correlation_id varchar,
  causation_id varchar,
  aggregate_id varchar,
  aggregate_type varchar,
  aggregate_version integer,
  data jsonb,
  metadata jsonb)
LANGUAGE plpgsql ROWS 100 AS $$
#variable_conflict use_column
DECLARE
  s record := eventstore.front_subscription(subscription, NULL, 'poll');
  until timestamptz := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) LEAST(wait, '60 s');
  nap double precision := 0.01;
  node record;
BEGIN
  IF wait OPERATOR(pg_catalog.<) '0' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'argument "wait" must not be negative';
  END IF;
  IF ack IS NOT NULL THEN
    PERFORM eventstore.ack(subscription, ack);
  END IF;
  LOOP
    -- the node with the outstanding delivery first, and in it the slot
    FOR node IN
      SELECT pg_catalog.array_agg(g.n ORDER BY g.outstanding DESC, pg_catalog.random()) AS slots
        FROM (SELECT given.n, given.name, m.conninfo, given.n OPERATOR(pg_catalog.=) ANY (
                       CASE WHEN consumer IS NULL THEN '{}'
                            ELSE ARRAY(SELECT eventstore.remote_outstanding(s.map, s.slots, s.names, consumer)) END) AS outstanding
                FROM ROWS FROM (pg_catalog.unnest(s.slots), pg_catalog.unnest(s.names)) AS given (n, name)
                JOIN eventstore.slot_map m ON m.store OPERATOR(pg_catalog.=) s.map AND m.slot OPERATOR(pg_catalog.=) given.n) g
       GROUP BY g.conninfo
       ORDER BY pg_catalog.bool_or(g.outstanding) DESC, pg_catalog.random()
    LOOP
      RETURN QUERY SELECT * FROM eventstore.remote_poll(s.map, node.slots,
        ARRAY(SELECT given.name FROM pg_catalog.unnest(node.slots) WITH ORDINALITY AS o (n, place)
                JOIN ROWS FROM (pg_catalog.unnest(s.slots), pg_catalog.unnest(s.names)) AS given (n, name) ON given.n OPERATOR(pg_catalog.=) o.n ORDER BY o.place),
        max_count, consumer);
      IF FOUND THEN
        RETURN;
      END IF;
    END LOOP;
    EXIT WHEN wait IS NULL OR pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>=) until;
    PERFORM pg_catalog.pg_sleep(LEAST(nap, pg_catalog.date_part('epoch', until OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp())));
    nap := LEAST(nap OPERATOR(pg_catalog.*) 2, 0.25);
  END LOOP;
END $$;
COMMENT ON FUNCTION eventstore.poll(text, integer, text, interval, bigint) IS
'poll() on one slot after the other, until one delivers. All events of a delivery are of one slot, and the last ten bits of the delivery are the number of the slot: delivery & 1023. Positions are those of the slot. A consumer with a name gets its outstanding delivery again, as on a node.
wait: how long to wait for events of any slot, at most 60 seconds. The front asks the nodes at least four times a second.
Errors: 25001 in a transaction block; 22023 wait is negative; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.front_delivery(
  subscription text,
  delivery bigint,
  function text,
  OUT map text,
  OUT slot integer,
  OUT name text)
RETURNS record LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(subscription, NULL, function);
BEGIN
  map := s.map;
  -- without a delivery, any slot raises the error
  slot := COALESCE(delivery OPERATOR(pg_catalog.&) 1023, s.slots[1]);
  name := s.names[pg_catalog.array_position(s.slots, slot)];
  IF name IS NULL THEN
    RAISE SQLSTATE '22V02' USING
      MESSAGE = pg_catalog.format('delivery %s of subscription "%s" is not valid', delivery, subscription),
      DETAIL = pg_catalog.format('Its last ten bits name slot %s, which is not among the slots %s of store "%s".', slot, s.slots, map);
  END IF;
END $$;
COMMENT ON FUNCTION eventstore.front_delivery(text, bigint, text) IS
'For the functions of the front: the slot of a delivery, and the subscription of this slot.';

CREATE OR REPLACE FUNCTION eventstore.remote_ack(text, integer, text, bigint, bigint)
RETURNS void LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT NULL::pg_catalog.void FROM eventstore.store_of_slot($1, $2) CROSS JOIN LATERAL eventstore.ack($3, $4, $5);
$$;
CREATE OR REPLACE FUNCTION eventstore.ack(
  subscription text,
  delivery bigint,
  up_to_position bigint DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_delivery(subscription, delivery, 'ack');
BEGIN
  PERFORM eventstore.remote_ack(s.map, s.slot, s.name, delivery, up_to_position);
END $$;
COMMENT ON FUNCTION eventstore.ack(text, bigint, bigint) IS
'ack() on the slot of the delivery.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_nack(text, integer, text, bigint, bigint, text, interval)
RETURNS timestamptz LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT r.r FROM eventstore.store_of_slot($1, $2) CROSS JOIN LATERAL eventstore.nack($3, $4, $5, $6, $7) r (r);
$$;
CREATE OR REPLACE FUNCTION eventstore.nack(
  subscription text,
  delivery bigint,
  at_position bigint,
  reason text DEFAULT NULL,
  retry_after interval DEFAULT NULL)
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_delivery(subscription, delivery, 'nack');
BEGIN
  RETURN eventstore.remote_nack(s.map, s.slot, s.name, delivery, at_position, reason, retry_after);
END $$;
COMMENT ON FUNCTION eventstore.nack(text, bigint, bigint, text, interval) IS
'nack() on the slot of the delivery.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_park(text, integer, text, bigint, bigint, text)
RETURNS void LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT NULL::pg_catalog.void FROM eventstore.store_of_slot($1, $2) CROSS JOIN LATERAL eventstore.park($3, $4, $5, $6);
$$;
CREATE OR REPLACE FUNCTION eventstore.park(
  subscription text,
  delivery bigint,
  at_position bigint,
  reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_delivery(subscription, delivery, 'park');
BEGIN
  PERFORM eventstore.remote_park(s.map, s.slot, s.name, delivery, at_position, reason);
END $$;
COMMENT ON FUNCTION eventstore.park(text, bigint, bigint, text) IS
'park() on the slot of the delivery.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_extend_lease(text, integer, text, bigint, interval)
RETURNS timestamptz LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT r.r FROM eventstore.store_of_slot($1, $2) CROSS JOIN LATERAL eventstore.extend_lease($3, $4, $5) r (r);
$$;
CREATE OR REPLACE FUNCTION eventstore.extend_lease(
  subscription text,
  delivery bigint,
  lease interval DEFAULT NULL)
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_delivery(subscription, delivery, 'extend_lease');
BEGIN
  RETURN eventstore.remote_extend_lease(s.map, s.slot, s.name, delivery, lease);
END $$;
COMMENT ON FUNCTION eventstore.extend_lease(text, bigint, interval) IS
'extend_lease() on the slot of the delivery.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_release(text, slots integer[], names text[], text)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT r.r FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.release(s.name, $4) r (r);
$$;
CREATE OR REPLACE FUNCTION eventstore.release(subscription text, consumer text)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(subscription, NULL, 'release');
BEGIN
  RETURN (SELECT pg_catalog.sum(n) FROM eventstore.remote_release(s.map, s.slots, s.names, consumer) n);
END $$;
COMMENT ON FUNCTION eventstore.release(text, text) IS
'release() on all slots, or on the slot that the name of the subscription begins with. Returns the sum.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';
