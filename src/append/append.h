/*
 * append.h
 *		Appends a batch of events to a store.
 */
#ifndef PGES_APPEND_H
#define PGES_APPEND_H

#include "postgres.h"

#include "event/batch.h"
#include "store/store.h"

extern void pges_append_batch(const PgesStore *store, PgesBatch *batch);
extern int	pges_import_batch(const PgesStore *store, PgesBatch *batch);
extern void pges_lock_aggregate(const PgesStore *store, const text *aggregate_id,
								const text *event_id);

/* in append_sql.c */
extern const PgesStore *pges_open_for_append(const PgesStore *store);

/* in append_error.c */
extern void pges_report_conflict(const PgesStore *store,
								 const PgesAggregate *aggregate);
extern void pges_report_taken(const PgesStore *store, const PgesEvent *event,
							  const PgesAggregate *aggregate);
extern void pges_report_archived(const PgesStore *store,
								 const PgesAggregate *aggregate, int32 version);
extern void pges_report_duplicate(const PgesStore *store,
								  const PgesEvent *event, const char *detail);
extern void pges_report_unique_violation(const PgesStore *store,
										 const PgesBatch *batch,
										 const ErrorData *error);

/* in retry.c */
extern bool pges_is_retry(const PgesStore *store, PgesBatch *batch);
extern int	pges_drop_stored(const PgesStore *store, PgesBatch *batch);
extern bool pges_event_exists(const PgesStore *store, const text *event_id);

#endif							/* PGES_APPEND_H */
