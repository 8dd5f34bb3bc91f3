/*
 * mark.h
 *		The high-water mark: the readers' half of the ordered log.
 */
#ifndef PGES_MARK_H
#define PGES_MARK_H

#include "postgres.h"

#include "store.h"

extern int64 pges_high_water_mark(const PgesStore *store);
extern bool pges_is_subscribed(Oid store);
extern int64 pges_probe_mark(Oid store, Oid sequence);
extern Oid	pges_watermarks_table(bool missing_ok);
extern bool pges_read_watermark(Oid store, int64 *position);
extern void pges_forget_watermark(Oid store);
extern bool pges_write_watermark(Oid store, int64 position, int64 last,
								 bool wait);

#endif							/* PGES_MARK_H */
