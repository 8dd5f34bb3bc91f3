-- With whose rights reducers run, and who may do what with a named state.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA reg_state_roles;
CREATE ROLE reg_state_owner;
CREATE ROLE reg_state_other;
CREATE ROLE reg_state_reader;
GRANT USAGE ON SCHEMA eventstore TO reg_state_owner, reg_state_other, reg_state_reader;
GRANT USAGE, CREATE ON SCHEMA reg_state_roles TO reg_state_owner, reg_state_other;
SELECT eventstore.create_store('reg_state_roles.events', 'off');
SET pg_eventstore.store = 'reg_state_roles.events';
SELECT eventstore.append_to_aggregate('a', '{x,y}', '{1,2}');
GRANT SELECT ON reg_state_roles.events TO reg_state_owner, reg_state_reader;
GRANT USAGE ON SCHEMA reg_state_roles TO reg_state_reader;

SET ROLE reg_state_owner;
CREATE FUNCTION reg_state_roles.who(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('user', current_user, 'path', current_setting('search_path'), 'version', event.aggregate_version) $$;
SELECT eventstore.create_state('who', 'reg_state_roles.who(jsonb, eventstore.event)', snapshot_every => 2);

-- a state runs as its owner with a fixed search_path, a reducer that is passed as its caller
RESET ROLE;
SET search_path = public;
SELECT eventstore.get_state('who', 'a', 1);
SET ROLE reg_state_reader;
SELECT eventstore.get_state('who', 'a', 1);
SELECT current_user, current_setting('search_path');
SELECT eventstore.aggregate_state('a', 'reg_state_roles.who(jsonb, eventstore.event)', to_version => 1);
-- a reader that may not insert into the store lets a snapshot be saved, but may not save its own
SELECT eventstore.get_state('who', 'a');
SELECT name, snapshots FROM eventstore.states;
SELECT eventstore.save_snapshot('a', 2, '{}');
-- without EXECUTE on the reducer
SET ROLE reg_state_owner;
REVOKE EXECUTE ON FUNCTION reg_state_roles.who(jsonb, eventstore.event) FROM PUBLIC;
SET ROLE reg_state_reader;
SELECT eventstore.get_state('who', 'a');
SELECT eventstore.aggregate_state('a', 'reg_state_roles.who(jsonb, eventstore.event)');
SET ROLE reg_state_owner;
GRANT EXECUTE ON FUNCTION reg_state_roles.who(jsonb, eventstore.event) TO reg_state_reader;
-- without SELECT on the store
SET ROLE reg_state_other;
SELECT eventstore.get_state('who', 'a');
SELECT eventstore.create_state('mine', 'reg_state_roles.who(jsonb, eventstore.event)');
RESET ROLE;
GRANT SELECT ON reg_state_roles.events TO reg_state_other;
SET ROLE reg_state_other;
SELECT eventstore.get_state('who', 'a');
SELECT eventstore.create_state('mine', 'reg_state_roles.who(jsonb, eventstore.event)');

-- only members of the owner change a state
SELECT eventstore.alter_state('who', snapshot_every => 1);
SELECT eventstore.reset_state('who');
SELECT eventstore.drop_state('who');
SET ROLE reg_state_owner;
\set VERBOSITY sqlstate
SELECT eventstore.alter_state('who', owner => 'reg_state_reader');
\set VERBOSITY terse
RESET ROLE;
GRANT reg_state_owner TO reg_state_other;
SET ROLE reg_state_other;
SELECT eventstore.alter_state('who', snapshot_every => 1);
RESET ROLE;
REVOKE reg_state_owner FROM reg_state_other;

-- the reducer cannot keep the rights or change the session
SET ROLE reg_state_owner;
CREATE OR REPLACE FUNCTION reg_state_roles.who(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('search_path', 'evil', false);
  PERFORM set_config('role', 'none', false);
  RETURN state;
END $$;
RESET ROLE;
\set VERBOSITY sqlstate
SELECT eventstore.get_state('who', 'a');
\set VERBOSITY terse
SET ROLE reg_state_owner;
CREATE OR REPLACE FUNCTION reg_state_roles.who(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('search_path', 'evil', false);
  PERFORM set_config('work_mem', '64kB', false);
  RETURN state;
END $$;
RESET ROLE;
SELECT eventstore.get_state('who', 'a');
SHOW search_path;
SHOW work_mem;

-- an error in the reducer leaves nothing behind
SET ROLE reg_state_owner;
CREATE OR REPLACE FUNCTION reg_state_roles.who(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb(1 / 0)';
SET ROLE reg_state_reader;
SELECT eventstore.get_state('who', 'a');
SELECT current_user, current_setting('search_path');

-- the function of another role that gets the name of the reducer is not run
SET ROLE reg_state_owner;
CREATE OR REPLACE FUNCTION reg_state_roles.who(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS 'SELECT state';
DROP FUNCTION reg_state_roles.who(jsonb, eventstore.event);
SELECT problem FROM eventstore.states;
SELECT eventstore.get_state('who', 'a');
SET ROLE reg_state_other;
CREATE FUNCTION reg_state_roles.who(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS $$SELECT to_jsonb('taken over by '::text)$$;
SET ROLE reg_state_owner;
SELECT problem FROM eventstore.states;
SELECT eventstore.get_state('who', 'a');
-- unless the owner of the state says so
SELECT eventstore.alter_state('who', 'reg_state_roles.who(jsonb, eventstore.event)');
SELECT eventstore.get_state('who', 'a');
-- but a superuser does not get the rights of a superuser for it
RESET ROLE;
SELECT eventstore.create_state('super', 'reg_state_roles.who(jsonb, eventstore.event)');
SELECT eventstore.alter_state('who', owner => current_user);
ALTER FUNCTION reg_state_roles.who(jsonb, eventstore.event) OWNER TO CURRENT_USER;
SELECT problem FROM eventstore.states;
SELECT eventstore.create_state('super', 'reg_state_roles.who(jsonb, eventstore.event)');
SELECT eventstore.get_state('super', 'a');
ALTER FUNCTION reg_state_roles.who(jsonb, eventstore.event) OWNER TO reg_state_other;
SELECT name, replace(problem, current_user, 'me') AS problem FROM eventstore.states ORDER BY name;
SELECT eventstore.drop_state('super');

-- the snapshots of a state are used by callers of its reducer only if its owner owns the reducer
SELECT eventstore.alter_state('who', 'reg_state_roles.who(jsonb, eventstore.event)', snapshot_every => 1);
SELECT eventstore.get_state('who', 'a');
UPDATE eventstore.snapshots SET state = '"of a snapshot"';
SELECT eventstore.get_state('who', 'a'), eventstore.aggregate_state('a', 'reg_state_roles.who(jsonb, eventstore.event)');
SELECT eventstore.alter_state('who', owner => 'reg_state_other');
SELECT eventstore.get_state('who', 'a');
UPDATE eventstore.snapshots SET state = '"of a snapshot"';
SELECT eventstore.get_state('who', 'a'), eventstore.aggregate_state('a', 'reg_state_roles.who(jsonb, eventstore.event)');

-- the owner of a state must be able to read what the reducer gets
REVOKE SELECT ON reg_state_roles.events FROM reg_state_other;
SELECT problem FROM eventstore.states;
SELECT eventstore.get_state('who', 'a');
GRANT SELECT ON reg_state_roles.events TO reg_state_other;
ALTER TABLE reg_state_roles.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON reg_state_roles.events TO reg_state_reader USING (event_type = 'x');
SELECT problem FROM eventstore.states;
SELECT eventstore.get_state('who', 'a');
-- a caller with row security gets the state of what it sees, without snapshots
ALTER ROLE reg_state_other BYPASSRLS;
SET ROLE reg_state_other;
CREATE OR REPLACE FUNCTION reg_state_roles.who(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS $$
  SELECT state || jsonb_build_object(event.event_type, event.aggregate_version) $$;
GRANT EXECUTE ON FUNCTION reg_state_roles.who(jsonb, eventstore.event) TO PUBLIC;
SELECT eventstore.get_state('who', 'a');
SELECT snapshots FROM eventstore.states;
SET ROLE reg_state_reader;
SELECT eventstore.get_state('who', 'a');
RESET ROLE;
SELECT aggregate_version, state FROM eventstore.snapshots;
SELECT eventstore.reset_state('who');
SET ROLE reg_state_reader;
SELECT eventstore.get_state('who', 'a');
SELECT snapshots FROM eventstore.states;
RESET ROLE;
ALTER TABLE reg_state_roles.events DISABLE ROW LEVEL SECURITY;

-- an owner that is gone
ALTER FUNCTION reg_state_roles.who(jsonb, eventstore.event) OWNER TO reg_state_owner;
DROP OWNED BY reg_state_other;
DROP ROLE reg_state_other;
SELECT problem FROM eventstore.states;
SELECT eventstore.get_state('who', 'a');
SET ROLE reg_state_owner;
SELECT eventstore.drop_state('who');
RESET ROLE;

-- code of the owner of a store does not meet the reducer of a superuser
ALTER TABLE reg_state_roles.events OWNER TO reg_state_owner;
ALTER SEQUENCE reg_state_roles.events_position_seq OWNER TO reg_state_owner;
SET ROLE reg_state_owner;
CREATE FUNCTION reg_state_roles.policy() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('search_path', 'reg_state_roles', false);
  RETURN true;
END $$;
ALTER TABLE reg_state_roles.events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY q ON reg_state_roles.events USING (reg_state_roles.policy());
RESET ROLE;
CREATE FUNCTION public.reg_state_path(state jsonb, event eventstore.event) RETURNS jsonb LANGUAGE sql AS $$
  SELECT to_jsonb(current_setting('search_path') || ' ' || (current_user = session_user)) $$;
SELECT eventstore.aggregate_state('a', 'public.reg_state_path(jsonb, eventstore.event)');

DROP FUNCTION public.reg_state_path(jsonb, eventstore.event);
SELECT eventstore.drop_store('reg_state_roles.events', true);
DROP OWNED BY reg_state_owner, reg_state_reader CASCADE;
DROP SCHEMA reg_state_roles CASCADE;
DROP ROLE reg_state_owner;
DROP ROLE reg_state_reader;
