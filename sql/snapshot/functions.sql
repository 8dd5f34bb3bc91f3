CREATE OR REPLACE FUNCTION eventstore.save_snapshot(
  aggregate_id text,
  aggregate_version integer,
  state jsonb,
  store regclass DEFAULT NULL)
RETURNS boolean
AS 'MODULE_PATHNAME', 'pges_save_snapshot'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.save_snapshot(text, integer, jsonb, regclass) IS
'Saves a snapshot: the state that a client has computed from the events of an aggregate. A snapshot of the same version is replaced. Load the aggregate in the same transaction, with load_aggregate().
aggregate_id: the aggregate.
aggregate_version: the version of the last event in the state.
state: the state, any JSON value.
store: the store. NULL means the setting pg_eventstore.store.
Returns whether the snapshot was saved. It is not saved, and nothing waits, if another transaction is saving a snapshot of the aggregate, or is erasing its events. It is not saved either if an erasure of the aggregate may have ended after the transaction first read events, or if the aggregate was ever erased and the transaction has read none.
Errors: 22023 the aggregate has no event with this version; 22004 an argument is NULL; 42501 without INSERT and SELECT on the store; 0A000 row security of the store applies to the role, or a subscription of logical replication fills the store; 55000 the archive of the store is missing, see create_archive(); 25006 on a standby or in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.get_snapshot(
  aggregate_id text,
  max_version integer DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS TABLE (
  aggregate_version integer,
  state jsonb,
  saved_at timestamptz)
AS 'MODULE_PATHNAME', 'pges_get_snapshot'
LANGUAGE C STABLE PARALLEL UNSAFE ROWS 1;

COMMENT ON FUNCTION eventstore.get_snapshot(text, integer, regclass) IS
'Returns the newest snapshot of an aggregate that save_snapshot() has saved, or no row. The snapshot is one of a version that the aggregate has.
aggregate_id: the aggregate.
max_version: the greatest version of the snapshot. NULL means any.
store: the store. NULL means the setting pg_eventstore.store.
Column saved_at is the start of the transaction that saved the snapshot. If row security of the store applies to the role, there are no snapshots for it.
Errors: 22004 aggregate_id is NULL; 42501 without SELECT on the store or its archive; 55000 the archive of the store is missing, see create_archive(); 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.delete_snapshots(
  aggregate_id text DEFAULT NULL,
  before_version integer DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_delete_snapshots'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.delete_snapshots(text, integer, regclass) IS
'Deletes snapshots that save_snapshot() has saved. This is necessary for example if the code of the client that computes the state has changed. reset_state() deletes those of a named state.
aggregate_id: the aggregate. NULL means all.
before_version: snapshots of this version and greater ones stay. NULL means that none stays.
store: the store. NULL means the setting pg_eventstore.store.
Returns the number of snapshots.
Errors: 42501 without INSERT on the store; 25006 on a standby or in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.load_aggregate(
  aggregate_id text,
  store regclass DEFAULT NULL)
RETURNS TABLE (
  "position" bigint,
  event_id varchar,
  event_type varchar,
  occurred_at timestamptz,
  correlation_id varchar,
  causation_id varchar,
  aggregate_id varchar,
  aggregate_type varchar,
  aggregate_version integer,
  data jsonb,
  metadata jsonb,
  state jsonb)
AS 'MODULE_PATHNAME', 'pges_load_aggregate'
LANGUAGE C STABLE PARALLEL UNSAFE ROWS 100;

COMMENT ON FUNCTION eventstore.load_aggregate(text, regclass) IS
'Returns the newest snapshot of an aggregate and the events after it. save_snapshot() saves snapshots. The events are in the order of their versions. If there is a snapshot, it is the first row: its event_id is null, aggregate_version is its version, and state its state. In the rows of events, state is null. The last row has the version of the aggregate. All rows belong to one snapshot of the database.
aggregate_id: the aggregate.
store: the store. NULL means the setting pg_eventstore.store.
If row security of the store applies to the role, the function returns events only.
Errors: as get_snapshot().';

CREATE OR REPLACE FUNCTION eventstore.aggregate_state(
  aggregate_id text,
  reducer regprocedure,
  initial jsonb DEFAULT '{}',
  to_version integer DEFAULT NULL,
  at timestamptz DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'pges_aggregate_state'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.aggregate_state(text, regprocedure, jsonb, integer, timestamptz, regclass) IS
'Returns the state that a reducer computes from the events of an aggregate. The reducer is called for each event, archived or not, in the order of the versions.
aggregate_id: the aggregate. If it has no events, the result is the initial state.
reducer: a function (state jsonb, event eventstore.event) RETURNS jsonb, which returns the state after the event. It runs with the rights of the caller.
initial: the state before the first event.
to_version: the last version. NULL means all.
at: only events that occurred at or before this time. NULL means all.
store: the store. NULL means the setting pg_eventstore.store.
While the reducer runs, the settings TimeZone (UTC), DateStyle, IntervalStyle, extra_float_digits, bytea_output and lc_... have fixed values. If there is a named state with the same reducer and initial state that belongs to the owner of the reducer, its snapshots are used; no snapshot is saved.
Errors: 42P13 the function cannot be a reducer; 42883 no such function; 22004 the reducer returned null, or an argument is NULL; 22023 to_version is negative; 42501 without EXECUTE on the reducer or SELECT on the store or its archive; 55000 the archive of the store is missing, see create_archive(); 42P01, 42809 no such store. An error of the reducer is raised as it is.';

CREATE OR REPLACE FUNCTION eventstore.create_state(
  name text,
  reducer regprocedure,
  initial jsonb DEFAULT '{}',
  snapshot_every integer DEFAULT 100,
  store regclass DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_create_state'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.create_state(text, regprocedure, jsonb, integer, regclass) IS
'Creates a named state: a reducer of a store whose snapshots are saved automatically. get_state() returns the state of an aggregate. The calling role owns the state, and the reducer runs with the rights of the owner. If a state with this name, store, reducer and initial state exists, the function only raises a notice and changes nothing; alter_state() changes it.
name: the name of the state, from 1 to 255 characters. States of different stores can have the same name.
reducer, initial: as for aggregate_state().
snapshot_every: get_state() saves a snapshot if it has read at least this number of events. 0 means never.
store: the store. NULL means the setting pg_eventstore.store.
Errors: 42710 a state with this name has another reducer or initial state; 42P13 the function cannot be a reducer; 42883 no such function; 22023, 22004 invalid arguments; 42501 without EXECUTE on the reducer or SELECT on the store, or row security of the store applies to the role; 55000 the caller is a superuser and the owner of the reducer is not; 25006 on a standby or in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.alter_state(
  name text,
  reducer regprocedure DEFAULT NULL,
  initial jsonb DEFAULT NULL,
  snapshot_every integer DEFAULT NULL,
  owner name DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_alter_state'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.alter_state(text, regprocedure, jsonb, integer, name, regclass) IS
'Changes a named state. An argument that is NULL keeps the present value. If reducer, initial or owner is given, the snapshots are deleted.
name, reducer, initial, snapshot_every, store: as for create_state().
owner: the new owner. The caller must be a member of both roles.
Errors: 42704 no such state, or no such role; 42501 the caller is not a member of the owner; others as create_state().';

CREATE OR REPLACE FUNCTION eventstore.reset_state(name text, store regclass DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_reset_state'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.reset_state(text, regclass) IS
'Deletes the snapshots of a named state. Then get_state() computes the states from all events. This is necessary only if something has changed that the definition of the reducer does not show, such as a function that the reducer calls.
name: the state.
store: the store. NULL means the setting pg_eventstore.store.
Errors: 42704 no such state; 22004 name is NULL; 42501 the caller is not a member of the owner, or without SELECT on the store; 25006 on a standby or in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.drop_state(name text, store regclass DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_drop_state'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.drop_state(text, regclass) IS
'Drops a named state with its snapshots. The reducer stays.
name: the state.
store: the store. NULL means the setting pg_eventstore.store.
Errors: as reset_state().';

CREATE OR REPLACE FUNCTION eventstore.get_state(
  name text,
  aggregate_id text,
  to_version integer DEFAULT NULL,
  at timestamptz DEFAULT NULL,
  store regclass DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'pges_get_state'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.get_state(text, text, integer, timestamptz, regclass) IS
'Returns a named state of an aggregate. The function begins with the newest snapshot of the state and calls the reducer for each later event. If there were at least snapshot_every of them, and to_version and at are not given, it saves a new snapshot in place of the old one. A standby, a read-only transaction, an erasure or another saver keep it from being saved; then the result is the same.
name: the name of the state, see create_state().
aggregate_id, to_version, at, store: as for aggregate_state().
The reducer runs with the rights of the owner of the state, in a security restricted operation. The search_path is the schema of the reducer, and settings are fixed as for aggregate_state(). The events are read with the rights of the caller. If row security of the store applies to the caller, no snapshot is used or saved.
Errors: 42704 no such state; 55000 the reducer does not exist or has another owner, see column problem of view eventstore.states, or the archive of the store is missing; 22004 the reducer returned null, or an argument is NULL; 22023 to_version is negative; 42501 without EXECUTE on the reducer or SELECT on the store or its archive, for the caller or for the owner of the state; 42P01, 42809 no such store. An error of the reducer is raised as it is.';

CREATE OR REPLACE FUNCTION eventstore.state_problem(name text, store regclass)
RETURNS text
AS 'MODULE_PATHNAME', 'pges_state_problem'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.state_problem(text, regclass) IS
'Returns why a named state cannot be computed, or NULL. For view eventstore.states.
name: the state.
store: the store.';

CREATE OR REPLACE FUNCTION eventstore.skip_lost_snapshot() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_skip_lost_snapshot'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.skip_lost_snapshot() IS
'Trigger function of eventstore.snapshots and eventstore.state_definitions: skips rows about stores that do not exist, as a partial restore brings them.
Errors: 39P01 the function is used by another trigger.';

REVOKE EXECUTE ON FUNCTION eventstore.skip_lost_snapshot() FROM PUBLIC;
