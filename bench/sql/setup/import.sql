-- Makes a history of :events events, ten of each aggregate, :in_a_row of these in a row.
CREATE TABLE bench.history AS
SELECT n + 1 AS position,
       '018f0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS event_id,
       (ARRAY['order_placed', 'order_paid', 'order_shipped'])[1 + n % 3] AS event_type,
       timestamptz '2024-01-01 00:00Z' + n * interval '1 second' AS occurred_at,
       'correlation-' || n / 10 AS correlation_id,
       NULL::text AS causation_id,
       'order-' || n / :in_a_row % (:events / 10) AS aggregate_id,
       'Order' AS aggregate_type,
       n / :in_a_row / (:events / 10) * :in_a_row + n % :in_a_row + 1 AS aggregate_version,
       jsonb_build_object('sku', 'A-' || n, 'quantity', n % 7, 'price', 12.5,
         'note', 'some text of the length that notes often have') AS data,
       jsonb_build_object('user', n % 1000) AS metadata
  FROM generate_series(0, :events - 1) n
 ORDER BY n;
ALTER TABLE bench.history ADD PRIMARY KEY (position);
VACUUM ANALYZE bench.history;

COPY (SELECT * FROM bench.history ORDER BY position) TO :'copy';
COPY (SELECT to_jsonb(h) - 'position' FROM bench.history h ORDER BY position) TO :'lines';
