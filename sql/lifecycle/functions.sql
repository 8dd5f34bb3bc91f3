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
'Creates a store: a table of events with its sequence, indexes and triggers. If the store already exists, the function raises a notice, and puts back triggers that are missing. If a table with this name has the shape of a store, the table becomes a store, and a table of the same owner beside it that has the default name and the shape of its archive becomes its archive.
name: the name of the table, quoted like any SQL name. Without a schema, the table is created where CREATE TABLE creates it, in the first schema of the search_path.
notifications: "worker" (a background worker sends a NOTIFY after commits), "commit" (each appending transaction sends one NOTIFY at commit) or "off".
channel: the channel of the notifications. NULL means the names of the schema and the table, joined by an underscore.
create_schema_if_missing: whether a missing schema is created.
indexes: the optional indexes of a new store. Every store has indexes on event_id, on aggregate_id and aggregate_version, and on position. Each optional index serves one kind of read, and slows down every append. event_type, aggregate_type, correlation_id and causation_id each serve the reader by that column. occurred_at serves your own queries by time. event_type_position and aggregate_type_position serve read_events() of rare types. NULL means all but the last two. A read without its index scans the whole store.
Returns the store.
Errors: 42809 a table with this name has another shape, DETAIL has the first difference; 0A000 the table is temporary, or has child tables, or is distributed by Citus; 23505 the events of its former archive do not come before its own; 3F000 the schema is missing and create_schema_if_missing is false, or the search_path has no schema to create in; 42501 without the privilege to create; 42602, 42622, 22023, 22004 invalid arguments; 25006 in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.create_slots(
  name text,
  slots integer,
  only_slots integer[] DEFAULT NULL,
  notifications text DEFAULT 'worker',
  channel text DEFAULT NULL,
  create_schema_if_missing boolean DEFAULT true,
  indexes text[] DEFAULT NULL)
RETURNS SETOF regclass
AS 'MODULE_PATHNAME', 'pges_create_slots'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 16;

COMMENT ON FUNCTION eventstore.create_slots(text, integer, integer[], text, text, boolean, text[]) IS
'Creates slots of a sliced store. The aggregates of a sliced store are spread over several stores, which may be on several servers. Each slot is a store of its own, with the name of the sliced store, an underscore and the number of the slot: shop.orders_000, shop.orders_001. An append or read of an aggregate of another slot is rejected. Slots that exist already only raise a notice.
name: the name of the sliced store. No table has this name.
slots: the number of slots, a power of two from 2 to 1024, which cannot be changed later. It is the same on all servers.
only_slots: the numbers of the slots to create here, from 0; NULL means all.
notifications, channel, create_schema_if_missing, indexes: as for create_store(), for each slot. If a channel is given, all slots use it.
Returns the stores.
Errors: 42710 the sliced store has another number of slots, or a table with the name of a slot is a store, but not this slot; 22023 the number of slots, or of a slot, is not possible; 42622 the name is too long; others as create_store().';

CREATE OR REPLACE FUNCTION eventstore.drop_store(store regclass, force boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_drop_store'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.drop_store(regclass, boolean) IS
'Drops a store that has no events, with its archive and its subscriptions.
store: the store.
force: if true, a store with events is dropped, too.
Errors: 55006 the store or its archive has events and force is false; 42501 the caller is not the owner of the store, or its archive has another owner; 2BP01 another object depends on the store; 22004 store is NULL; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.empty_store(store regclass)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_empty_store'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.empty_store(regclass) IS
'Deletes all events of a store and its archive, for tests. The function works only in a database for which the setting pg_eventstore.test_database is on, such as by ALTER DATABASE shop_test SET pg_eventstore.test_database = on. It also deletes the holds of the store, and the parked events of its subscriptions. Positions continue after those of the deleted events, so checkpoints of readers stay valid. Versions begin at 1 again.
store: the store. Foreign keys that refer to the store apply as for any DELETE.
Returns the number of deleted events. The call waits for open appends to the store, and blocks new appends until its transaction ends.
Errors: 55000 the setting is off; 42501 the caller is not the owner of the store, or the archive has another owner, or row security applies to the owner; 23503 rows of another table refer to events; 09000 a trigger keeps events; 22004 store is NULL; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.set_notifications(
  store regclass,
  mode text,
  channel text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_set_notifications'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.set_notifications(regclass, text, text) IS
'Changes how a store announces new events.
store: the store.
mode: "worker" (a background worker sends a NOTIFY after commits), "commit" (each appending transaction sends one NOTIFY at commit) or "off".
channel: the channel of the notifications. NULL keeps the present channel.
Errors: 42501 the caller is not the owner of the store; 22023, 22004 invalid arguments; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.before_ddl() RETURNS event_trigger
AS 'MODULE_PATHNAME', 'pges_before_ddl'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.before_ddl() IS
'Function of the event trigger pg_eventstore_ddl: protects the names of the objects of the extension, and lets a dump replace an unused default store. Before CREATE TABLE eventstore.events with the columns of a store, as in the restore of a dump, the function drops the default store and its archive, if the store has never had an event and is not replicated. Before DROP EXTENSION pg_eventstore, it drops both. It rejects commands that rename or move schema eventstore, or tables, functions and types of the extension, or that give the schema to a role that is no superuser.
Errors: 0A000 a command that is rejected; 2BP01 another object depends on a default store to be dropped; 39P03 the function is used by another event trigger.';

REVOKE EXECUTE ON FUNCTION eventstore.before_ddl() FROM PUBLIC;

CREATE OR REPLACE FUNCTION eventstore.lock_slot(store regclass) RETURNS void
AS 'MODULE_PATHNAME', 'pges_lock_slot'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.lock_slot(regclass) IS
'Begins the move of a slot. Until the transaction ends, archiving, erasing and restores of the slot raise 55006, and its definition cannot be altered. Appends and reads go on. pg_eventstore_cluster calls this function. Requires ownership of the store.
store: the slot.
Errors: 42809 the store is no slot; 42501 not the owner; 42P01 no such store; 25006 on a standby or in a read-only transaction; 22004 store is NULL.';

CREATE OR REPLACE FUNCTION eventstore.set_slot_arriving(store regclass, arriving boolean) RETURNS void
AS 'MODULE_PATHNAME', 'pges_set_slot_arriving'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.set_slot_arriving(regclass, boolean) IS
'Sets whether a slot is arriving. Each use of an arriving slot raises 42P01, because the slot is on another server until its move is complete. pg_eventstore_cluster calls this function. If another server has the slot, never make an arriving slot usable: both would accept appends. Requires ownership of the store.
store: the slot.
arriving: false makes the slot usable.
Errors: 42809 the table is no slot; 42501 not the owner; 42P01 no such table; 25006 on a standby or in a read-only transaction; 22004 an argument is NULL.';
