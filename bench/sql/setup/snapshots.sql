-- Makes the events of the group snapshots: aggregates of 100 to 100,000 events, divided by
-- the variable "divisor", a reducer, and a state with a snapshot of each aggregate and 50
-- later events; and an aggregate of 1000 events without a snapshot.
CREATE EXTENSION pg_eventstore;
CREATE SCHEMA bench;
CREATE FUNCTION bench.basket(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS $$
  SELECT CASE event.event_type
    WHEN 'item_added' THEN jsonb_build_object(
      'items', COALESCE((state->>'items')::integer, 0) + (event.data->>'quantity')::integer,
      'total', COALESCE((state->>'total')::numeric, 0) + (event.data->>'quantity')::integer * (event.data->>'price')::numeric,
      'last', event.data->'sku')
    ELSE state
  END
$$;
CREATE FUNCTION bench.add_items(name text, count integer) RETURNS void LANGUAGE sql AS $$
  SELECT eventstore.append_to_aggregate(name, array_fill('item_added'::text, ARRAY[count]),
           array_agg(jsonb_build_object('sku', 'A-' || i, 'quantity', 1 + i % 3, 'price', 12.5,
             'note', 'some text of the length that notes often have')))
    FROM generate_series(1, count) i
$$;
SELECT eventstore.create_state('basket', 'bench.basket(jsonb, eventstore.event)');
SELECT bench.add_items('basket-' || n, GREATEST(n / :divisor, 100)) FROM unnest('{100,1000,10000,100000}'::integer[]) n;
SELECT eventstore.get_state('basket', 'basket-' || n) FROM unnest('{100,1000,10000,100000}'::integer[]) n;
SELECT bench.add_items('basket-' || n, 50) FROM unnest('{100,1000,10000,100000}'::integer[]) n;
-- one without a snapshot
SELECT bench.add_items('fold-1000', 1000 / LEAST(:divisor, 10));
VACUUM (ANALYZE);
