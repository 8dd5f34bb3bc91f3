
-- Erasing, archiving, and changes of stores. On a store of several slots, they run on all of
-- them, one transaction for each node. After an error, call the function again.
CREATE OR REPLACE FUNCTION eventstore.remote_erase_aggregate(text, integer, text, text)
RETURNS integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.erase_aggregate($3, $4, eventstore.store_of_slot($1, $2));
$$;
CREATE OR REPLACE FUNCTION eventstore.erase_aggregate(aggregate_id text, reason text, store text DEFAULT NULL)
RETURNS integer LANGUAGE sql AS $$
  SELECT eventstore.remote_erase_aggregate(eventstore.front_store(store, 'erase_aggregate'), eventstore.front_slot(store, aggregate_id), aggregate_id, reason)
$$;
COMMENT ON FUNCTION eventstore.erase_aggregate(text, text, text) IS
'erase_aggregate() on the slot of the aggregate.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_redact_event(text, integer, text, text, jsonb, jsonb)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.redact_event($3, $4, $5, $6, eventstore.store_of_slot($1, $2));
$$;
CREATE OR REPLACE FUNCTION eventstore.redact_event(
  event_id text,
  reason text,
  data jsonb DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  store text DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  map text := eventstore.front_store(store, 'redact_event');
  slots integer[] := eventstore.front_slots(store);
  found integer[] := ARRAY(SELECT e.slot FROM eventstore.remote_get_event(map, slots, event_id, true) e);
BEGIN
  IF pg_catalog.cardinality(found) OPERATOR(pg_catalog.>) 1 THEN
    RAISE cardinality_violation USING
      MESSAGE = pg_catalog.format('%s slots of store "%s" have an event "%s"', pg_catalog.cardinality(found), map, event_id),
      DETAIL = 'Ids of events are unique in a slot. Nothing was erased.',
      HINT = 'Name the store of a slot, from slots().';
  END IF;
  -- if there is no such event, a node raises the error
  RETURN eventstore.remote_redact_event(map, COALESCE(found[1], slots[1]), event_id, reason, data, metadata);
END $$;
COMMENT ON FUNCTION eventstore.redact_event(text, text, jsonb, jsonb, text) IS
'redact_event() on the slot that has the event. All slots are searched.
Errors: 21000 several slots have an event with this id; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_create_archive(text, slots integer[], text, text)
RETURNS SETOF text LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT r.r::text FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.create_archive(eventstore.store_of_slot($1, s), $3, $4) r (r);
$$;

CREATE OR REPLACE FUNCTION eventstore.create_archive(
  store text DEFAULT NULL,
  name text DEFAULT NULL,
  tablespace text DEFAULT NULL)
RETURNS SETOF text LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  IF name IS NOT NULL THEN
    PERFORM eventstore.front_one_slot(store, 'name');
  END IF;
  RETURN QUERY SELECT * FROM eventstore.remote_create_archive(eventstore.front_store(store, 'create_archive'), eventstore.front_slots(store), name, tablespace);
END $$;
COMMENT ON FUNCTION eventstore.create_archive(text, text, text) IS
'create_archive() on all slots, or on the slot that store names. Returns the archives.
Errors: 0A000 name is given for a store of several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_sync_archive(text, slots integer[])
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.sync_archive(eventstore.store_of_slot($1, s));
$$;

CREATE OR REPLACE FUNCTION eventstore.sync_archive(
  store text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM eventstore.remote_sync_archive(eventstore.front_store(store, 'sync_archive'), eventstore.front_slots(store));
END $$;
COMMENT ON FUNCTION eventstore.sync_archive(text) IS
'sync_archive() on all slots, or on the slot that store names.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_archive_events(text, slots integer[], bigint, timestamptz, text[], integer, boolean)
RETURNS SETOF bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT r.* FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.archive_events(eventstore.store_of_slot($1, s), $3, $4, $5, $6, $7) r;
$$;

CREATE OR REPLACE FUNCTION eventstore.archive_events(
  store text DEFAULT NULL,
  before_position bigint DEFAULT NULL,
  before_time timestamptz DEFAULT NULL,
  aggregate_ids text[] DEFAULT NULL,
  max_count integer DEFAULT NULL,
  dry_run boolean DEFAULT false)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  IF before_position IS NOT NULL THEN
    PERFORM eventstore.front_one_slot(store, 'before_position');
  END IF;
  RETURN (SELECT pg_catalog.sum(n) FROM eventstore.remote_archive_events(eventstore.front_store(store, 'archive_events'), eventstore.front_slots(store), before_position, before_time, aggregate_ids, max_count, dry_run) n);
END $$;
COMMENT ON FUNCTION eventstore.archive_events(text, bigint, timestamptz, text[], integer, boolean) IS
'archive_events() on all slots, or on the slot that store names. max_count is the maximum number of events of each slot. Returns the sum.
Errors: 0A000 before_position is given for a store of several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_set_retention(text, slots integer[], interval, integer)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.set_retention(eventstore.store_of_slot($1, s), $3, $4);
$$;

CREATE OR REPLACE FUNCTION eventstore.set_retention(
  store text,
  max_age interval DEFAULT NULL,
  max_count_per_aggregate integer DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM eventstore.remote_set_retention(eventstore.front_store(store, 'set_retention'), eventstore.front_slots(store), max_age, max_count_per_aggregate);
END $$;
COMMENT ON FUNCTION eventstore.set_retention(text, interval, integer) IS
'set_retention() on all slots, or on the slot that store names.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_apply_retention(text, slots integer[], boolean, integer)
RETURNS TABLE (rule text, events bigint) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT r.* FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.apply_retention(eventstore.store_of_slot($1, s), $3, $4) r;
$$;

CREATE OR REPLACE FUNCTION eventstore.apply_retention(
  store text DEFAULT NULL,
  dry_run boolean DEFAULT true,
  max_count integer DEFAULT NULL)
RETURNS TABLE (rule text, events bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT r.rule, pg_catalog.sum(r.events)::bigint FROM eventstore.remote_apply_retention(eventstore.front_store(store, 'apply_retention'), eventstore.front_slots(store), dry_run, max_count) r GROUP BY r.rule ORDER BY r.rule;
END $$;
COMMENT ON FUNCTION eventstore.apply_retention(text, boolean, integer) IS
'apply_retention() on all slots, or on the slot that store names. max_count is the maximum number of events of each slot. Returns the sum of each rule.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_set_notifications(text, slots integer[], text, text)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.set_notifications(eventstore.store_of_slot($1, s), $3, $4);
$$;

CREATE OR REPLACE FUNCTION eventstore.set_notifications(
  store text,
  mode text,
  channel text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  IF channel IS NOT NULL THEN
    PERFORM eventstore.front_one_slot(store, 'channel');
  END IF;
  PERFORM eventstore.remote_set_notifications(eventstore.front_store(store, 'set_notifications'), eventstore.front_slots(store), mode, channel);
END $$;
COMMENT ON FUNCTION eventstore.set_notifications(text, text, text) IS
'set_notifications() on all slots, or on the slot that store names. LISTEN is on the node of the slot.
Errors: 0A000 channel is given for a store of several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_empty_store(text, slots integer[])
RETURNS SETOF bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT r.* FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.empty_store(eventstore.store_of_slot($1, s)) r;
$$;

CREATE OR REPLACE FUNCTION eventstore.empty_store(
  store text)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT pg_catalog.sum(n) FROM eventstore.remote_empty_store(eventstore.front_store(store, 'empty_store'), eventstore.front_slots(store)) n);
END $$;
COMMENT ON FUNCTION eventstore.empty_store(text) IS
'empty_store() on all slots, or on the slot that store names. For tests. Returns the sum.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_archive_limit(text, integer)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.archive_limit(eventstore.store_of_slot($1, $2));
$$;
CREATE OR REPLACE FUNCTION eventstore.archive_limit(
  store text DEFAULT NULL)
RETURNS bigint LANGUAGE sql AS $$
  SELECT eventstore.remote_archive_limit(eventstore.front_store(store), eventstore.front_one_slot(store, 'archive_limit()'))
$$;
COMMENT ON FUNCTION eventstore.archive_limit(text) IS
'archive_limit() on one slot.
store: the store of a slot, such as shop.orders_003.
Errors: 0A000 the store has several slots; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_set_archive_hold(text, integer, text, bigint)
RETURNS void LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT NULL::pg_catalog.void FROM eventstore.set_archive_hold($3, $4, eventstore.store_of_slot($1, $2));
$$;
CREATE OR REPLACE FUNCTION eventstore.set_archive_hold(
  name text,
  up_to_position bigint,
  store text DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
  SELECT eventstore.remote_set_archive_hold(eventstore.front_store(store, 'set_archive_hold'), eventstore.front_one_slot(store, 'set_archive_hold()'), name, up_to_position)
$$;
COMMENT ON FUNCTION eventstore.set_archive_hold(text, bigint, text) IS
'set_archive_hold() on one slot.
store: the store of a slot, such as shop.orders_003.
Errors: 0A000 the store has several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

-- What a front cannot do.

CREATE OR REPLACE PROCEDURE eventstore.archive_all(
  store text DEFAULT NULL,
  before_position bigint DEFAULT NULL,
  before_time timestamptz DEFAULT NULL,
  aggregate_ids text[] DEFAULT NULL,
  aggregate_query text DEFAULT NULL,
  batch_size integer DEFAULT 10000)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.front_refuse('archive_all', 'Call archive_events() with max_count until it returns 0, or archive_all() on each node.');
END $$;
COMMENT ON PROCEDURE eventstore.archive_all(text, bigint, timestamptz, text[], text, integer) IS
'Raises an error on a front. Call archive_events() with max_count until it returns 0, or archive_all() on each node.
Errors: 0A000 always.';

CREATE OR REPLACE FUNCTION eventstore.create_store(
  name text,
  notifications text DEFAULT 'worker',
  channel text DEFAULT NULL,
  create_schema_if_missing boolean DEFAULT true,
  indexes text[] DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.front_refuse('create_store', 'pg_eventstore_cluster init creates sliced stores. A store that is no slot is created on its own server.');
END $$;
COMMENT ON FUNCTION eventstore.create_store(text, text, text, boolean, text[]) IS
'Raises an error on a front. pg_eventstore_cluster init creates sliced stores. A store that is no slot is created on its own server.
Errors: 0A000 always.';

CREATE OR REPLACE FUNCTION eventstore.create_slots(
  name text,
  slots integer,
  only_slots integer[] DEFAULT NULL,
  notifications text DEFAULT 'worker',
  channel text DEFAULT NULL,
  create_schema_if_missing boolean DEFAULT true,
  indexes text[] DEFAULT NULL)
RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.front_refuse('create_slots', 'pg_eventstore_cluster init creates the slots on the nodes.');
END $$;
COMMENT ON FUNCTION eventstore.create_slots(text, integer, integer[], text, text, boolean, text[]) IS
'Raises an error on a front. pg_eventstore_cluster init creates the slots on the nodes.
Errors: 0A000 always.';

CREATE OR REPLACE FUNCTION eventstore.drop_store(
  store text,
  force boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.front_refuse('drop_store', 'Call drop_store() for each slot on its node, and DROP SERVER for the map on each front.');
END $$;
COMMENT ON FUNCTION eventstore.drop_store(text, boolean) IS
'Raises an error on a front. Call drop_store() for each slot on its node, and DROP SERVER for the map on each front.
Errors: 0A000 always.';

CREATE OR REPLACE FUNCTION eventstore.lock_slot(
  store text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.front_refuse('lock_slot', 'pg_eventstore_cluster moves slots.');
END $$;
COMMENT ON FUNCTION eventstore.lock_slot(text) IS
'Raises an error on a front. pg_eventstore_cluster moves slots.
Errors: 0A000 always.';

CREATE OR REPLACE FUNCTION eventstore.set_slot_arriving(
  store text,
  arriving boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.front_refuse('set_slot_arriving', 'pg_eventstore_cluster moves slots.');
END $$;
COMMENT ON FUNCTION eventstore.set_slot_arriving(text, boolean) IS
'Raises an error on a front. pg_eventstore_cluster moves slots.
Errors: 0A000 always.';

-- Views of all slots.
CREATE OR REPLACE FUNCTION eventstore.front_maps() RETURNS SETOF text
LANGUAGE sql STABLE AS $$
  SELECT DISTINCT m.store FROM eventstore.slot_map m WHERE pg_catalog.has_server_privilege(m.store, 'USAGE')
$$;
COMMENT ON FUNCTION eventstore.front_maps() IS 'For the views of the front: the sliced stores that the role may use.';

CREATE OR REPLACE FUNCTION eventstore.remote_stores(text, slots integer[])
RETURNS TABLE (slot integer, store text, notifications text, channel text, owner text, estimated_events bigint, history text) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s AS slot, v.store::text AS store, v.notifications::text AS notifications, v.channel::text AS channel, v.owner::text AS owner, v.estimated_events AS estimated_events, v.history::text AS history FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.store_of_slot($1, s) t (t) JOIN eventstore.stores v ON v.store OPERATOR(pg_catalog.=) t.t;
$$;
CREATE VIEW eventstore.stores AS
SELECT n.store AS sliced_store, v.*
  FROM eventstore.front_maps() n (store)
 CROSS JOIN LATERAL eventstore.remote_stores(n.store, eventstore.front_slots(n.store)) v;
COMMENT ON VIEW eventstore.stores IS 'View stores of the nodes, of the slots that the role may use, with the sliced store and the slot. A node that cannot be reached raises an error.';
GRANT SELECT ON eventstore.stores TO PUBLIC;

CREATE OR REPLACE FUNCTION eventstore.remote_subscriptions(text, slots integer[])
RETURNS TABLE (slot integer, name text, store text, owner text, event_types text[], aggregate_types text[], partitions integer, next_partitions integer, lease interval, max_attempts integer, backoff interval, on_exhausted text, paused boolean, runner text, stopped bigint, checkpoint bigint, lag bigint, lag_seconds double precision, rate double precision, in_flight bigint, consumers bigint, oldest_lease timestamptz, parked bigint, last_error text, last_error_at timestamptz, problem text, created_at timestamptz) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s AS slot, v.name::text AS name, v.store::text AS store, v.owner::text AS owner, v.event_types AS event_types, v.aggregate_types AS aggregate_types, v.partitions AS partitions, v.next_partitions AS next_partitions, v.lease AS lease, v.max_attempts AS max_attempts, v.backoff AS backoff, v.on_exhausted::text AS on_exhausted, v.paused AS paused, v.runner AS runner, v.stopped AS stopped, v.checkpoint AS checkpoint, v.lag AS lag, v.lag_seconds AS lag_seconds, v.rate AS rate, v.in_flight AS in_flight, v.consumers AS consumers, v.oldest_lease AS oldest_lease, v.parked AS parked, v.last_error::text AS last_error, v.last_error_at AS last_error_at, v.problem::text AS problem, v.created_at AS created_at FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.store_of_slot($1, s) t (t) JOIN eventstore.subscriptions v ON v.store::pg_catalog.oid OPERATOR(pg_catalog.=) t.t;
$$;
CREATE VIEW eventstore.subscriptions AS
SELECT n.store AS sliced_store, v.*
  FROM eventstore.front_maps() n (store)
 CROSS JOIN LATERAL eventstore.remote_subscriptions(n.store, eventstore.front_slots(n.store)) v;
COMMENT ON VIEW eventstore.subscriptions IS 'View subscriptions of the nodes, of the slots that the role may use, with the sliced store and the slot. A node that cannot be reached raises an error.';
GRANT SELECT ON eventstore.subscriptions TO PUBLIC;

CREATE OR REPLACE FUNCTION eventstore.remote_projections(text, slots integer[])
RETURNS TABLE (slot integer, name text, mode text, state text, store text, owner text, handler text, event_types text[], aggregate_types text[], batch_size integer, on_error text, max_attempts integer, backoff interval, "position" bigint, lag bigint, lag_seconds double precision, rate double precision, attempts integer, retry_at timestamptz, parked bigint, last_error text, last_error_at timestamptz, last_error_position bigint, last_error_event_type text, problem text, created_at timestamptz)
LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s AS slot, v.name::text AS name, v.mode AS mode, v.state AS state, v.store::text AS store, v.owner::text AS owner, v.handler AS handler, v.event_types AS event_types, v.aggregate_types AS aggregate_types, v.batch_size AS batch_size, v.on_error AS on_error, v.max_attempts AS max_attempts, v.backoff AS backoff, v."position" AS "position", v.lag AS lag, v.lag_seconds AS lag_seconds, v.rate AS rate, v.attempts AS attempts, v.retry_at AS retry_at, v.parked AS parked, v.last_error::text AS last_error, v.last_error_at AS last_error_at, v.last_error_position AS last_error_position, v.last_error_event_type AS last_error_event_type, v.problem::text AS problem, v.created_at AS created_at FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.store_of_slot($1, s) t (t) JOIN eventstore.projections v ON v.store::pg_catalog.oid OPERATOR(pg_catalog.=) t.t;
$$;
CREATE VIEW eventstore.projections AS
SELECT n.store AS sliced_store, v.*
  FROM eventstore.front_maps() n (store)
 CROSS JOIN LATERAL eventstore.remote_projections(n.store, eventstore.front_slots(n.store)) v;
COMMENT ON VIEW eventstore.projections IS 'View projections of the nodes, of the slots that the role may use, with the sliced store and the slot. A node that cannot be reached raises an error.';
GRANT SELECT ON eventstore.projections TO PUBLIC;


-- The parts of the functions that run on the nodes.
DO $$
DECLARE
  part pg_catalog.regprocedure;
BEGIN
  FOR part IN SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
               WHERE p.pronamespace OPERATOR(pg_catalog.=) 'eventstore'::pg_catalog.regnamespace AND l.lanname OPERATOR(pg_catalog.=) 'plproxy' LOOP
    -- PL/Proxy sends times and intervals as text, which the node must read as the front wrote it
    IF part::text OPERATOR(pg_catalog.~) 'timestamp|interval' THEN
      EXECUTE pg_catalog.format('ALTER FUNCTION %s SET datestyle = %L', part, 'ISO, MDY');
      EXECUTE pg_catalog.format('ALTER FUNCTION %s SET intervalstyle = %L', part, 'postgres');
    END IF;
    EXECUTE pg_catalog.format('COMMENT ON FUNCTION %s IS %L', part, 'For the functions of the front: the part that PL/Proxy runs on the nodes.');
  END LOOP;
END $$;
