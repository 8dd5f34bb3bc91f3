\if :ready = 0
SELECT event_types::text AS types, event_data::text AS data, 1 AS ready FROM bench.batches WHERE n = 1 \gset
\endif
SELECT eventstore.append_to_aggregate('order-1', :types, :data, aggregate_type => 'Order');
