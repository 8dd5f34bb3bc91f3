-- stores: create, adopt, alter, rename, drop
\pset null '(null)'

-- all arguments, the view, and what a store is made of
SELECT eventstore.create_store('reg_store.events', 'off', 'my channel', true);
SELECT eventstore.create_store(name => 'reg_store.plain');
SELECT store, notifications, channel, owner = current_user AS mine, position_sequence, estimated_events
  FROM eventstore.stores WHERE store::text LIKE 'reg_store.%' ORDER BY store::text;
SELECT attname, format_type(atttypid, atttypmod) AS type, collname, attnotnull AS not_null, pg_get_expr(adbin, adrelid) AS "default"
  FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum LEFT JOIN pg_collation c ON c.oid = attcollation
 WHERE attrelid = 'reg_store.events'::regclass AND attnum > 0 ORDER BY attnum;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'reg_store' AND tablename = 'events' ORDER BY indexname;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'reg_store.events'::regclass AND contype = 'c' ORDER BY conname;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'reg_store.events'::regclass ORDER BY tgname;
SELECT seqtypid::regtype, seqcache, seqincrement, seqcycle, seqstart FROM pg_sequence WHERE seqrelid = 'reg_store.events_position_seq'::regclass;

-- once more: a notice, and the store as it was
SELECT eventstore.create_store('reg_store.events');
SELECT eventstore.create_store('reg_store.events', 'commit', 'other', false);
SELECT notifications, channel FROM eventstore.store_options('reg_store.events');
-- the default store is there
SELECT eventstore.create_store('eventstore.events');
SELECT eventstore.create_store('EventStore.Events');

-- notifications
SELECT eventstore.set_notifications('reg_store.events', 'commit');
SELECT * FROM eventstore.store_options('reg_store.events');
SELECT eventstore.set_notifications('reg_store.events', 'worker');
SELECT * FROM eventstore.store_options('reg_store.events');
SELECT eventstore.set_notifications('reg_store.events', 'off', 'next');
SELECT * FROM eventstore.store_options('reg_store.events');
SELECT eventstore.set_notifications('reg_store.events', 'sometimes');
SELECT eventstore.set_notifications('reg_store.events', NULL);
SELECT eventstore.set_notifications(NULL, 'off');
SELECT eventstore.set_notifications('reg_store.events', 'off', '');
SELECT eventstore.set_notifications('reg_store.events', 'off', repeat('x', 64));
SELECT eventstore.set_notifications('reg_store.events', 'off', repeat('x', 63));
SELECT * FROM eventstore.store_options(NULL);
SELECT eventstore.append_event('t', '{}', store => 'reg_store.events');

-- bad arguments
SELECT eventstore.create_store(NULL);
SELECT eventstore.create_store('');
SELECT eventstore.create_store('a.b.c');
SELECT eventstore.create_store('reg_store.');
SELECT eventstore.create_store('.x');
SELECT eventstore.create_store('two words');
SELECT eventstore.create_store('"unclosed');
SELECT eventstore.create_store('x; DROP TABLE reg_store.plain');
SELECT eventstore.create_store('reg_store.x', 'never');
SELECT eventstore.create_store('reg_store.x', NULL);
SELECT eventstore.create_store('reg_store.x', 'off', '');
SELECT eventstore.create_store('reg_store.x', 'off', repeat(U&'\20AC', 22));
\set SHOW_CONTEXT never
SELECT eventstore.create_store('pg_catalog.x');
SELECT eventstore.create_store('pg_mine.x');
SELECT eventstore.create_store('pg_temp.x');
\set SHOW_CONTEXT errors

-- a missing schema
SELECT eventstore.create_store('reg_store_new.events', create_schema_if_missing => false);
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.create_store('reg_store_new.events', create_schema_if_missing => true);
SELECT eventstore.create_store('reg_store_new.more', create_schema_if_missing => false);
SELECT eventstore.drop_store('reg_store_new.events'), eventstore.drop_store('reg_store_new.more');
DROP SCHEMA reg_store_new;

-- an existing table of another shape: the first difference is named
CREATE FUNCTION pg_temp.try(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  CREATE TABLE reg_store.other (LIKE reg_store.plain INCLUDING ALL);
  CREATE SEQUENCE reg_store.other_position_seq OWNED BY reg_store.other.position;
  ALTER TABLE reg_store.other ALTER position SET DEFAULT eventstore.next_position('reg_store.other_position_seq');
  EXECUTE change;
  PERFORM eventstore.create_store('reg_store.other');
  RAISE EXCEPTION 'no error' USING DETAIL = '';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN SQLSTATE || ' ' || SQLERRM || ': ' || detail;
END $$;
SELECT pg_temp.try('SELECT 1');
SELECT pg_temp.try('ALTER TABLE reg_store.other DROP ' || c) FROM unnest(ARRAY['position', 'event_id', 'event_type', 'occurred_at', 'correlation_id',
  'causation_id', 'aggregate_id', 'aggregate_type', 'aggregate_version', 'data', 'metadata']) c;
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER event_id TYPE text');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER event_id DROP DEFAULT, ALTER event_id TYPE uuid USING event_id::uuid');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER occurred_at TYPE timestamp');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER aggregate_version TYPE bigint');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER data TYPE json');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER metadata TYPE text');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER position DROP NOT NULL');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER data DROP NOT NULL');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER occurred_at DROP NOT NULL');
SELECT pg_temp.try('ALTER TABLE reg_store.other DROP aggregate_type, ADD aggregate_type varchar GENERATED ALWAYS AS (''x'') STORED');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER position DROP DEFAULT');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER position SET DEFAULT nextval(''reg_store.other_position_seq'')');
SELECT pg_temp.try('ALTER TABLE reg_store.other ALTER position SET DEFAULT eventstore.next_position(''reg_store.plain_position_seq'')');
SELECT pg_temp.try('ALTER SEQUENCE reg_store.other_position_seq OWNED BY NONE');
SELECT pg_temp.try('ALTER SEQUENCE reg_store.other_position_seq CACHE 10');
SELECT pg_temp.try('ALTER SEQUENCE reg_store.other_position_seq INCREMENT 2');
SELECT pg_temp.try('ALTER SEQUENCE reg_store.other_position_seq CYCLE');
SELECT pg_temp.try('ALTER TABLE reg_store.other DROP CONSTRAINT other_pkey');
SELECT pg_temp.try('ALTER TABLE reg_store.other DROP CONSTRAINT other_aggregate_id_aggregate_version_key');
SELECT pg_temp.try('ALTER TABLE reg_store.other DROP CONSTRAINT other_position_key');
SELECT pg_temp.try('ALTER TABLE reg_store.other DROP CONSTRAINT other_position_key, ADD UNIQUE (position) DEFERRABLE');
SELECT pg_temp.try('ALTER TABLE reg_store.other DROP CONSTRAINT other_pkey; CREATE UNIQUE INDEX ON reg_store.other (event_id) WHERE data IS NOT NULL');
SELECT pg_temp.try('ALTER TABLE reg_store.other DROP CONSTRAINT other_pkey; CREATE UNIQUE INDEX ON reg_store.other (lower(event_id))');
SELECT to_regclass('reg_store.other') IS NULL AS gone;
CREATE VIEW reg_store.view AS SELECT * FROM reg_store.plain;
SELECT eventstore.create_store('reg_store.view');
SELECT eventstore.create_store('reg_store.plain_pkey');
SELECT eventstore.create_store('reg_store.plain_position_seq');
DROP VIEW reg_store.view;
CREATE TABLE reg_store.other (id integer);
SELECT eventstore.create_store('reg_store.other');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'reg_store.other'::regclass;
DROP TABLE reg_store.other;

-- adopting a table of the right shape, in another order and with more columns, wider and with events
CREATE TABLE reg_store.adopted (
  tenant text DEFAULT 'x',
  data jsonb NOT NULL,
  metadata jsonb,
  event_id varchar(100) COLLATE "C" PRIMARY KEY DEFAULT eventstore.new_event_id(),
  event_type varchar NOT NULL,
  occurred_at timestamptz NOT NULL DEFAULT now(),
  correlation_id varchar(36), causation_id varchar(36),
  aggregate_id varchar(200) COLLATE "C", aggregate_type varchar(255), aggregate_version integer,
  position bigint NOT NULL UNIQUE,
  UNIQUE (aggregate_id, aggregate_version));
CREATE SEQUENCE reg_store.adopted_seq OWNED BY reg_store.adopted.position;
ALTER TABLE reg_store.adopted ALTER position SET DEFAULT eventstore.next_position('reg_store.adopted_seq');
INSERT INTO reg_store.adopted (position, event_id, event_type, aggregate_id, aggregate_version, data) VALUES (1, 'old', 't', 'a', 1, '{}');
SELECT setval('reg_store.adopted_seq', 1);
SELECT eventstore.create_store('reg_store.adopted', 'off');
SELECT * FROM eventstore.store_options('reg_store.adopted');
SELECT eventstore.append_event('t', '{"n": 2}', 'a', 1, store => 'reg_store.adopted', event_id => 'new');
SELECT eventstore.append_event('t', '{}', repeat('y', 200), 0, store => 'reg_store.adopted');
SELECT position, event_id, event_type, aggregate_version, data FROM eventstore.get_events_by_aggregate('a', store => 'reg_store.adopted');
SELECT tenant, event_id FROM reg_store.adopted WHERE aggregate_id = 'a' ORDER BY position;
UPDATE reg_store.adopted SET tenant = 'y';
-- a store that lost its default gets it back
ALTER TABLE reg_store.adopted ALTER position DROP DEFAULT;
SELECT eventstore.append_event('t', '{}', 'a', 2, store => 'reg_store.adopted');
SELECT eventstore.create_store('reg_store.adopted');
SELECT eventstore.append_event('t', '{}', 'a', 2, store => 'reg_store.adopted');
INSERT INTO reg_store.adopted (event_type, data) VALUES ('t', '{}') RETURNING position;
SELECT eventstore.drop_store('reg_store.adopted', true);

-- names: long ones, ones that need quoting, ones with quotes, Unicode
SELECT eventstore.create_store('"My Schema"."order-events"');
SELECT eventstore.append_event('t', '{}', 'a', 0, store => '"My Schema"."order-events"');
SET pg_eventstore.store = '"My Schema"."order-events"';
SELECT eventstore.append_event('t', '{}', 'a', 1);
SELECT eventstore.append_event('t', '{}', 'a', 1);
SELECT * FROM eventstore.store_options('"My Schema"."order-events"');
DELETE FROM "My Schema"."order-events";
SELECT eventstore.create_store('"My Schema"."it''s ""it"""');
SELECT eventstore.append_event('t', '{}', 'a', 0, store => '"My Schema"."it''s ""it"""');
SELECT eventstore.set_notifications('"My Schema"."it''s ""it"""', 'off', 'it''s "it"');
SELECT * FROM eventstore.store_options('"My Schema"."it''s ""it"""');
SELECT eventstore.create_store(U&'"My Schema"."\00E4\20AC\+01F600"');
SELECT eventstore.append_event('t', '{}', 'a', 0, store => U&'"My Schema"."\00E4\20AC\+01F600"');
SELECT channel FROM eventstore.store_options(U&'"My Schema"."\00E4\20AC\+01F600"');
SELECT eventstore.create_store('"My Schema"."select"');
SELECT eventstore.append_event('t', '{}', 'a', 0, store => '"My Schema"."select"');
SELECT eventstore.create_store('"My Schema"."a.b%1$s"');
SELECT eventstore.append_event('t', '{}', 'a', 0, store => '"My Schema"."a.b%1$s"');
SELECT aggregate_version FROM eventstore.get_events_by_aggregate('a', store => '"My Schema"."a.b%1$s"');
-- case folds unless quoted
SELECT eventstore.create_store('"My Schema".MixedCase');
\set SHOW_CONTEXT never
-- 63 bytes, twice, different at the end only
SELECT eventstore.create_store('reg_store.' || repeat('x', 62) || 'a');
SELECT eventstore.create_store('reg_store.' || repeat('x', 62) || 'b');
SELECT eventstore.append_event('t', '{}', 'a', 0, store => ('reg_store.' || repeat('x', 62) || 'a')::regclass),
       eventstore.append_event('t', '{}', 'a', 0, store => ('reg_store.' || repeat('x', 62) || 'b')::regclass);
SELECT length(channel) <= 63 AS fits FROM eventstore.stores WHERE store::text LIKE '%xxx%' ORDER BY store::text;
SELECT eventstore.create_store(format('reg_store.%I', repeat(U&'\20AC', 21)));
SELECT eventstore.append_event('t', '{}', 'a', 0, store => format('reg_store.%I', repeat(U&'\20AC', 21))::regclass);
\set SHOW_CONTEXT errors
-- one byte too long
SELECT eventstore.create_store('reg_store.' || repeat('y', 64));
SELECT eventstore.create_store(repeat('y', 64) || '.events');
SELECT eventstore.create_store(format('reg_store.%I', repeat(U&'\20AC', 22)));
SELECT store, notifications FROM eventstore.stores WHERE store::text LIKE '"My Schema"%' ORDER BY store::text COLLATE "C";
SELECT eventstore.drop_store(store, true) FROM eventstore.stores WHERE store::text LIKE '"My Schema"%' OR store::text ~ '(xxx|€€€)';
DROP SCHEMA "My Schema";

-- the setting
RESET pg_eventstore.store;
SHOW pg_eventstore.store;
SET pg_eventstore.store = 'a.b.c';
SET pg_eventstore.store = '';
SET pg_eventstore.store = 'two words';
SET pg_eventstore.store = '"unclosed';
SET pg_eventstore.store = '"Quoted"."Name"';
SET pg_eventstore.store = DEFAULT;
SET pg_eventstore.no_such = 1;
SET pg_eventstore.max_aggregate_locks = -1;
BEGIN;
SET LOCAL pg_eventstore.store = 'reg_store.plain';
SELECT eventstore.append_event('t', '{}', 'a', 0);
ROLLBACK;
CREATE ROLE reg_store_user;
ALTER ROLE reg_store_user SET pg_eventstore.store = 'reg_store.plain';
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'reg_store_user'::regrole;
DROP ROLE reg_store_user;
CREATE FUNCTION pg_temp.of_plain() RETURNS integer LANGUAGE sql SET pg_eventstore.store = 'reg_store.plain'
  AS $$ SELECT eventstore.append_event('t', '{}', 'setting') $$;
SELECT pg_temp.of_plain(), pg_temp.of_plain();
SELECT eventstore.get_aggregate_version('setting', 'reg_store.plain');
-- a temporary table of the same name does not stand in for the store
CREATE TEMP TABLE plain (LIKE reg_store.plain);
SET search_path = pg_temp, reg_store;
SELECT pg_temp.of_plain();
RESET search_path;
DROP TABLE pg_temp.plain;

-- two stores know nothing of each other
SELECT eventstore.append_event('t', '{}', 'x', 0, event_id => 'x-1', store => 'reg_store.plain');
SELECT eventstore.append_event('t', '{}', 'x', 0, event_id => 'x-1', store => 'reg_store.events');
SELECT eventstore.append_event('t', '{}', 'x', 1, store => 'reg_store.plain');
SELECT eventstore.get_aggregate_version('x', 'reg_store.plain'), eventstore.get_aggregate_version('x', 'reg_store.events');

-- renamed, moved, and its schema renamed, with plans in the cache
SELECT 'reg_store.plain'::regclass::oid AS plain \gset
PREPARE version(text, oid) AS SELECT eventstore.get_aggregate_version($1, $2);
EXECUTE version('x', :plain);
ALTER TABLE reg_store.plain RENAME TO renamed;
EXECUTE version('x', :plain);
SELECT eventstore.append_event('t', '{}', 'x', 9, store => 'reg_store.renamed');
SELECT eventstore.append_event('t', '{}', 'x', 2, store => 'reg_store.renamed');
INSERT INTO reg_store.renamed (event_type, data) VALUES ('t', '{}');
CREATE SCHEMA reg_store_moved;
ALTER TABLE reg_store.renamed SET SCHEMA reg_store_moved;
EXECUTE version('x', :plain);
SELECT eventstore.append_event('t', '{}', 'x', 9, store => 'reg_store_moved.renamed');
SELECT eventstore.append_event('t', '{}', 'x', 3, store => 'reg_store_moved.renamed');
ALTER SCHEMA reg_store_moved RENAME TO reg_store_again;
EXECUTE version('x', :plain);
SELECT eventstore.append_event('t', '{}', 'x', 9, store => 'reg_store_again.renamed');
SELECT eventstore.append_event('t', '{}', 'x', 4, store => 'reg_store_again.renamed');
SELECT aggregate_version FROM eventstore.get_events_by_aggregate('x', store => 'reg_store_again.renamed');
INSERT INTO reg_store_again.renamed (event_type, data) VALUES ('t', '{}');
SELECT store, channel, position_sequence FROM eventstore.stores WHERE store = 'reg_store_again.renamed'::regclass;
-- another table in the old place is another matter
SELECT eventstore.create_store('reg_store.plain');
SELECT eventstore.append_event('t', '{}', 'x', 0, store => 'reg_store.plain');
EXECUTE version('x', :plain);
DEALLOCATE version;
-- indexes, sequence, constraints and triggers renamed: errors still speak of events
ALTER INDEX reg_store_again.plain_pkey RENAME TO ids;
ALTER SEQUENCE reg_store_again.plain_position_seq RENAME TO seq;
ALTER TRIGGER eventstore_append ON reg_store_again.renamed RENAME TO announce;
SELECT eventstore.append_event('u', '{}', 'y', event_id => 'x-1', store => 'reg_store_again.renamed');
SELECT eventstore.append_events('[{"event_type": "t"}, {"event_type": "t", "event_id": "x-1"}]', store => 'reg_store_again.renamed');
SELECT eventstore.set_notifications('reg_store_again.renamed', 'off');
SELECT store, notifications, position_sequence FROM eventstore.stores WHERE store = 'reg_store_again.renamed'::regclass;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'reg_store_again.renamed'::regclass AND tgfoid = 'eventstore.after_append()'::regprocedure;
SELECT eventstore.drop_store('reg_store_again.renamed', true);
DROP SCHEMA reg_store_again;

-- a widened column takes longer values at once
SELECT eventstore.append_event('t', '{}', repeat('w', 40), store => 'reg_store.plain');
ALTER TABLE reg_store.plain ALTER aggregate_id TYPE varchar(255), ALTER event_id TYPE varchar(64);
SELECT eventstore.append_event('t', '{}', repeat('w', 40), 0, store => 'reg_store.plain', event_id => repeat('e', 64));
\set SHOW_CONTEXT never
SELECT eventstore.append_event('t', '{}', repeat('w', 256), store => 'reg_store.plain');
\set SHOW_CONTEXT errors
ALTER TABLE reg_store.plain ALTER aggregate_id TYPE varchar;
SELECT eventstore.append_event('t', '{}', repeat('w', 1000), 0, store => 'reg_store.plain');
SELECT length(aggregate_id), length(event_id) FROM eventstore.get_events_by_aggregate(repeat('w', 40), store => 'reg_store.plain');
SELECT length(aggregate_id) FROM eventstore.get_latest_events(1, 'reg_store.plain');
SELECT eventstore.create_store('reg_store.plain');

-- indexes of the user's own, other kinds of tables
CREATE INDEX ON reg_store.plain USING gin (data);
ALTER TABLE reg_store.plain SET (fillfactor = 90);
SELECT eventstore.append_event('t', '{}', 'gin', 0, store => 'reg_store.plain');
SELECT eventstore.create_store('reg_store.unlogged');
ALTER TABLE reg_store.unlogged SET UNLOGGED;
SELECT eventstore.append_event('t', '{}', 'a', 0, store => 'reg_store.unlogged');
SELECT eventstore.drop_store('reg_store.unlogged', true);

-- drop_store
SELECT eventstore.drop_store('reg_store.plain');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.drop_store('reg_store.plain', false);
SELECT eventstore.drop_store('reg_store.plain', NULL);
SELECT eventstore.drop_store(NULL);
SELECT eventstore.drop_store('reg_store.plain_pkey', true);
CREATE VIEW reg_store.needs AS SELECT event_id FROM reg_store.plain;
SELECT eventstore.drop_store('reg_store.plain', true);
\echo :LAST_ERROR_SQLSTATE
DROP VIEW reg_store.needs;
SELECT eventstore.drop_store('reg_store.plain', true);
SELECT to_regclass('reg_store.plain') IS NULL AND to_regclass('reg_store.plain_position_seq') IS NULL AS gone;
SELECT eventstore.create_store('reg_store.plain');
SELECT eventstore.drop_store('reg_store.plain');
-- dropped and created again under the same name
SELECT eventstore.create_store('reg_store.plain');
SELECT eventstore.append_event('t', '{}', 'x', 0, event_id => 'x-1', store => 'reg_store.plain');
SELECT position FROM eventstore.get_event('x-1', 'reg_store.plain');
-- by DROP TABLE as well
DROP TABLE reg_store.plain;
SELECT count(*) FROM eventstore.stores WHERE store::text LIKE '%reg_store.plain%';
SELECT eventstore.create_store('reg_store.plain');
SELECT eventstore.append_event('t', '{}', 'x', 0, store => 'reg_store.plain');
-- the default store is a store like any other
BEGIN;
SELECT eventstore.drop_store('eventstore.events', true);
SELECT eventstore.append_event('t', '{}');
ROLLBACK;
BEGIN;
SELECT eventstore.drop_store('eventstore.events', true), eventstore.create_store('eventstore.events');
ROLLBACK;
-- only its owner drops or alters a store
CREATE ROLE reg_store_user;
GRANT USAGE ON SCHEMA eventstore TO reg_store_user;
GRANT ALL ON SCHEMA reg_store TO reg_store_user;
GRANT ALL ON reg_store.plain TO reg_store_user;
SET ROLE reg_store_user;
SELECT eventstore.drop_store('reg_store.plain', true);
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.set_notifications('reg_store.plain', 'off');
-- and who may create tables may create stores
SELECT eventstore.create_store('reg_store.own');
SELECT eventstore.append_event('t', '{}', 'a', 0, store => 'reg_store.own');
SELECT owner FROM eventstore.stores WHERE store = 'reg_store.own'::regclass;
\set VERBOSITY terse
SELECT eventstore.create_store('eventstore.own');
\set VERBOSITY sqlstate
SELECT eventstore.create_store('reg_store_private.own');
\set VERBOSITY default
SELECT eventstore.drop_store('reg_store.own', true);
RESET ROLE;
REVOKE ALL ON SCHEMA reg_store, eventstore FROM reg_store_user;
REVOKE ALL ON reg_store.plain FROM reg_store_user;
DROP ROLE reg_store_user;

-- a view over all stores never fails because of one that is out of shape
ALTER TABLE reg_store.plain DROP COLUMN metadata;
SELECT bool_or(store = 'reg_store.events'::regclass) AS listed FROM eventstore.stores;
ALTER TABLE reg_store.plain ADD COLUMN metadata jsonb;

-- a trigger with the right function and arguments makes a store only after INSERT, for the statement, on a table
CREATE TABLE reg_store.marked (LIKE reg_store.plain INCLUDING ALL EXCLUDING DEFAULTS);
CREATE VIEW reg_store.marked_view AS SELECT * FROM reg_store.plain;
CREATE FUNCTION pg_temp.marked(mark text, target text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER mark %s EXECUTE FUNCTION eventstore.after_append(''commit'', ''x'')', mark);
  IF EXISTS (SELECT FROM eventstore.stores WHERE store = target::regclass) THEN
    RAISE EXCEPTION 'is a store';
  END IF;
  PERFORM eventstore.append_event('t', '{}', store => target);
  RAISE EXCEPTION 'no error';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT mark, level, pg_temp.marked(mark || ' ON reg_store.marked FOR EACH ' || level, 'reg_store.marked')
  FROM (VALUES ('AFTER INSERT', 'ROW'), ('BEFORE INSERT', 'ROW'), ('BEFORE INSERT', 'STATEMENT'), ('AFTER UPDATE', 'STATEMENT'),
               ('AFTER DELETE', 'STATEMENT'), ('AFTER TRUNCATE', 'STATEMENT'), ('AFTER INSERT OR UPDATE', 'STATEMENT')) v (mark, level);
SELECT pg_temp.marked('INSTEAD OF INSERT ON reg_store.marked_view FOR EACH ROW', 'reg_store.marked_view');
SELECT pg_temp.marked('AFTER INSERT ON reg_store.marked_view FOR EACH STATEMENT', 'reg_store.marked_view');
-- the view of all stores goes on, with such triggers in place
CREATE TRIGGER mark AFTER INSERT ON reg_store.marked_view FOR EACH STATEMENT EXECUTE FUNCTION eventstore.after_append('commit', 'x');
CREATE TRIGGER mark BEFORE INSERT ON reg_store.marked FOR EACH ROW EXECUTE FUNCTION eventstore.after_append('commit', 'x');
SELECT store FROM eventstore.stores WHERE store::text LIKE 'reg_store.%' ORDER BY store::text;
DROP VIEW reg_store.marked_view;
DROP TABLE reg_store.marked;

-- create_store() puts back the triggers that keep events as they are
CREATE VIEW pg_temp.triggers AS
SELECT tgname, tgtype FROM pg_trigger WHERE tgrelid = 'reg_store.plain'::regclass ORDER BY tgname;
TABLE pg_temp.triggers;
DROP TRIGGER eventstore_immutable ON reg_store.plain;
TRUNCATE reg_store.plain;
SELECT eventstore.create_store('reg_store.plain', 'off', 'another');
TRUNCATE reg_store.plain;
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER eventstore_immutable_rows ON reg_store.plain;
SELECT eventstore.create_store('reg_store.plain');
TABLE pg_temp.triggers;
DROP TRIGGER eventstore_immutable ON reg_store.plain;
DROP TRIGGER eventstore_immutable_rows ON reg_store.plain;
SELECT eventstore.append_event('t', '{}', 'back', 0, store => 'reg_store.plain');
SELECT eventstore.create_store('reg_store.plain');
UPDATE reg_store.plain SET data = '1';
\echo :LAST_ERROR_SQLSTATE
TABLE pg_temp.triggers;
DROP VIEW pg_temp.triggers;
-- the store's options stay as they were
SELECT notifications, channel FROM eventstore.store_options('reg_store.plain');
SELECT eventstore.create_store('reg_store.plain');

-- what a caller's search_path holds cannot stand in for what is meant
CREATE FUNCTION reg_store.equals(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
CREATE OPERATOR reg_store.= (leftarg = text, rightarg = text, function = reg_store.equals);
CREATE TABLE reg_store.pg_trigger (a integer);
SET search_path = reg_store, pg_catalog;
SELECT eventstore.append_event('t', '{}', 'path', 0, event_id => 'path-1', store => 'reg_store.plain'),
       eventstore.append_event('t', '{}', 'path', 1, store => 'reg_store.plain');
SELECT eventstore.append_event('t', '{}', 'path', 0, event_id => 'path-1', store => 'reg_store.plain');
SELECT count(*) FROM eventstore.get_events_by_aggregate('path', store => 'reg_store.plain');
SELECT eventstore.create_store('reg_store.under_path'), count(*) > 0 FROM eventstore.stores;
SELECT eventstore.drop_store('reg_store.under_path');
RESET search_path;
DROP TABLE reg_store.pg_trigger;
DROP OPERATOR reg_store.= (text, text);
DROP FUNCTION reg_store.equals;

SELECT eventstore.drop_store('reg_store.plain', true), eventstore.drop_store('reg_store.events', true);
SELECT store FROM eventstore.stores WHERE store::text LIKE '%reg_store%';
DROP SCHEMA reg_store;
