/*
 * projection.h
 *		Door of the room "projection": projections, whose handlers the server calls with
 *		the events of a store.
 *
 * The rooms "projector" and "lifecycle" call it.  The head of run.c describes how a
 * projection runs.
 */
#ifndef PGES_PROJECTION_H
#define PGES_PROJECTION_H

#include "postgres.h"

#include "base/act_as.h"
#include "base/own_object.h"
#include "subscription/subscription.h"

#define PGES_REBUILD_SUFFIX ".rebuild"	/* of the name of a rebuild */

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
	int64		handler_version;	/* of a rebuild, when it began */
	PgesSubscription *subscription;
} PgesProjection;

/* What a run has done, also if it has failed. */
typedef struct PgesRun
{
	int			taken;			/* events that were polled */
	int			handled;		/* of them, by calls of the handler that
								 * returned */
	int64		position;		/* of the event that was being handled; 0:
								 * none, or not known */
	bool		busy;			/* another transaction runs the projection */
	bool		more;			/* none was taken, but there may be events
								 * after many of other types */
	bool		timed_out;		/* the runner has canceled it */
} PgesRun;

/* in projection.c */
extern const PgesOwnTable pges_projection_rows;

extern PgesProjection *pges_look_up_projection(const char *name, bool missing_ok);
extern PgesProjection *pges_find_projection(const char *name, bool lock, bool missing_ok);
extern void pges_forget_projections(Oid store);

/* in handler.c */
extern void pges_begin_session(const PgesProjection *projection);
extern void pges_end_session(void);
extern void pges_begin_handlers(PgesIdentity *saved, const PgesProjection *projection);

/* in run.c */
extern void pges_run_batch(PgesProjection *projection, int max_count, PgesRun *run);

/* in inline.c */
extern bool pges_try_to_switch(const char *name);

/* in rebuild.c */
extern void pges_run_rebuild(PgesProjection *rebuild, int max_count, PgesRun *run);

#endif							/* PGES_PROJECTION_H */
