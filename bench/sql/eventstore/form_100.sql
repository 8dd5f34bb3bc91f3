\set n random(1, 100)
SELECT eventstore.append_to_aggregate('order-' || n, event_types, event_data, aggregate_type => 'Order')
  FROM bench.batches WHERE n = :n;
