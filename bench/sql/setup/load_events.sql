-- The events to load, in the order of i: aggregates of 10, 100 and 1000 events, :events
-- of each size; 20 types, ten events in a correlation, one event each second.
CREATE TEMP TABLE load AS
SELECT row_number() OVER w AS i, 'order-' || n || '-' || a AS aggregate, v AS version,
       'type_' || row_number() OVER w % 20 AS type,
       'correlation-' || (row_number() OVER w + 9) / 10 AS correlation,
       '2020-01-01Z'::timestamptz + row_number() OVER w * interval '1 second' AS occurred_at,
       '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'::jsonb AS data
  FROM unnest('{10,100,1000}'::integer[]) n, generate_series(1, :events / n) a, generate_series(1, n) v
WINDOW w AS (ORDER BY n, a, v);
