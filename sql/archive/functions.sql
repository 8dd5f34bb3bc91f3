CREATE OR REPLACE FUNCTION eventstore.create_archive(
  store regclass DEFAULT NULL,
  name text DEFAULT NULL,
  tablespace text DEFAULT NULL)
RETURNS regclass
AS 'MODULE_PATHNAME', 'pges_create_archive'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.create_archive(regclass, text, text) IS
'Creates the archive of a store: a table like the store''s, to which archive_events() moves old events. Its events are as immutable as those of the store, versions and positions go on from them, and the readers return them when asked with include_archived. Who may read or erase events of the store may do so in the archive; see sync_archive() for what is granted later. Does nothing but raise a notice when the store has one already.
store: NULL means the setting pg_eventstore.store.
name: the table''s name, quoted like any SQL name; without a schema it goes to schema eventstore. NULL means that of the store followed by _archive, in the schema of the store. A table of that name and shape is taken as it is, if it belongs to the owner of the store.
tablespace: where the table and its indexes are kept; NULL means the default tablespace.
Returns the archive. Waits for open appends to the store, and lets others wait, until its transaction ends.
Errors: 0A000 when the store has columns of yours, or row security; 42501 for anyone but the owner of the store, or without the privilege to create; 42809 when a table of that name has another shape; 42704 no such tablespace; 42602, 42622 not a name; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.sync_archive(store regclass DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_sync_archive'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.sync_archive(regclass) IS
'Grants SELECT and UPDATE on the archive of a store, or on columns of it, to whom these are granted on the store, and to nobody else. Other privileges stay as they are. Call it after GRANT or REVOKE on the store. After ALTER TABLE ... OWNER TO on the store, do the same on the archive first.
store: NULL means the setting pg_eventstore.store.
Errors: 42P01 when the store has no archive; 42501 for anyone but the owner of the store, or when the archive has another owner; 25006 in a read-only transaction; 42P01, 42809 no such store.';

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
'Moves events from a store to its archive, oldest first, in the caller''s transaction. Appends go on meanwhile, and so do the readers. Creates the archive if there is none, which takes that nobody uses the store just then; on a busy one call create_archive() first. Never moves an event above archive_limit(), nor one of which the aggregate has an earlier event that stays.
store: NULL means the setting pg_eventstore.store.
before_position: only events before this position.
before_time: only events that occurred before this time.
aggregate_ids: only events of these aggregates. All conditions that are given must hold, and one must be given.
max_count: at most so many events; NULL means all.
dry_run: moves nothing.
Returns how many events it has moved, or would move.
Errors: 22023 without a condition, or when max_count is not above zero; 42501 without SELECT and DELETE on the store and INSERT on the archive, or when the archive has another owner than the store; 23505 when the archive holds an event of the same id, version or position, which a plain INSERT into the store has brought; 0A000 as create_archive(); 55P03 when the archive is yet to be made and others use the store; 42P07 when a table has the name that the archive would have; 40001 in REPEATABLE READ and SERIALIZABLE when somebody else has archived since the transaction began; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE PROCEDURE eventstore.archive_all(
  store regclass DEFAULT NULL,
  before_position bigint DEFAULT NULL,
  before_time timestamptz DEFAULT NULL,
  aggregate_ids text[] DEFAULT NULL,
  batch_size integer DEFAULT 10000)
AS 'MODULE_PATHNAME', 'pges_archive_all'
LANGUAGE C;

COMMENT ON PROCEDURE eventstore.archive_all(regclass, bigint, timestamptz, text[], integer) IS
'Moves events from a store to its archive like archive_events(), batch after batch, and commits each. It can be cancelled, and called again to go on. Raises a notice after each batch.
store, before_position, before_time, aggregate_ids: as for archive_events(). Without a condition, the rules of set_retention() tell what to move.
batch_size: how many events to look at for each batch; NULL means 10000.
Errors: as archive_events(); 2D000 in a transaction block.';

CREATE OR REPLACE FUNCTION eventstore.archive_limit(store regclass DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_archive_limit'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.archive_limit(regclass) IS
'The position up to which events of a store may be archived now: the lowest of the high-water mark, the rows of eventstore.archive_holds, and, with notifications in mode worker, what was announced.
store: NULL means the setting pg_eventstore.store.
Errors: 42501 without SELECT on the store; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.set_retention(
  store regclass,
  max_age interval DEFAULT NULL,
  max_count_per_aggregate integer DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_set_retention'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.set_retention(regclass, interval, integer) IS
'Sets which events of a store are due for its archive. An event is due when one of the rules says so. Nothing moves before apply_retention() or archive_all() is called.
store: the store.
max_age: events that occurred longer ago are due, such as 2 years; at most 5000 years. NULL means no such rule.
max_count_per_aggregate: of each aggregate, all but so many of its newest events are due; NULL means no such rule.
Creates the archive if a rule is given and there is none, as create_archive() does.
Errors: 22004 no store, 22023 an age or a count that is not above zero, or an age that is too great; 0A000 as create_archive(); 42501 for anyone but the owner of the store, or when the archive has another owner; 25006 in a read-only transaction; 42P01, 42809 no such store.';

CREATE OR REPLACE FUNCTION eventstore.apply_retention(
  store regclass DEFAULT NULL,
  dry_run boolean DEFAULT true,
  max_count integer DEFAULT NULL)
RETURNS TABLE (rule text, events bigint)
AS 'MODULE_PATHNAME', 'pges_apply_retention'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 2;

COMMENT ON FUNCTION eventstore.apply_retention(regclass, boolean, integer) IS
'Moves what is due by the rules of set_retention() to the archive, in the caller''s transaction, or tells how much it is.
store: NULL means the setting pg_eventstore.store.
dry_run: moves nothing, and counts for each rule what it alone would move.
max_count: at most so many events; NULL means all.
Returns a row for each rule that is set: its name, and the number of events.
Errors: as archive_events(), but none without a rule.';

CREATE OR REPLACE FUNCTION eventstore.set_archive_hold(
  name text,
  up_to_position bigint,
  store regclass DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_set_archive_hold'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.set_archive_hold(text, bigint, regclass) IS
'Holds the archiving of a store back: no event after a position is archived by a transaction that begins after this one was committed. Writes eventstore.archive_holds.
name: who holds back, such as a reader of the log. A name that is there gets the new position.
up_to_position: events up to it may be archived; NULL removes the hold.
store: NULL means the setting pg_eventstore.store.
Errors: 22004 when name is NULL; 42501 without SELECT on the store; 40001 in REPEATABLE READ and SERIALIZABLE when somebody else has written the hold since the transaction began; 25006 in a read-only transaction; 42P01, 42809 no such store.';
