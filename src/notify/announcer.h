/*
 * announcer.h
 *		What the notifier does about stores, for this room alone.
 */
#ifndef PGES_ANNOUNCER_H
#define PGES_ANNOUNCER_H

#include "postgres.h"

/* What is left to do after a look at all stores. */
typedef struct PgesWorkLeft
{
	bool		announced;		/* something was */
	bool		open_appends;	/* hold a mark back */
	bool		unrecorded;		/* a watermark is to be written soon */
	int64		taken;			/* positions, since the last look */
	int64		look_us;		/* how long the look at the stores took */
	int			failures;		/* so many in a row */
	bool		gives_up;		/* it has failed too often */
} PgesWorkLeft;

extern bool pges_is_anything_owed(void);
extern void pges_announce_all(PgesWorkLeft *left);

#endif							/* PGES_ANNOUNCER_H */
