
-- Snapshots and states. What is about one aggregate goes to its slot; states are defined on
-- all slots. The reducers are functions on the nodes, so they are named by a text.
CREATE OR REPLACE FUNCTION eventstore.remote_save_snapshot(text, integer, text, integer, jsonb)
RETURNS boolean LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.save_snapshot($3, $4, $5, eventstore.store_of_slot($1, $2));
$$;

CREATE OR REPLACE FUNCTION eventstore.save_snapshot(
  aggregate_id text,
  aggregate_version integer,
  state jsonb,
  store text DEFAULT NULL)
RETURNS boolean LANGUAGE sql AS $$
  SELECT eventstore.remote_save_snapshot(eventstore.front_store(store, 'save_snapshot'), eventstore.front_slot(store, aggregate_id),
    aggregate_id, aggregate_version, state)
$$;
COMMENT ON FUNCTION eventstore.save_snapshot(text, integer, jsonb, text) IS
'save_snapshot() on the slot of the aggregate. A transaction of a front cannot load and save, so an aggregate that was ever erased gets no snapshot.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_get_snapshot(text, integer, text, integer)
RETURNS TABLE (aggregate_version integer, state jsonb, saved_at timestamptz) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT * FROM eventstore.get_snapshot($3, $4, eventstore.store_of_slot($1, $2));
$$;

CREATE OR REPLACE FUNCTION eventstore.get_snapshot(
  aggregate_id text,
  max_version integer DEFAULT NULL,
  store text DEFAULT NULL)
RETURNS TABLE (
  aggregate_version integer,
  state jsonb,
  saved_at timestamptz) LANGUAGE sql STABLE ROWS 1 AS $$
  SELECT * FROM eventstore.remote_get_snapshot(eventstore.front_store(store), eventstore.front_slot(store, aggregate_id), aggregate_id, max_version)
$$;
COMMENT ON FUNCTION eventstore.get_snapshot(text, integer, text) IS
'get_snapshot() on the slot of the aggregate.
Errors: 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_delete_snapshots(text, slots integer[], text, integer)
RETURNS SETOF bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT r.* FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.delete_snapshots($3, $4, eventstore.store_of_slot($1, s)) r;
$$;

CREATE OR REPLACE FUNCTION eventstore.delete_snapshots(
  aggregate_id text DEFAULT NULL,
  before_version integer DEFAULT NULL,
  store text DEFAULT NULL)
RETURNS bigint LANGUAGE sql AS $$
  SELECT pg_catalog.sum(n)::bigint FROM eventstore.remote_delete_snapshots(eventstore.front_store(store, 'delete_snapshots'),
    CASE WHEN aggregate_id IS NULL THEN eventstore.front_slots(store) ELSE ARRAY[eventstore.front_slot(store, aggregate_id)] END,
    aggregate_id, before_version) n
$$;
COMMENT ON FUNCTION eventstore.delete_snapshots(text, integer, text) IS
'delete_snapshots() on the slot of the aggregate, or on all slots if aggregate_id is NULL. Returns the sum.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_load_aggregate(text, integer, text)
RETURNS TABLE (
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
  metadata jsonb,
  state jsonb) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT * FROM eventstore.load_aggregate($3, eventstore.store_of_slot($1, $2));
$$;

CREATE OR REPLACE FUNCTION eventstore.load_aggregate(
  aggregate_id text,
  store text DEFAULT NULL)
RETURNS TABLE (
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
  metadata jsonb,
  state jsonb) LANGUAGE sql STABLE ROWS 100 AS $$
  SELECT * FROM eventstore.remote_load_aggregate(eventstore.front_store($2), eventstore.front_slot($2, $1), $1)
$$;
COMMENT ON FUNCTION eventstore.load_aggregate(text, text) IS
'load_aggregate() on the slot of the aggregate.
Errors: 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_aggregate_state(text, integer, text, text, jsonb, integer, timestamptz)
RETURNS jsonb LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.aggregate_state($3, $4::pg_catalog.regprocedure, $5, $6, $7, eventstore.store_of_slot($1, $2));
$$;

CREATE OR REPLACE FUNCTION eventstore.aggregate_state(
  aggregate_id text,
  reducer text,
  initial jsonb DEFAULT '{}',
  to_version integer DEFAULT NULL,
  at timestamptz DEFAULT NULL,
  store text DEFAULT NULL)
RETURNS jsonb LANGUAGE sql AS $$
  SELECT eventstore.remote_aggregate_state(eventstore.front_store(store), eventstore.front_slot(store, aggregate_id), aggregate_id, reducer, initial, to_version, at)
$$;
COMMENT ON FUNCTION eventstore.aggregate_state(text, text, jsonb, integer, timestamptz, text) IS
'aggregate_state() on the slot of the aggregate. reducer is the name of a function on the node, with the types of its arguments.
Errors: 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_get_state(text, integer, text, text, integer, timestamptz)
RETURNS jsonb LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.get_state($3, $4, $5, $6, eventstore.store_of_slot($1, $2));
$$;

CREATE OR REPLACE FUNCTION eventstore.get_state(
  name text,
  aggregate_id text,
  to_version integer DEFAULT NULL,
  at timestamptz DEFAULT NULL,
  store text DEFAULT NULL)
RETURNS jsonb LANGUAGE sql AS $$
  SELECT eventstore.remote_get_state(eventstore.front_store(store), eventstore.front_slot(store, aggregate_id), name, aggregate_id, to_version, at)
$$;
COMMENT ON FUNCTION eventstore.get_state(text, text, integer, timestamptz, text) IS
'get_state() on the slot of the aggregate.
Errors: 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_create_state(text, slots integer[], text, text, jsonb, integer)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.create_state($3, $4::pg_catalog.regprocedure, $5, $6, eventstore.store_of_slot($1, s));
$$;

CREATE OR REPLACE FUNCTION eventstore.create_state(
  name text,
  reducer text,
  initial jsonb DEFAULT '{}',
  snapshot_every integer DEFAULT 100,
  store text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.remote_create_state(eventstore.front_store(store, 'create_state'), eventstore.front_slots(store), name, reducer, initial, snapshot_every);
END $$;
COMMENT ON FUNCTION eventstore.create_state(text, text, jsonb, integer, text) IS
'create_state() on all slots, or on the slot that store names. reducer is the name of a function that each node has, with the types of its arguments.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_alter_state(text, slots integer[], text, text, jsonb, integer, name)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.alter_state($3, $4::pg_catalog.regprocedure, $5, $6, $7, eventstore.store_of_slot($1, s));
$$;

CREATE OR REPLACE FUNCTION eventstore.alter_state(
  name text,
  reducer text DEFAULT NULL,
  initial jsonb DEFAULT NULL,
  snapshot_every integer DEFAULT NULL,
  owner name DEFAULT NULL,
  store text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.remote_alter_state(eventstore.front_store(store, 'alter_state'), eventstore.front_slots(store), name, reducer, initial, snapshot_every, owner);
END $$;
COMMENT ON FUNCTION eventstore.alter_state(text, text, jsonb, integer, name, text) IS
'alter_state() on all slots, or on the slot that store names. reducer is the name of a function that each node has, with the types of its arguments.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_reset_state(text, slots integer[], text)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.reset_state($3, eventstore.store_of_slot($1, s));
$$;

CREATE OR REPLACE FUNCTION eventstore.reset_state(name text, store text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.remote_reset_state(eventstore.front_store(store, 'reset_state'), eventstore.front_slots(store), name);
END $$;
COMMENT ON FUNCTION eventstore.reset_state(text, text) IS
'reset_state() on all slots, or on the slot that store names.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_drop_state(text, slots integer[], text)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.drop_state($3, eventstore.store_of_slot($1, s));
$$;

CREATE OR REPLACE FUNCTION eventstore.drop_state(name text, store text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.remote_drop_state(eventstore.front_store(store, 'drop_state'), eventstore.front_slots(store), name);
END $$;
COMMENT ON FUNCTION eventstore.drop_state(text, text) IS
'drop_state() on all slots, or on the slot that store names.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';
