CREATE TABLE bench.seen (position bigint PRIMARY KEY);
CREATE FUNCTION bench.see(events eventstore.event[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO bench.seen SELECT position FROM unnest(events)
$$;
SELECT eventstore.create_projection('seen', 'bench.see(eventstore.event[])');
