
-- Projections. As a subscription, a projection of a sliced store consists of a projection of
-- each slot, whose name is that of the slot's store, a slash and the name. All slots of a node
-- share the handler and its tables there. So a projection of a slot lists no tables: a rebuild
-- of one slot would delete the rows of the others.
CREATE OR REPLACE FUNCTION eventstore.front_no_tables(tables text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF pg_catalog.cardinality(tables) OPERATOR(pg_catalog.>) 0 THEN
    RAISE feature_not_supported USING
      MESSAGE = 'a projection of a sliced store cannot list its tables',
      DETAIL = 'The slots of a node share the tables. A rebuild of one slot would delete the rows of the others.',
      HINT = 'Leave out tables. To rebuild, drop the projection, empty its tables on the nodes, and create it again.';
  END IF;
END $$;
COMMENT ON FUNCTION eventstore.front_no_tables(text[]) IS
'For the functions of the front: raises an error for the tables of a projection.';

CREATE OR REPLACE FUNCTION eventstore.remote_create_projection(text, slots integer[], names text[], text, text, text[], text[], bigint, integer, text, integer, interval)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.create_projection(s.name, $4::pg_catalog.regprocedure, $5, eventstore.store_of_slot($1, s.n), $6, $7, $8, '{}', $9, $10, $11, $12);
$$;
CREATE OR REPLACE FUNCTION eventstore.create_projection(
  name text,
  handler text,
  mode text DEFAULT 'async',
  store text DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  start_position bigint DEFAULT 0,
  tables text[] DEFAULT '{}',
  batch_size integer DEFAULT 1000,
  on_error text DEFAULT 'stop',
  max_attempts integer DEFAULT 5,
  backoff interval DEFAULT '1 second')
RETURNS void LANGUAGE plpgsql
SET client_min_messages = error -- the notices of nodes about projections that exist arrive as warnings
AS $$
DECLARE
  s record := eventstore.front_subscription(name, store, 'create_projection');
BEGIN
  IF s.names[1] OPERATOR(pg_catalog.=) name THEN
    RAISE invalid_parameter_value USING
      MESSAGE = pg_catalog.format('name "%s" cannot be given to a projection of a sliced store', name),
      DETAIL = 'A name with a slash is that of the projection of one slot.';
  END IF;
  IF start_position OPERATOR(pg_catalog.>) 0 THEN
    PERFORM eventstore.front_one_slot(COALESCE(store, pg_catalog.current_setting('pg_eventstore.store')), 'start_position');
  END IF;
  PERFORM eventstore.front_no_tables(tables);
  PERFORM eventstore.remote_create_projection(s.map, s.slots, s.names, handler, mode, event_types, aggregate_types, start_position, batch_size,
    on_error, max_attempts, backoff);
END $$;
COMMENT ON FUNCTION eventstore.create_projection(text, text, text, text, text[], text[], bigint, text[], integer, text, integer, interval) IS
'create_projection() on all slots. If a node cannot be reached, call the function again: projections that exist are left as they are. The settings pg_eventstore.store of later calls must name the same store.
name: the name, without a slash.
handler: a function that each node has, with its schema and the type of its argument, such as shop.count_order(eventstore.event).
start_position: 0 for the start, NULL for the end, or a position if the store is one slot.
tables: must be empty, as the slots of a node share the tables.
Errors: 0A000 tables is not empty, or a position for a store of several slots; 22023 the name is not possible; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_alter_projection(text, slots integer[], names text[], text, text[], text[], integer, text, integer, interval, name, text)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.alter_projection(s.name, $4::pg_catalog.regprocedure, $5, $6, NULL, $7, $8, $9, $10, $11, $12);
$$;
CREATE OR REPLACE FUNCTION eventstore.alter_projection(
  name text,
  handler text DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  tables text[] DEFAULT NULL,
  batch_size integer DEFAULT NULL,
  on_error text DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  backoff interval DEFAULT NULL,
  owner name DEFAULT NULL,
  mode text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL, 'alter_projection');
BEGIN
  PERFORM eventstore.front_no_tables(tables);
  PERFORM eventstore.remote_alter_projection(s.map, s.slots, s.names, handler, event_types, aggregate_types, batch_size, on_error, max_attempts,
    backoff, owner, mode);
END $$;
COMMENT ON FUNCTION eventstore.alter_projection(text, text, text[], text[], text[], integer, text, integer, interval, name, text) IS
'alter_projection() on all slots, or on the slot that the name begins with. If a node cannot be reached, call the function again.
handler: a function that each node has, with its schema and the type of its argument.
tables: must be empty or NULL.
Errors: 0A000 tables is not empty; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_drop_projection(text, slots integer[], names text[])
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) JOIN eventstore.projections d ON d.name OPERATOR(pg_catalog.=) s.name CROSS JOIN LATERAL eventstore.drop_projection(d.name);
$$;
CREATE OR REPLACE FUNCTION eventstore.drop_projection(name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL, 'drop_projection');
BEGIN
  PERFORM eventstore.remote_drop_projection(s.map, s.slots, s.names);
  IF NOT FOUND THEN
    RAISE undefined_object USING
      MESSAGE = pg_catalog.format('projection "%s" does not exist', name),
      DETAIL = pg_catalog.format('No slot of store "%s" has it.', s.map),
      HINT = 'The setting pg_eventstore.store names the store of a projection.';
  END IF;
END $$;
COMMENT ON FUNCTION eventstore.drop_projection(text) IS
'drop_projection() on all slots that have it, or on the slot that the name begins with. If a node cannot be reached, call the function again.
Errors: 42704 no slot has the projection; 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_pause_projection(text, slots integer[], names text[])
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.pause_projection(s.name);
$$;
CREATE OR REPLACE FUNCTION eventstore.pause_projection(name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL, 'pause_projection');
BEGIN
  PERFORM eventstore.remote_pause_projection(s.map, s.slots, s.names);
END $$;
COMMENT ON FUNCTION eventstore.pause_projection(text) IS
'pause_projection() on all slots, or on the slot that the name begins with.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_resume_projection(text, slots integer[], names text[])
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT s.n FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.resume_projection(s.name);
$$;
CREATE OR REPLACE FUNCTION eventstore.resume_projection(name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL, 'resume_projection');
BEGIN
  PERFORM eventstore.remote_resume_projection(s.map, s.slots, s.names);
END $$;
COMMENT ON FUNCTION eventstore.resume_projection(text) IS
'resume_projection() on all slots, or on the slot that the name begins with.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_run_projection(text, slots integer[], names text[], integer)
RETURNS SETOF integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT r.r FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.run_projection(s.name, $4) r (r);
$$;
CREATE OR REPLACE FUNCTION eventstore.run_projection(name text, max_count integer DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL, 'run_projection');
BEGIN
  RETURN (SELECT pg_catalog.sum(n) FROM eventstore.remote_run_projection(s.map, s.slots, s.names, max_count) n);
END $$;
COMMENT ON FUNCTION eventstore.run_projection(text, integer) IS
'run_projection() on all slots, or on the slot that the name begins with. Each node runs its slots in one transaction. Returns the sum.
max_count: counts for each slot.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

-- The slots of a node wait one after the other, so each gets the time that is left.
CREATE OR REPLACE FUNCTION eventstore.remote_wait_for_projection(text, slots integer[], names text[], bigint, interval)
RETURNS SETOF bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, names;
  RUN ON slots;
  SELECT r.r FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, name) CROSS JOIN LATERAL eventstore.store_of_slot($1, s.n) CROSS JOIN LATERAL eventstore.wait_for_projection(s.name, $4, CASE WHEN $5 OPERATOR(pg_catalog.<=) '0' THEN $5 ELSE GREATEST($5 OPERATOR(pg_catalog.-) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.statement_timestamp()), '0') END) r (r);
$$;
CREATE OR REPLACE FUNCTION eventstore.wait_for_projection(
  name text,
  to_position bigint DEFAULT NULL,
  timeout interval DEFAULT '10 seconds')
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  s record := eventstore.front_subscription(name, NULL);
  reached bigint[];
BEGIN
  IF to_position IS NOT NULL AND pg_catalog.cardinality(s.slots) OPERATOR(pg_catalog.>) 1 THEN
    RAISE feature_not_supported USING
      MESSAGE = 'to_position works on one slot',
      DETAIL = 'Each slot has its own positions.',
      HINT = pg_catalog.format('Wait for the projection of the slot of the aggregate, such as "%s", or leave out to_position.', s.names[1]);
  END IF;
  reached := ARRAY(SELECT eventstore.remote_wait_for_projection(s.map, s.slots, s.names, to_position, timeout));
  RETURN CASE WHEN pg_catalog.array_position(reached, NULL) IS NULL THEN (SELECT pg_catalog.max(r) FROM pg_catalog.unnest(reached) r) END;
END $$;
COMMENT ON FUNCTION eventstore.wait_for_projection(text, bigint, interval) IS
'wait_for_projection() on all slots at the same time, or on the slot that the name begins with.
to_position: a position, if the name is that of the projection of one slot.
Returns NULL if a slot has timed out; otherwise the position if there is one slot, or the greatest one of the slots.
Errors: 0A000 a position for several slots; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.rebuild_projection(name text, in_place boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  RAISE feature_not_supported USING
    MESSAGE = 'a projection of a sliced store cannot be rebuilt through a front',
    DETAIL = 'The slots of a node share the tables of the projection.',
    HINT = 'Drop the projection, empty its tables on the nodes, and create it again.';
END $$;
COMMENT ON FUNCTION eventstore.rebuild_projection(text, boolean) IS
'Not on a front: the slots of a node share the tables of a projection. Drop the projection, empty its tables on the nodes, and create it again.
Errors: 0A000 always.';
