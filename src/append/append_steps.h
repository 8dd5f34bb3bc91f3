/*
 * append_steps.h
 *		The steps of an append, for this room alone.  append.c describes their order.
 */
#ifndef PGES_APPEND_STEPS_H
#define PGES_APPEND_STEPS_H

#include "postgres.h"

#include "event/event.h"
#include "store/store.h"
#include "table/table.h"

/* in append.c */
extern void pges_add_to_aggregate(PgesEvent *event, PgesAggregate *aggregate);

/* in look_up.c */
extern const PgesStatement pges_version_statement;
extern void pges_look_up_aggregates(const PgesStore *store, PgesBatch *batch);

/* in insert.c */
extern void pges_insert_events(const PgesStore *store, PgesBatch *batch);
extern bool pges_is_being_inserted(const PgesStore *store, const PgesEvent *event);

/* in insert_direct.c */
extern bool pges_direct_is_possible(const PgesStore *store);
extern void pges_direct_insert(const PgesStore *store, const PgesBatch *batch);

/* in check_archive.c */
extern void pges_check_not_archived(const PgesStore *store, PgesBatch *batch);

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
										 PgesBatch *batch,
										 const ErrorData *error, bool secured);

/* in repeated_call.c */
extern bool pges_is_retry(const PgesStore *store, PgesBatch *batch);
extern void pges_leave_out_stored(const PgesStore *store, PgesBatch *batch);
extern bool pges_event_exists(const PgesStore *store, const text *event_id);

#endif							/* PGES_APPEND_STEPS_H */
