-- The definitions of named states. Only the extension writes these tables.
CREATE TABLE eventstore.state_definitions (
  name text COLLATE "C",
  store eventstore.regstore,
  owner name NOT NULL,
  reducer text NOT NULL,
  reducer_owner name NOT NULL,
  initial jsonb NOT NULL,
  snapshot_every integer NOT NULL,
  epoch bigint NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (name, store)
);
CREATE TRIGGER receive_row BEFORE INSERT ON eventstore.state_definitions
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('replace');
ALTER TABLE eventstore.state_definitions ENABLE REPLICA TRIGGER receive_row;
CREATE TRIGGER skip_lost_snapshot BEFORE INSERT ON eventstore.state_definitions
  FOR EACH ROW WHEN (NEW.store::pg_catalog.oid OPERATOR(pg_catalog.=) 0::pg_catalog.oid) EXECUTE FUNCTION eventstore.skip_lost_snapshot();
SELECT pg_catalog.pg_extension_config_dump('eventstore.state_definitions', '');

COMMENT ON TABLE eventstore.state_definitions IS
'The definitions of named states. The functions create_state() and alter_state() write them. View eventstore.states shows them.';
COMMENT ON COLUMN eventstore.state_definitions.name IS 'name of the state';
COMMENT ON COLUMN eventstore.state_definitions.store IS 'the store, by its present name; - if the store was dropped';
COMMENT ON COLUMN eventstore.state_definitions.owner IS 'name of the role whose rights the reducer has';
COMMENT ON COLUMN eventstore.state_definitions.reducer IS 'name of the reducer, with its schema';
COMMENT ON COLUMN eventstore.state_definitions.reducer_owner IS 'name of the role that owned the reducer when the state was created or got the reducer';
COMMENT ON COLUMN eventstore.state_definitions.initial IS 'the state before the first event';
COMMENT ON COLUMN eventstore.state_definitions.snapshot_every IS 'number of events after which a snapshot is saved; 0 for never';
COMMENT ON COLUMN eventstore.state_definitions.epoch IS 'a random number. Snapshots of an earlier number are not used';
COMMENT ON COLUMN eventstore.state_definitions.created_at IS 'time at which the state was created';
COMMENT ON TRIGGER receive_row ON eventstore.state_definitions IS 'takes the rows that logical replication brings';
COMMENT ON TRIGGER skip_lost_snapshot ON eventstore.state_definitions IS 'skips rows about stores that do not exist, as a partial restore brings them';

-- The snapshots. They can be computed again, so a dump has them only if a setting says so.
CREATE TABLE eventstore.snapshots (
  store eventstore.regstore,
  aggregate_id text COLLATE "C",
  state_name text COLLATE "C",
  aggregate_version integer,
  fingerprint bytea NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  occurred_until timestamptz NOT NULL,
  saved_at timestamptz NOT NULL,
  state jsonb NOT NULL,
  PRIMARY KEY (store, aggregate_id, state_name, aggregate_version)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE TRIGGER receive_row BEFORE INSERT OR UPDATE OR DELETE ON eventstore.snapshots
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('ignore');
ALTER TABLE eventstore.snapshots ENABLE REPLICA TRIGGER receive_row;
CREATE TRIGGER skip_lost_snapshot BEFORE INSERT ON eventstore.snapshots
  FOR EACH ROW WHEN (NEW.store::pg_catalog.oid OPERATOR(pg_catalog.=) 0::pg_catalog.oid) EXECUTE FUNCTION eventstore.skip_lost_snapshot();
SELECT pg_catalog.pg_extension_config_dump('eventstore.snapshots',
  'WHERE pg_catalog.lower(pg_catalog.current_setting(''pg_eventstore.dump_snapshots'', true)) IN (''on'', ''true'', ''yes'', ''1'')');

COMMENT ON TABLE eventstore.snapshots IS
'The snapshots of aggregates. save_snapshot() and get_state() write the rows, and erasures delete them. A dump contains the rows only if pg_eventstore.dump_snapshots is on.';
COMMENT ON COLUMN eventstore.snapshots.store IS 'the store';
COMMENT ON COLUMN eventstore.snapshots.aggregate_id IS 'the aggregate';
COMMENT ON COLUMN eventstore.snapshots.state_name IS 'name of the state, see create_state(); empty if a client saved the snapshot by save_snapshot()';
COMMENT ON COLUMN eventstore.snapshots.aggregate_version IS 'version of the last event in the state';
COMMENT ON COLUMN eventstore.snapshots.fingerprint IS 'SHA-256 of the definition of the state and its reducer; empty if a client saved the snapshot';
COMMENT ON COLUMN eventstore.snapshots.event_id IS 'identity of the last event in the state';
COMMENT ON COLUMN eventstore.snapshots.occurred_until IS 'greatest time of the events in the state; -infinity if a client saved the snapshot';
COMMENT ON COLUMN eventstore.snapshots.saved_at IS 'start of the transaction that saved the snapshot';
COMMENT ON COLUMN eventstore.snapshots.state IS 'the state';
COMMENT ON TRIGGER receive_row ON eventstore.snapshots IS 'ignores what logical replication brings';
COMMENT ON TRIGGER skip_lost_snapshot ON eventstore.snapshots IS 'skips rows about stores that do not exist, as a partial restore brings them';

REVOKE ALL ON eventstore.state_definitions, eventstore.snapshots FROM PUBLIC;

CREATE VIEW eventstore.states AS
SELECT d.name,
       d.store,
       d.owner,
       d.reducer,
       d.initial,
       d.snapshot_every,
       s.snapshots,
       s.last_saved_at,
       eventstore.state_problem(d.name, d.store::pg_catalog.regclass) AS problem,
       d.created_at
  FROM eventstore.state_definitions d
 CROSS JOIN LATERAL (
       SELECT pg_catalog.count(*) AS snapshots, pg_catalog.max(p.saved_at) AS last_saved_at
         FROM eventstore.snapshots p
        WHERE p.store::pg_catalog.oid OPERATOR(pg_catalog.=) d.store::pg_catalog.oid
          AND p.state_name OPERATOR(pg_catalog.=) d.name) s;

COMMENT ON VIEW eventstore.states IS
'The named states, see create_state().';
COMMENT ON COLUMN eventstore.states.name IS 'name of the state';
COMMENT ON COLUMN eventstore.states.store IS 'the store; - if it was dropped';
COMMENT ON COLUMN eventstore.states.owner IS 'role whose rights the reducer has';
COMMENT ON COLUMN eventstore.states.reducer IS 'name of the reducer, with its schema';
COMMENT ON COLUMN eventstore.states.initial IS 'the state before the first event';
COMMENT ON COLUMN eventstore.states.snapshot_every IS 'number of events after which get_state() saves a snapshot; 0 for never';
COMMENT ON COLUMN eventstore.states.snapshots IS 'number of snapshots, at most one of each aggregate in general. Some may be of an earlier definition of the reducer, and are not used';
COMMENT ON COLUMN eventstore.states.last_saved_at IS 'time at which the newest of them was saved; null if there is none';
COMMENT ON COLUMN eventstore.states.problem IS 'why get_state() would raise an error; null if there is no problem';
COMMENT ON COLUMN eventstore.states.created_at IS 'time at which the state was created';

GRANT SELECT ON eventstore.states TO PUBLIC;
