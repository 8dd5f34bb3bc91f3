-- Makes an empty store, and a plain table with the same columns, constraints, indexes.
SET client_min_messages = warning;
DROP TABLE IF EXISTS bench.copied_events;
DO $$ BEGIN PERFORM eventstore.drop_store('bench.target', force => true); EXCEPTION WHEN undefined_table THEN NULL; END $$;
SELECT eventstore.create_store('bench.target');
CREATE TABLE bench.copied_events (LIKE bench.target INCLUDING ALL EXCLUDING DEFAULTS);
