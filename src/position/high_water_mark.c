/*
 * high_water_mark.c
 *		The high-water mark of a store: the position at or below which no event can
 *		appear any more.
 *
 * Before its first position, a transaction that appends acquires the guard of the next
 * position; see position.c.  W is the mark that this backend already knows.  A reader
 * does:
 *
 *	R1	H := the last position that the sequence has assigned
 *	R2	find the lowest position p from W + 1 to H whose guard another session holds
 *	R3	if there is one: W := p - 1, otherwise W := H
 *	R4	take a fresh snapshot
 *	R5	read the rows at or below W under that snapshot
 *
 * pges_high_water_mark() does R1 to R3, read_log.c does R4 and R5.
 *
 * Why no row can appear at or below W later, for any snapshot from R4 on: let T be a
 * transaction that appends, n the position of its guard, and v the moment at which T
 * acquired it.  At v the sequence had assigned the positions below n and no others.  T
 * holds the guard until it has left the proc array.
 *
 * - While T is open, W < n in every session.  If W was found from an H that was read
 *   before v, W is at most that H, which is at most n - 1.  For a later H >= n, R2 checks
 *   n, because W + 1 <= n, and finds the guard of T.
 * - So when a session moves W to or past p, a position of T, T has ended.  If T
 *   committed, its rows are visible from R4 on.  A transaction that is still to begin
 *   cannot get p: the sequence has passed p (R1).
 *
 * The W from which a session starts does not matter: all sessions that do R1 to R3 at the
 * same time find the same mark.  If a session has found W, every guard that is held then
 * or acquired later is above W.  So any session that does R1 to R3 afterwards, also for
 * the first time, finds W or a higher mark.  Therefore every session can read the events
 * up to W as soon as W is announced.
 *
 * Only the order R1, R2, R4 matters.  The page of the sequence, the lock table and the
 * proc array are read under lightweight locks, which are full barriers.  A statement
 * that calls eventstore.high_water_mark() and compares with its result is not a reader
 * in this sense: its snapshot is older than the mark.
 *
 * A session that is far behind starts at the watermark, which is a W that another
 * session has found.  If the session is still far behind, it reads the whole lock table
 * instead of checking the guard of each position.
 *
 * The tag of a guard has the lower 32 bits of the position.  A reader interprets these
 * bits as the lowest position above W that has them.  No guard is at or below W, so the
 * position is right with two exceptions: a transaction that is open over 2^32 positions,
 * and a session that starts at 0, without a watermark, in a store with so many positions.
 * Then W is too low, never too high.
 *
 * GetLockConflicts() omits the caller.  So the mark that a transaction finds after it
 * has appended may pass its own rows, which are visible to it alone.  The session does
 * not remember this mark: after PREPARE TRANSACTION, the rows belong to another
 * transaction.  GetLockConflicts() also omits a transaction that has left the proc
 * array and still holds its locks.  This is right: its rows are visible from R4 on.
 *
 * On a standby, the sequence is ahead of the log that was replayed.  On a logical
 * subscriber, the sequence does not move.  There the mark is a row of table
 * eventstore.watermarks.  Its writer finds W before it writes the row.  So every commit
 * that W covers is in the WAL before the commit of the row: a snapshot that sees the
 * row sees the events.  A subscriber applies commits in their order once the first
 * copies of both tables are done.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_subscription_rel.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "position/position.h"

/* To check more positions, read the whole lock table once instead. */
#define MAX_PROBES 256

/* Return whether another session holds the guard of a position. */
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
 * Return the lowest position from "first" to "last" whose guard another session holds, or
 * last + 1 if there is none (uint64 has a value after the greatest position).  The
 * function reads the whole lock table once, and checks each guard that it finds with
 * is_guarded().  So a transaction that has left the proc array and still holds its locks
 * does not count.
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
 * Return the same as lowest_guarded(), by the cheaper of two methods.  The first position
 * is checked first: if a guard stopped an earlier search, it was the guard of this
 * position.
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

/* Return whether a transaction of this database holds a guard, and so may commit events. */
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
 * Return the mark after which to look for guards: the mark that this session knows, or
 * the watermark if that mark is far behind and the watermark is higher.
 */
static int64
starting_mark(Oid store, int64 known, int64 last)
{
	PgesWatermark watermark;

	if (last - known > MAX_PROBES &&
		pges_read_watermark(store, false, &watermark) && watermark.position <= last)
		return Max(known, watermark.position);
	return known;
}

/*
 * Find the high-water mark of a store from the guards: R1 to R3.  This must be called on
 * the server, and in the database, that assigns the positions.
 */
int64
pges_probe_mark(Oid store, Oid sequence)
{
	int64	   *known = pges_known_mark(sequence);
	int64		last = pges_next_of_sequence(sequence) - 1;
	int64		mark;

	if (*known < 0 || last < *known)
		*known = 0;				/* the first look, or the sequence was set
								 * back */
	if (last == *known)
		return last;
	mark = first_guarded(sequence, starting_mark(store, *known, last) + 1, last) - 1;
	if (!pges_holds_guard(sequence))
		*known = mark;
	return mark;
}

/* Return whether a subscription of logical replication contains a store. */
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
 * Raise an error unless a subscription to a store can replicate its watermark.  The
 * subscription must contain table eventstore.watermarks.  It must not be in binary format,
 * which sends the OIDs of stores: a store has another OID here.
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
						store->live.qualified_name),
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
				 errmsg("store %s is replicated in binary format", store->live.qualified_name),
				 errdetail("Subscription \"%s\" carries the OIDs that stores have on the publisher, not their names.",
						   get_subscription_name(subscription, false)),
				 errhint("Create the subscription again without \"binary\".")));
}

/*
 * Return whether the first copies of a subscribed store and of the watermarks are done.
 * Before that, a watermark may arrive earlier than the events that it covers.  Raise an
 * error if a subscription cannot replicate the watermark.
 */
static bool
is_copied(const PgesStore *store)
{
	CatCList   *list = SearchSysCacheList1(SUBSCRIPTIONRELMAP,
										   ObjectIdGetDatum(store->live.relid));
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
 * Return whether this session has not yet searched for the mark of a store.  Return false
 * if the mark is a watermark, or if the transaction has appended to the store.
 */
bool
pges_is_first_look(const PgesStore *store)
{
	return *pges_known_mark(store->sequence) < 0 && !pges_is_subscribed(store->live.relid) &&
		!RecoveryInProgress() && !pges_holds_guard(store->sequence);
}

/*
 * Return the high-water mark of a store.  The caller must then take a fresh snapshot.
 * The mark comes from the guards; on a standby or a subscriber, from the watermark.
 * Without a watermark, or before the first copies are done, that mark is 0.
 */
int64
pges_high_water_mark(const PgesStore *store)
{
	bool		subscribed = pges_is_subscribed(store->live.relid);
	PgesWatermark watermark = {0, 0};

	if (!subscribed && !RecoveryInProgress())
		return pges_probe_mark(store->live.relid, store->sequence);
	if (!subscribed || is_copied(store))
		(void) pges_read_watermark(store->live.relid, true, &watermark);
	return watermark.position;
}
