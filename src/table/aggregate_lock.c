/*
 * aggregate_lock.c
 *		Locks aggregates, and their snapshots.
 *
 * An append or an erasure locks its aggregates, each by a heavyweight lock on the store
 * and a hash of the aggregate's id.  The head of append.c describes the purpose of the
 * locks.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/lock_tag.h"
#include "event/event.h"
#include "store/store.h"
#include "table/table.h"

/* A lock that is to be acquired on an aggregate. */
typedef struct AggregateLock
{
	uint64		hash;
	LOCKMODE	mode;
	bool		written;		/* the aggregate gets events */
} AggregateLock;

/* Compare two locks for qsort(): by hash, then the stronger mode first. */
static int
compare_locks(const void *a, const void *b)
{
	const AggregateLock *x = a;
	const AggregateLock *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return y->mode - x->mode;
}

/*
 * Return a pointer to the number of aggregate locks that this transaction has acquired.
 * The number of the transaction is kept with the count, so the count needs no reset.
 * Locks that a rollback to a savepoint released stay counted.
 */
static int *
aggregate_lock_count(void)
{
	static LocalTransactionId counted_in = InvalidLocalTransactionId;
	static int	count = 0;

	if (counted_in != pges_current_lxid_compat())
	{
		counted_in = pges_current_lxid_compat();
		count = 0;
	}
	return &count;
}

/*
 * Acquire one lock on an aggregate; return false if the limit of locks is reached.  The
 * limit applies only to aggregates that get events: the unique index also protects these.
 * An aggregate whose version is only checked has no other protection than the lock.
 */
static bool
take_lock(const AggregateLock *lock)
{
	int		   *count = aggregate_lock_count();
	LOCKTAG		tag;

	if (lock->written && *count >= pges_max_aggregate_locks)
		return false;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (lock->hash >> 32),
						 (uint32) lock->hash, PGES_LOCK_AGGREGATE);
	if (LockAcquire(&tag, lock->mode, false, false) == LOCKACQUIRE_OK)
		(*count)++;
	return true;
}

/*
 * Return the id that is hashed for an aggregate's lock; NULL if the append has not made
 * the id yet.  Events without an aggregate are locked by the id of the first of these
 * events, so that a retry waits for the original call.
 */
static const text *
lock_subject(const PgesBatch *batch, const PgesAggregate *aggregate)
{
	return aggregate->id ? aggregate->id :
		batch->events[aggregate->first_event].event_id;
}

/*
 * Return the key of the lock on an aggregate, or on an event without one: the OID of the
 * store, and a hash of the id.  The OID is not a part of the hash: otherwise a role could
 * block appends to a store without privileges on it, by ids with equal hashes.
 */
static uint64
lock_hash(const PgesStore *store, const text *subject, bool is_aggregate)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(subject),
										   VARSIZE_ANY_EXHDR(subject), !is_aggregate);

	return ((uint64) store->live.relid << 32) | (uint32) hash;
}

/*
 * Lock an aggregate as an append does, or an event without one if aggregate_id is NULL.
 * The call waits until the open appends to the aggregate have ended, and blocks later
 * appends.
 */
void
pges_lock_aggregate(const PgesStore *store, const text *aggregate_id, const text *event_id)
{
	AggregateLock lock;

	lock.hash = lock_hash(store, aggregate_id ? aggregate_id : event_id, aggregate_id != NULL);
	lock.mode = ExclusiveLock;
	lock.written = false;		/* no limit: no unique index protects it */
	take_lock(&lock);
}

/* Lock all aggregates of a batch, in the order of their hashes. */
void
pges_lock_aggregates(const PgesStore *store, PgesBatch *batch)
{
	AggregateLock *locks = palloc(sizeof(AggregateLock) * Max(batch->naggregates, 1));
	int			n = 0;

	for (int i = 0; i < batch->naggregates; i++)
	{
		const PgesAggregate *aggregate = &batch->aggregates[i];
		const text *subject = lock_subject(batch, aggregate);

		if (subject == NULL)
			continue;
		locks[n].hash = lock_hash(store, subject, aggregate->id != NULL);
		locks[n].written = aggregate->nevents > 0;
		locks[n].mode = locks[n].written || batch->nevents == 0 ?
			ExclusiveLock : ShareLock;
		n++;
	}
	qsort(locks, n, sizeof(AggregateLock), compare_locks);
	for (int i = 0; i < n; i++)
		batch->unlocked |= !take_lock(&locks[i]);
	pfree(locks);
}

/*
 * Return whether this transaction may lock the snapshots of one more aggregate without
 * need, and count the lock.  The limit is that of locks on aggregates, but the locks are
 * counted separately: otherwise a reader would use up the locks of later appends.
 */
static bool
may_lock_more_snapshots(void)
{
	static LocalTransactionId counted_in = InvalidLocalTransactionId;
	static int	count = 0;

	if (counted_in != pges_current_lxid_compat())
	{
		counted_in = pges_current_lxid_compat();
		count = 0;
	}
	return count++ < pges_max_aggregate_locks;
}

/*
 * Lock the snapshots of an aggregate until the transaction ends.  If "wait" is false,
 * return false if a lock is not free, or if the limit of locks is reached.
 *
 * The lock excludes other savers, and erasures of the aggregate.  It differs from the lock
 * on the aggregate: a reader that saves a snapshot must neither wait for an append nor
 * block one.
 */
bool
pges_lock_snapshots_of(const PgesStore *store, const text *aggregate_id, bool wait)
{
	uint64		hash = lock_hash(store, aggregate_id, true);
	LOCKTAG		all;
	LOCKTAG		tag;

	if (!wait && !may_lock_more_snapshots())
		return false;
	SET_LOCKTAG_ADVISORY(all, MyDatabaseId, store->live.relid, 0, PGES_LOCK_SNAPSHOTS);
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, PGES_LOCK_SNAPSHOT);
	return LockAcquire(&all, ShareLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL &&
		LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Wait for all transactions that have saved snapshots of a store.  Until the transaction
 * ends, others save none.
 */
void
pges_lock_snapshots(Oid store)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, store, 0, PGES_LOCK_SNAPSHOTS);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}
