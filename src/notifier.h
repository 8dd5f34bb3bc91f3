/*
 * notifier.h
 *		The notifier: the background worker that announces new events.
 */
#ifndef PGES_NOTIFIER_H
#define PGES_NOTIFIER_H

#include "postgres.h"

#include "storage/lock.h"
#include "storage/proc.h"

#include "position.h"

/*
 * The locks of notifiers, all of one class.  The seat admits one notifier in a
 * database.  The card tells where it is.  The start lock of a slot of time keeps
 * others from starting one at the same time.
 */
#define PGES_SET_SEAT_TAG(tag) \
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, PGES_LOCK_NOTIFIER)
#define PGES_SET_CARD_TAG(tag, pid, procno) \
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, pid, procno, PGES_LOCK_NOTIFIER)
#define PGES_SET_START_TAG(tag, slot) \
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, slot, PGES_LOCK_NOTIFIER)

/* Where a notifier is: valid while its card is held. */
typedef struct PgesNotifier
{
	PGPROC	   *proc;
	int			pid;
} PgesNotifier;

extern void pges_call_init(void);
extern bool pges_find_notifier(PgesNotifier *notifier);
extern void pges_wake_notifier(const PgesNotifier *notifier);
extern bool pges_register_notifier(void);
extern bool pges_call_notifier(void);

PGDLLEXPORT void pges_notifier_main(Datum database);

#endif							/* PGES_NOTIFIER_H */
