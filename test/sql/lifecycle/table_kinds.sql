-- which kinds of tables can be stores, and what each function says of those that cannot
SET client_min_messages = error;
CREATE SCHEMA reg_kinds;
SELECT eventstore.create_store('reg_kinds.model', 'off');
-- what a store has, but for the triggers that make it one
CREATE FUNCTION reg_kinds.finish(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE SEQUENCE IF NOT EXISTS %1$s_seq OWNED BY %1$s.position', name);
  EXECUTE format('ALTER TABLE %1$s ALTER position SET DEFAULT eventstore.next_position(''%1$s_seq''), ALTER event_id SET DEFAULT eventstore.new_event_id(),
    ADD PRIMARY KEY (event_id), ADD UNIQUE (aggregate_id, aggregate_version), ADD UNIQUE (position)', name);
END $$;

CREATE TABLE reg_kinds.plain (LIKE reg_kinds.model);
CREATE UNLOGGED TABLE reg_kinds.unlogged (LIKE reg_kinds.model);
CREATE ACCESS METHOD reg_kinds_am TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE reg_kinds.other_method (LIKE reg_kinds.model) USING reg_kinds_am;
CREATE TABLE reg_kinds.root (LIKE reg_kinds.model) PARTITION BY RANGE (position);
CREATE TABLE reg_kinds.leaf PARTITION OF reg_kinds.root FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
CREATE TABLE reg_kinds.parent (LIKE reg_kinds.model);
CREATE TABLE reg_kinds.child () INHERITS (reg_kinds.parent);
CREATE TABLE reg_kinds.only_child (LIKE reg_kinds.model);
CREATE TABLE reg_kinds.ancestor (LIKE reg_kinds.model);
ALTER TABLE reg_kinds.only_child INHERIT reg_kinds.ancestor;
CREATE TABLE reg_kinds.distributed (LIKE reg_kinds.model);
CREATE TABLE reg_kinds.widowed (LIKE reg_kinds.model);
CREATE TABLE reg_kinds.late_child () INHERITS (reg_kinds.widowed);
DROP TABLE reg_kinds.late_child;
CREATE TEMPORARY TABLE kinds_temporary (LIKE reg_kinds.model);
SELECT pg_my_temp_schema()::regnamespace AS temp \gset
CREATE VIEW reg_kinds.view AS TABLE reg_kinds.model;
CREATE MATERIALIZED VIEW reg_kinds.matview AS TABLE reg_kinds.model;
CREATE FOREIGN DATA WRAPPER reg_kinds_fdw;
CREATE SERVER reg_kinds_server FOREIGN DATA WRAPPER reg_kinds_fdw;
CREATE FOREIGN TABLE reg_kinds."foreign" (position bigint) SERVER reg_kinds_server;
CREATE SEQUENCE reg_kinds.sequence;
CREATE TYPE reg_kinds.composite AS (position bigint);
SELECT reg_kinds.finish('reg_kinds.' || t) FROM unnest('{plain,unlogged,other_method,leaf,parent,child,only_child,distributed,widowed}'::text[]) t;
SELECT reg_kinds.finish('pg_temp.kinds_temporary');
-- the list of those that Citus manages
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL, partmethod "char");
RESET allow_system_table_mods;
INSERT INTO pg_dist_partition VALUES ('reg_kinds.distributed', 'h');

-- what comes of a statement, which is undone
CREATE FUNCTION reg_kinds.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RAISE SQLSTATE 'OK000';
EXCEPTION WHEN SQLSTATE 'OK000' THEN
  RETURN 'works';
WHEN OTHERS THEN
  RETURN concat(SQLSTATE, ' ', SQLERRM);
END $$;

-- create_store() on each
CREATE TABLE reg_kinds.tables AS
  SELECT n, format('%I.%I', CASE WHEN t LIKE 'kinds\_%' THEN :'temp' ELSE 'reg_kinds' END, t) AS name
    FROM unnest('{plain,unlogged,other_method,leaf,only_child,child,widowed,root,parent,distributed,kinds_temporary,view,matview,foreign,sequence,composite,model_pkey}'::text[]) WITH ORDINALITY t (t, n);
SELECT split_part(name, '.', 2) AS kind, reg_kinds.outcome(format('SELECT eventstore.create_store(%L, ''off'')', name)) FROM reg_kinds.tables ORDER BY n;
-- and create_archive()
SELECT split_part(name, '.', 2) AS kind, reg_kinds.outcome(format('SELECT eventstore.create_archive(''reg_kinds.model'', %L)', name)) FROM reg_kinds.tables ORDER BY n;

-- the functions on a store
CREATE TABLE reg_kinds.calls (n serial, call text);
INSERT INTO reg_kinds.calls (call) VALUES
  ('append_event(''t'', ''2'', ''a'', store => %L)'), ('append_events(''[{"event_type": "t", "aggregate_id": "a"}]'', store => %L)'),
  ('append_to_aggregate(''a'', ''{t,t}'', ''{2,3}'', store => %L)'), ('append(''[{"event_type": "t", "aggregate_id": "a"}]'', store => %L)'),
  ('import_events(''SELECT 1 AS event_type, 1 AS data'', %L)'), ('import_json(''[{"event_type": "t"}]'', %L)'),
  ('get_event(''e-1'', %L)'), ('get_events_by_aggregate(''a'', store => %L)'), ('get_events_by_type(''t'', store => %L)'),
  ('get_events_by_aggregate_type(''A'', store => %L)'), ('get_events_by_correlation_id(''c'', store => %L)'), ('get_events_by_causation_id(''c'', store => %L)'),
  ('get_latest_events(1, %L)'), ('get_aggregate_version(''a'', %L)'), ('read_events(store => %L)'), ('export_events(store => %L)'),
  ('high_water_mark(%L)'), ('wait_for_events(0, ''0'', store => %L)'), ('advance_watermark(%L)'),
  ('create_archive(%L)'), ('sync_archive(%L)'), ('archive_limit(%L)'), ('archive_events(%L, before_position => 2, dry_run => true)'), ('archive_events(%L, before_position => 2)'),
  ('set_retention(%L, max_count_per_aggregate => 1)'), ('apply_retention(%L)'),
  ('erase_aggregate(''a'', ''on request'', %L)'), ('redact_event(''e-1'', ''on request'', store => %L)'),
  ('set_notifications(%L, ''commit'')'), ('store_options(%L)'), ('drop_store(%L, true)');
CREATE FUNCTION reg_kinds.outcomes(name text, OUT outcome text, OUT calls bigint, OUT functions text) RETURNS SETOF record LANGUAGE sql AS $$
  SELECT o, count(*), CASE WHEN count(*) < 10 THEN string_agg(split_part(call, '(', 1), ', ' ORDER BY n) END
    FROM (SELECT n, call, reg_kinds.outcome('SELECT * FROM eventstore.' || format(call, name)) AS o FROM reg_kinds.calls) c GROUP BY o ORDER BY 2 DESC, 1
$$;

-- the functions on what is no store
SELECT split_part(name, '.', 2) AS kind, o.* FROM reg_kinds.tables, reg_kinds.outcomes(name) o WHERE split_part(name, '.', 2) IN ('view', 'matview', '"foreign"', 'sequence', 'model_pkey') ORDER BY n;

-- the functions on a store that has become a table of each kind, first as it is
CREATE FUNCTION reg_kinds.become(kind text, how text) RETURNS TABLE (outcome text, calls bigint, functions text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.create_store('reg_kinds.s', 'off');
  PERFORM eventstore.append_event('t', '1', 'a', event_id => 'e-1', store => 'reg_kinds.s');
  EXECUTE how;
  RETURN QUERY SELECT o.* FROM reg_kinds.outcomes('reg_kinds.s') o;
  SET LOCAL session_replication_role = replica;
  DROP TABLE reg_kinds.s CASCADE;
  SET LOCAL session_replication_role = origin;
END $$;
SELECT * FROM reg_kinds.become('as it is', '');
SELECT * FROM reg_kinds.become('unlogged', 'ALTER TABLE reg_kinds.s SET UNLOGGED');
SELECT * FROM reg_kinds.become('child', 'ALTER TABLE reg_kinds.s INHERIT reg_kinds.ancestor');
SELECT * FROM reg_kinds.become('partition', 'ALTER TABLE reg_kinds.root DETACH PARTITION reg_kinds.leaf; ALTER TABLE reg_kinds.root ATTACH PARTITION reg_kinds.s DEFAULT');
SELECT * FROM reg_kinds.become('parent', 'CREATE TABLE reg_kinds.of_s () INHERITS (reg_kinds.s)');
SELECT * FROM reg_kinds.become('parent no more', 'CREATE TABLE reg_kinds.of_s () INHERITS (reg_kinds.s); DROP TABLE reg_kinds.of_s');
SET default_table_access_method = reg_kinds_am;
SELECT * FROM reg_kinds.become('other method', '');
RESET default_table_access_method;
-- Citus makes everybody describe the table anew, as ALTER TABLE does
SELECT * FROM reg_kinds.become('distributed', 'INSERT INTO pg_dist_partition VALUES (''reg_kinds.s'', ''h''); ALTER TABLE reg_kinds.s SET (fillfactor = 100)');
SELECT * FROM reg_kinds.become('distributed no more', 'INSERT INTO pg_dist_partition VALUES (''reg_kinds.s'', ''h''); ALTER TABLE reg_kinds.s SET (fillfactor = 100);
  SELECT reg_kinds.outcome(''SELECT eventstore.append_event(1, 1, store => $$reg_kinds.s$$)''); DELETE FROM pg_dist_partition');

-- an archive that has become one that can be none
SELECT eventstore.create_archive('reg_kinds.model');
SELECT eventstore.append_event('t', '1', 'a', store => 'reg_kinds.model');
CREATE TABLE reg_kinds.of_archive () INHERITS (reg_kinds.model_archive);
SELECT reg_kinds.outcome('SELECT eventstore.' || call) FROM unnest(ARRAY['append_event(''t'', ''1'', ''a'', store => ''reg_kinds.model'')', 'get_aggregate_version(''a'', ''reg_kinds.model'')',
  'archive_events(''reg_kinds.model'', before_position => 2)', 'erase_aggregate(''a'', ''on request'', ''reg_kinds.model'')', 'read_events(store => ''reg_kinds.model'')', 'read_events(store => ''reg_kinds.model'', include_archived => false)']) call;
DROP TABLE reg_kinds.of_archive;
SELECT eventstore.append_event('t', '1', 'a', store => 'reg_kinds.model');
INSERT INTO pg_dist_partition VALUES ('reg_kinds.model_archive', 'h');
ALTER TABLE reg_kinds.model_archive SET (fillfactor = 100);
SELECT reg_kinds.outcome('SELECT eventstore.append_event(''t'', ''1'', ''a'', store => ''reg_kinds.model'')');

SET allow_system_table_mods = on;
DROP TABLE pg_catalog.pg_dist_partition;
RESET allow_system_table_mods;
DROP VIEW reg_kinds.view;
DROP MATERIALIZED VIEW reg_kinds.matview;
SELECT eventstore.drop_store('reg_kinds.model', true);
DROP SCHEMA reg_kinds CASCADE;
DROP ACCESS METHOD reg_kinds_am;
DROP FOREIGN DATA WRAPPER reg_kinds_fdw CASCADE;
