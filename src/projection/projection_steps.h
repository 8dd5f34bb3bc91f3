/*
 * projection_steps.h
 *		The parts of a projection, for this room alone.
 */
#ifndef PGES_PROJECTION_STEPS_H
#define PGES_PROJECTION_STEPS_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/pg_list.h"

#include "base/act_as.h"
#include "base/own_object.h"
#include "subscription/subscription.h"
#include "worker/worker.h"

#define PGES_REBUILD_SUFFIX ".rebuild" /* of the name of a rebuild */

/* When the handler runs. */
typedef enum PgesMode
{
	PGES_ASYNC,					/* after the append, in a background worker */
	PGES_INLINE,				/* in the transaction that appends */
	PGES_MANUAL					/* when a session calls run_projection() */
} PgesMode;

/*
 * A row of projection_definitions, with the subscription of the same name.  It lives in
 * the context of the call.
 */
typedef struct PgesProjection
{
	const char *name;
	Datum		key;			/* the name as a text */
	PgesMode	mode;
	char	   *handler;		/* its signature, qualified; NULL: no such row */
	Datum		tables;			/* array of regstore */
	int			batch_size;
	int64		start_position;
	char	   *rebuild_of;		/* NULL: this is no rebuild */
	char	   *copies;			/* schema of the copies that a rebuild fills */
	PgesSubscription *subscription;
} PgesProjection;

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
} PgesNewProjection;

/* in projection.c */
extern const PgesOwnTable pges_projection_rows;

extern PgesMode pges_parse_mode(const char *name);
extern const char *pges_mode_name(PgesMode mode);
extern PgesProjection *pges_look_up_projection(const char *name, bool missing_ok);
extern PgesProjection *pges_find_projection(const char *name, bool lock);
extern PgesProjection *pges_projection_argument(FunctionCallInfo fcinfo, const char *function);

/* What a run has done, also if it has failed. */
typedef struct PgesRun
{
	int			taken;			/* events that were polled */
	int			handled;		/* of them, by calls of the handler that returned */
	int64		position;		/* of the event that was being handled; 0: none, or
								 * not known */
	bool		busy;			/* another transaction runs the projection */
	bool		more;			/* none was taken, but there may be events
								 * after many of other types */
	bool		timed_out;		/* the runner has canceled it */
} PgesRun;

/* A store that has projections which workers run. */
typedef struct PgesProjectedStore
{
	Oid			relid;
	Oid			sequence;		/* InvalidOid: not known */
	int			projections;	/* number of them */
	int64		seen;			/* the mark of which the workers know; -1: none */
} PgesProjectedStore;

/* in projected_stores.c */
extern List *pges_projected_stores(void);
extern bool pges_is_projected(Oid store);
extern bool pges_has_no_projected_store(void);
extern int64 pges_projected_mark(PgesProjectedStore *store, bool *held_back);
extern uint64 pges_projected_generation(void);
extern void pges_projected_stores_init(void);

/* in handler.c */
extern void pges_check_handler(Oid handler, Oid owner);
extern Oid	pges_handler_of(const PgesProjection *projection);
extern void pges_call_handler(const PgesProjection *projection, const PgesEvents *events, PgesRun *run);
extern void pges_begin_session(const PgesProjection *projection);
extern void pges_end_session(void);
extern int64 pges_only_position(const PgesEvents *events);
extern void pges_begin_events(PgesEvents *events);
extern void pges_end_events(PgesEvents *events);
extern void pges_sort_events(PgesEvents *events);
extern void pges_add_projected_event(PgesEvents *events, TupleTableSlot *row);
extern void pges_begin_handlers(PgesIdentity *saved, const PgesProjection *projection);

/* in run.c */
extern void pges_run_batch(PgesProjection *projection, int max_count, PgesRun *run);

/* in inline.c */
extern void pges_check_may_be_inline(const PgesStore *store, Oid role);
extern const PgesStore *pges_lock_out_appends(PgesProjection *projection);
extern bool pges_switch_to_trigger(PgesProjection *projection, int max_count);
extern void pges_switch_to_worker(PgesProjection *projection);
extern void pges_try_to_switch(const char *name);
extern void pges_drop_inline_trigger(const PgesProjection *projection);

/* in exchange.c */
extern List *pges_list_tables(Datum tables);
extern bool pges_can_be_copied(Datum tables);
extern void pges_create_copies(const char *schema, Datum tables, Oid owner);
extern void pges_drop_copies(const PgesProjection *rebuild);
extern void pges_exchange_rows(const PgesProjection *rebuild);
extern void pges_empty_tables(const PgesProjection *projection, bool at_once);
extern const char *pges_touched_table(const PgesProjection *rebuild);

/* in rebuild.c */
extern void pges_check_no_rebuild(const PgesProjection *projection);
extern void pges_drop_rebuild(const PgesProjection *projection);
extern void pges_run_rebuild(PgesProjection *rebuild, int max_count, PgesRun *run);

/* in create_projection.c */
extern bool pges_add_projection(const PgesNewProjection *new);
extern void pges_remove_projection(const PgesProjection *projection);

/* in record_failure.c */
extern int	pges_record_failure(const char *name, const PgesRun *run, const ErrorData *error, int failures);

/* in runner.c */
PGDLLEXPORT void pges_projector_main(Datum database);
extern PgesWorker pges_projectors[];
extern void pges_runner_init(void);

#endif							/* PGES_PROJECTION_STEPS_H */
