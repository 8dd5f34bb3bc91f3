-- Appends to plain stores bypass the executor, others do not: what comes out is
-- the same. This test runs both ways.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA reg_direct;
SELECT eventstore.create_store('reg_direct.s', 'off');
SET pg_eventstore.store = 'reg_direct.s';

SELECT eventstore.append_to_aggregate('a', '{e,e}', '{1,1}');

-- constraints: of the table's own, and on what the row does not say
ALTER TABLE reg_direct.s ADD CONSTRAINT no_secrets CHECK (NOT data ? 'secret'),
  ADD CONSTRAINT here CHECK (tableoid = 'reg_direct.s'::regclass);
SELECT eventstore.append_event('e', '{"open": 1}', 'a');
SELECT eventstore.append_to_aggregate('a', array_fill('e'::text, ARRAY[100]),
  array_fill('{}'::jsonb, ARRAY[99]) || ARRAY['{"secret": 1}']::jsonb[]);
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.get_aggregate_version('a');

-- a constraint that looks at what is there: its function sees what the
-- transaction did before, and a batch is checked before it is stored
CREATE FUNCTION reg_direct.small() RETURNS boolean LANGUAGE sql
  AS 'SELECT count(*) < 5 FROM reg_direct.s';
ALTER TABLE reg_direct.s ADD CONSTRAINT small CHECK (reg_direct.small()) NOT VALID;
BEGIN;
SELECT eventstore.append_event('e', '1', 'a');
SELECT eventstore.append_event('e', '1', 'a');
SELECT eventstore.append_event('e', '1', 'a');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- its function may be replaced while a session appends
CREATE OR REPLACE FUNCTION reg_direct.small() RETURNS boolean LANGUAGE sql
  AS 'SELECT true';
SELECT eventstore.append_event('e', '1', 'a');
CREATE OR REPLACE FUNCTION reg_direct.small() RETURNS boolean LANGUAGE sql
  AS 'SELECT false';
SELECT eventstore.append_event('e', '1', 'a');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE reg_direct.s DROP CONSTRAINT small;

-- the whole row, and a domain that changes
CREATE DOMAIN reg_direct.number AS integer CHECK (value > 0);
ALTER TABLE reg_direct.s ADD CONSTRAINT whole CHECK (to_jsonb(s) ? 'data'),
  ADD CONSTRAINT number CHECK ((metadata->>'n')::reg_direct.number <> 7);
SELECT eventstore.append_event('e', '1', 'a', metadata => '{"n": 50}');
SELECT eventstore.append_event('e', '1', 'a', metadata => '{"n": 50}');
ALTER DOMAIN reg_direct.number ADD CONSTRAINT small CHECK (value < 10);
SELECT eventstore.append_event('e', '1', 'a', metadata => '{"n": 50}');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE reg_direct.s DROP CONSTRAINT whole, DROP CONSTRAINT number;

-- a constraint that fails to be evaluated harms those who append, and nobody else
ALTER TABLE reg_direct.s ADD CONSTRAINT broken CHECK (1 / 0 > 1) NOT VALID;
SELECT count(*) > 0 AS readable FROM eventstore.read_events();
SELECT eventstore.append_event('e', '1', 'a');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE reg_direct.s DROP CONSTRAINT broken;

-- the store's own constraint, another in its stead, none at all
ALTER TABLE reg_direct.s DROP CONSTRAINT s_aggregate_version_check,
  ADD CHECK ((aggregate_id IS NULL) = (aggregate_version IS NULL) AND aggregate_version > 1) NOT VALID;
SELECT eventstore.append_event('e', '1', 'first');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_event('e', '1', 'a');
ALTER TABLE reg_direct.s DROP CONSTRAINT s_check;
SELECT eventstore.append_event('e', '1', 'a');
ALTER TABLE reg_direct.s ADD CHECK ((aggregate_id IS NULL) = (aggregate_version IS NULL) AND aggregate_version > 0);

-- columns that come to need a value, and a constraint that is null, not false
SELECT eventstore.create_store('reg_direct.strict', 'off');
ALTER TABLE reg_direct.strict ALTER metadata SET NOT NULL,
  ADD CONSTRAINT open CHECK (metadata->>'secret' = 'no');
SELECT eventstore.append_event('e', '1', 'b', store => 'reg_direct.strict');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_event('e', '1', 'b', metadata => '{}', store => 'reg_direct.strict');
SELECT eventstore.append_event('e', '1', 'b', metadata => '{"secret": "yes"}', store => 'reg_direct.strict');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE reg_direct.strict ALTER metadata DROP NOT NULL, DROP CONSTRAINT open;
SELECT eventstore.append_event('e', '1', 'b', store => 'reg_direct.strict');

-- a foreign key, an exclusion constraint, an index that is unique, deferred
CREATE TABLE reg_direct.types (event_type varchar(255) COLLATE "C" PRIMARY KEY);
INSERT INTO reg_direct.types VALUES ('e');
ALTER TABLE reg_direct.s ADD CONSTRAINT known FOREIGN KEY (event_type) REFERENCES reg_direct.types;
SELECT eventstore.append_event('unknown', '1', 'a');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE reg_direct.s DROP CONSTRAINT known,
  ADD CONSTRAINT once EXCLUDE USING btree (correlation_id WITH =) WHERE (event_type = 'once');
SELECT eventstore.append_event('once', '1', 'a', correlation_id => 'c');
SELECT eventstore.append_event('once', '1', 'a', correlation_id => 'c');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE reg_direct.s DROP CONSTRAINT once,
  ADD CONSTRAINT later UNIQUE (causation_id) DEFERRABLE INITIALLY DEFERRED;
BEGIN;
SELECT eventstore.append_event('e', '1', 'a', causation_id => 'x');
SELECT eventstore.append_event('e', '1', 'a', causation_id => 'x');
COMMIT;
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE reg_direct.s DROP CONSTRAINT later;
SELECT eventstore.get_aggregate_version('a');

-- further columns, triggers; tables that inherit are refused
ALTER TABLE reg_direct.s ADD COLUMN note text DEFAULT 'as ever';
SELECT eventstore.append_event('e', '1', 'n');
SELECT note FROM reg_direct.s WHERE aggregate_id = 'n';
ALTER TABLE reg_direct.s DROP COLUMN note;
SELECT eventstore.append_event('e', '1', 'n');
CREATE FUNCTION reg_direct.shout() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN NEW.event_type := upper(NEW.event_type); RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT ON reg_direct.s FOR EACH ROW EXECUTE FUNCTION reg_direct.shout();
SELECT eventstore.append_to_aggregate('n', '{e,f}', '{1,2}');
SELECT event_type FROM eventstore.get_events_by_aggregate('n');
DROP TRIGGER shout ON reg_direct.s;
ALTER TABLE reg_direct.s DROP CONSTRAINT here;
CREATE TABLE reg_direct.child () INHERITS (reg_direct.s);
SELECT eventstore.append_event('e', '1', 'n');
DROP TABLE reg_direct.child;

-- privileges: on columns only, and none on the schema
CREATE ROLE reg_direct_user;
GRANT USAGE ON SCHEMA eventstore TO reg_direct_user;
GRANT SELECT, INSERT ON reg_direct.s TO reg_direct_user;
SELECT 'reg_direct.s'::regclass::oid AS s \gset
SET ROLE reg_direct_user;
SELECT eventstore.append_event('e', '1', 'p', store => :s);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT USAGE ON SCHEMA reg_direct TO reg_direct_user;
REVOKE SELECT ON reg_direct.s FROM reg_direct_user;
GRANT SELECT (event_id, aggregate_id, aggregate_version, aggregate_type) ON reg_direct.s TO reg_direct_user;
SET ROLE reg_direct_user;
SELECT eventstore.append_event('e', '1', 'p');
SELECT eventstore.append_event('e', '1', 'p', 1);
RESET ROLE;

-- row security
ALTER TABLE reg_direct.s ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON reg_direct.s FOR SELECT TO reg_direct_user USING (true);
CREATE POLICY add ON reg_direct.s FOR INSERT TO reg_direct_user WITH CHECK (event_type = 'allowed');
SET ROLE reg_direct_user;
SELECT eventstore.append_event('forbidden', '1', 'p');
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_event('allowed', '1', 'p');
RESET ROLE;

RESET pg_eventstore.store;
DROP SCHEMA reg_direct CASCADE;
REVOKE USAGE ON SCHEMA eventstore FROM reg_direct_user;
DROP ROLE reg_direct_user;
