SELECT count(eventstore.append_to_aggregate(aggregate, types, data, aggregate_type => 'Order',
    occurred_at => times, correlation_id => correlation))
  FROM (SELECT aggregate, correlation, array_agg(type ORDER BY i) AS types, array_agg(data) AS data,
          array_agg(occurred_at ORDER BY i) AS times
        FROM load GROUP BY aggregate, correlation ORDER BY min(i)) calls;
