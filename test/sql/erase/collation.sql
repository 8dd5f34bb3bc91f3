-- stores whose aggregates are compared by another collation than "C"
SET client_min_messages = warning;
SELECT count(*) = 0 AS no_icu FROM pg_collation WHERE collname = 'und-x-icu' \gset
\if :no_icu
\echo skipped: there is no ICU
\quit
\endif
CREATE SCHEMA reg_collation;
CREATE COLLATION reg_collation.icu (provider = icu, locale = 'und');
CREATE COLLATION reg_collation.any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE ROLE reg_collation_user;
GRANT USAGE ON SCHEMA reg_collation, eventstore TO reg_collation_user;

-- stores of aggregates that stand in other orders than by their bytes; who erases sees half of the events of one of them
CREATE FUNCTION reg_collation.make(store text, column_collation text, index_collation text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.create_store(store, 'off');
  EXECUTE format('ALTER TABLE %s ALTER aggregate_id TYPE varchar(36) COLLATE %s', store, column_collation);
  IF index_collation <> column_collation THEN
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', store, 'idx_' || split_part(store, '.', 2) || '_aggregate_id');
    EXECUTE format('CREATE UNIQUE INDEX ON %s (aggregate_id COLLATE %s, aggregate_version)', store, index_collation);
  END IF;
  PERFORM eventstore.append_to_aggregate(id, '{t,t,t,t}', '{1,2,3,4}', store => store::regclass) FROM unnest('{a,B,C,D,e,F}'::text[]) id;
  EXECUTE format('GRANT SELECT, INSERT, UPDATE (data, metadata) ON %s TO reg_collation_user', store);
  EXECUTE format('GRANT USAGE ON SEQUENCE %s_position_seq TO reg_collation_user', store);
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', store);
  EXECUTE format('CREATE POLICY half ON %s USING (aggregate_id <> ''a'' OR aggregate_version <= 2)', store);
END $$;
SELECT reg_collation.make('reg_collation.icu', 'reg_collation.icu', 'reg_collation.icu'),
       reg_collation.make('reg_collation.any_case', 'reg_collation.any_case', 'reg_collation.any_case'),
       reg_collation.make('reg_collation.mixed', 'reg_collation.any_case', '"C"'),
       reg_collation.make('reg_collation.reversed', '"C"', 'reg_collation.icu');

-- half of an erasure is none, and a whole one is one
SET ROLE reg_collation_user;
CREATE FUNCTION pg_temp.erase(store regclass, id text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN eventstore.erase_aggregate(id, 'on request', store => store);
EXCEPTION WHEN OTHERS THEN
  RETURN concat(SQLSTATE, ': ', SQLERRM);
END $$;
SELECT store, pg_temp.erase(store::regclass, 'a') AS hidden, pg_temp.erase(store::regclass, 'B') AS whole, pg_temp.erase(store::regclass, 'f') AS other_case
  FROM unnest('{reg_collation.icu,reg_collation.any_case,reg_collation.mixed,reg_collation.reversed}'::text[]) store;
RESET ROLE;
SELECT aggregate_id, count(*) FILTER (WHERE data = '{"erased": true}') AS erased, count(*) FROM reg_collation.any_case GROUP BY 1 ORDER BY 1;

-- the aggregates go on where they are by the collation, however it is appended
ALTER TABLE reg_collation.icu DISABLE ROW LEVEL SECURITY;
ALTER TABLE reg_collation.any_case DISABLE ROW LEVEL SECURITY;
ALTER TABLE reg_collation.mixed DISABLE ROW LEVEL SECURITY;
ALTER TABLE reg_collation.reversed DISABLE ROW LEVEL SECURITY;
SET pg_eventstore.direct_append = on;
SELECT store, eventstore.append_event('t', '1', 'D', store => store::regclass) AS "D", eventstore.append_event('t', '1', 'd', store => store::regclass) AS d
  FROM unnest('{reg_collation.icu,reg_collation.any_case,reg_collation.mixed,reg_collation.reversed}'::text[]) store;
SET pg_eventstore.direct_append = off;
SELECT store, eventstore.append_event('t', '1', 'E', store => store::regclass) AS "E", eventstore.append_event('t', '1', 'e', store => store::regclass) AS e
  FROM unnest('{reg_collation.icu,reg_collation.any_case,reg_collation.mixed,reg_collation.reversed}'::text[]) store;
-- and by plain INSERT
CREATE FUNCTION pg_temp.insert(store regclass, id text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE version integer;
BEGIN
  EXECUTE format('INSERT INTO %s (event_type, aggregate_id, data) VALUES (''t'', %L, ''1'') RETURNING aggregate_version', store, id) INTO version;
  RETURN version;
END $$;
SELECT store, pg_temp.insert(store::regclass, 'F') AS "F", pg_temp.insert(store::regclass, 'f') AS f
  FROM unnest('{reg_collation.icu,reg_collation.any_case,reg_collation.mixed,reg_collation.reversed}'::text[]) store;

DROP OWNED BY reg_collation_user;
DROP ROLE reg_collation_user;
DROP SCHEMA reg_collation CASCADE;
