/*
 * notify.h
 *		Door of the room "notify": notifications of appends, and the notifier.
 *
 * Rooms read and lifecycle call it.  The protocol is in worker.c.
 */
#ifndef PGES_NOTIFY_H
#define PGES_NOTIFY_H

#include "postgres.h"

extern void pges_notify_init(void);
extern void pges_nudge_notifier(void);
extern void pges_nudge_notifier_at_commit(void);
extern void pges_notify(const char *channel, const char *store, int64 position);

#endif							/* PGES_NOTIFY_H */
