/*
 * projection_steps.h
 *		The parts of a projection, for this room alone.
 */
#ifndef PGES_PROJECTION_STEPS_H
#define PGES_PROJECTION_STEPS_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/pg_list.h"

#include "projection/projection.h"
#include "subscription/subscription.h"

typedef struct PgesProjectedEvent
{
	int64		position;
	Datum		value;			/* of type eventstore.event */
} PgesProjectedEvent;

/* The events of one run, as values of type eventstore.event. */
typedef struct PgesEvents
{
	MemoryContext context;		/* of the events */
	TupleDesc	desc;			/* of eventstore.event */
	PgesProjectedEvent *events;
	int			n;
	int			allocated;
	Size		size;			/* of all events, in bytes */
} PgesEvents;

/* A projection to add. */
typedef struct PgesNewProjection
{
	PgesNewSubscription subscription;
	PgesMode	mode;
	char	   *handler;
	Datum		tables;
	int			batch_size;
	const char *rebuild_of;		/* NULL: none */
	const char *copies;			/* NULL: none */
	int64		handler_version;	/* for a rebuild */
} PgesNewProjection;

/* in projection.c */
extern char *pges_hash_of_name(const char *name);
extern bool pges_add_projection(const PgesNewProjection *new);
extern void pges_remove_projection(const PgesProjection *projection);
extern PgesMode pges_parse_mode(const char *name);
extern const char *pges_mode_name(PgesMode mode);
extern PgesProjection *pges_projection_argument(FunctionCallInfo fcinfo, const char *function);

/* in handler.c */
extern void pges_check_handler(Oid handler, Oid owner);
extern Oid	pges_handler_of(const PgesProjection *projection);
extern int64 pges_handler_version(const PgesProjection *projection);
extern void pges_call_handler(const PgesProjection *projection, const PgesEvents *events, PgesRun *run);
extern int64 pges_only_position(const PgesEvents *events);
extern void pges_begin_events(PgesEvents *events);
extern void pges_end_events(PgesEvents *events);
extern void pges_sort_events(PgesEvents *events);
extern void pges_add_projected_event(PgesEvents *events, TupleTableSlot *row);

/* in inline.c */
extern void pges_check_may_be_inline(const PgesStore *store, Oid role);
extern const PgesStore *pges_lock_out_appends(PgesProjection *projection);
extern bool pges_switch_to_trigger(PgesProjection *projection, int max_count);
extern void pges_switch_to_worker(PgesProjection *projection);
extern void pges_drop_inline_trigger(const PgesProjection *projection);

/* in exchange.c */
extern List *pges_list_tables(Datum tables);
extern bool pges_can_be_copied(Datum tables);
extern void pges_create_copies(const char *schema, Datum tables, Oid owner);
extern void pges_drop_copies(const PgesProjection *rebuild);
extern void pges_exchange_rows(const PgesProjection *rebuild);
extern void pges_empty_tables(const PgesProjection *projection, bool at_once);
extern Oid	pges_touched_table(const List *tables);

/* in rebuild.c */
extern void pges_check_no_rebuild(const PgesProjection *projection);
extern void pges_drop_rebuild(const PgesProjection *projection);
#endif							/* PGES_PROJECTION_STEPS_H */
