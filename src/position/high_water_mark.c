/*
 * high_water_mark.c
 *		The high-water mark of a store: the position at or below which nothing
 *		can appear any more.
 *
 * Before its first position, a transaction that appends acquires the guard of the
 * next position; see position.c.  With W the mark that this backend knows already,
 * a reader does:
 *
 *	R1	H := the last position that the sequence has assigned
 *	R2	find the lowest position p from W + 1 to H whose guard another session holds
 *	R3	if there is one: W := p - 1, otherwise W := H
 *	R4	take a fresh snapshot
 *	R5	read the rows at or below W under that snapshot
 *
 * R1 to R3 are pges_high_water_mark(), R4 and R5 are read_log.c.
 *
 * Why no row can appear at or below W later, for any snapshot from R4 on.  Let
 * T be a transaction that appends, n the position of its guard, v the moment at
 * which T acquired it.  At v the sequence had assigned the positions below n and
 * no others.  T holds the guard until it has left the proc array.
 *
 * - While T is open, W < n in every session.  A W found from an H of before v is at
 *   most that H, which is at most n - 1.  For a later H, R2 looks at n if H >= n, as
 *   W + 1 <= n, and finds T's guard.
 * - So a session that moves W to or past p, a position of T, does so when T has
 *   ended, and T's rows, if it committed, are visible from R4 on.  A transaction
 *   that is still to begin cannot get p: the sequence has passed it (R1).
 *
 * It does not matter from which W a session starts: all sessions that do R1 to R3 at
 * the same time find the same mark.  If a session has found W, every guard that is
 * open then or acquired later is above W.  So any session that looks afterwards,
 * also for the first time, finds W or more.  This is why an announcement of W can be
 * read by every session at once.
 *
 * R1 before R2 before R4 is all that matters.  The sequence's page, the lock
 * table and the proc array are read under lightweight locks, which are full
 * barriers.  A statement that calls the function and compares with its result
 * is no reader in this sense: its snapshot is older than the mark.
 *
 * A session that is far behind starts at the watermark, which is a W that another
 * session has found.  If it still is far behind, it reads the lock table as a whole
 * instead of asking for each position.
 *
 * The tag of a guard has the lower 32 bits of the position.  They are taken for the
 * lowest position above W that has these bits.  No guard is at or below W, so this is
 * right unless a transaction is open over 2^32 positions, or a session starts at 0
 * without a watermark in a store with so many; then W is too low, never too high.
 *
 * GetLockConflicts() does not name the caller: what a transaction that has
 * appended finds may pass its own rows, which are visible to it alone.  It is
 * not remembered, as PREPARE TRANSACTION would make these rows another's.  Nor
 * does it name a transaction that has left the proc array and still holds its
 * locks, which is right: what it did is visible from R4 on.
 *
 * The sequence is not enough on a standby, where it is ahead of the log that
 * was replayed, and on a logical subscriber, where it does not move.  There the
 * mark is a row of table eventstore.watermarks.  Its writer finds W before it
 * writes the row, so every commit that W covers is in the WAL before that of
 * the row: a snapshot that sees the row sees the events.  A subscriber applies
 * commits in their order once the first copies of both tables are done.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/identity.h"
#include "base/own_table.h"
#include "notify/notifier.h"
#include "position/high_water_mark.h"
#include "position/position.h"

/* For more positions, read the whole lock table once instead. */
#define MAX_PROBES 256

/* The columns of eventstore.watermarks. */
#define WATERMARK_STORE 1
#define WATERMARK_POSITION 2
#define WATERMARK_ANNOUNCED 4

static const PgesOwnTable watermarks_table = {
	"watermarks", 4,
	{
		{"store", REGCLASSOID},
		{"position", INT8OID},
		{"updated_at", TIMESTAMPTZOID},
		{"announced", INT8OID}
	}
};

/* What this backend knows to be safe in the store of a sequence. */
typedef struct MarkEntry
{
	Oid			sequence;		/* hash key */
	int64		mark;
} MarkEntry;

/* Lives as long as the backend.  An error leaves an entry that is lower. */
static HTAB *marks = NULL;

/* The entry of a sequence. */
static MarkEntry *
mark_entry(Oid sequence)
{
	MarkEntry  *entry;
	bool		found;

	if (marks == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(MarkEntry);
		marks = hash_create("pg_eventstore marks", 16, &ctl,
							HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(marks, &sequence, HASH_ENTER, &found);
	if (!found)
		entry->mark = 0;
	return entry;
}

/* Whether another session holds the guard of a position. */
static bool
is_guarded(Oid sequence, uint64 position)
{
	LOCKTAG		tag;
	VirtualTransactionId *holders;
	int			count;

	PGES_SET_GUARD_TAG(tag, sequence, position);
	holders = GetLockConflicts(&tag, ExclusiveLock, &count);
	pfree(holders);
	return count > 0;
}

/*
 * The lowest position, from the first to the last, whose guard another session
 * holds, by one look at the whole lock table; last + 1 if there is none (the type has
 * room for that after the greatest position).  What is found is confirmed: a transaction
 * that has left the proc array and not yet released its locks counts for nothing, here
 * as in is_guarded().
 */
static uint64
lowest_guarded(Oid sequence, uint64 first, uint64 last)
{
	LockData   *data = GetLockStatusData();
	uint64		lowest = last + 1;

	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];
		uint64		position;

		if (lock->locktag.locktag_type != LOCKTAG_ADVISORY ||
			lock->locktag.locktag_field4 != PGES_LOCK_GUARD ||
			lock->locktag.locktag_field1 != MyDatabaseId ||
			lock->locktag.locktag_field2 != sequence || lock->holdMask == 0)
			continue;
		position = first + (uint32) (lock->locktag.locktag_field3 - (uint32) first);
		if (position < lowest && is_guarded(sequence, position))
			lowest = position;
	}
	pfree(data->locks);
	pfree(data);
	return lowest;
}

/*
 * The same, by the cheaper way.  The first position is the one which holds a reader
 * back if it has been held back before, so it is looked at first.
 */
static uint64
first_guarded(Oid sequence, uint64 first, uint64 last)
{
	if (last >= first + MAX_PROBES)
		return is_guarded(sequence, first) ? first : lowest_guarded(sequence, first, last);
	while (first <= last && !is_guarded(sequence, first))
		first++;
	return first;
}

/* The table of the watermarks. */
Oid
pges_watermarks_table(bool missing_ok)
{
	return pges_own_table_oid(&watermarks_table, missing_ok);
}

/*
 * Find the row of a store, as of now; NULL if there is none.  The index is scanned
 * backwards: where a long snapshot keeps many dead versions of the row, the newest
 * one is at the end.
 */
static HeapTuple
find_watermark(Relation rel, Oid store)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Oid			indexid = pges_primary_key_compat(rel);
	Relation	index;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(indexid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table eventstore.watermarks has no primary key"),
				 errhint("Create extension pg_eventstore again.")));
	index = index_open(indexid, AccessShareLock);
	ScanKeyInit(&key, WATERMARK_STORE, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(store));
	scan = systable_beginscan_ordered(rel, index, snapshot, 1, &key);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	UnregisterSnapshot(snapshot);
	return tuple;
}

/*
 * Read the watermark of a store, as of now; false when there is none or, unless
 * told to wait, when somebody has locked the table.  A store that is not logged
 * has none, as its sequence would start again below it after a crash.
 */
bool
pges_read_watermark(Oid store, bool wait, PgesWatermark *watermark)
{
	Relation	rel;
	HeapTuple	tuple;
	bool		isnull;

	memset(watermark, 0, sizeof(PgesWatermark));
	if (get_rel_persistence(store) != RELPERSISTENCE_PERMANENT)
		return false;
	rel = wait ? pges_open_own_table(&watermarks_table, AccessShareLock) :
		pges_try_open_own_table(&watermarks_table, AccessShareLock);
	if (rel == NULL)
		return false;
	tuple = find_watermark(rel, store);
	if (HeapTupleIsValid(tuple))
	{
		watermark->tid = tuple->t_self;
		watermark->position = DatumGetInt64(heap_getattr(tuple, WATERMARK_POSITION,
														 RelationGetDescr(rel), &isnull));
		watermark->announced = DatumGetInt64(heap_getattr(tuple, WATERMARK_ANNOUNCED,
														  RelationGetDescr(rel), &isnull));
		heap_freetuple(tuple);
	}
	table_close(rel, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

/*
 * From where to look for guards: the mark that this session knows, or if that is far
 * behind the watermark, if it is higher.
 */
static int64
starting_mark(Oid store, const MarkEntry *entry, int64 last)
{
	PgesWatermark watermark;

	if (last - entry->mark > MAX_PROBES &&
		pges_read_watermark(store, false, &watermark) && watermark.position <= last)
		return Max(entry->mark, watermark.position);
	return entry->mark;
}

/*
 * The high-water mark of a store, by the guards: R1 to R3.  Only on the server,
 * and in the database, that assigns the positions.
 */
int64
pges_probe_mark(Oid store, Oid sequence)
{
	MarkEntry  *entry = mark_entry(sequence);
	int64		last = pges_next_of_sequence(sequence) - 1;
	int64		mark;

	if (last < entry->mark)
		entry->mark = 0;		/* somebody has set the sequence back */
	if (last == entry->mark)
		return last;
	mark = first_guarded(sequence, starting_mark(store, entry, last) + 1, last) - 1;
	if (!pges_holds_guard(sequence))
		entry->mark = mark;
	return mark;
}

/*
 * Delete the watermark of a store, for whoever creates or drops it.  The store
 * is locked, so nobody writes the row.
 */
void
pges_forget_watermark(Oid store)
{
	Relation	rel;
	HeapTuple	tuple;

	if (!OidIsValid(pges_watermarks_table(true)))
		return;					/* the extension is being created */
	rel = pges_open_own_table(&watermarks_table, RowExclusiveLock);
	tuple = find_watermark(rel, store);
	if (HeapTupleIsValid(tuple))
		simple_heap_delete(rel, &tuple->t_self);
	table_close(rel, NoLock);
}

/* Update or insert the row of a store, by SPI; whether that was possible. */
static bool
store_watermark(Oid store, const PgesWatermark *present, int64 mark, int64 last,
				PgesWatermarkWriter writer)
{
	static const char update[] =
		"UPDATE eventstore.watermarks SET "
		"position = CASE WHEN position OPERATOR(pg_catalog.>) $3 THEN $2 ELSE GREATEST(position, $2) END, "
		"announced = CASE WHEN $4 THEN $2 ELSE announced END, "
		"updated_at = pg_catalog.clock_timestamp() "
		"WHERE ctid OPERATOR(pg_catalog.=) ("
		"SELECT w.ctid FROM eventstore.watermarks w "
		"WHERE %s w.store OPERATOR(pg_catalog.=) $1 FOR UPDATE %s)";
	static const char insert[] =
		"INSERT INTO eventstore.watermarks (store, position, announced, updated_at) "
		"VALUES ($1, $2, CASE WHEN $4 THEN $2 ELSE 0 END, pg_catalog.clock_timestamp()) "
		"ON CONFLICT DO NOTHING";
	bool		by_notifier = writer == PGES_BY_NOTIFIER;
	Oid			types[] = {OIDOID, INT8OID, INT8OID, BOOLOID, TIDOID};
	ItemPointerData tid = present ? present->tid : (ItemPointerData) {0};
	Datum		values[] = {ObjectIdGetDatum(store), Int64GetDatum(mark), Int64GetDatum(last),
	BoolGetDatum(by_notifier), PointerGetDatum(&tid)};
	const char *sql = insert;

	if (present)
		sql = psprintf(update, by_notifier ? "w.ctid OPERATOR(pg_catalog.=) $5 AND" : "",
					   by_notifier ? "SKIP LOCKED" : "");
	(void) SPI_execute_with_args(sql, present && by_notifier ? 5 : 4, types, values,
								 NULL, false, 0);
	return SPI_processed > 0;
}

/*
 * Write the watermark of a store, as the owner of the table, unless it is as high
 * already; SPI must be connected.  Another transaction that writes it is waited for
 * by hand; for the notifier this returns false then.  The lock tells, also of a row
 * that is not visible yet.  The notifier names the version of the row that it has
 * found, so that it need not look through dead ones.  A watermark beyond the last
 * position is wrong: somebody has set the sequence back.
 */
bool
pges_write_watermark(Oid store, Oid sequence, int64 mark, PgesWatermarkWriter writer)
{
	bool		by_notifier = writer == PGES_BY_NOTIFIER;
	Relation	rel = by_notifier ?
		pges_try_open_own_table(&watermarks_table, RowExclusiveLock) :
		pges_open_own_table(&watermarks_table, RowExclusiveLock);
	LOCKTAG		tag;
	PgesWatermark present;
	PgesIdentity saved;
	int64		last;
	bool		found;
	bool		done = false;

	if (rel == NULL)
		return false;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, store, 0, PGES_LOCK_WATERMARK);
	if (LockAcquire(&tag, ExclusiveLock, false, by_notifier) != LOCKACQUIRE_NOT_AVAIL)
	{
		last = pges_next_of_sequence(sequence) - 1;
		found = pges_read_watermark(store, true, &present);
		done = found && present.position >= mark && present.position <= last &&
			(!by_notifier || present.announced == mark);
		if (!done)
		{
			pges_become(&saved, rel->rd_rel->relowner);
			done = store_watermark(store, found ? &present : NULL, mark, last, writer);
			pges_become_again(&saved);
		}
	}
	table_close(rel, NoLock);
	return done;
}

/* Whether events come to a store by a subscription. */
bool
pges_is_subscribed(Oid store)
{
	CatCList   *list = SearchSysCacheList1(SUBSCRIPTIONRELMAP,
										   ObjectIdGetDatum(store));
	bool		subscribed = list->n_members > 0;

	ReleaseSysCacheList(list);
	return subscribed;
}

/*
 * Raise unless a subscription to a store can carry its watermark: it has to
 * contain the table, and carry the names of stores, as OIDs are others here.
 */
static void
check_subscription(const PgesStore *store, Oid subscription, char watermarks)
{
	HeapTuple	tuple;
	bool		binary;

	if (watermarks == SUBREL_STATE_UNKNOWN)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store %s is replicated without its watermarks",
						store->qualified_name),
				 errdetail("Subscription \"%s\" does not contain table eventstore.watermarks.",
						   get_subscription_name(subscription, false)),
				 errhint("On the publisher: ALTER PUBLICATION ... ADD TABLE eventstore.watermarks. Here: ALTER SUBSCRIPTION ... REFRESH PUBLICATION.")));
	tuple = SearchSysCache1(SUBSCRIPTIONOID, ObjectIdGetDatum(subscription));
	binary = HeapTupleIsValid(tuple) && ((Form_pg_subscription) GETSTRUCT(tuple))->subbinary;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (binary)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("store %s is replicated in binary", store->qualified_name),
				 errdetail("Subscription \"%s\" carries the OIDs that stores have on the publisher, not their names.",
						   get_subscription_name(subscription, false)),
				 errhint("Create the subscription again without \"binary\".")));
}

/*
 * Whether a store that is subscribed to, and the watermarks, are past their
 * first copies: before that, a watermark may be there earlier than the events
 * that it covers.
 */
static bool
is_copied(const PgesStore *store)
{
	CatCList   *list = SearchSysCacheList1(SUBSCRIPTIONRELMAP,
										   ObjectIdGetDatum(store->relid));
	bool		copied = true;

	for (int i = 0; i < list->n_members; i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;
		Form_pg_subscription_rel form = (Form_pg_subscription_rel) GETSTRUCT(tuple);
		XLogRecPtr	lsn;
		char		watermarks = GetSubscriptionRelState(form->srsubid,
														 pges_watermarks_table(false), &lsn);

		check_subscription(store, form->srsubid, watermarks);
		copied = copied && watermarks == SUBREL_STATE_READY &&
			form->srsubstate == SUBREL_STATE_READY;
	}
	ReleaseSysCacheList(list);
	return copied;
}

/*
 * Have the notifier started if a watermark was left behind, as by a crash, or by
 * COMMIT PREPARED when no notifier was there.
 */
static void
catch_up(const PgesStore *store, int64 mark)
{
	PgesWatermark watermark;

	if (store->notifications != PGES_NOTIFY_WORKER)
		return;
	(void) pges_read_watermark(store->relid, false, &watermark);
	if (watermark.announced < mark && pges_ensure_worker(&pges_notifier, PGES_NUDGE))
		pges_wake_worker(&pges_notifier);
}

/*
 * The high-water mark of a store, to be followed by a fresh snapshot.  It comes
 * from where it can be known: the guards, or the watermark.  The first look of
 * a session sees to it that others will know it, too.
 */
int64
pges_high_water_mark(const PgesStore *store)
{
	bool		subscribed = pges_is_subscribed(store->relid);
	PgesWatermark watermark = {0, 0};

	if (!subscribed && !RecoveryInProgress())
	{
		bool		first = marks == NULL || !hash_search(marks, &store->sequence, HASH_FIND, NULL);

		watermark.position = pges_probe_mark(store->relid, store->sequence);
		if (first && watermark.position > 0 && !pges_holds_guard(store->sequence))
			catch_up(store, watermark.position);
	}
	else if (!subscribed || is_copied(store))
		(void) pges_read_watermark(store->relid, true, &watermark);
	return watermark.position;
}
