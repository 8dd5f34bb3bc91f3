
-- Appending. A call goes to the slot of its aggregate.
CREATE OR REPLACE FUNCTION eventstore.remote_append_event(text, integer, text, jsonb, text, integer, text, jsonb, text, timestamptz, text, text)
RETURNS integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.append_event($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, eventstore.store_of_slot($1, $2));
$$;
CREATE OR REPLACE FUNCTION eventstore.append_event(
  event_type text,
  data jsonb,
  aggregate_id text DEFAULT NULL,
  expected_version integer DEFAULT NULL,
  aggregate_type text DEFAULT NULL,
  metadata jsonb DEFAULT NULL,
  event_id text DEFAULT NULL,
  occurred_at timestamptz DEFAULT NULL,
  correlation_id text DEFAULT NULL,
  causation_id text DEFAULT NULL,
  store text DEFAULT NULL)
RETURNS integer LANGUAGE sql AS $$
  SELECT eventstore.remote_append_event(
    eventstore.front_store(store, 'append_event'), eventstore.front_slot(store, aggregate_id, event_id),
    event_type, data, aggregate_id, expected_version, aggregate_type, metadata, event_id, occurred_at, correlation_id, causation_id)
$$;
COMMENT ON FUNCTION eventstore.append_event(text, jsonb, text, integer, text, jsonb, text, timestamptz, text, text, text) IS
'append_event() on the slot of the aggregate. An event of no aggregate goes to the slot of its event id, or without one to any slot.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_append_events(text, integer, jsonb, integer)
RETURNS integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.append_events($3, $4, eventstore.store_of_slot($1, $2));
$$;
CREATE OR REPLACE FUNCTION eventstore.append_events(
  events jsonb,
  expected_version integer DEFAULT NULL,
  store text DEFAULT NULL)
RETURNS integer LANGUAGE sql AS $$
  SELECT eventstore.remote_append_events(
    eventstore.front_store(store, 'append_events'), eventstore.front_slot_of_events(store, events, NULL), events, expected_version)
$$;
COMMENT ON FUNCTION eventstore.append_events(jsonb, integer, text) IS
'append_events() on the slot of the aggregate.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_append_to_aggregate(text, integer, text, text[], jsonb[], integer, text, jsonb[], text[], timestamptz[], text, text)
RETURNS integer LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT eventstore.append_to_aggregate($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, eventstore.store_of_slot($1, $2));
$$;
CREATE OR REPLACE FUNCTION eventstore.append_to_aggregate(
  aggregate_id text,
  event_types text[],
  data jsonb[],
  expected_version integer DEFAULT NULL,
  aggregate_type text DEFAULT NULL,
  metadata jsonb[] DEFAULT NULL,
  event_ids text[] DEFAULT NULL,
  occurred_at timestamptz[] DEFAULT NULL,
  correlation_id text DEFAULT NULL,
  causation_id text DEFAULT NULL,
  store text DEFAULT NULL)
RETURNS integer LANGUAGE sql AS $$
  SELECT eventstore.remote_append_to_aggregate(
    eventstore.front_store(store, 'append_to_aggregate'), eventstore.front_slot(store, aggregate_id),
    aggregate_id, event_types, data, expected_version, aggregate_type, metadata, event_ids, occurred_at, correlation_id, causation_id)
$$;
COMMENT ON FUNCTION eventstore.append_to_aggregate(text, text[], jsonb[], integer, text, jsonb[], text[], timestamptz[], text, text, text) IS
'append_to_aggregate() on the slot of the aggregate.
Errors: 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';

CREATE OR REPLACE FUNCTION eventstore.remote_append(text, integer, jsonb, jsonb)
RETURNS TABLE ("position" bigint, event_id text, aggregate_id text, aggregate_version integer, deduplicated boolean)
LANGUAGE plproxy AS $$
  CLUSTER eventstore.front_store($1);
  RUN ON $2;
  SELECT * FROM eventstore.append($3, $4, eventstore.store_of_slot($1, $2));
$$;
CREATE OR REPLACE FUNCTION eventstore.append(
  events jsonb,
  expected_versions jsonb DEFAULT NULL,
  store text DEFAULT NULL)
RETURNS TABLE ("position" bigint, event_id text, aggregate_id text, aggregate_version integer, deduplicated boolean)
LANGUAGE plpgsql ROWS 10 AS $$
BEGIN
  RETURN QUERY SELECT * FROM eventstore.remote_append(eventstore.front_store(store, 'append'),
    eventstore.front_slot_of_events(store, events, COALESCE(expected_versions, '{}')), events, expected_versions);
END $$;
COMMENT ON FUNCTION eventstore.append(jsonb, jsonb, text) IS
'append() on the slot of the aggregates, which must be the same for all of them. Events of no aggregate go there, too.
Errors: 0A000 the aggregates belong to several slots; 25001 in a transaction block; 42P01 the front has no map of the store, or the slot has moved; others as on the node.';
