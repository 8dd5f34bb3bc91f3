/*
 * high_water_mark.h
 *		The high-water mark: the readers' half of the ordered log.
 */
#ifndef PGES_HIGH_WATER_MARK_H
#define PGES_HIGH_WATER_MARK_H

#include "postgres.h"

#include "storage/itemptr.h"

#include "store/store.h"

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
	PGES_BY_HAND,				/* waits for others, announces nothing */
	PGES_BY_NOTIFIER
} PgesWatermarkWriter;

extern int64 pges_high_water_mark(const PgesStore *store);
extern bool pges_is_subscribed(Oid store);
extern int64 pges_probe_mark(Oid store, Oid sequence);
extern Oid	pges_watermarks_table(bool missing_ok);
extern bool pges_read_watermark(Oid store, bool wait, PgesWatermark *watermark);
extern void pges_forget_watermark(Oid store);
extern bool pges_write_watermark(Oid store, Oid sequence, int64 mark,
								 PgesWatermarkWriter writer);

#endif							/* PGES_HIGH_WATER_MARK_H */
