/*
 * position.h
 *		Positions: the guard and the allocator.
 */
#ifndef PGES_POSITION_H
#define PGES_POSITION_H

#include "postgres.h"

#include "store.h"

/* field4 of the advisory lock tags that are this extension's own */
#define PGES_LOCK_GUARD		0x4553
#define PGES_LOCK_AGGREGATE	0x4556
#define PGES_LOCK_CREATE	0x4543
#define PGES_LOCK_NOTIFIER	0x454E
#define PGES_LOCK_WATERMARK	0x4557
#define PGES_LOCK_ARCHIVE	0x4541

/* The guard of a position; positions 2^32 apart share one. */
#define PGES_SET_GUARD_TAG(tag, sequence, position) \
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, sequence, (uint32) (position), \
						 PGES_LOCK_GUARD)

/* What a statement has appended: how many events, up to which position. */
typedef struct PgesAppended
{
	int64		count;
	int64		position;
} PgesAppended;

extern void pges_allocate_positions(const PgesStore *store, int64 *positions,
									int n);
extern PgesAppended pges_take_appended(const PgesStore *store);
extern int64 pges_next_of_sequence(Oid sequence);
extern bool pges_holds_guard(Oid sequence);

#endif							/* PGES_POSITION_H */
