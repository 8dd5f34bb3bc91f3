CREATE OR REPLACE FUNCTION eventstore.create_projection(
  name text,
  handler regprocedure,
  mode text DEFAULT 'async',
  store regclass DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  start_position bigint DEFAULT 0,
  tables regclass[] DEFAULT '{}',
  batch_size integer DEFAULT 1000,
  on_error text DEFAULT 'stop',
  max_attempts integer DEFAULT 5,
  backoff interval DEFAULT '1 second')
RETURNS void
AS 'MODULE_PATHNAME', 'pges_create_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.create_projection(text, regprocedure, text, regclass, text[], text[], bigint, regclass[], integer, text, integer, interval) IS
'Creates a projection: the server calls a function with the events of a store. The function, the handler, keeps tables up to date. The calling role owns the projection, and every role that is a member of the owner may change it. If a projection with this name, mode, handler, store, types and tables exists, the function only raises a notice and changes nothing; alter_projection() changes it. A projection is also a subscription of the same name.
name: the name of the projection, from 1 to 255 characters.
handler: the function, with one argument. If its type is eventstore.event, the handler is called once for each event; if it is eventstore.event[], once for each batch, in order of position. Its result is not used. The handler runs with the rights of the owner of the projection, in a security restricted operation, and the search_path is the schema of the handler. It must belong to the owner of the projection, or to a role that is a member of the owner. It must not append to the store of the projection.
mode: "async" calls the handler after the commit of the append, in a background worker. "inline" calls it in the transaction that appends: an error of the handler undoes the append. "manual" calls it only when a session calls run_projection().
store: the store. NULL means the setting pg_eventstore.store.
event_types, aggregate_types: only events of these types. NULL and an empty array mean all.
start_position: events after this position. 0 means all events, NULL means only events that are appended from now on. An inline projection handles the events that the store has first: here if there are at most batch_size, otherwise in the background worker. An error of the handler is then an error of the call.
tables: the tables that the handler fills. Only rebuild_projection() uses them.
batch_size: the maximum number of events in one transaction of the worker, from 1 to 100000.
on_error: what happens to an event for which the handler raises an error. "stop" tries it again, for ever; no later event is handled before it succeeds. "park" parks the event after max_attempts, with the later events of its aggregate, see replay_parked(). "skip" parks this event alone. An inline projection allows only "stop".
max_attempts: the number of attempts before an event is parked, from 1 to 1000000.
backoff: the pause after a failure, at most 1 day. The pause doubles with each failure of the same event, up to 1 minute. An error with another cause than the event, such as a deadlock, is no attempt.
Errors: 42710 a projection with this name has another definition, or there is such a subscription; 42P13 the function cannot be a handler; 22023, 22004 invalid arguments; 0A000 on_error does not fit the mode; 22V01 start_position is greater than any position that the store has given; 42501 without SELECT on the store, without EXECUTE on the handler, or for a handler of a role that is no member of the owner, without INSERT on a table, or without TRIGGER on the store of an inline projection; 25006 on a standby or in a read-only transaction; 42P01, 42809 no such store or table, or a table that is a store or belongs to an extension or the system; 42883 no such function.';

CREATE OR REPLACE FUNCTION eventstore.alter_projection(
  name text,
  handler regprocedure DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  tables regclass[] DEFAULT NULL,
  batch_size integer DEFAULT NULL,
  on_error text DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  backoff interval DEFAULT NULL,
  owner name DEFAULT NULL,
  mode text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_alter_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.alter_projection(text, regprocedure, text[], text[], regclass[], integer, text, integer, interval, name, text) IS
'Changes a projection. An argument that is NULL keeps the present value. The change takes effect in runs that begin after the commit. Events that were handled are not handled again, see rebuild_projection().
name, handler, tables, batch_size, on_error, max_attempts, backoff: as for create_projection().
event_types, aggregate_types: the types of the events that are handled from now on. An empty array means all types.
owner: the new owner. The caller must be a member of both roles. The new owner must have the rights that create_projection() requires.
mode: the new mode, as for create_projection(). No event is handled twice and none is left out. If an inline projection stops to be inline, or another one is to be inline, the call waits for open appends to the store, and locks out others until the end of the transaction.
Errors: 42704 no such projection, or no such role; 55006 the projection is being rebuilt; 55000 it is to be inline, but has parked events; 55P03 an open transaction holds a position of the store; 42P13, 22023, 22004, 0A000, 42501, 42809 as create_projection(); 42501 the caller is not a member of the owner; 40001 in REPEATABLE READ or SERIALIZABLE, another transaction has changed the projection; 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.drop_projection(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_drop_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.drop_projection(text) IS
'Drops a projection with its progress and its parked events, and a rebuild of it. The tables stay. For a rebuild, named as rebuild_projection() returned it, ends the rebuild. For an inline projection, the call locks the store until the end of the transaction: readers and appends wait, so commit at once.
name: the projection.
Errors: 42704 no such projection; 22004 name is NULL; 42501 the caller is not a member of the owner; 40001 as alter_projection(); 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.pause_projection(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_pause_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.pause_projection(text) IS
'Pauses a projection. After the batch that a worker may be handling, which still commits, no event is handled until resume_projection() is called. Appends to the store of an inline projection then succeed without it. For an inline projection, the call waits for open appends to the store, and locks out others until the end of the transaction.
name: the projection.
Errors: as drop_projection(); 55P03 an open transaction holds a position of the store.';

CREATE OR REPLACE FUNCTION eventstore.resume_projection(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_resume_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.resume_projection(text) IS
'Ends a pause of a projection, and tries a failed event again at once. The count of attempts begins anew. An inline projection handles the events that it has missed in the background worker, and then is inline again.
name: the projection.
Errors: as drop_projection().';

CREATE OR REPLACE FUNCTION eventstore.run_projection(
  name text,
  max_count integer DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_run_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.run_projection(text, integer) IS
'Handles the next events of a projection in the transaction of the caller. If another transaction handles events of the projection, the function handles none. An error of the handler is an error of the call. A session or a job calls the function for a projection in mode "manual", or if no background worker can run.
name: the projection.
max_count: the maximum number of events. NULL means the batch size of the projection.
Returns the number of events that were handled. For a rebuild, 0 also means that it has ended.
Errors: 22023 max_count is less than 1; 42704, 42501, 22004 as drop_projection(); 42883 the handler does not exist; 0A000 in REPEATABLE READ or SERIALIZABLE, as the handler would not see what other transactions commit; 25001 for a rebuild, the transaction has used one of the tables; 55000 the handler of a rebuild was replaced, or the handler appended to the store of the projection, or the archive of the store is missing; 42P01 the store was dropped; 25006 on a standby or in a read-only transaction.';

CREATE OR REPLACE FUNCTION eventstore.run_inline() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_run_inline'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.run_inline() IS
'Trigger after INSERT on a store: runs an inline projection with the events of the statement. create_projection() creates the trigger. An error of the handler is an error of the statement.
Errors: 39P01 not called as that trigger; 0A000 in REPEATABLE READ or SERIALIZABLE; 55000 the handler of a projection appended to its store.';

CREATE OR REPLACE FUNCTION eventstore.rebuild_projection(
  name text,
  in_place boolean DEFAULT false)
RETURNS text
AS 'MODULE_PATHNAME', 'pges_rebuild_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.rebuild_projection(text, boolean) IS
'Begins to rebuild the tables of a projection from the events. Its handler gets all events after the start position of the projection again. If a rebuild has begun, it begins anew. The background worker does the work; for a projection in mode "manual", run_projection() with the name of the rebuild does. The old rows stay readable, and the projection keeps them up to date, until the rebuild has handled all events. Then the rows are exchanged in one transaction. If the handler is replaced before that, the rebuild begins anew.
The rebuild fills copies of the tables, in a schema that comes first in its search_path. A handler that writes the names of its tables with their schema does not use the copies. Then, and if a table has a trigger, a foreign key or an identity column, the rebuild handles all events in one transaction instead, and the projection stands still meanwhile.
name: the projection.
in_place: whether to empty the tables at once, and to handle all events in the tables themselves. Readers then see tables that are not complete. An inline projection is not inline meanwhile. NULL means false.
Returns the name of the rebuild, which view projections shows while it runs: the name of the projection with ".rebuild" at the end. Or the name of the projection, if in_place is true.
Errors: 55000 the projection has no tables; 0A000 a foreign key references a table, another projection has one of the tables, or an inline projection cannot be rebuilt beside its tables; 55006 the name is that of a rebuild; 42P01 a table was dropped; 42710 there is a subscription with the name of the rebuild; others as drop_projection().';
