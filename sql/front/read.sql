
-- Reading. An aggregate is read from its slot. Other readers read all slots, and merge the
-- events by time. Events of one slot keep their order.

CREATE OR REPLACE FUNCTION eventstore.remote_get_events_by_aggregate(text, integer, text, integer, integer, integer, boolean, boolean)
RETURNS SETOF eventstore.event LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT * FROM eventstore.get_events_by_aggregate($3, $4, $5, $6, $7, eventstore.store_of_slot($1, $2), $8);
$$;

CREATE OR REPLACE FUNCTION eventstore.get_events_by_aggregate(
  aggregate_id text,
  from_version integer DEFAULT 0,
  to_version integer DEFAULT NULL,
  max_count integer DEFAULT NULL,
  backwards boolean DEFAULT false,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event LANGUAGE sql STABLE ROWS 100 AS $$
  SELECT * FROM eventstore.remote_get_events_by_aggregate(eventstore.front_store(store), eventstore.front_slot(store, aggregate_id),
    aggregate_id, from_version, to_version, max_count, backwards, include_archived)
$$;
COMMENT ON FUNCTION eventstore.get_events_by_aggregate(text, integer, integer, integer, boolean, text, boolean) IS
'get_events_by_aggregate() on the slot of the aggregate.
Errors: 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_get_aggregate_version(text, integer, text)
RETURNS integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.get_aggregate_version($3, eventstore.store_of_slot($1, $2));
$$;

CREATE OR REPLACE FUNCTION eventstore.get_aggregate_version(aggregate_id text, store text DEFAULT NULL)
RETURNS integer LANGUAGE sql STABLE AS $$
  SELECT eventstore.remote_get_aggregate_version(eventstore.front_store(store), eventstore.front_slot(store, aggregate_id), aggregate_id)
$$;
COMMENT ON FUNCTION eventstore.get_aggregate_version(text, text) IS
'get_aggregate_version() on the slot of the aggregate.
Errors: 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_get_events_by_type(text, slots integer[], text, timestamptz, bigint, integer, boolean)
RETURNS SETOF eventstore.event LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT e.* FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.get_events_by_type($3, $4, $5, $6, eventstore.store_of_slot($1, s), $7) e;
$$;

CREATE OR REPLACE FUNCTION eventstore.get_events_by_type(
  event_type text,
  start_date timestamptz DEFAULT NULL,
  after_position bigint DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event LANGUAGE sql STABLE ROWS 1000 AS $$
  SELECT * FROM eventstore.remote_get_events_by_type(eventstore.front_store(store),
      CASE WHEN after_position IS NULL OR after_position OPERATOR(pg_catalog.=) 0 THEN eventstore.front_slots(store)
           ELSE ARRAY[eventstore.front_one_slot(store, 'after_position')] END,
      event_type, start_date, after_position, max_count, include_archived) e
   ORDER BY e.occurred_at, e."position", e.event_id
   LIMIT CASE WHEN max_count OPERATOR(pg_catalog.>=) 0 THEN max_count END
$$;
COMMENT ON FUNCTION eventstore.get_events_by_type(text, timestamptz, bigint, integer, text, boolean) IS
'get_events_by_type() on all slots, ordered by time. Positions are those of each slot, so after_position needs the store of one slot.
Errors: 0A000 after_position is given for a store of several slots; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_get_events_by_aggregate_type(text, slots integer[], text, timestamptz, bigint, integer, boolean)
RETURNS SETOF eventstore.event LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT e.* FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.get_events_by_aggregate_type($3, $4, $5, $6, eventstore.store_of_slot($1, s), $7) e;
$$;

CREATE OR REPLACE FUNCTION eventstore.get_events_by_aggregate_type(
  aggregate_type text,
  start_date timestamptz DEFAULT NULL,
  after_position bigint DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event LANGUAGE sql STABLE ROWS 1000 AS $$
  SELECT * FROM eventstore.remote_get_events_by_aggregate_type(eventstore.front_store(store),
      CASE WHEN after_position IS NULL OR after_position OPERATOR(pg_catalog.=) 0 THEN eventstore.front_slots(store)
           ELSE ARRAY[eventstore.front_one_slot(store, 'after_position')] END,
      aggregate_type, start_date, after_position, max_count, include_archived) e
   ORDER BY e.occurred_at, e."position", e.event_id
   LIMIT CASE WHEN max_count OPERATOR(pg_catalog.>=) 0 THEN max_count END
$$;
COMMENT ON FUNCTION eventstore.get_events_by_aggregate_type(text, timestamptz, bigint, integer, text, boolean) IS
'get_events_by_aggregate_type() on all slots, ordered by time. Positions are those of each slot, so after_position needs the store of one slot.
Errors: 0A000 after_position is given for a store of several slots; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_get_events_by_correlation_id(text, slots integer[], text, timestamptz, bigint, integer, boolean)
RETURNS SETOF eventstore.event LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT e.* FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.get_events_by_correlation_id($3, $4, $5, $6, eventstore.store_of_slot($1, s), $7) e;
$$;

CREATE OR REPLACE FUNCTION eventstore.get_events_by_correlation_id(
  correlation_id text,
  start_date timestamptz DEFAULT NULL,
  after_position bigint DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event LANGUAGE sql STABLE ROWS 1000 AS $$
  SELECT * FROM eventstore.remote_get_events_by_correlation_id(eventstore.front_store(store),
      CASE WHEN after_position IS NULL OR after_position OPERATOR(pg_catalog.=) 0 THEN eventstore.front_slots(store)
           ELSE ARRAY[eventstore.front_one_slot(store, 'after_position')] END,
      correlation_id, start_date, after_position, max_count, include_archived) e
   ORDER BY e.occurred_at, e."position", e.event_id
   LIMIT CASE WHEN max_count OPERATOR(pg_catalog.>=) 0 THEN max_count END
$$;
COMMENT ON FUNCTION eventstore.get_events_by_correlation_id(text, timestamptz, bigint, integer, text, boolean) IS
'get_events_by_correlation_id() on all slots, ordered by time. Positions are those of each slot, so after_position needs the store of one slot.
Errors: 0A000 after_position is given for a store of several slots; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_get_events_by_causation_id(text, slots integer[], text, timestamptz, bigint, integer, boolean)
RETURNS SETOF eventstore.event LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT e.* FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.get_events_by_causation_id($3, $4, $5, $6, eventstore.store_of_slot($1, s), $7) e;
$$;

CREATE OR REPLACE FUNCTION eventstore.get_events_by_causation_id(
  causation_id text,
  start_date timestamptz DEFAULT NULL,
  after_position bigint DEFAULT NULL,
  max_count integer DEFAULT NULL,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event LANGUAGE sql STABLE ROWS 1000 AS $$
  SELECT * FROM eventstore.remote_get_events_by_causation_id(eventstore.front_store(store),
      CASE WHEN after_position IS NULL OR after_position OPERATOR(pg_catalog.=) 0 THEN eventstore.front_slots(store)
           ELSE ARRAY[eventstore.front_one_slot(store, 'after_position')] END,
      causation_id, start_date, after_position, max_count, include_archived) e
   ORDER BY e.occurred_at, e."position", e.event_id
   LIMIT CASE WHEN max_count OPERATOR(pg_catalog.>=) 0 THEN max_count END
$$;
COMMENT ON FUNCTION eventstore.get_events_by_causation_id(text, timestamptz, bigint, integer, text, boolean) IS
'get_events_by_causation_id() on all slots, ordered by time. Positions are those of each slot, so after_position needs the store of one slot.
Errors: 0A000 after_position is given for a store of several slots; 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_get_latest_events(text, slots integer[], integer, boolean)
RETURNS TABLE (
  slot integer,
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
  metadata jsonb) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s AS slot, e.* FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.get_latest_events($3, eventstore.store_of_slot($1, s), $4) e;
$$;

-- The newest events of a slot are those of the greatest positions, so an event counts as no
-- older than those before it.
CREATE OR REPLACE FUNCTION eventstore.get_latest_events(
  max_count integer DEFAULT NULL,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event LANGUAGE sql STABLE ROWS 100 AS $$
  SELECT l."position", l.event_id, l.event_type, l.occurred_at, l.correlation_id, l.causation_id, l.aggregate_id, l.aggregate_type,
         l.aggregate_version, l.data, l.metadata
    FROM (SELECT e.*, pg_catalog.max(e.occurred_at) OVER (PARTITION BY e.slot ORDER BY e."position") AS at
            FROM eventstore.remote_get_latest_events(eventstore.front_store(store), eventstore.front_slots(store), max_count, include_archived) e
           ORDER BY at DESC, e.slot DESC, e."position" DESC
           LIMIT CASE WHEN max_count OPERATOR(pg_catalog.>=) 0 THEN max_count END) l
   ORDER BY l.at, l.slot, l."position"
$$;
COMMENT ON FUNCTION eventstore.get_latest_events(integer, text, boolean) IS
'get_latest_events() on all slots, in ascending order. In a slot the newest events are those of the greatest positions, and an event counts as no older than those before it; between slots the time decides.
Errors: 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_get_event(text, slots integer[], text, boolean)
RETURNS TABLE (
  slot integer,
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
  metadata jsonb) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots;
  RUN ON slots;
  SELECT s AS slot, e.* FROM pg_catalog.unnest($2) s CROSS JOIN LATERAL eventstore.get_event($3, eventstore.store_of_slot($1, s), $4) e;
$$;

CREATE OR REPLACE FUNCTION eventstore.get_event(
  event_id text,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event LANGUAGE sql STABLE ROWS 1 AS $$
  SELECT e."position", e.event_id, e.event_type, e.occurred_at, e.correlation_id, e.causation_id, e.aggregate_id, e.aggregate_type,
         e.aggregate_version, e.data, e.metadata
    FROM eventstore.remote_get_event(eventstore.front_store(store), eventstore.front_slots(store), event_id, include_archived) e
   ORDER BY e.slot
$$;
COMMENT ON FUNCTION eventstore.get_event(text, text, boolean) IS
'get_event() on all slots. An id is unique in each slot, so slots with events of the same id return a row each.
Errors: 42P01 the front has no map of the store, or a slot has moved; others as on the node.';

-- The log. Each slot has a log of its own.

CREATE OR REPLACE FUNCTION eventstore.remote_read_events(text, integer, bigint, integer, text[], text[], boolean, boolean)
RETURNS SETOF eventstore.event LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT * FROM eventstore.read_events($3, $4, $5, $6, $7, eventstore.store_of_slot($1, $2), $8);
$$;

CREATE OR REPLACE FUNCTION eventstore.read_events(
  after_position bigint DEFAULT 0,
  max_count integer DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  backwards boolean DEFAULT false,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS SETOF eventstore.event LANGUAGE sql ROWS 100 AS $$
  SELECT * FROM eventstore.remote_read_events(eventstore.front_store(store), eventstore.front_one_slot(store, 'read_events()'),
    after_position, max_count, event_types, aggregate_types, backwards, include_archived)
$$;
COMMENT ON FUNCTION eventstore.read_events(bigint, integer, text[], text[], boolean, text, boolean) IS
'read_events() on one slot. read_events_all() reads all slots.
store: the store of a slot, such as shop.orders_003.
Errors: 0A000 the store has several slots; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.front_positions(cursor jsonb, slots integer[], slot_count integer) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  wrong text;
BEGIN
  IF pg_catalog.jsonb_typeof(cursor) OPERATOR(pg_catalog.<>) 'object' THEN
    wrong := pg_catalog.format('It is %s and not an object.', pg_catalog.jsonb_typeof(cursor));
  ELSE
    SELECT pg_catalog.format('Key "%s" has the value %s.', e.key, e.value) INTO wrong
      FROM pg_catalog.jsonb_each(cursor) e
     WHERE CASE WHEN e.key OPERATOR(pg_catalog.~) '^(0|[1-9]\d{0,3})$' AND e.value::text OPERATOR(pg_catalog.~) '^\d{1,18}$'
                THEN e.key::integer OPERATOR(pg_catalog.>=) slot_count ELSE true END
     LIMIT 1;
  END IF;
  IF wrong IS NOT NULL THEN
    RAISE invalid_parameter_value USING
      MESSAGE = 'invalid cursor',
      DETAIL = wrong,
      HINT = pg_catalog.format('A cursor is an object with the numbers of slots as keys, 0 to %s, and positions as values. NULL means the start.', slot_count OPERATOR(pg_catalog.-) 1);
  END IF;
  RETURN ARRAY(SELECT COALESCE((cursor OPERATOR(pg_catalog.->>) s::text)::bigint, 0) FROM pg_catalog.unnest(slots) WITH ORDINALITY AS given (s, n) ORDER BY n);
END $$;
COMMENT ON FUNCTION eventstore.front_positions(jsonb, integer[], integer) IS
'For the functions of the front: the position of each slot in a cursor; 22023 if it is not a cursor.';

CREATE OR REPLACE FUNCTION eventstore.remote_read_events_all(text, slots integer[], positions bigint[], integer, text[], text[], boolean)
RETURNS TABLE (
  slot integer,
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
  metadata jsonb) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, positions;
  RUN ON slots;
  SELECT s.n AS slot, e.* FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, after_position) CROSS JOIN LATERAL eventstore.read_events(s.after_position, $4, $5, $6, false, eventstore.store_of_slot($1, s.n), $7) e;
$$;

CREATE OR REPLACE FUNCTION eventstore.read_events_all(
  cursor jsonb DEFAULT NULL,
  max_count integer DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS TABLE (
  slot integer,
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
  next_cursor jsonb)
LANGUAGE plpgsql ROWS 1000 AS $$
#variable_conflict use_column
DECLARE
  map text := eventstore.front_store(store);
  slots integer[] := eventstore.front_slots(store);
  total integer := COALESCE(max_count, 1000);
  given jsonb := COALESCE(cursor, '{}');
  positions bigint[] := eventstore.front_positions(given, slots, pg_catalog.cardinality(eventstore.front_slots(map)));
BEGIN
  -- Each slot gives a share of the page. In a slot, the order is that of the positions, so
  -- an event counts as no older than the events before it.
  RETURN QUERY
    WITH page AS MATERIALIZED (
      SELECT e.*, pg_catalog.max(e.occurred_at) OVER (PARTITION BY e.slot ORDER BY e."position") AS at
        FROM eventstore.remote_read_events_all(map, slots, positions,
               CASE WHEN total OPERATOR(pg_catalog.<) 1 THEN total
                    ELSE pg_catalog.ceil(total::double precision OPERATOR(pg_catalog./) pg_catalog.cardinality(slots))::integer END,
               event_types, aggregate_types, include_archived) e
       ORDER BY at, e.slot, e."position"
       LIMIT CASE WHEN total OPERATOR(pg_catalog.>=) 0 THEN total END),
    last AS (
      SELECT given OPERATOR(pg_catalog.||) pg_catalog.jsonb_object_agg(m.slot, m."position") AS next_cursor
        FROM (SELECT p.slot, pg_catalog.max(p."position") AS "position" FROM page p GROUP BY p.slot) m)
    SELECT p.slot, p."position", p.event_id, p.event_type, p.occurred_at, p.correlation_id, p.causation_id, p.aggregate_id,
           p.aggregate_type, p.aggregate_version, p.data, p.metadata,
           CASE WHEN pg_catalog.row_number() OVER (ORDER BY p.at DESC, p.slot DESC, p."position" DESC) OPERATOR(pg_catalog.=) 1 THEN l.next_cursor END
      FROM page p CROSS JOIN last l
     ORDER BY p.at, p.slot, p."position";
END $$;
COMMENT ON FUNCTION eventstore.read_events_all(jsonb, integer, text[], text[], text, boolean) IS
'The logs of all slots, page by page. In each slot no event is lost or out of order. Between slots there is no order; the events of a page are merged by time.
cursor: column next_cursor of the last row of the page before. NULL means the start.
max_count: the maximum number of events of the page. NULL means 1000. A page may have fewer events although there are more; only an empty page is the end.
event_types, aggregate_types: only events of these types. NULL means all. next_cursor() moves a cursor over events of other types.
store: the sliced store. NULL means the setting pg_eventstore.store.
include_archived: whether archived events are returned, too.
Returns the slot, the columns of the event and next_cursor. next_cursor is NULL except in the last row, where it is the cursor of the next page: an object with the last position of each slot. A reader that stops in the middle of a page sets the key of a slot to the position of the last event of this slot.
Errors: 22023 the cursor is invalid; 22V01 a position is beyond the log of its slot; 42P01 the front has no map of the store, or a slot has moved; others as read_events() on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_next_cursor(text, slots integer[], positions bigint[], text[], text[], boolean)
RETURNS TABLE (slot integer, "position" bigint) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  SPLIT slots, positions;
  RUN ON slots;
  SELECT s.n AS slot, eventstore.next_checkpoint(s.after_position, $4, $5, eventstore.store_of_slot($1, s.n), $6) AS "position" FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) s (n, after_position);
$$;

CREATE OR REPLACE FUNCTION eventstore.next_cursor(
  cursor jsonb DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  map text := eventstore.front_store(store);
  slots integer[] := eventstore.front_slots(store);
  given jsonb := COALESCE(cursor, '{}');
  positions bigint[] := eventstore.front_positions(given, slots, pg_catalog.cardinality(eventstore.front_slots(map)));
BEGIN
  RETURN given OPERATOR(pg_catalog.||) (SELECT pg_catalog.jsonb_object_agg(c.slot, c."position")
    FROM eventstore.remote_next_cursor(map, slots, positions, event_types, aggregate_types, include_archived) c);
END $$;
COMMENT ON FUNCTION eventstore.next_cursor(jsonb, text[], text[], text, boolean) IS
'next_checkpoint() of all slots: the greatest cursor to which a reader of read_events_all() with a filter may move.
cursor: the cursor of the reader. NULL means the start.
event_types, aggregate_types: the filter.
store: the sliced store. NULL means the setting pg_eventstore.store.
include_archived: whether archived events count, too.
Errors: 22023 the cursor is invalid; 42P01 the front has no map of the store, or a slot has moved; others as next_checkpoint() on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_high_water_mark(text, integer)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.high_water_mark(eventstore.store_of_slot($1, $2));
$$;

CREATE OR REPLACE FUNCTION eventstore.high_water_mark(
  store text DEFAULT NULL)
RETURNS bigint LANGUAGE sql AS $$
  SELECT eventstore.remote_high_water_mark(eventstore.front_store(store), eventstore.front_one_slot(store, 'high_water_mark()'))
$$;
COMMENT ON FUNCTION eventstore.high_water_mark(text) IS
'high_water_mark() on one slot.
store: the store of a slot, such as shop.orders_003.
Errors: 0A000 the store has several slots; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_next_checkpoint(text, integer, bigint, text[], text[], boolean)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.next_checkpoint($3, $4, $5, eventstore.store_of_slot($1, $2), $6);
$$;

CREATE OR REPLACE FUNCTION eventstore.next_checkpoint(
  after_position bigint DEFAULT 0,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS bigint LANGUAGE sql AS $$
  SELECT eventstore.remote_next_checkpoint(eventstore.front_store(store), eventstore.front_one_slot(store, 'next_checkpoint()'), after_position, event_types, aggregate_types, include_archived)
$$;
COMMENT ON FUNCTION eventstore.next_checkpoint(bigint, text[], text[], text, boolean) IS
'next_checkpoint() on one slot.
store: the store of a slot, such as shop.orders_003.
Errors: 0A000 the store has several slots; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_wait_for_events(text, integer, bigint, interval, text[], text[], boolean)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.wait_for_events($3, $4, $5, $6, eventstore.store_of_slot($1, $2), $7);
$$;

CREATE OR REPLACE FUNCTION eventstore.wait_for_events(
  after_position bigint DEFAULT 0,
  timeout interval DEFAULT '10 seconds',
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS bigint LANGUAGE sql AS $$
  SELECT eventstore.remote_wait_for_events(eventstore.front_store(store), eventstore.front_one_slot(store, 'wait_for_events()'), after_position, timeout, event_types, aggregate_types, include_archived)
$$;
COMMENT ON FUNCTION eventstore.wait_for_events(bigint, interval, text[], text[], text, boolean) IS
'wait_for_events() on one slot.
store: the store of a slot, such as shop.orders_003.
Errors: 0A000 the store has several slots; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_advance_watermark(text, integer)
RETURNS bigint LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.advance_watermark(eventstore.store_of_slot($1, $2));
$$;

CREATE OR REPLACE FUNCTION eventstore.advance_watermark(
  store text DEFAULT NULL)
RETURNS bigint LANGUAGE sql AS $$
  SELECT eventstore.remote_advance_watermark(eventstore.front_store(store, 'advance_watermark'), eventstore.front_one_slot(store, 'advance_watermark()'))
$$;
COMMENT ON FUNCTION eventstore.advance_watermark(text) IS
'advance_watermark() on one slot.
store: the store of a slot, such as shop.orders_003.
Errors: 0A000 the store has several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_export_events(text, integer, bigint, integer, boolean)
RETURNS TABLE ("position" bigint, event jsonb) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT * FROM eventstore.export_events($3, $4, eventstore.store_of_slot($1, $2), $5);
$$;

CREATE OR REPLACE FUNCTION eventstore.export_events(
  after_position bigint DEFAULT 0,
  max_count integer DEFAULT NULL,
  store text DEFAULT NULL,
  include_archived boolean DEFAULT true)
RETURNS TABLE ("position" bigint, event jsonb) LANGUAGE sql AS $$
  SELECT * FROM eventstore.remote_export_events(eventstore.front_store(store), eventstore.front_one_slot(store, 'export_events()'), after_position, max_count, include_archived)
$$;
COMMENT ON FUNCTION eventstore.export_events(bigint, integer, text, boolean) IS
'export_events() on one slot.
store: the store of a slot, such as shop.orders_003.
Errors: 0A000 the store has several slots; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_import_events(text, integer, text)
RETURNS TABLE (imported bigint, present bigint) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT * FROM eventstore.import_events($3, eventstore.store_of_slot($1, $2));
$$;

CREATE OR REPLACE FUNCTION eventstore.import_events(
  source text,
  store text DEFAULT NULL)
RETURNS TABLE (imported bigint, present bigint) LANGUAGE sql AS $$
  SELECT * FROM eventstore.remote_import_events(eventstore.front_store(store, 'import_events'), eventstore.front_one_slot(store, 'import_events()'), source)
$$;
COMMENT ON FUNCTION eventstore.import_events(text, text) IS
'import_events() on one slot.
store: the store of a slot, such as shop.orders_003.
Errors: 0A000 the store has several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_import_json(text, integer, jsonb)
RETURNS TABLE (imported bigint, present bigint) LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT * FROM eventstore.import_json($3, eventstore.store_of_slot($1, $2));
$$;

CREATE OR REPLACE FUNCTION eventstore.import_json(
  events jsonb,
  store text DEFAULT NULL)
RETURNS TABLE (imported bigint, present bigint) LANGUAGE sql AS $$
  SELECT * FROM eventstore.remote_import_json(eventstore.front_store(store, 'import_json'), eventstore.front_one_slot(store, 'import_json()'), events)
$$;
COMMENT ON FUNCTION eventstore.import_json(jsonb, text) IS
'import_json() on one slot.
store: the store of a slot, such as shop.orders_003.
Errors: 0A000 the store has several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';
