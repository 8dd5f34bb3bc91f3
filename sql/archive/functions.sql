CREATE OR REPLACE FUNCTION eventstore.create_archive(
  store regclass DEFAULT NULL,
  name text DEFAULT NULL,
  tablespace text DEFAULT NULL)
RETURNS regclass
AS 'MODULE_PATHNAME', 'pges_create_archive'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.create_archive(regclass, text, text) IS
'Creates the archive of a store. The archive is a table with the columns of the store, to which archive_events() moves old events. Archived events are immutable. Versions and positions continue after the archived events. Readers also return archived events, unless include_archived is false. A role that has SELECT or UPDATE on the store gets the same privilege on the archive; after a later GRANT or REVOKE, call sync_archive().
If the store already has an archive, the function only raises a notice. If the archive of the store is missing, because its table was dropped or not restored, the function links the restored table, or creates an empty archive with a warning.
store: the store. NULL means the setting pg_eventstore.store.
name: the name of the table, quoted like any SQL name. Without a schema, the table is created in the schema of the store. NULL means the name of the store followed by _archive. If a table with this name and the shape of an archive exists and belongs to the owner of the store, that table becomes the archive.
tablespace: the tablespace of the table and its indexes. NULL means the default tablespace.
Returns the archive. The call waits for open appends to the store, and blocks new appends until its transaction ends.
Errors: 55006 the store is a slot that is being moved; 0A000 the store has additional columns or row security; 42501 the caller is not the owner of the store, or has no privilege to create the table; 42809 a table with this name has another shape; 23505 the events of that table do not come before those of the store; 42704 no such tablespace; 42602, 42622 invalid name; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.sync_archive(store regclass DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_sync_archive'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.sync_archive(regclass) IS
'Copies the grants of SELECT and UPDATE on a store to its archive. The roles that have these privileges on the store, or on its columns, get them on the archive, and all other roles lose them. Other privileges do not change. Call this function after GRANT or REVOKE on the store. After ALTER TABLE ... OWNER TO on the store, first change the owner of the archive, too.
store: the store. NULL means the setting pg_eventstore.store.
Errors: 55006 the store is a slot that is being moved; 42P01 the store has no archive; 55000 its archive is missing, see create_archive(); 42501 the caller is not the owner of the store, or the archive has another owner; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.archive_events(
  store regclass DEFAULT NULL,
  before_position bigint DEFAULT NULL,
  before_time timestamptz DEFAULT NULL,
  aggregate_ids text[] DEFAULT NULL,
  max_count integer DEFAULT NULL,
  dry_run boolean DEFAULT false)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_archive_events'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.archive_events(regclass, bigint, timestamptz, text[], integer, boolean) IS
'Moves events from a store to its archive, oldest first. The events are moved in the transaction of the caller. The call does not block appends or readers. An event stays if its position is above archive_limit(), or if an earlier event of its aggregate stays. If there is no archive and the caller owns the store, the function creates the archive. This fails if another transaction uses the store, so call create_archive() first on a busy store.
store: the store. NULL means the setting pg_eventstore.store.
before_position: only events before this position, which need not be that of an event.
before_time: only events that occurred before this time.
aggregate_ids: only events of these aggregates. At least one of the three conditions must be given. An event must meet all given conditions.
max_count: the maximum number of events to move. NULL means all.
dry_run: if true, the function moves nothing.
Returns the number of events that were moved, or would be moved.
Errors: 55006 the store is a slot that is being moved; 22023 no condition is given, or max_count is not above zero; 55000 the archive of the store is missing, see create_archive(), or a subscription of logical replication fills the store or its archive; 42501 without SELECT and DELETE on the store and INSERT on the archive, or the archive and the store have different owners; 42P01 the store has no archive and the caller does not own the store; 23505 an event that was restored without the triggers, or by logical replication, has an id, version or position of the archive; 42809 the archive is narrower than the store; 09000 a trigger or rule of the store or its archive discards events; 0A000 the archive cannot be created, see create_archive(); 55P03 there is no archive yet, and other transactions use the store; 42P07 a table already has the name of the new archive; 40001 in REPEATABLE READ and SERIALIZABLE, another transaction has archived events since this one began; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE PROCEDURE eventstore.archive_all(
  store regclass DEFAULT NULL,
  before_position bigint DEFAULT NULL,
  before_time timestamptz DEFAULT NULL,
  aggregate_ids text[] DEFAULT NULL,
  aggregate_query text DEFAULT NULL,
  batch_size integer DEFAULT 10000)
AS 'MODULE_PATHNAME', 'pges_archive_all'
LANGUAGE C;

COMMENT ON PROCEDURE eventstore.archive_all(regclass, bigint, timestamptz, text[], text, integer) IS
'Moves events from a store to its archive in batches, and commits each batch. The procedure moves the same events as archive_events(). After each batch it raises a notice. After a cancellation, call the procedure again to continue.
store, before_position, before_time, aggregate_ids: as for archive_events().
aggregate_query: a query that returns one column, the ids of the aggregates to archive. The query takes the place of aggregate_ids, because CALL takes no subqueries. It runs once, before the first batch, as SQL with the rights of the caller: never accept the query from an untrusted person. The ids are kept in memory.
batch_size: the number of events that each batch looks at. NULL means 10000.
If no condition is given, the rules of set_retention() determine which events to move.
Errors: 22023 aggregate_query is empty or returns more than one column, or aggregate_ids is given, too; 42P11 aggregate_query is not a query; 25006 the query, or a function in it, writes; 2D000 in a transaction block; others as archive_events().';

CREATE OR REPLACE FUNCTION eventstore.archive_limit(store regclass DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_archive_limit'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.archive_limit(regclass) IS
'Returns the position up to which events of a store may be archived now. The limit is the lowest of the high-water mark, the positions of the store in eventstore.archive_holds, the checkpoints of its subscriptions, and, with notifications in mode worker, the last announced position. The checkpoint of a partition without events may be up to 255 positions behind the log although the subscription has no lag.
store: the store. NULL means the setting pg_eventstore.store.
Errors: 55000 as high_water_mark(); 42501 without SELECT on the store; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.set_retention(
  store regclass,
  max_age interval DEFAULT NULL,
  max_count_per_aggregate integer DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_set_retention'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.set_retention(regclass, interval, integer) IS
'Sets the rules that decide which events of a store are due for its archive. An event is due if at least one rule makes it due. No event is moved before apply_retention() or archive_all() is called. If a rule is given and there is no archive, the function creates the archive as create_archive() does.
store: the store.
max_age: events that occurred longer ago than this interval are due, such as 2 years. The interval is at most 5000 years. NULL means no such rule.
max_count_per_aggregate: this number of the newest events of each aggregate stays, and all older events are due. NULL means no such rule.
Errors: 55006 the store is a slot that is being moved; 22004 store is NULL; 22023 an age or a count is not above zero, or an age is too great; 55000 the archive of the store is missing, see create_archive(); 0A000 the archive cannot be created, see create_archive(); 42501 the caller is not the owner of the store, or the archive has another owner; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.apply_retention(
  store regclass DEFAULT NULL,
  dry_run boolean DEFAULT true,
  max_count integer DEFAULT NULL)
RETURNS TABLE (rule text, events bigint)
AS 'MODULE_PATHNAME', 'pges_apply_retention'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 2;

COMMENT ON FUNCTION eventstore.apply_retention(regclass, boolean, integer) IS
'Moves the events that are due to the archive, or only counts them. The rules of set_retention() decide which events are due. The events are moved in the transaction of the caller.
store: the store. NULL means the setting pg_eventstore.store.
dry_run: if true, the function moves nothing. For each rule it counts the events that this rule alone would move, so an event may count twice.
max_count: the maximum number of events. NULL means all.
Returns a row for each rule that is set: the name of the rule, and the number of events.
Errors: as archive_events(), but no error if no rule is set.';

CREATE OR REPLACE FUNCTION eventstore.set_archive_hold(
  name text,
  up_to_position bigint,
  store regclass DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_set_archive_hold'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.set_archive_hold(text, bigint, regclass) IS
'Sets, moves or removes a hold on the archiving of a store. A transaction that begins after the hold was committed archives no event after the position of the hold. The holds are the rows of eventstore.archive_holds. A hold is an agreement: every role that may read the store may change or remove any of its holds.
name: the name of the hold, such as that of a reader of the log. If the hold exists, its position is changed.
up_to_position: events up to this position may be archived. NULL removes the hold.
store: the store. NULL means the setting pg_eventstore.store.
Errors: 22004 name is NULL; 22V01 up_to_position is greater than any position that the store has given; 42501 without SELECT on the store; 40001 in REPEATABLE READ and SERIALIZABLE, another transaction has written the hold since this one began; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.skip_lost_hold() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_skip_lost_hold'
LANGUAGE C;

COMMENT ON FUNCTION eventstore.skip_lost_hold() IS
'Trigger function of eventstore.archive_holds: skips rows about stores that do not exist, as a restore without these stores brings them.
Errors: 39P01 the function is used by another trigger.';
REVOKE EXECUTE ON FUNCTION eventstore.skip_lost_hold() FROM PUBLIC;
