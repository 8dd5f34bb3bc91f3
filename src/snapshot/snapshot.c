/*
 * snapshot.c
 *		Finds, saves and deletes snapshots: the rows of eventstore.snapshots.
 *
 * A snapshot is derived data: the state of an aggregate at one of its versions.  Clients
 * save snapshots of their own, and the snapshots of a named state are saved when the state
 * is read.  A row of a state has a fingerprint of the definition of its reducer, so a
 * changed reducer does not find it.
 *
 * A snapshot is valid for a reader if the reader sees both the row and the event that the
 * snapshot was saved at, by version and id.  Both are looked up under the snapshot of the
 * database under which the reader reads the later events.  So a snapshot never belongs to
 * events that were rolled back, that the reader does not see yet, or that were replaced.
 *
 * An erasure deletes the snapshots of its aggregate.  A saver may have read the events
 * before the erasure, so:
 *
 *	-	A saver locks the snapshots of the aggregate until its transaction ends.  The
 *		erasure locks them, too.  So an erasure waits for an open saver, and deletes what
 *		was saved.  A saver that comes later finds the record of the erasure.
 *	-	A saver never waits for the lock.  If the lock is not free, nothing is saved.  So
 *		the lock takes part in no deadlock with the locks on aggregates: the erasure
 *		acquires it before the lock on the aggregate.
 *	-	A saver saves nothing if an erasure of the aggregate may have ended after the
 *		saver has read events: for a state, under the snapshot of the database that was
 *		used; for a client, at the first read of its transaction.  If the transaction of
 *		the client has read nothing, any erasure of the aggregate counts.
 *
 * A snapshot would show what row security hides.  So it is neither used nor saved for a
 * role to which row security of the store applies.  A store that logical replication fills
 * has no snapshots, because erasures arrive there as ordinary updates.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/timestamp.h"
#include "utils/snapmgr.h"

#include "base/act_as.h"
#include "base/own_object.h"
#include "position/position.h"
#include "slot/slot.h"
#include "snapshot/snapshot.h"
#include "snapshot/state.h"

const PgesOwnTable pges_snapshot_rows = {
	"snapshots", 9,
	{
		{"store", InvalidOid},
		{"aggregate_id", TEXTOID},
		{"state_name", TEXTOID},
		{"aggregate_version", INT4OID},
		{"fingerprint", BYTEAOID},
		{"event_id", TEXTOID},
		{"occurred_until", TIMESTAMPTZOID},
		{"saved_at", TIMESTAMPTZOID},
		{"state", JSONBOID}
	}
};

/* The rows of one aggregate: the store is $1, the aggregate $2. */
#define OF_AGGREGATE \
	"WHERE store::pg_catalog.oid OPERATOR(pg_catalog.=) $1 " \
	"AND aggregate_id OPERATOR(pg_catalog.=) $2 "

/* The rows of one aggregate that a state has, or that clients have saved: the name is $3. */
#define OF_KEY OF_AGGREGATE \
	"AND state_name OPERATOR(pg_catalog.=) $3 "

static PgesOwnStatement find_newest = {
	{&pges_snapshot_rows}, true,
	"SELECT aggregate_version, event_id, occurred_until, saved_at, state FROM eventstore.snapshots "
	OF_KEY "AND fingerprint OPERATOR(pg_catalog.=) $4 AND aggregate_version OPERATOR(pg_catalog.<=) $5 "
	"AND occurred_until OPERATOR(pg_catalog.<=) $6 ORDER BY aggregate_version DESC LIMIT 1",
	6, {OIDOID, TEXTOID, TEXTOID, BYTEAOID, INT4OID, TIMESTAMPTZOID},.active = true
};

/* Clients replace a snapshot of the same version. */
static PgesOwnStatement delete_same = {
	{&pges_snapshot_rows}, false,
	"DELETE FROM eventstore.snapshots "
	OF_KEY "AND aggregate_version OPERATOR(pg_catalog.=) $4",
	4, {OIDOID, TEXTOID, TEXTOID, INT4OID}
};

/* A state keeps one snapshot of each aggregate, the newest. */
static PgesOwnStatement delete_older = {
	{&pges_snapshot_rows}, false,
	"DELETE FROM eventstore.snapshots "
	OF_KEY "AND (aggregate_version OPERATOR(pg_catalog.<=) $4 OR fingerprint OPERATOR(pg_catalog.<>) $5)",
	5, {OIDOID, TEXTOID, TEXTOID, INT4OID, BYTEAOID}
};

static PgesOwnStatement find_newer = {
	{&pges_snapshot_rows}, true,
	"SELECT FROM eventstore.snapshots " OF_KEY "AND aggregate_version OPERATOR(pg_catalog.>) $4",
	4, {OIDOID, TEXTOID, TEXTOID, INT4OID}
};

static PgesOwnStatement insert_snapshot = {
	{&pges_snapshot_rows}, false,
	"INSERT INTO eventstore.snapshots (store, aggregate_id, state_name, aggregate_version, fingerprint, "
	"event_id, occurred_until, state, saved_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, pg_catalog.now()) "
	"ON CONFLICT DO NOTHING",
	8, {REGCLASSOID, TEXTOID, TEXTOID, INT4OID, BYTEAOID, TEXTOID, TIMESTAMPTZOID, JSONBOID}
};

static PgesOwnStatement delete_of_aggregate = {
	{&pges_snapshot_rows}, false,
	"DELETE FROM eventstore.snapshots " OF_AGGREGATE,
	2, {OIDOID, TEXTOID}
};

static PgesOwnStatement delete_of_store = {
	{&pges_snapshot_rows}, false,
	"DELETE FROM eventstore.snapshots WHERE store::pg_catalog.oid OPERATOR(pg_catalog.=) $1",
	1, {OIDOID}
};

/* The event of an aggregate that has a version. */
static const PgesStatement event_at_version = {
	"SELECT event_id FROM %1$s WHERE aggregate_id OPERATOR(pg_catalog.=) $1 "
	"AND aggregate_version OPERATOR(pg_catalog.=) $2",
	2, {TEXTOID, INT4OID}
};

/* Make the key of the snapshots that clients save. */
void
pges_make_client_key(PgesSnapshotKey *key)
{
	key->state_name = CStringGetTextDatum("");
	key->fingerprint = PointerGetDatum(cstring_to_text(""));	/* an empty bytea */
}

/*
 * Return whether row security of a store applies to the role that reads it: the user, or
 * the owner of the store if the user acts as the owner.
 */
static bool
has_row_security(const PgesStore *store)
{
	PgesIdentity caller;
	bool		as_owner = pges_act_as_owner(&caller, store);
	bool		enabled = check_enable_rls(store->live.relid, InvalidOid, true) == RLS_ENABLED;

	if (as_owner)
		pges_become_again(&caller);
	return enabled;
}

/*
 * Begin to read an aggregate of a locked store under the active snapshot, up to its last
 * event.  The caller narrows to_version and at.
 */
void
pges_begin_read(PgesAggregateRead *read, const PgesStore *store, text *aggregate_id)
{
	pges_check_slot(store, aggregate_id);
	read->scope = pges_scope_to_read(&store, true);
	read->store = store;
	read->aggregate_id = aggregate_id;
	read->to_version = PG_INT32_MAX;
	read->at = DT_NOEND;
	read->snapshots = !pges_is_subscribed(store->live.relid) && !has_row_security(store);
}

/* Return a copy of a column of the row that SPI found, which is not null. */
static Datum
copy_found(MemoryContext context, int column)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);

	value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	MemoryContextSwitchTo(caller);
	return value;
}

/* Look up the newest snapshot up to a version, valid or not.  SPI must be connected. */
static bool
look_up(const PgesAggregateRead *read, const PgesSnapshotKey *key, int32 max_version,
		MemoryContext context, PgesSnapshot *snapshot)
{
	Datum		values[] = {ObjectIdGetDatum(read->store->live.relid), PointerGetDatum(read->aggregate_id),
		key->state_name, key->fingerprint, Int32GetDatum(max_version),
	TimestampTzGetDatum(read->at)};

	if (pges_run_own_statement(&find_newest, values, NULL) == 0)
		return false;
	snapshot->version = pges_found_int32(1);
	snapshot->event_id = pges_found_text(context, 2);
	snapshot->occurred_until = pges_found_int64(3, 0);
	snapshot->saved_at = pges_found_int64(4, 0);
	snapshot->state = copy_found(context, 5);
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/* Return whether the row that SPI found is the event of a snapshot. */
static bool
found_event_of(const PgesSnapshot *snapshot)
{
	const text *id = SPI_processed > 0 && snapshot->event_id ? pges_found_text(CurrentMemoryContext, 1) : NULL;

	return id && VARSIZE_ANY_EXHDR(id) == VARSIZE_ANY_EXHDR(snapshot->event_id) &&
		memcmp(VARDATA_ANY(id), VARDATA_ANY(snapshot->event_id), VARSIZE_ANY_EXHDR(id)) == 0;
}

/*
 * Return whether the user sees the event of a snapshot, under the active snapshot.  This
 * also checks that the user may read the store.  SPI must be connected.
 */
static bool
sees_event_of(const PgesAggregateRead *read, const PgesSnapshot *snapshot)
{
	Datum		values[] = {PointerGetDatum(read->aggregate_id), Int32GetDatum(snapshot->version)};

	(void) pges_run_statement(read->store, read->scope, &event_at_version, values, NULL, true, NULL);
	return found_event_of(snapshot);
}

/* Return whether a role may read a table, or all of its columns. */
bool
pges_may_read(Oid relid, Oid role)
{
	return pg_class_aclcheck(relid, role, ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(relid, role, ACL_SELECT, ACLMASK_ALL) == ACLCHECK_OK;
}

/* Raise an error unless the user may read all columns of the store and its archive. */
void
pges_check_readable(const PgesAggregateRead *read)
{
	const PgesSnapshot none = {0};
	const Oid	tables[] = {read->store->live.relid, read->store->archive.relid};

	for (int i = 0; i < lengthof(tables); i++)
	{
		if (OidIsValid(tables[i]) && !pges_may_read(tables[i], GetUserId()))
			aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(tables[i]));
	}
	SPI_connect();
	(void) sees_event_of(read, &none);
	SPI_finish();
}

/*
 * Find the newest valid snapshot that a read can begin with.  Return false, with version
 * 0, if there is none.
 */
bool
pges_find_snapshot(const PgesAggregateRead *read, const PgesSnapshotKey *key, PgesSnapshot *snapshot)
{
	MemoryContext context = CurrentMemoryContext;
	int32		max_version = read->to_version;
	bool		valid = false;

	pges_note_read();
	snapshot->version = 0;
	if (!read->snapshots)
		return false;
	SPI_connect();
	while (!valid && max_version > 0 && look_up(read, key, max_version, context, snapshot))
	{
		valid = sees_event_of(read, snapshot);
		max_version = snapshot->version - 1;
	}
	SPI_finish();
	if (!valid)
		snapshot->version = 0;
	return valid;
}

/* Insert a snapshot.  SPI must be connected. */
static void
insert(const PgesAggregateRead *read, const PgesSnapshotKey *key, const PgesSnapshot *snapshot)
{
	Datum		values[] = {ObjectIdGetDatum(read->store->live.relid), PointerGetDatum(read->aggregate_id),
		key->state_name, Int32GetDatum(snapshot->version), key->fingerprint,
		PointerGetDatum(snapshot->event_id), TimestampTzGetDatum(snapshot->occurred_until),
	snapshot->state};

	(void) pges_run_own_statement(&insert_snapshot, values, NULL);
}

/* Raise the error that an aggregate does not have the version of a snapshot. */
static void
report_no_version(const PgesAggregateRead *read, int32 version)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("aggregate \"%s\" has no event with version %d",
					text_to_cstring(read->aggregate_id), version),
			 errdetail("A snapshot is the state after an event of store %s.", read->store->live.qualified_name)));
}

/*
 * Lock the snapshots of an aggregate, and return whether a snapshot may be saved: the lock
 * is free, the event is still there, and no erasure may have ended after the state was
 * read.  All that had ended before "xmin" was in what was read.  SPI must be connected.
 */
static bool
may_save(const PgesAggregateRead *read, const PgesSnapshot *snapshot, TransactionId xmin)
{
	Datum		values[] = {PointerGetDatum(read->aggregate_id), Int32GetDatum(snapshot->version)};

	return pges_lock_snapshots_of(read->store, read->aggregate_id, false) &&
		pges_when_erased(read->store->live.relid, read->aggregate_id, xmin) != PGES_ERASED_SINCE &&
		pges_fetch_one_now(read->store, read->scope, &event_at_version, values) &&
		found_event_of(snapshot);
}

/*
 * Save a snapshot that a client has made, in place of one of the same version.  Return
 * false, and save nothing, if another transaction is saving a snapshot of the aggregate or
 * erasing it, or if the client may have read it before an erasure.
 */
bool
pges_save_client_snapshot(const PgesAggregateRead *read, PgesSnapshot *snapshot)
{
	MemoryContext context = CurrentMemoryContext;
	PgesSnapshotKey key;
	Datum		event[] = {PointerGetDatum(read->aggregate_id), Int32GetDatum(snapshot->version)};
	Datum		same[] = {ObjectIdGetDatum(read->store->live.relid), event[0], (Datum) 0, event[1]};
	bool		save;

	SPI_connect();
	if (!pges_fetch_one_now(read->store, read->scope, &event_at_version, event))
		report_no_version(read, snapshot->version);
	snapshot->event_id = pges_found_text(context, 1);
	snapshot->occurred_until = DT_NOBEGIN;
	save = may_save(read, snapshot, pges_first_read_xmin());
	if (save)
	{
		pges_make_client_key(&key);
		same[2] = key.state_name;
		(void) pges_run_own_statement(&delete_same, same, NULL);
		insert(read, &key, snapshot);
	}
	SPI_finish();
	return save;
}

/*
 * Save the snapshot of a state in place of older ones, if that is possible without
 * waiting.  If an old snapshot of the database has hidden a newer one, that one stays.  The
 * transaction must be able to write.  The state was computed under the active snapshot.
 */
void
pges_try_to_save(const PgesAggregateRead *read, const PgesSnapshotKey *key, const PgesSnapshot *snapshot)
{
	Datum		older[] = {ObjectIdGetDatum(read->store->live.relid), PointerGetDatum(read->aggregate_id),
	key->state_name, Int32GetDatum(snapshot->version), key->fingerprint};

	SPI_connect();
	if (may_save(read, snapshot, GetActiveSnapshot()->xmin))
	{
		(void) pges_run_own_statement(&delete_older, older, NULL);
		if (pges_run_own_statement(&find_newer, older, NULL) == 0)
			insert(read, key, snapshot);
	}
	SPI_finish();
}

/*
 * Delete the snapshots of an aggregate whose events are being erased.  The aggregate is
 * locked.  Wait for transactions that have saved such snapshots, and block others.
 */
void
pges_forget_snapshots_of(const PgesStore *store, const text *aggregate_id)
{
	Datum		values[] = {ObjectIdGetDatum(store->live.relid), PointerGetDatum(aggregate_id)};

	(void) pges_lock_snapshots_of(store, aggregate_id, true);
	SPI_connect();
	(void) pges_run_own_statement(&delete_of_aggregate, values, NULL);
	SPI_finish();
}

/*
 * Delete all snapshots of a store.  No other transaction saves any: the store is being
 * created or dropped, or the caller has called pges_lock_snapshots().
 */
void
pges_forget_snapshots(Oid store)
{
	Datum		value = ObjectIdGetDatum(store);

	SPI_connect();
	(void) pges_run_own_statement(&delete_of_store, &value, NULL);
	SPI_finish();
}
