/*
 * announcer.h
 *		Announces events of stores and writes their watermarks, for this room alone.
 */
#ifndef PGES_ANNOUNCER_H
#define PGES_ANNOUNCER_H

#include "postgres.h"

/* What is left to do after a look at all stores. */
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

extern bool pges_is_anything_owed(void);
extern void pges_announce_all(PgesWorkLeft *left);

#endif							/* PGES_ANNOUNCER_H */
