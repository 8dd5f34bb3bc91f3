COPY bench.copied (event_type, aggregate_id, aggregate_type, data) FROM 'copy_10.txt';
