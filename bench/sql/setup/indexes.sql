-- Makes tables with the columns and indexes of a store, each in its own schema:
-- all_indexes, and for each index without_COLUMN, which lacks it. COLUMN is the
-- first column of the index.
CREATE EXTENSION pg_eventstore;
CREATE SEQUENCE positions;

CREATE FUNCTION make_table(schema text) RETURNS regclass
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE SCHEMA %I', schema);
  EXECUTE format('CREATE TABLE %I.events (LIKE eventstore.events INCLUDING ALL EXCLUDING DEFAULTS)', schema);
  EXECUTE format('ALTER TABLE %I.events ALTER position SET DEFAULT nextval(''positions''),
    ALTER event_id SET DEFAULT eventstore.new_event_id(), ALTER occurred_at SET DEFAULT now()', schema);
  RETURN format('%I.events', schema)::regclass;
END $$;

CREATE FUNCTION drop_index_on(column_name text, events regclass) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  index regclass;
  constraint_name name;
BEGIN
  SELECT i.indexrelid, c.conname INTO STRICT index, constraint_name
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
   WHERE i.indrelid = events AND a.attname = column_name;
  IF constraint_name IS NULL THEN
    EXECUTE format('DROP INDEX %s', index);
  ELSE
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', events, constraint_name);
  END IF;
END $$;

SELECT make_table('all_indexes');
SELECT drop_index_on(a.attname, make_table('without_' || a.attname))
  FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
 WHERE i.indrelid = 'eventstore.events'::regclass;
