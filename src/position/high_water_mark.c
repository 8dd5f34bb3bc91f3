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

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_subscription_rel.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/catcache.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/lock_tag.h"
#include "base/oid_table.h"
#include "position/position.h"
#include "store/store.h"

/* For more positions, read the whole lock table once instead. */
#define MAX_PROBES 256

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
		marks = pges_oid_table("pg_eventstore marks", sizeof(MarkEntry));

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

/* Whether somebody in this database holds a guard, and so may commit events. */
bool
pges_is_anything_guarded(void)
{
	LockData   *data = GetLockStatusData();
	bool		found = false;

	for (int i = 0; i < data->nelements && !found; i++)
	{
		const LOCKTAG *tag = &data->locks[i].locktag;

		found = tag->locktag_type == LOCKTAG_ADVISORY &&
			tag->locktag_field4 == PGES_LOCK_GUARD &&
			tag->locktag_field1 == MyDatabaseId;
	}
	pfree(data->locks);
	pfree(data);
	return found;
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
 * Whether this session has not yet looked for the mark of a store.  Not so where the
 * mark is a watermark, nor in a transaction that has appended.
 */
bool
pges_is_first_look(const PgesStore *store)
{
	return !pges_is_subscribed(store->relid) && !RecoveryInProgress() &&
		(marks == NULL || !hash_search(marks, &store->sequence, HASH_FIND, NULL)) &&
		!pges_holds_guard(store->sequence);
}

/*
 * The high-water mark of a store, to be followed by a fresh snapshot.  It comes
 * from where it can be known: the guards, or the watermark.
 */
int64
pges_high_water_mark(const PgesStore *store)
{
	bool		subscribed = pges_is_subscribed(store->relid);
	PgesWatermark watermark = {0, 0};

	if (!subscribed && !RecoveryInProgress())
		return pges_probe_mark(store->relid, store->sequence);
	if (!subscribed || is_copied(store))
		(void) pges_read_watermark(store->relid, true, &watermark);
	return watermark.position;
}
