/*
 * scan.h
 *		The scan of the log, and consumers, for this room alone.
 */
#ifndef PGES_SCAN_H
#define PGES_SCAN_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "tcop/dest.h"

#include "delivery/delivery.h"
#include "subscription/subscription.h"

struct PgesScan;

/*
 * Callback for each event of the partitions of a scan that is not done.  The row has the
 * columns of eventstore.event.  Returns false to end the scan after this event.
 */
typedef bool (*PgesTakeEvent) (struct PgesScan *scan, PgesPartition *partition,
							   int64 position, TupleTableSlot *row);

/* A scan of the log for the events of some partitions. */
typedef struct PgesScan
{
	DestReceiver receiver;		/* must be first */
	const PgesSubscription *subscription;
	int16		index[PGES_SLOTS];	/* of the partition of a slot, or -1 */
	PgesPartition *rows;
	bool		all_slots;		/* one partition has all slots, and no floors */
	PgesTakeEvent take;
	void	   *arg;			/* for "take" */
	int			look_ahead;		/* rows to read after the first that was
								 * taken; 0: no such limit */
	int			rows_read;
	int			rows_after;		/* of them, after the first that was taken */
	bool		taken;
	bool		ended;			/* by "take" or by look_ahead */
	int64		last;			/* position of the last row */
} PgesScan;

/* in scan.c */
extern int	pges_slot_of_event(TupleTableSlot *row);
extern void pges_begin_scan(PgesScan *scan, const PgesSubscription *subscription,
							const PgesPartitions *partitions, PgesTakeEvent take, void *arg);
extern int64 pges_scan_log(PgesScan *scan, int64 after, int64 mark, int limit);

/* in poll_result.c */
extern void pges_put_in_result(PgesDelivery *delivery, const PgesPartition *partition, int attempt,
							   TupleTableSlot *row);

/* in consumer.c */
extern bool pges_lock_consumer(const PgesSubscription *subscription, const char *consumer);
extern void pges_unlock_consumer(const PgesSubscription *subscription, const char *consumer);
extern bool pges_note_consumer(const PgesSubscription *subscription, const char *consumer);
extern int	pges_fair_share(const PgesSubscription *subscription, const char *consumer,
							const PgesPartitions *leased, bool *noted);

/* in deliver.c */
extern void pges_deliver(PgesDelivery *delivery, PgesPartitions *partitions, int64 after, int64 mark);
extern void pges_deliver_replays(PgesDelivery *delivery, PgesPartitions *partitions);

#endif							/* PGES_SCAN_H */
