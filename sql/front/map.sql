
-- Finding the slots of a call. Functions that are named remote_... are the parts that
-- PL/Proxy runs on the nodes. Their first arguments are the sliced store and its slots.
-- PL/Proxy sends each node the numbers of its slots, and the node raises 42P01 for a slot
-- that it does not have, so a reader of all slots never leaves out one.
CREATE OR REPLACE FUNCTION eventstore.front_store(store text, function text DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'pges_front_store' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.front_store(text, text) IS
'For the functions of the front: the name of the map of a store. function: a function that writes, which raises 25001 in a transaction block.';

CREATE OR REPLACE FUNCTION eventstore.front_slot(store text, aggregate_id text, event_id text DEFAULT NULL) RETURNS integer
AS 'MODULE_PATHNAME', 'pges_front_slot' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.front_slot(text, text, text) IS
'For the functions of the front: the slot of an aggregate, or else of the id of an event.';

CREATE OR REPLACE FUNCTION eventstore.front_slots(store text) RETURNS integer[]
AS 'MODULE_PATHNAME', 'pges_front_slots' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.front_slots(text) IS
'For the functions of the front: the slots of a store, or the slot that is named.';

CREATE OR REPLACE FUNCTION eventstore.front_one_slot(store text, what text) RETURNS integer
AS 'MODULE_PATHNAME', 'pges_front_one_slot' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.front_one_slot(text, text) IS
'For the functions of the front: the slot that is named; 0A000 if the store has several. what: what works on one slot, for the message.';

CREATE OR REPLACE FUNCTION eventstore.front_slot_of_events(store text, events jsonb, expected_versions jsonb) RETURNS integer
AS 'MODULE_PATHNAME', 'pges_front_slot_of_events' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.front_slot_of_events(text, jsonb, jsonb) IS
'For the functions of the front: the slot of events as JSON; 0A000 if they belong to several slots.';

CREATE OR REPLACE FUNCTION eventstore.front_refuse(function text, hint text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  RAISE feature_not_supported USING
    MESSAGE = pg_catalog.concat(function, '() cannot be called on a front'),
    HINT = hint;
END $$;
COMMENT ON FUNCTION eventstore.front_refuse(text, text) IS
'For the functions of the front: raises the error that a front does not have a function.';

-- The maps.
CREATE OR REPLACE FUNCTION eventstore.set_node(node text, conninfo text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  old text := (SELECT n.conninfo FROM eventstore.nodes n WHERE n.node OPERATOR(pg_catalog.=) set_node.node);
  changed record;
BEGIN
  IF conninfo OPERATOR(pg_catalog.~*) '\mpassword\s*=|://[^/@]*:[^/@]*@' THEN
    RAISE invalid_parameter_value USING
      MESSAGE = pg_catalog.format('connection string of node "%s" contains a password', node),
      DETAIL = 'Every role can read it.',
      HINT = 'Use a user mapping, or the password file of the user that runs the server.';
  END IF;
  INSERT INTO eventstore.nodes AS n VALUES (set_node.node, set_node.conninfo)
    ON CONFLICT ON CONSTRAINT nodes_pkey DO UPDATE SET conninfo = excluded.conninfo;
  FOR changed IN SELECT m.store, m.slot FROM eventstore.slot_map m WHERE m.conninfo OPERATOR(pg_catalog.=) old LOOP
    EXECUTE pg_catalog.format('ALTER SERVER %I OPTIONS (SET p%s %L)', changed.store, changed.slot, conninfo);
  END LOOP;
END $$;
COMMENT ON FUNCTION eventstore.set_node(text, text) IS
'Adds a node to this front, or changes its connection string, also in the maps.
node: the name of the node.
conninfo: the connection string of libpq, without password.
Errors: 22023 the string contains a password; 42501 not the owner of the tables and maps; 23505 another node has this string.';

CREATE OR REPLACE FUNCTION eventstore.front_keep_node() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM eventstore.slot_map m WHERE m.node OPERATOR(pg_catalog.=) OLD.node) THEN
    RAISE object_in_use USING
      MESSAGE = pg_catalog.format('node "%s" has slots', OLD.node),
      DETAIL = 'View eventstore.slot_map shows them.',
      HINT = 'Move the slots to other nodes first, by pg_eventstore_cluster move.';
  END IF;
  RETURN OLD;
END $$;
COMMENT ON FUNCTION eventstore.front_keep_node() IS
'Trigger function of table nodes: raises 55006 if a node that has slots is deleted.';
CREATE TRIGGER front_keep_node BEFORE DELETE ON eventstore.nodes
  FOR EACH ROW EXECUTE FUNCTION eventstore.front_keep_node();

CREATE OR REPLACE FUNCTION eventstore.set_front(conninfo text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
  INSERT INTO eventstore.fronts VALUES (conninfo) ON CONFLICT ON CONSTRAINT fronts_pkey DO NOTHING;
END;
COMMENT ON FUNCTION eventstore.set_front(text) IS
'Adds a front to the list of fronts.
conninfo: the connection string of libpq, without password.
Errors: 42501 not the owner of the table.';

CREATE OR REPLACE FUNCTION eventstore.front_node(name text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
  found text := (SELECT n.conninfo FROM eventstore.nodes n WHERE n.node OPERATOR(pg_catalog.=) name);
BEGIN
  IF found IS NULL THEN
    RAISE undefined_object USING
      MESSAGE = pg_catalog.format('node "%s" does not exist', name),
      HINT = 'Table eventstore.nodes shows the nodes. set_node() adds one.';
  END IF;
  RETURN found;
END $$;
COMMENT ON FUNCTION eventstore.front_node(text) IS 'For the functions of the front: the connection string of a node; 42704 if there is none.';

CREATE OR REPLACE FUNCTION eventstore.set_slot_map(store text, nodes text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  options text := (SELECT pg_catalog.string_agg(pg_catalog.format('p%s %L', n OPERATOR(pg_catalog.-) 1, eventstore.front_node(node)), ', ' ORDER BY n)
                     FROM pg_catalog.unnest(nodes) WITH ORDINALITY AS given (node, n));
  count integer := pg_catalog.cardinality(nodes);
  present integer := (SELECT pg_catalog.count(*) FROM eventstore.slot_map m WHERE m.store OPERATOR(pg_catalog.=) set_slot_map.store);
BEGIN
  PERFORM eventstore.slot_of('', count);
  IF pg_catalog.cardinality(pg_catalog.parse_ident(store)) OPERATOR(pg_catalog.<>) 2 OR pg_catalog.octet_length(store) OPERATOR(pg_catalog.>=) 64 THEN
    RAISE invalid_name USING
      MESSAGE = pg_catalog.format('invalid name of a sliced store: "%s"', store),
      HINT = 'Write the name with its schema, quoted as an SQL identifier, in at most 63 bytes.';
  END IF;
  IF present OPERATOR(pg_catalog.=) 0 THEN
    EXECUTE pg_catalog.format('CREATE SERVER %I FOREIGN DATA WRAPPER plproxy OPTIONS (%s)', store, options);
    EXECUTE pg_catalog.format('CREATE USER MAPPING FOR PUBLIC SERVER %I', store);
  ELSIF present OPERATOR(pg_catalog.<>) count THEN
    RAISE duplicate_object USING
      MESSAGE = pg_catalog.format('store "%s" has %s slots', store, present),
      DETAIL = pg_catalog.format('The number of slots cannot be changed to %s.', count);
  ELSE
    EXECUTE pg_catalog.format('ALTER SERVER %I OPTIONS (%s)', store, pg_catalog.regexp_replace(options, '(^|, )p(?=\d+ )', '\1SET p', 'g'));
  END IF;
END $$;
COMMENT ON FUNCTION eventstore.set_slot_map(text, text[]) IS
'Creates the map of a sliced store on this front, or replaces it. The map is a foreign server with the name of the store. A role that calls the functions for the store needs USAGE on this server.
store: the name of the sliced store, with its schema.
nodes: the node of each slot, by number.
Errors: 22023 the number of slots is not possible; 42704 no such node; 42602 not a name; 42710 the store has another number of slots; 42501 without USAGE on the foreign data wrapper plproxy.';

CREATE OR REPLACE FUNCTION eventstore.set_slot_node(store text, slot integer, node text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  conninfo text := eventstore.front_node(node);
BEGIN
  IF NOT EXISTS (SELECT FROM eventstore.slot_map m WHERE m.store OPERATOR(pg_catalog.=) set_slot_node.store AND m.slot OPERATOR(pg_catalog.=) set_slot_node.slot) THEN
    RAISE undefined_object USING
      MESSAGE = pg_catalog.format('store "%s" has no slot %s', store, slot),
      HINT = 'View eventstore.slot_map shows the slots.';
  END IF;
  EXECUTE pg_catalog.format('ALTER SERVER %I OPTIONS (SET p%s %L)', store, slot, conninfo);
END $$;
COMMENT ON FUNCTION eventstore.set_slot_node(text, integer, text) IS
'Changes the map of this front: the slot is on another node. The function moves no events, which pg_eventstore_cluster does.
store: the name of the sliced store.
slot: the number of the slot.
node: the node that has the slot.
Errors: 42704 no such slot or node; 42501 not the owner of the map.';

CREATE OR REPLACE FUNCTION eventstore.slot_of(aggregate_id text, slots integer) RETURNS integer
AS 'MODULE_PATHNAME', 'pges_slot_of_id' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.slot_of(text, integer) IS 'The slot of an aggregate, as on the nodes.';

CREATE OR REPLACE FUNCTION eventstore.is_erased(content jsonb) RETURNS boolean
AS 'MODULE_PATHNAME', 'pges_is_erased' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.is_erased(jsonb) IS 'Whether the data or the metadata of an event are erased, as on the nodes.';

CREATE OR REPLACE FUNCTION eventstore.new_event_id() RETURNS varchar
AS 'MODULE_PATHNAME', 'pges_new_event_id' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION eventstore.new_event_id() IS 'A new UUID version 7 as text, as on the nodes.';

CREATE OR REPLACE FUNCTION eventstore.slots(store text, OUT slot integer, OUT slots integer, OUT slot_store text) RETURNS SETOF record
LANGUAGE sql STABLE AS $$
  SELECT n, s.count, eventstore.store_of_slot(store, n)
    FROM pg_catalog.unnest(eventstore.front_slots(store)) n,
         (SELECT pg_catalog.cardinality(eventstore.front_slots(eventstore.front_store(store)))) s (count)
$$;
COMMENT ON FUNCTION eventstore.slots(text) IS
'The slots of a sliced store on all nodes, by the map of this front. slot_store is the name to call a function for one slot.
Errors: 42P01 the front has no map of the store.';

CREATE OR REPLACE FUNCTION eventstore.store_of_slot(store text, slot integer) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT pg_catalog.concat(pg_catalog.quote_ident(i[1]), '.', pg_catalog.quote_ident(
           pg_catalog.concat(i[2], '_', pg_catalog.lpad(slot::text, GREATEST(3, pg_catalog.length(slot::text)), '0'))))
    FROM pg_catalog.parse_ident(eventstore.front_store(store)) i
$$;
COMMENT ON FUNCTION eventstore.store_of_slot(text, integer) IS
'The name of the store that is the slot with a number. The function does not ask the node.
Errors: 42P01 the front has no map of the store.';

CREATE OR REPLACE FUNCTION eventstore.slot_store(store text, aggregate_id text) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT eventstore.store_of_slot(store, eventstore.slot_of(aggregate_id, pg_catalog.cardinality(eventstore.front_slots(eventstore.front_store(store)))))
$$;
COMMENT ON FUNCTION eventstore.slot_store(text, text) IS
'The name of the store that is the slot of an aggregate. The function does not ask the node.
Errors: 42P01 the front has no map of the store.';
