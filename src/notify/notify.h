/*
 * notify.h
 *		Door of the room "notify": notifications of appends, and the notifier.
 *
 * Rooms read and lifecycle call it.  The protocol is in worker.c, that of the launcher in
 * launcher.c.
 */
#ifndef PGES_NOTIFY_H
#define PGES_NOTIFY_H

#include "postgres.h"

/* What is left to do after a look of the notifier at all stores. */
typedef struct PgesWorkLeft
{
	bool		announced;		/* an event was announced */
	bool		open_appends;	/* a mark is held back, or a lock is not free */
	bool		unrecorded;		/* a watermark or the like is due soon */
	int64		taken;			/* positions taken since the last look */
	int64		look_us;		/* duration of the look, in microseconds */
	int			failures;		/* failures in a row */
	bool		gives_up;		/* the notifier has failed too often */
} PgesWorkLeft;

/*
 * What the notifier does for the workers of projections.  The room "projection", which
 * stands above, sets the functions.  Each begins a transaction if it needs one.
 */
typedef struct PgesCoordinator
{
	bool		(*concerns) (Oid store);	/* an append to the store, at
											 * commit */
	bool		(*has_work) (void);
	void		(*look) (PgesWorkLeft *left);
} PgesCoordinator;

extern PgesCoordinator pges_coordinator;

extern void pges_notify_init(void);
extern void pges_launcher_init(void);
extern void pges_nudge_notifier(void);
extern void pges_nudge_notifier_at_commit(void);
extern void pges_notify(const char *channel, const char *store, int64 position);

#endif							/* PGES_NOTIFY_H */
