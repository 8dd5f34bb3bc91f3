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

/* What a statement has appended: how many events, up to which position. */
typedef struct PgesAppended
{
	int64		count;
	int64		position;
} PgesAppended;

extern void pges_allocate_positions(const PgesStore *store, int64 *positions,
									int n);
extern PgesAppended pges_take_appended(const PgesStore *store);

#endif							/* PGES_POSITION_H */
