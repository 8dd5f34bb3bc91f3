/*
 * delivery.h
 *		Door of the room "delivery": makes a delivery, and ends it.
 *
 * The room has the SQL functions that consumers call.  The room "projection" calls this
 * door to get the events of a projection in the server.  The head of poll.c describes the
 * protocol.
 */
#ifndef PGES_DELIVERY_H
#define PGES_DELIVERY_H

#include "postgres.h"

#include "executor/tuptable.h"

#include "subscription/subscription.h"

struct PgesDelivery;

/*
 * Callback for each event of a delivery, with its row of the log.  It may lower max_count
 * to the count of events so far, to end the delivery with this event.
 */
typedef void (*PgesPutEvent) (struct PgesDelivery *delivery, const PgesPartition *partition,
							  int attempt, TupleTableSlot *row);

/* A delivery that is being made. */
typedef struct PgesDelivery
{
	const PgesSubscription *subscription;
	int64		token;
	const char *consumer;		/* NULL: without a name */
	bool		again;			/* the consumer has a delivery */
	int			max_count;
	int			count;			/* of events so far */
	int			open;			/* partitions that are not closed */
	bool		any_blocked;	/* there are parked events that block others */
	bool		busy;			/* another transaction has locked the rows */
	bool		more;			/* there may be events after those that were
								 * looked at; the checkpoint was moved */
	PgesPutEvent put;
	void	   *arg;			/* for "put" */
} PgesDelivery;

/* in deliver.c */
extern HeapTuple pges_stored_row(TupleTableSlot *row, bool *is_copy);

/* in acknowledge.c */
extern void pges_acknowledge(PgesSubscription *subscription, int64 token, int64 up_to);
extern void pges_fail_event(PgesSubscription *subscription, int64 token, int64 position, char *reason);

/* in poll.c */
extern bool pges_poll_for(PgesSubscription *subscription, PgesDelivery *delivery);

/* in lag.c */
extern bool pges_is_about_store(int sqlstate);
extern bool pges_is_complete(const char *name);
extern bool pges_is_done_up_to(PgesSubscription *subscription, int64 position);

#endif							/* PGES_DELIVERY_H */
