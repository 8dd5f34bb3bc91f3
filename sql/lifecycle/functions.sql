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
'Creates a store: an events table with its sequence, indexes and triggers. Does nothing but raise a notice when the store is already there.
name: the table''s name, quoted like any SQL name; without a schema it goes to schema eventstore.
notifications: "worker" (a background worker sends a NOTIFY after commits), "commit" (one NOTIFY per appending transaction, sent at commit) or "off".
channel: the NOTIFY channel; NULL means schema_table.
create_schema_if_missing: whether a missing schema is created.
indexes: which indexes a new store gets beside those that every store has, on event_id, on aggregate_id and aggregate_version, and on position. Each serves one kind of read and costs every append. To choose from: event_type, aggregate_type, correlation_id and causation_id, for get_events_by_ the same; occurred_at, for your own queries by time; event_type_position and aggregate_type_position, for read_events() of rare types. NULL means all but the last two; without its index a read goes through the whole store.
Returns the store.
Errors: 42809 when a table of that name has another shape, with the first difference; 3F000 when the schema is missing and may not be created; 42501 without the privilege to create; 42602, 42622, 22023 or 22004 for a bad argument.';

CREATE OR REPLACE FUNCTION eventstore.drop_store(store regclass, force boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_drop_store'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.drop_store(regclass, boolean) IS
'Drops a store that holds no events, or with force any store and all its events.
Errors: 55006 when the store holds events and force is false; 42809 when the table is no store; 42501 for anyone but the owner of the store, or when its archive has another owner; 2BP01 when something depends on it.';

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
channel: the NOTIFY channel; NULL keeps the present one.
Errors: 42809 when the table is no store; 42501 for anyone but its owner; 22023 or 22004 for a bad argument.';

CREATE OR REPLACE FUNCTION eventstore.apply_default_store_options() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_apply_default_store_options'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.apply_default_store_options() IS
'Trigger function of eventstore.default_store_options, and of no other table: gives the default store the options that are inserted.';

REVOKE EXECUTE ON FUNCTION eventstore.apply_default_store_options() FROM PUBLIC;
