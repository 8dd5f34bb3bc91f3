-- Tables to compare with: a plain copy of the default store, with the same
-- columns and indexes but no trigger, guard or notification, and copies with
-- other sets of indexes.
CREATE EXTENSION pg_eventstore;
CREATE SCHEMA bench;
CREATE SEQUENCE bench.positions;

CREATE FUNCTION bench.plain(name text, indexes text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  definition text;
BEGIN
  EXECUTE format('CREATE TABLE bench.%I (LIKE eventstore.events INCLUDING ALL EXCLUDING INDEXES EXCLUDING DEFAULTS)', name);
  EXECUTE format('ALTER TABLE bench.%I ALTER position SET DEFAULT nextval(''bench.positions''),
    ALTER event_id SET DEFAULT eventstore.new_event_id(), ALTER occurred_at SET DEFAULT now(),
    ADD PRIMARY KEY (event_id), ADD UNIQUE (aggregate_id, aggregate_version), ADD UNIQUE (position)', name);
  FOREACH definition IN ARRAY indexes LOOP
    EXECUTE format('CREATE INDEX ON bench.%I %s', name, definition);
  END LOOP;
END $$;

SELECT bench.plain('events', ARRAY[
  '(event_type, occurred_at)', '(aggregate_type, occurred_at)',
  'USING brin (occurred_at) WITH (autosummarize = on)',
  '(correlation_id) WHERE correlation_id IS NOT NULL',
  '(causation_id) WHERE causation_id IS NOT NULL']);
SELECT bench.plain('unique_only', '{}');
SELECT bench.plain('seed_indexes', ARRAY[
  '(event_type)', '(occurred_at)', '(aggregate_id)', '(aggregate_type)', '(correlation_id)']);

-- a store that announces nothing
SELECT eventstore.create_store('bench.quiet', 'off');
