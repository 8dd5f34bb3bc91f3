/*
 * subscription.h
 *		Door of the room "subscription": subscriptions, their partitions and parked
 *		events, and the tables that store them.
 *
 * The room "delivery" reads and writes the rows; the head of its poll.c describes the
 * protocol.  The room "projection" has subscriptions whose events the server processes.  The rooms "archive" and "lifecycle" call pges_lowest_checkpoint() and
 * pges_forget_...().  The head of partition.c defines the hash, and when a partition is
 * free.
 */
#ifndef PGES_SUBSCRIPTION_H
#define PGES_SUBSCRIPTION_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/own_object.h"
#include "store/store.h"

#define PGES_SLOTS 1024			/* also the greatest number of partitions */
#define PGES_MAX_LEASE USECS_PER_DAY	/* of a lease and of a pause, in
										 * microseconds */
#define PGES_MAX_END (2 * PGES_MAX_LEASE)	/* a later end of a lease or pause
											 * is wrong: the clock was set
											 * back */
#define PGES_MAX_NAME 255		/* of a subscription or consumer, in
								 * characters */

/*
 * A checkpoint is not written to move it over fewer positions without events.  Documented
 * in view subscription_partitions.
 */
#define PGES_MIN_ADVANCE 256

/* What happens to an event after max_attempts. */
typedef enum PgesOnExhausted
{
	PGES_PARK,					/* park it and later ones of its aggregate */
	PGES_SKIP,					/* park it alone */
	PGES_STOP					/* stop its partition */
} PgesOnExhausted;

/* Who processes the events of a subscription. */
typedef enum PgesRunner
{
	PGES_CONSUMERS,				/* clients that call poll() */
	PGES_WORKER,				/* a projection: a background worker, */
	PGES_CALLER,				/* sessions that call run_projection(), */
	PGES_TRIGGER				/* or the transactions that append */
} PgesRunner;

/* A row of subscription_definitions.  It lives in the context of the call. */
typedef struct PgesSubscription
{
	char	   *name;
	Datum		key;			/* the name as a text */
	Oid			relid;			/* of the store; may not exist any more */
	char	   *owner_name;
	Oid			owner;			/* InvalidOid: the role does not exist */
	Datum		event_types;	/* 0: all */
	Datum		aggregate_types;	/* 0: all */
	int			partitions;
	int			next_partitions;	/* 0: no change is pending */
	int64		lease;			/* in microseconds */
	int			max_attempts;
	int64		backoff;		/* in microseconds */
	PgesOnExhausted on_exhausted;
	bool		paused;
	int64		epoch;
	PgesRunner	runner;
	const PgesStore *store;		/* NULL before pges_open_subscribed_store() */
} PgesSubscription;

/* Slots that are done up to a higher position than the checkpoint. */
typedef struct PgesFloor
{
	int64		first_slot;
	int64		last_slot;
	int64		position;
} PgesFloor;

/*
 * A row of subscription_progress.  The fields after "error" belong to a poll, and are
 * not stored.
 */
typedef struct PgesPartition
{
	int			number;
	int			first_slot;
	int			last_slot;
	int64		checkpoint;
	PgesFloor  *floors;
	int			nfloors;
	int64		delivery;		/* 0: none */
	char	   *consumer;		/* NULL: none, or without a name */
	TimestampTz lease_until;	/* 0: none */
	int			delivered;
	int64		delivered_to;
	int64		scanned_to;
	bool		replaying;
	int			attempt;
	int64		suspect_to;
	TimestampTz retry_at;		/* 0: none */
	bool		stopped;
	int64		last_delivery;	/* 0: none */
	TimestampTz delivered_at;	/* 0: never */
	double		rate;			/* events delivered, see add_to_rate() */
	int64		epoch;			/* that of the definition */
	int			shared;			/* partitions of the delivery */
	char	   *error;			/* new last_error; NULL keeps the stored one */

	ItemPointerData tid;		/* of the row */
	HeapTuple	row;			/* as locked; NULL: not locked */
	bool		save;			/* pges_save_partitions() writes it */
	bool		has_events;		/* there is an event to deliver */
	bool		alone;			/* gets one event at a time */
	bool		exhausted;		/* its first event is exhausted */
	bool		closed;			/* gets no more events in this delivery */
	bool		changed;		/* events were parked, or it was stopped */
	int			failed_attempts;	/* of an exhausted event; 0: none */
	int64		bound;			/* gets no events after this position */
	int			count;			/* events in this delivery */
	int64		first;			/* position of the first of them */
	int64		last_replayed;	/* position of the last parked event */
} PgesPartition;

typedef struct PgesPartitions
{
	PgesPartition *rows;
	int			n;
} PgesPartitions;

/* Which partitions to lock: those that meet all conditions that are set. */
typedef struct PgesWanted
{
	bool		wait;			/* for their locks; otherwise leave out those
								 * that are locked */
	int64		epoch;			/* of the definition; 0: any */
	int64		delivery;		/* they belong to; 0: any */
	const char *consumer;		/* they belong to; NULL: any */
	bool		available;		/* they are free and due */
	bool		slot_set;		/* they have a slot: */
	int			slot;
} PgesWanted;

/* in subscription.c */
extern const PgesOwnTable pges_definition_rows;
extern const PgesOwnTable pges_partition_rows;
extern const PgesOwnTable pges_consumer_rows;
extern const PgesOwnTable pges_parked_rows;

extern int64 pges_make_token(void);
extern int64 pges_make_delivery_token(const PgesStore *store);
extern bool pges_is_epoch_of(const PgesSubscription *subscription, const PgesPartitions *partitions);
extern void pges_check_epoch(const PgesSubscription *subscription, const PgesPartitions *partitions);
extern int64 pges_lowest_checkpoint(Oid store);
extern void pges_forget_subscriptions(Oid store);
extern void pges_forget_parked(Oid store);
extern char *pges_name_argument(FunctionCallInfo fcinfo, int arg, const char *name);
extern int64 pges_interval_argument(FunctionCallInfo fcinfo, int arg, const char *name,
									int64 if_null, bool zero_ok);
extern void pges_check_member(const PgesSubscription *subscription);
extern PgesSubscription *pges_look_up_subscription(const char *name, bool lock, bool missing_ok);
extern PgesSubscription *pges_find_subscription(const char *name, bool lock);
extern PgesSubscription *pges_subscription_argument(FunctionCallInfo fcinfo, int arg, const char *name,
													const char *function);
extern void pges_refuse_projection(const PgesSubscription *subscription, const char *function);
extern void pges_change_projections(void);
extern const char *pges_runner_name(PgesRunner runner);
extern const char *pges_on_exhausted_name(PgesOnExhausted on_exhausted);
extern PgesOnExhausted pges_parse_on_exhausted(const char *name);
extern void pges_open_subscribed_store(PgesSubscription *subscription);

/* A subscription to add; all fields have values. */
typedef struct PgesNewSubscription
{
	const char *name;
	const PgesStore *store;
	Datum		event_types;	/* 0: all */
	Datum		aggregate_types;	/* 0: all */
	int64		start;
	int			partitions;
	Datum		lease;
	int			max_attempts;
	Datum		backoff;
	const char *on_exhausted;
	PgesRunner	runner;
} PgesNewSubscription;

#define PGES_SUBSCRIPTION_PARAMS 9	/* of pges_change_subscription(): name,
									 * event_types, aggregate_types,
									 * partitions, lease, max_attempts,
									 * backoff, on_exhausted, owner */

/* in definition.c */
extern void pges_check_number(FunctionCallInfo fcinfo, int arg, const char *name, int greatest);
extern Datum pges_types_argument(FunctionCallInfo fcinfo, int arg, const char *name);
extern int64 pges_start_argument(FunctionCallInfo fcinfo, int arg, const char *name, const PgesStore *store);
extern void pges_check_new_owner(FunctionCallInfo fcinfo, int arg);
extern void pges_set_types(FunctionCallInfo fcinfo, int arg, const PgesSubscription *subscription,
						   Datum *values, bool *nulls);
extern void pges_change_subscription(PgesSubscription *subscription, const Datum *values, const bool *nulls);
extern bool pges_are_types_equal(const PgesSubscription *subscription, const PgesNewSubscription *new);
extern bool pges_add_subscription(const PgesNewSubscription *new);
extern void pges_remove_subscription(const PgesSubscription *subscription);
extern void pges_pause(const PgesSubscription *subscription);
extern void pges_try_again(const PgesSubscription *subscription, bool wait);
extern void pges_resume(const PgesSubscription *subscription);
extern void pges_set_runner(PgesSubscription *subscription, PgesRunner runner);
extern void pges_set_checkpoint(PgesSubscription *subscription, int64 checkpoint);

/* in partition.c */
extern int	pges_slot_of(const text *key);
extern void pges_make_partitions(PgesPartitions *partitions, int count);
extern void pges_read_partitions(const PgesSubscription *subscription, PgesPartitions *partitions);
extern void pges_lock_partitions(PgesPartitions *partitions, const PgesWanted *wanted, int limit,
								 PgesPartitions *locked);
extern void pges_read_and_lock_partitions(const PgesSubscription *subscription, const PgesWanted *wanted,
										  PgesPartitions *locked);
extern void pges_save_partitions(PgesPartitions *partitions);
extern void pges_save_all_partitions(PgesPartitions *partitions);
extern void pges_insert_partitions(const PgesSubscription *subscription,
								   const PgesPartitions *partitions);
extern void pges_delete_partitions(const PgesSubscription *subscription);
extern int64 pges_lowest_of(const PgesPartitions *partitions);
extern int64 pges_highest_of(const PgesPartitions *partitions);
extern bool pges_is_unchanged(const PgesPartition *partition, const PgesPartitions *before);
extern bool pges_is_done(const PgesPartition *partition, int slot, int64 position);
extern bool pges_is_leased(const PgesPartition *partition, TimestampTz now);
extern bool pges_is_available(const PgesPartition *partition, TimestampTz now);
extern void pges_keep_available(PgesPartitions *partitions, PgesPartitions *leased);
extern void pges_end_delivery(PgesPartition *partition);
extern void pges_raise_checkpoint(PgesPartition *partition, int64 position);
extern void pges_move_checkpoint(PgesPartition *partition, int64 position);
extern PgesPartition *pges_partition_of_slot(const PgesPartitions *partitions, int slot);

/* in repartition.c */
extern bool pges_repartition(PgesSubscription *subscription);
extern bool pges_try_repartition(PgesSubscription *subscription);

#endif							/* PGES_SUBSCRIPTION_H */
