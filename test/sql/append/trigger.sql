-- a user's own triggers, rules and row security on a store
SET client_min_messages = warning;
SELECT eventstore.create_store('reg_trigger.events');
SET pg_eventstore.store = 'reg_trigger.events';
\pset null '(null)'
CREATE ROLE reg_trigger_user;

-- AFTER triggers: a projection in the same transaction, by row and by statement
CREATE TABLE reg_trigger.totals (aggregate_id text PRIMARY KEY, events integer, last_version integer);
CREATE FUNCTION reg_trigger.project() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO reg_trigger.totals VALUES (NEW.aggregate_id, 1, NEW.aggregate_version)
    ON CONFLICT (aggregate_id) DO UPDATE SET events = totals.events + 1, last_version = NEW.aggregate_version;
  RETURN NULL;
END $$;
CREATE TRIGGER project AFTER INSERT ON reg_trigger.events FOR EACH ROW EXECUTE FUNCTION reg_trigger.project();
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}', 0), eventstore.append_event('x', '{}', 'b');
SELECT * FROM eventstore.append('[{"event_type": "x", "aggregate_id": "a", "event_id": "e-1"}]', '{"a": 7}');
SELECT eventstore.append_event('x', '{}', 'a', 2);
TABLE reg_trigger.totals ORDER BY 1;
CREATE FUNCTION reg_trigger.count_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE WARNING '% new', (SELECT count(*) FROM new);
  RETURN NULL;
END $$;
CREATE TRIGGER count_new AFTER INSERT ON reg_trigger.events REFERENCING NEW TABLE AS new
  FOR EACH STATEMENT EXECUTE FUNCTION reg_trigger.count_new();
SELECT eventstore.append_to_aggregate('b', '{x,y,z}', '{1,2,3}', 1);
SELECT eventstore.append_event('x', '{}', 'b', 4);
DROP TRIGGER count_new ON reg_trigger.events;
-- a trigger that raises undoes the append
CREATE FUNCTION reg_trigger.veto() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'veto on %', NEW.event_type USING ERRCODE = 'P0042';
END $$;
CREATE TRIGGER veto AFTER INSERT ON reg_trigger.events FOR EACH ROW WHEN (NEW.event_type = 'bad') EXECUTE FUNCTION reg_trigger.veto();
\set SHOW_CONTEXT never
SELECT eventstore.append_to_aggregate('a', '{x,bad}', '{1,2}', 3);
\set SHOW_CONTEXT errors
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.get_aggregate_version('a');
-- a deferred one does so at commit
DROP TRIGGER veto ON reg_trigger.events;
CREATE CONSTRAINT TRIGGER veto AFTER INSERT ON reg_trigger.events DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.event_type = 'bad') EXECUTE FUNCTION reg_trigger.veto();
BEGIN;
SELECT eventstore.append_event('bad', '{}', 'a', 3);
\set SHOW_CONTEXT never
COMMIT;
\set SHOW_CONTEXT errors
SELECT eventstore.get_aggregate_version('a');
DROP TRIGGER veto ON reg_trigger.events;
-- one that appends in its turn, to another aggregate and to another store
SELECT eventstore.create_store('reg_trigger.audit');
CREATE FUNCTION reg_trigger.cascade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM eventstore.append_event('audited', to_jsonb(NEW.event_type), 'audit', causation_id => NEW.event_id, store => 'reg_trigger.audit');
  PERFORM eventstore.append_event('followed', '{}', 'followers', store => 'reg_trigger.events');
  RETURN NULL;
END $$;
CREATE TRIGGER cascade AFTER INSERT ON reg_trigger.events FOR EACH ROW WHEN (NEW.event_type = 'go') EXECUTE FUNCTION reg_trigger.cascade();
SELECT eventstore.append_to_aggregate('go', '{go,go}', '{1,2}', 0);
SELECT eventstore.get_aggregate_version('followers'), eventstore.get_aggregate_version('audit', 'reg_trigger.audit');
DROP TRIGGER cascade ON reg_trigger.events;
SELECT eventstore.drop_store('reg_trigger.audit', true);

-- BEFORE INSERT: one that enriches works
CREATE FUNCTION reg_trigger.enrich() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.metadata := coalesce(NEW.metadata, '{}') || '{"enriched": true}';
  RETURN NEW;
END $$;
CREATE TRIGGER enrich BEFORE INSERT ON reg_trigger.events FOR EACH ROW EXECUTE FUNCTION reg_trigger.enrich();
SELECT eventstore.append_event('x', '{}', 'enriched', 0, metadata => '{"a": 1}');
SELECT metadata FROM eventstore.get_events_by_aggregate('enriched');
DROP TRIGGER enrich ON reg_trigger.events;
-- one that drops rows is an error
CREATE FUNCTION reg_trigger.discard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RETURN CASE WHEN NEW.event_type = 'dull' THEN NULL ELSE NEW END;
END $$;
CREATE TRIGGER discard BEFORE INSERT ON reg_trigger.events FOR EACH ROW EXECUTE FUNCTION reg_trigger.discard();
SELECT eventstore.append_event('dull', '{}', 'd', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_to_aggregate('d', '{x,dull,y}', '{1,2,3}', 0);
SELECT * FROM eventstore.append('[{"event_type": "x", "aggregate_id": "d"}, {"event_type": "dull", "aggregate_id": "e"}]');
SELECT eventstore.append_event('x', '{}', 'd', 0);
DROP TRIGGER discard ON reg_trigger.events;
SELECT count(*) FROM reg_trigger.events WHERE aggregate_id = 'd';

-- a rule beside the INSERT is no matter, one that takes its place is an error
CREATE TABLE reg_trigger.log (entry text);
CREATE RULE beside AS ON INSERT TO reg_trigger.events DO ALSO INSERT INTO reg_trigger.log VALUES (NEW.event_type);
SELECT eventstore.append_event('x', '{}', 'r', 0);
SELECT eventstore.append_to_aggregate('r', '{y,z}', '{1,2}', 1);
TABLE reg_trigger.log;
DROP RULE beside ON reg_trigger.events;
CREATE RULE partly AS ON INSERT TO reg_trigger.events WHERE NEW.event_type = 'dull' DO INSTEAD NOTHING;
SELECT eventstore.append_to_aggregate('r', '{x,dull}', '{1,2}', 3);
SELECT eventstore.append_event('x', '{}', 'r', 3);
DROP RULE partly ON reg_trigger.events;
CREATE RULE elsewhere AS ON INSERT TO reg_trigger.events DO INSTEAD INSERT INTO reg_trigger.log VALUES (NEW.event_type);
DO $$
BEGIN
  PERFORM eventstore.append_event('x', '{}', 'r', 3);
  RAISE WARNING 'an append that stored nothing succeeded';
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'refused';
END $$;
DROP RULE elsewhere ON reg_trigger.events;
SELECT eventstore.append_event('x', '{}', 'r', 3);
CREATE RULE nothing AS ON INSERT TO reg_trigger.events DO INSTEAD NOTHING;
SELECT eventstore.append_event('x', '{}', 'r', 4);
SELECT eventstore.append_to_aggregate('r', '{x,y}', '{1,2}', 4);
-- once the rule is gone the same session appends again
DROP RULE nothing ON reg_trigger.events;
SELECT eventstore.append_event('x', '{}', 'r', 4);
SELECT eventstore.append_to_aggregate('r', '{x,y}', '{1,2}', 5);

-- row security: a role sees and appends its own aggregates only
GRANT USAGE ON SCHEMA eventstore, reg_trigger TO reg_trigger_user;
GRANT SELECT, INSERT ON reg_trigger.events TO reg_trigger_user;
DROP TRIGGER project ON reg_trigger.events;
ALTER TABLE reg_trigger.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON reg_trigger.events TO reg_trigger_user
  USING (aggregate_id LIKE 'mine-%') WITH CHECK (aggregate_id LIKE 'mine-%');
SELECT eventstore.append_event('x', '{}', 'mine-1', 0), eventstore.append_event('x', '{}', 'secret', 0, event_id => 'hidden');
\set SHOW_CONTEXT never
SET ROLE reg_trigger_user;
SELECT eventstore.append_event('x', '{}', 'mine-1', 1);
SELECT eventstore.append_event('x', '{}', 'mine-1', 0);
SELECT eventstore.get_aggregate_version('mine-1'), eventstore.get_aggregate_version('a');
SELECT aggregate_id, aggregate_version FROM eventstore.get_latest_events();
-- the id of an event that is hidden is taken all the same
\set VERBOSITY sqlstate
SELECT eventstore.append_event('x', '{}', 'mine-2', 0, event_id => 'hidden');
SELECT eventstore.append_to_aggregate('mine-2', '{x,x}', '{1,2}', 0, event_ids => '{shown,hidden}');
SELECT eventstore.append_to_aggregate('mine-2', '{x,x}', '{1,2}', event_ids => '{hidden,shown}');
\set VERBOSITY default
SELECT eventstore.get_aggregate_version('mine-2');
SELECT eventstore.append_event('x', '{}', 'theirs', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT eventstore.append_event('x', '{}', 'a');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
-- the same session as another role: plans follow
SELECT eventstore.get_aggregate_version('mine-1'), eventstore.get_aggregate_version('a');
SELECT eventstore.append_event('x', '{}', 'a', 3);
SET ROLE reg_trigger_user;
SELECT eventstore.get_aggregate_version('mine-1'), eventstore.get_aggregate_version('a');
RESET ROLE;
-- drop_store does not take a store for empty because its events are hidden
ALTER TABLE reg_trigger.events OWNER TO reg_trigger_user;
ALTER TABLE reg_trigger.events FORCE ROW LEVEL SECURITY;
DROP POLICY own ON reg_trigger.events;
SET ROLE reg_trigger_user;
SELECT count(*) FROM eventstore.get_latest_events();
SELECT eventstore.drop_store('reg_trigger.events');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
ALTER TABLE reg_trigger.events OWNER TO CURRENT_USER;
ALTER TABLE reg_trigger.events DISABLE ROW LEVEL SECURITY;
\set SHOW_CONTEXT errors

-- the store's own triggers off: it still is one
ALTER TABLE reg_trigger.events DISABLE TRIGGER eventstore_append;
SELECT eventstore.append_event('x', '{}', 'off', 0);
ALTER TABLE reg_trigger.events ENABLE TRIGGER eventstore_append;
-- and gone: it is none
BEGIN;
DROP TRIGGER eventstore_append ON reg_trigger.events;
SELECT eventstore.append_event('x', '{}', 'off', 1);
ROLLBACK;
BEGIN;
SAVEPOINT s;
DROP TRIGGER eventstore_append ON reg_trigger.events;
INSERT INTO reg_trigger.events (event_type, data) VALUES ('x', '{}');
ROLLBACK TO s;
DROP TRIGGER eventstore_immutable ON reg_trigger.events;
SELECT eventstore.append_event('x', '{}', 'off', 1);
ROLLBACK;
SELECT eventstore.append_event('x', '{}', 'off', 1);

SELECT aggregate_id, count(*), max(aggregate_version) FROM reg_trigger.events GROUP BY 1 ORDER BY 1;
RESET pg_eventstore.store;
REVOKE ALL ON SCHEMA eventstore FROM reg_trigger_user;
SELECT eventstore.drop_store('reg_trigger.events', force => true);
DROP TABLE reg_trigger.totals, reg_trigger.log;
DROP SCHEMA reg_trigger CASCADE;
DROP ROLE reg_trigger_user;

-- one that appends to the aggregate whose event is about to be inserted: no retry helps
RESET ROLE;
SELECT eventstore.create_store('reg_trigger.nested');
CREATE FUNCTION reg_trigger.nest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.event_type = 'outer' THEN
    PERFORM eventstore.append_event('inner', '{}', NEW.aggregate_id, store => 'reg_trigger.nested');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER nest BEFORE INSERT ON reg_trigger.nested FOR EACH ROW EXECUTE FUNCTION reg_trigger.nest();
\set SHOW_CONTEXT never
SELECT eventstore.append_event('outer', '{}', 'n', store => 'reg_trigger.nested');
SELECT eventstore.append_event('outer', '{}', 'n', 0, store => 'reg_trigger.nested');
\set SHOW_CONTEXT errors
-- what the hint says
DROP TRIGGER nest ON reg_trigger.nested;
CREATE TRIGGER nest AFTER INSERT ON reg_trigger.nested FOR EACH ROW EXECUTE FUNCTION reg_trigger.nest();
SELECT eventstore.append_event('outer', '{}', 'n', store => 'reg_trigger.nested');
SELECT eventstore.get_aggregate_version('n', 'reg_trigger.nested');
