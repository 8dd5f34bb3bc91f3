/*
 * poll.c
 *		The SQL function poll(), and the protocol of deliveries.
 *
 * A subscription divides the events of a store among its partitions, by a hash of their
 * aggregates (partition.c).  The row of a partition has its checkpoint and its
 * outstanding delivery.  A delivery is what one poll has returned to a consumer.  It
 * consists of whole partitions.  So two consumers never have events of one aggregate at
 * the same time, and the order in the aggregate is kept.  The steps of a poll:
 *
 *	P1	Lock the name of the consumer.  Read the definition and the rows of the
 *		partitions, without locks.
 *	P2	If the consumer has a delivery, lock its partitions, and deliver their events
 *		again, with a new token (deliver.c).  The old token is no longer valid.
 *	P3	Otherwise scan the log from the lowest checkpoint of the free partitions, until
 *		enough of them are known to have events.  If none has events, return.
 *	P4	Read the rows again.  Lock partitions that have events, at most the fair share
 *		of the consumer, and skip rows that are locked.  If all of them are locked,
 *		continue with P3 for the other partitions.
 *	P5	Scan the log from the lowest checkpoint of the locked partitions, and deliver
 *		(deliver.c).  Write token, consumer and the end of the lease into the rows.
 *
 * P4 checks again, under the lock of the row, that a partition is free and has the epoch
 * of the definition (definition.c).  The transaction keeps the lock.  So if it also
 * processes and acknowledges the delivery, no other consumer can have had the events.  If
 * it commits after the poll, the token protects the delivery: see acknowledge.c.
 *
 * The rows are read under the latest snapshot, at every isolation level.  In REPEATABLE
 * READ and SERIALIZABLE, a poll skips a row that changes after that, and an
 * acknowledgement that has waited for such a row raises a serialization failure.  The log
 * is scanned as in read_events(): mark, snapshot, statement.  A transaction that has
 * appended also gets its own events; if it is rolled back, so is the delivery.
 *
 * A partition far behind could take all deliveries.  So P3 begins with neglected
 * partitions.
 *
 * The fair share is the number of partitions divided by the number of live consumers
 * (consumer.c).  A poll records its consumer if other consumers have deliveries.  So a
 * new consumer gets its share as soon as the others acknowledge their deliveries.
 *
 * The checkpoint of a partition without events would fall behind, and the scan of P3
 * would become longer.  So a poll moves such a checkpoint over PGES_MIN_ADVANCE or more
 * positions.
 *
 * A poll that waits for events holds no row lock: a poll that has written anything
 * returns at once.  Only the acknowledgement of the last delivery waits for row locks.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parked/parked.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/sql_argument.h"
#include "delivery/scan.h"
#include "position/position.h"
#include "read/read.h"
#include "subscription/subscription.h"

#define DEFAULT_MAX_COUNT 100
#define LOOK_AHEAD 1000			/* rows of P3 after the first event */
#define LOOK_MS 250				/* between two reads of the rows, while
								 * waiting */
#define BLOCK_MIN_ADVANCE 10000 /* as PGES_MIN_ADVANCE, in a transaction block
								 * that has events: it keeps the locks of
								 * other partitions */
#define MAX_STEPS_MS 500		/* no further step after this time */

/* What one step of a poll has done. */
typedef enum PollResult
{
	POLL_NOTHING,				/* there is nothing to deliver */
	POLL_PROGRESS,				/* checkpoints were moved, try again */
	POLL_STALE,					/* the definition has changed, read it and try
								 * again */
	POLL_DELIVERED
} PollResult;

/* A call of poll(). */
typedef struct Poll
{
	PgesSubscription *subscription;
	PgesDelivery delivery;
	bool		wrote;			/* the call has written something */
	bool		locked_none;	/* no wanted partition was free to lock */
	int64		mark;			/* of the last step */
	PgesPartitions leased;		/* leased when the rows were read */
	int			share;			/* partitions that the consumer may have */
	bool		noted;			/* the consumer was recorded recently */
	int			nap;			/* in ms; grows while the call waits */
} Poll;

/* Return whether the consumer has a delivery. */
static bool
has_delivery(const Poll *poll, const PgesPartitions *partitions)
{
	const char *consumer = poll->delivery.consumer;

	for (int i = 0; consumer && i < partitions->n; i++)
	{
		const PgesPartition *partition = &partitions->rows[i];

		if (partition->delivery != 0 && partition->consumer && strcmp(partition->consumer, consumer) == 0)
			return true;
	}
	return false;
}

/* P2: deliver the events of the consumer's delivery again. */
static PollResult
deliver_again(Poll *poll, PgesPartitions *all)
{
	PgesWanted	wanted = {.epoch = poll->subscription->epoch,.consumer = poll->delivery.consumer};
	PgesPartitions partitions;

	pges_lock_partitions(all, &wanted, 0, &partitions);
	if (partitions.n == 0)
	{
		poll->locked_none = true;
		return POLL_NOTHING;
	}
	poll->wrote = true;
	poll->delivery.again = true;
	if (partitions.rows[0].replaying)
		pges_deliver_replays(&poll->delivery, &partitions);
	else
		pges_deliver(&poll->delivery, &partitions, pges_lowest_of(&partitions), Min(poll->mark, pges_highest_of(&partitions)));
	return poll->delivery.count > 0 ? POLL_DELIVERED : POLL_PROGRESS;
}

/* What P3 has found. */
typedef struct Look
{
	int			enough;			/* partitions with events */
	int			with_events;
	int64		first;			/* position of the first event found */
	int64		from;			/* of the scan */
	int64		to;
	bool		replay;			/* there are events to replay */
} Look;

/* Note that a partition has events; return false if enough partitions have. */
static bool
look_at_event(PgesScan *scan, PgesPartition *partition, int64 position, TupleTableSlot *row)
{
	Look	   *look = scan->arg;

	if (look->with_events == 0)
		look->first = position;
	if (!partition->has_events)
		look->with_events++;
	partition->has_events = true;
	return look->with_events < look->enough;
}

/*
 * Return how many partitions with events P3 has to find: as many as a poll can lock, for
 * each consumer, because other polls may be locking the same ones.
 */
static int
enough_partitions(const Poll *poll)
{
	int			consumers = (poll->subscription->partitions + poll->share - 1) / poll->share;

	return Min(poll->share, poll->delivery.max_count) * consumers;
}

/* P3: find partitions that have events to deliver, enough or all.  Return whether any has. */
static bool
find_events(Poll *poll, PgesPartitions *partitions, bool all, Look *look)
{
	PgesScan	scan;

	memset(look, 0, sizeof(Look));
	look->from = look->to = pges_lowest_of(partitions);
	look->replay = pges_find_replays(poll->subscription, partitions);
	if (!look->replay && look->from >= poll->mark)
		return false;
	poll->share = pges_fair_share(poll->subscription, poll->delivery.consumer, &poll->leased, &poll->noted);
	if (look->replay)
		return true;
	look->enough = all ? partitions->n : Min(enough_partitions(poll), partitions->n);
	pges_begin_scan(&scan, poll->subscription, partitions, look_at_event, look);
	scan.look_ahead = LOOK_AHEAD;
	look->to = pges_scan_log(&scan, look->from, poll->mark, LOOK_AHEAD);
	return look->with_events > 0;
}

/* Return the partitions in which events were found, or those in which none were found. */
static PgesPartitions
having(const PgesPartitions *partitions, bool events)
{
	PgesPartitions result = {palloc(sizeof(PgesPartition) * Max(partitions->n, 1)), 0};

	for (int i = 0; i < partitions->n; i++)
	{
		if (partitions->rows[i].has_events == events)
			result.rows[result.n++] = partitions->rows[i];
	}
	return result;
}

/*
 * Lock at most "limit" of some partitions, if they are still free and due.  The rows are
 * read again first, because the scan takes time, and a row that is locked in vain stays
 * locked.  Both lists are in the order of the numbers.
 */
static void
lock_some(const Poll *poll, const PgesPartitions *partitions, int limit, PgesPartitions *locked)
{
	PgesWanted	wanted = {.epoch = poll->subscription->epoch,.available = true};
	PgesPartitions now;
	int			n = 0;
	int			next = 0;

	pges_read_partitions(poll->subscription, &now);
	for (int i = 0; i < now.n; i++)
	{
		while (next < partitions->n && partitions->rows[next].number < now.rows[i].number)
			next++;
		if (next < partitions->n && partitions->rows[next].number == now.rows[i].number)
			now.rows[n++] = now.rows[i];
	}
	now.n = n;
	pges_lock_partitions(&now, &wanted, limit, locked);
}

/*
 * Move the checkpoints of at most "limit" partitions without events to the end of the
 * scan, if that is at least "least" positions.  Return whether any was moved.  Skip a
 * partition that has changed since the scan, for example by reset_subscription().
 */
static bool
advance_quiet(Poll *poll, const PgesPartitions *partitions, const Look *look, int limit, int64 least)
{
	PgesPartitions quiet = having(partitions, false);
	PgesPartitions locked;
	bool		moved = false;
	int			n = 0;

	for (int i = 0; i < quiet.n; i++)
	{
		if (look->to - quiet.rows[i].checkpoint >= least)
			quiet.rows[n++] = quiet.rows[i];
	}
	quiet.n = n;
	if (n == 0 || limit <= 0 || look->replay)
		return false;
	lock_some(poll, &quiet, limit, &locked);
	for (int i = 0; i < locked.n; i++)
	{
		if (!pges_is_unchanged(&locked.rows[i], &quiet))
			continue;
		pges_move_checkpoint(&locked.rows[i], look->to);
		locked.rows[i].save = moved = true;
	}
	pges_save_partitions(&locked);
	poll->wrote = true;
	return moved;
}

/*
 * Return the position from which to deliver: the lowest checkpoint, or the first event
 * that the scan has found, if the partitions have not changed since.
 */
static int64
delivery_start(const PgesPartitions *taken, const PgesPartitions *seen, const Look *look)
{
	for (int i = 0; i < taken->n; i++)
	{
		if (!pges_is_unchanged(&taken->rows[i], seen))
			return pges_lowest_of(taken);
	}
	return Max(pges_lowest_of(taken), look->first - 1);
}

/* P4 and P5: lock some of the partitions that have events, and deliver. */
static PollResult
take_partitions(Poll *poll, const PgesPartitions *available, const Look *look)
{
	PgesPartitions having_events = having(available, true);
	PgesPartitions taken;

	lock_some(poll, &having_events, Min(poll->share, poll->delivery.max_count), &taken);
	if (!poll->noted)
		poll->wrote |= pges_note_consumer(poll->subscription, poll->delivery.consumer);
	if (taken.n == 0)
	{
		poll->locked_none = true;
		return POLL_NOTHING;
	}
	poll->wrote = true;
	poll->delivery.again = false;
	if (look->replay)
		pges_deliver_replays(&poll->delivery, &taken);
	else
		pges_deliver(&poll->delivery, &taken, delivery_start(&taken, available, look), poll->mark);
	(void) advance_quiet(poll, available, look, poll->share - taken.n,
						 IsTransactionBlock() ? BLOCK_MIN_ADVANCE : PGES_MIN_ADVANCE);
	return poll->delivery.count > 0 ? POLL_DELIVERED : POLL_PROGRESS;
}

/* Finish a poll that has found no event: record the consumer, and move checkpoints. */
static PollResult
find_nothing(Poll *poll, const PgesPartitions *partitions, const Look *look, bool leased)
{
	if (leased)
		poll->wrote |= pges_note_consumer(poll->subscription, poll->delivery.consumer);
	return advance_quiet(poll, partitions, look, partitions->n, PGES_MIN_ADVANCE) &&
		look->to < poll->mark ? POLL_PROGRESS : POLL_NOTHING;
}

/*
 * Return whether a partition has had no delivery for half of a lease, and is so far ahead
 * of the lowest checkpoint that the scan of P3 would not reach its events.
 */
static bool
is_neglected(const Poll *poll, const PgesPartition *partition, int64 lowest_checkpoint)
{
	return partition->checkpoint < poll->mark &&
		partition->checkpoint > lowest_checkpoint + LOOK_AHEAD &&
		partition->delivered_at < GetCurrentTimestamp() - poll->subscription->lease / 2;
}

/*
 * Return the partitions to serve first: all, or, if one is neglected because another one
 * far behind takes all deliveries, those whose checkpoint is not below that of the
 * neglected one.
 */
static PgesPartitions
begin_with(const Poll *poll, const PgesPartitions *partitions)
{
	int64		lowest_checkpoint = pges_lowest_of(partitions);
	const PgesPartition *neglected = NULL;
	PgesPartitions first = {palloc(sizeof(PgesPartition) * Max(partitions->n, 1)), 0};

	for (int i = 0; i < partitions->n; i++)
	{
		const PgesPartition *partition = &partitions->rows[i];

		if (is_neglected(poll, partition, lowest_checkpoint) &&
			(neglected == NULL || partition->delivered_at < neglected->delivered_at))
			neglected = partition;
	}
	for (int i = 0; i < partitions->n; i++)
	{
		if (neglected == NULL || partitions->rows[i].checkpoint >= neglected->checkpoint)
			first.rows[first.n++] = partitions->rows[i];
	}
	return first;
}

/*
 * Deliver events of neglected partitions, if there are any.  The checkpoints of those
 * without events are moved, so that they are not neglected any more.
 */
static PollResult
serve_neglected(Poll *poll, const PgesPartitions *partitions)
{
	PgesPartitions first = begin_with(poll, partitions);
	Look		look;

	if (first.n == partitions->n)
		return POLL_NOTHING;
	if (!find_events(poll, &first, false, &look))
		(void) advance_quiet(poll, &first, &look, first.n, PGES_MIN_ADVANCE);
	else if (!look.replay)
		return take_partitions(poll, &first, &look);
	return POLL_NOTHING;
}

/*
 * P3 to P5: deliver events of free partitions.  If other transactions have locked all
 * partitions that have events, search the other partitions.
 */
static PollResult
take_events(Poll *poll, PgesPartitions *partitions)
{
	bool		leased;
	bool		all = false;
	Look		look = {0};
	PollResult	result;

	pges_keep_available(partitions, &poll->leased);
	leased = poll->leased.n > 0;
	result = serve_neglected(poll, partitions);
	if (result != POLL_NOTHING)
		return result;
	while (partitions->n > 0 && find_events(poll, partitions, all, &look))
	{
		result = take_partitions(poll, partitions, &look);
		if (result != POLL_NOTHING)
			return result;
		*partitions = having(partitions, false);
		leased = all = true;
	}
	return find_nothing(poll, partitions, &look, leased);
}

/* Do one step of a poll, for a consumer whose name is locked. */
static PollResult
poll_as_consumer(Poll *poll)
{
	PgesSubscription *subscription = poll->subscription;
	PgesPartitions partitions;
	PollResult	result;

	poll->locked_none = false;
	pges_read_partitions(subscription, &partitions);
	if (!pges_is_epoch_of(subscription, &partitions))
		return POLL_STALE;
	poll->mark = pges_mark_after(subscription->store, pges_highest_of(&partitions));
	if (has_delivery(poll, &partitions))
		result = deliver_again(poll, &partitions);
	else if (subscription->next_partitions > 0)
		return POLL_NOTHING;
	else
		result = take_events(poll, &partitions);
	if (result == POLL_NOTHING && poll->locked_none)
	{
		pges_read_partitions(subscription, &partitions);
		if (!pges_is_epoch_of(subscription, &partitions))
			return POLL_STALE;
	}
	return result;
}

/*
 * Do one step of a poll.  The name of the consumer is locked, so that two concurrent
 * polls under one name do not make two deliveries.
 */
static PollResult
poll_once(Poll *poll)
{
	PollResult	result;

	poll->mark = pges_high_water_mark(poll->subscription->store);
	if (poll->subscription->paused || poll->subscription->runner == PGES_TRIGGER)
		return POLL_NOTHING;
	if (poll->subscription->next_partitions > 0)
		poll->wrote |= pges_try_repartition(poll->subscription);
	if (!pges_lock_consumer(poll->subscription, poll->delivery.consumer))
		return POLL_NOTHING;
	result = poll_as_consumer(poll);
	if (!poll->wrote)
		pges_unlock_consumer(poll->subscription, poll->delivery.consumer);
	return result;
}

/*
 * Sleep until the mark has moved, or the rows are to be read again.  Return false at the
 * end of the wait.
 */
static bool
wait_for_change(Poll *poll, TimestampTz end)
{
	TimestampTz look_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOOK_MS);

	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();

		if (now >= end)
			return false;
		if (now >= look_at)
			return true;
		pges_nap(Min(poll->nap, TimestampDifferenceMilliseconds(now, end)));
		poll->nap = Min(poll->nap * 2, PGES_MAX_NAP_MS);
		if (pges_high_water_mark(poll->subscription->store) > poll->mark)
			return true;
	}
}

/* Raise an error if the partitions still do not have the epoch of the definition. */
static void
report_stale(const PgesSubscription *subscription)
{
	PgesPartitions partitions;

	pges_read_partitions(subscription, &partitions);
	pges_check_epoch(subscription, &partitions);
}

/*
 * Repeat steps while they make progress without a delivery, for at most MAX_STEPS_MS.
 * Each step reads the definition again.  If the partitions never have its epoch, raise an
 * error.
 */
static PollResult
do_steps(Poll *poll, PgesSubscription *subscription)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), MAX_STEPS_MS);

	for (;;)
	{
		PollResult	result;

		CHECK_FOR_INTERRUPTS();
		poll->subscription = subscription;
		poll->delivery.subscription = subscription;
		pges_open_subscribed_store(subscription);
		poll->delivery.token = pges_make_delivery_token(subscription->store);
		result = poll_once(poll);
		if (result == POLL_NOTHING || result == POLL_DELIVERED)
			return result;
		if (GetCurrentTimestamp() >= end)
		{
			if (result == POLL_STALE)
				report_stale(subscription);
			return result;
		}
		subscription = pges_find_subscription(subscription->name, false);
	}
}

/*
 * Make a delivery without waiting, for the room "projection".  Set its token and its
 * number of events, and return whether it has any.  If there was no event among many of
 * other types, "more" is set: the caller can commit, and call again.
 */
bool
pges_poll_for(PgesSubscription *subscription, PgesDelivery *delivery)
{
	Poll		poll = {.delivery = *delivery};
	PollResult	result = do_steps(&poll, subscription);

	*delivery = poll.delivery;
	delivery->busy = poll.locked_none;
	delivery->more = result == POLL_PROGRESS || result == POLL_STALE;
	return result == POLL_DELIVERED;
}

/*
 * Deliver events; wait for them until a time, if the call has written nothing.  After
 * each wait, the definition is read again, and the memory of the steps is freed, because
 * a poll can wait for a minute.
 */
static void
run_poll(Poll *poll, PgesSubscription *subscription, TimestampTz end)
{
	const char *name = subscription->name;
	MemoryContext steps = AllocSetContextCreate(CurrentMemoryContext, "pg_eventstore poll",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(steps);

	while (do_steps(poll, subscription) != POLL_DELIVERED && !poll->wrote && wait_for_change(poll, end))
	{
		MemoryContextReset(steps);
		subscription = pges_find_subscription(name, false);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(steps);
}

/* Return the time until which to wait; raise an error if the argument is negative. */
static TimestampTz
wait_argument(FunctionCallInfo fcinfo, int arg)
{
	double		seconds = PG_ARGISNULL(arg) ? 0 : pges_interval_seconds(PG_GETARG_INTERVAL_P(arg));

	if (seconds < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"wait\" must not be negative")));
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Min(seconds * 1000, PGES_MAX_WAIT_MS));
}

PG_FUNCTION_INFO_V1(pges_poll);

/* SQL: deliver the next events of a subscription. */
Datum
pges_poll(PG_FUNCTION_ARGS)
{
	PgesSubscription *subscription = pges_subscription_argument(fcinfo, 0, "subscription", "eventstore.poll()");
	TimestampTz end = wait_argument(fcinfo, 3);
	Poll		poll = {.nap = 1};

	poll.delivery.max_count = pges_count_argument(fcinfo, 1, "max_count", DEFAULT_MAX_COUNT);
	if (!PG_ARGISNULL(2))
		poll.delivery.consumer = pges_name_argument(fcinfo, 2, "consumer");
	poll.delivery.put = pges_put_in_result;
	poll.delivery.arg = fcinfo->resultinfo;
	InitMaterializedSRF(fcinfo, 0);
	if (!PG_ARGISNULL(4))
	{
		pges_acknowledge(subscription, PG_GETARG_INT64(4), PG_INT64_MAX);
		poll.wrote = true;
	}
	run_poll(&poll, subscription, end);
	return (Datum) 0;
}
