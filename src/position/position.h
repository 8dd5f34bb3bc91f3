/*
 * position.h
 *		Positions: the guard and the allocator.
 */
#ifndef PGES_POSITION_H
#define PGES_POSITION_H

#include "postgres.h"

#include "store/store.h"

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

/* A store to which the current transaction has appended. */
typedef struct PgesAppended
{
	const PgesStore *store;
	int64		position;		/* that it has taken last, or 0 if all were
								 * rolled back to a savepoint */
	struct PgesAppended *next;
} PgesAppended;

extern void pges_position_init(void);
extern void pges_allocate_positions(const PgesStore *store, int64 *positions,
									int n);
extern const PgesAppended *pges_appended(void);
extern void pges_forget_appended(void);
extern int64 pges_next_of_sequence(Oid sequence);
extern bool pges_try_next_of_sequence(Oid sequence, int64 *next);
extern bool pges_holds_guard(Oid sequence);

#endif							/* PGES_POSITION_H */
