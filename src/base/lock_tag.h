/*
 * lock_tag.h
 *		The extension's own advisory locks.
 */
#ifndef PGES_LOCK_TAG_H
#define PGES_LOCK_TAG_H

#include "postgres.h"

#include "storage/lock.h"
#include "utils/resowner.h"

/* Lock classes, field4 of the tags.  No SQL function acquires locks of these classes. */
#define PGES_LOCK_GUARD		0x4553
#define PGES_LOCK_AGGREGATE	0x4556
#define PGES_LOCK_CREATE	0x4543
#define PGES_LOCK_NOTIFIER	0x454E
#define PGES_LOCK_WATERMARK	0x4557
#define PGES_LOCK_ARCHIVE	0x4541
#define PGES_LOCK_CONSUMER	0x4554
#define PGES_LOCK_MOVE		0x454D
#define PGES_LOCK_PROJECTOR	0x4552
#define PGES_LOCK_REBUILD	0x4542
#define PGES_LOCK_SNAPSHOT	0x4550
#define PGES_LOCK_SNAPSHOTS	0x4551

/*
 * Acquire a lock until the top transaction ends; return false if it is not free and
 * "wait" is false.  After an error, the abort of the (sub)transaction resets the
 * resource owner.
 */
static inline bool
pges_lock_for_top_transaction(const LOCKTAG *tag, LOCKMODE mode, bool wait)
{
	ResourceOwner caller = CurrentResourceOwner;
	LockAcquireResult result;

	CurrentResourceOwner = TopTransactionResourceOwner;
	result = LockAcquire(tag, mode, false, !wait);
	CurrentResourceOwner = caller;
	return result != LOCKACQUIRE_NOT_AVAIL;
}

#endif							/* PGES_LOCK_TAG_H */
