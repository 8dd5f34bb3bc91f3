/*
 * aggregate_lock.c
 *		Locks aggregates.
 *
 * An append and an erasure lock the aggregates that they are about, each by a
 * heavyweight lock on the store and a hash of the aggregate's id.  append.c tells what
 * that is for.
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

/* A lock on an aggregate that is to be taken. */
typedef struct AggregateLock
{
	uint64		hash;
	LOCKMODE	mode;
	bool		written;		/* the aggregate gets events */
} AggregateLock;

/* qsort comparator: locks by hash, the stronger mode first. */
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
 * Count the locks this transaction has taken on aggregates.  The count belongs
 * to the transaction whose number it carries, so it needs no reset; locks that
 * a rollback to a savepoint released stay counted.
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
 * Take one lock on an aggregate.  Past the limit, an aggregate that is written
 * is left to the unique index; nothing else would protect one that is only
 * checked.  Whether it is locked.
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
 * What an aggregate's lock is on.  Events of no aggregate need one only to
 * make a retry wait for the original, and their first id serves for that.
 */
static const text *
lock_subject(const PgesBatch *batch, const PgesAggregate *aggregate)
{
	return aggregate->id ? aggregate->id :
		batch->events[aggregate->first_event].event_id;
}

/*
 * What stands for the subject of a lock, an aggregate or an event of none: the store,
 * and a hash.  The store is not hashed, so that nobody can lock an aggregate of a store
 * to which they may not append, by an id that has the same hash.
 */
static uint64
lock_hash(const PgesStore *store, const text *subject, bool is_aggregate)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(subject),
										   VARSIZE_ANY_EXHDR(subject), !is_aggregate);

	return ((uint64) store->relid << 32) | (uint32) hash;
}

/*
 * Lock an aggregate, or an event of none, as an append does: appends to it that
 * are open have ended then, and others wait.
 */
void
pges_lock_aggregate(const PgesStore *store, const text *aggregate_id, const text *event_id)
{
	AggregateLock lock;

	lock.hash = lock_hash(store, aggregate_id ? aggregate_id : event_id, aggregate_id != NULL);
	lock.mode = ExclusiveLock;
	lock.written = false;		/* the unique index is no help */
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
