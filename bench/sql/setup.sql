-- Tables to compare with: a plain copy of the default store, with the same
-- columns and indexes but no trigger, guard or notification; one like it whose
-- rows are announced one by one; and copies with other sets of indexes.
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

SELECT bench.plain(name, ARRAY[
  '(event_type, occurred_at)', '(aggregate_type, occurred_at)',
  'USING brin (occurred_at) WITH (autosummarize = on)',
  '(correlation_id) WHERE correlation_id IS NOT NULL',
  '(causation_id) WHERE causation_id IS NOT NULL'])
  FROM unnest('{events,row_notify}'::text[]) name;
SELECT bench.plain('unique_only', '{}');
SELECT bench.plain('seed_indexes', ARRAY[
  '(event_type)', '(occurred_at)', '(aggregate_id)', '(aggregate_type)', '(correlation_id)']);

-- each row announced by a trigger: NOTIFY in the transaction, the event as JSON
CREATE FUNCTION bench.notify_row() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('bench_row_notify', row_to_json(NEW)::text);
  RETURN NEW;
END $$;
CREATE TRIGGER notify_row AFTER INSERT ON bench.row_notify
  FOR EACH ROW EXECUTE FUNCTION bench.notify_row();

-- stores that announce nothing, and in the transaction
SELECT eventstore.create_store('bench.quiet', 'off');
SELECT eventstore.create_store('bench.commit', 'commit');
