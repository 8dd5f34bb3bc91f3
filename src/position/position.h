/*
 * position.h
 *		Door of the room "position": the guard, the allocator of positions, the high-water
 *		mark and the watermarks.
 *
 * Rooms notify, append, read, snapshot, delivery, archive and lifecycle call it.  The
 * protocol of writers is in position.c, that of readers and the proof in
 * high_water_mark.c; see doc/ordered-log.md.
 */
#ifndef PGES_POSITION_H
#define PGES_POSITION_H

#include "postgres.h"

#include "storage/itemptr.h"

#include "base/lock_tag.h"
#include "store/store.h"

/* Set the lock tag of a position's guard; positions 2^32 apart share a guard. */
#define PGES_SET_GUARD_TAG(tag, sequence, position) \
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, sequence, (uint32) (position), \
						 PGES_LOCK_GUARD)

/* A store to which the current transaction has appended. */
typedef struct PgesAppended
{
	const PgesStore *store;
	int64		position;		/* taken last; 0 if all were rolled back */
	struct PgesAppended *next;
} PgesAppended;

/* A row of eventstore.watermarks. */
typedef struct PgesWatermark
{
	int64		position;		/* the mark */
	int64		announced;		/* the mark that was announced last */
	ItemPointerData tid;		/* of the row's version */
} PgesWatermark;

/* How to write a watermark. */
typedef enum PgesWatermarkWriter
{
	PGES_BY_HAND,				/* waits for locks, keeps "announced" */
	PGES_BY_NOTIFIER
} PgesWatermarkWriter;

extern void pges_position_init(void);
extern void pges_allocate_positions(const PgesStore *store, int64 *positions,
									int n);
extern const PgesAppended *pges_appended(void);
extern void pges_forget_appended(void);
extern int64 pges_next_of_sequence(Oid sequence);
extern bool pges_try_next_of_sequence(Oid sequence, int64 *next);
extern bool pges_holds_guard(Oid sequence);
extern bool pges_claim_position(const PgesStore *store, int64 position);
extern int64 *pges_known_mark(Oid sequence);

/* in high_water_mark.c */
extern int64 pges_high_water_mark(const PgesStore *store);
extern bool pges_is_first_look(const PgesStore *store);
extern bool pges_is_subscribed(Oid store);
extern int64 pges_probe_mark(Oid store, Oid sequence);
extern bool pges_is_anything_guarded(void);

/* in watermark.c */
extern Oid	pges_watermarks_table(bool missing_ok);
extern bool pges_read_watermark(Oid store, bool wait, PgesWatermark *watermark);
extern void pges_forget_watermark(Oid store);
extern bool pges_write_watermark(Oid store, Oid sequence, int64 mark,
								 PgesWatermarkWriter writer);

#endif							/* PGES_POSITION_H */
