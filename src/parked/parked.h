/*
 * parked.h
 *		Door of the room "parked": the parked events of subscriptions.
 *
 * The room "delivery" calls it.  The head of parked.c describes when events are parked, and
 * how they are delivered again.
 */
#ifndef PGES_PARKED_H
#define PGES_PARKED_H

#include "postgres.h"

#include "subscription/subscription.h"

extern bool pges_is_any_blocked(const PgesSubscription *subscription);
extern bool pges_is_blocked(const PgesSubscription *subscription, const text *aggregate_id);
extern void pges_park_event(const PgesSubscription *subscription, int64 position,
							const text *aggregate_id, int slot, int attempts, const char *reason);
extern void pges_park_behind(const PgesSubscription *subscription, int64 position,
							 const text *aggregate_id, int slot);
extern bool pges_find_replays(const PgesSubscription *subscription, PgesPartitions *partitions);
extern bool pges_has_parked(const PgesSubscription *subscription);
extern bool pges_has_replays(const PgesSubscription *subscription, int64 position);
extern int	pges_begin_replay(const PgesSubscription *subscription, const PgesPartitions *partitions,
							  int64 token, int max_count, bool again, int64 **positions, int **attempts);
extern void pges_end_replay(const PgesSubscription *subscription, int64 token, int64 up_to);
extern bool pges_fail_replay(const PgesSubscription *subscription, int64 token, int64 position,
							 const char *reason);

#endif							/* PGES_PARKED_H */
