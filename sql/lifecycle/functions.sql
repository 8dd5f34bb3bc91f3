CREATE OR REPLACE FUNCTION eventstore.create_store(
  name text,
  notifications text DEFAULT 'worker',
  channel text DEFAULT NULL,
  create_schema_if_missing boolean DEFAULT true,
  indexes text[] DEFAULT NULL)
RETURNS regclass
AS 'MODULE_PATHNAME', 'pges_create_store'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.create_store(text, text, text, boolean, text[]) IS
'Creates a store: an events table with its sequence, indexes and triggers. If the store already exists, the function only raises a notice. If a table with this name exists that has the shape of a store, the function adds the missing triggers and defaults; if it is no store yet, and a table of the same owner beside it has the default name and the shape of its archive, that table becomes its archive.
name: the name of the table, quoted like any SQL name. Without a schema, the table is created where CREATE TABLE creates it, in the first schema of the search_path.
notifications: "worker" (a background worker sends a NOTIFY after commits), "commit" (one NOTIFY per appending transaction, sent at commit) or "off".
channel: the NOTIFY channel; NULL means schema_table.
create_schema_if_missing: whether a missing schema is created.
indexes: the further indexes of a new store. Every store has indexes on event_id, on aggregate_id and aggregate_version, and on position. Each further index serves one kind of read and slows down every append. The choices are: event_type, aggregate_type, correlation_id and causation_id, each for the get_events_by_...() function on that column; occurred_at, for your own queries by time; event_type_position and aggregate_type_position, for read_events() of rare types. NULL means all but the last two. Without its index, a read scans the whole store.
Returns the store.
Errors: 42809 if a table with this name has another shape, with the first difference; 23505 if the events of its former archive do not come before its own; 3F000 if the schema is missing and create_schema_if_missing is false, or if the search_path has no schema to create in; 42501 without the privilege to create; 42602, 42622, 22023 or 22004 for an invalid argument.';

CREATE OR REPLACE FUNCTION eventstore.drop_store(store regclass, force boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_drop_store'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.drop_store(regclass, boolean) IS
'Drops a store that holds no events, with its archive and its subscriptions. If force is true, drops the store and all its events.
Errors: 55006 if the store or its archive holds events and force is false; 42809 if the table is not a store; 42501 if the caller is not the owner of the store, or if its archive has another owner; 2BP01 if another object depends on the store.';

CREATE OR REPLACE FUNCTION eventstore.empty_store(store regclass)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_empty_store'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.empty_store(regclass) IS
'Deletes all events of a store and its archive, between two tests. Works only in a database for which the setting pg_eventstore.test_database is on, such as by ALTER DATABASE shop_test SET pg_eventstore.test_database = on. Also deletes the holds of the store, and the parked events of its subscriptions. Positions continue after those of the deleted events, so checkpoints of readers stay valid; versions begin again.
store: the store. Foreign keys that refer to it apply as for any DELETE.
Returns the number of deleted events. Waits for open appends to the store, and blocks new appends until its transaction ends.
Errors: 55000 if the setting is off; 42501 if the caller is not the owner of the store, or if the archive has another owner, or if row security applies to the owner; 23503 if rows of another table refer to events; 09000 if a trigger keeps events; 22004 if store is NULL; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.set_notifications(
  store regclass,
  mode text,
  channel text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_set_notifications'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.set_notifications(regclass, text, text) IS
'Changes how a store announces new events.
mode: "worker" (a background worker sends a NOTIFY after commits), "commit" (one NOTIFY per appending transaction, sent at commit) or "off".
channel: the NOTIFY channel; NULL keeps the present channel.
Errors: 42809 if the table is not a store; 42501 if the caller is not its owner; 22023 or 22004 for an invalid argument.';

CREATE OR REPLACE FUNCTION eventstore.before_ddl() RETURNS event_trigger
AS 'MODULE_PATHNAME', 'pges_before_ddl'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.before_ddl() IS
'Function of the event trigger pg_eventstore_ddl. Before CREATE TABLE eventstore.events with the columns of a store, as in the restore of a dump, it drops the default store and its archive, if the store has never had an event and is not replicated. Before DROP EXTENSION pg_eventstore, it drops both. It rejects commands that rename or move schema eventstore, or tables, functions and types of the extension, or that give the schema to a role that is no superuser.
Errors: 0A000 for a command that it rejects; 2BP01 if another object depends on a default store to be dropped.';

REVOKE EXECUTE ON FUNCTION eventstore.before_ddl() FROM PUBLIC;
