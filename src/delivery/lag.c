/*
 * lag.c
 *		How far a subscription is behind its store.
 *
 * The lag begins at the first event that is not done.  The search for this event is
 * limited to LOOK_POSITIONS positions, so the lag costs the same for every subscription.
 * Polls move the checkpoints over events of other types and partitions.  So in a
 * subscription that is in use, these positions have such an event, or there is none.
 * Otherwise the lag begins after these positions, with the next event of any type.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/sql_argument.h"
#include "base/subtransaction.h"
#include "delivery/delivery.h"
#include "delivery/scan.h"
#include "event/event.h"
#include "position/position.h"
#include "read/read.h"
#include "subscription/subscription.h"

#define LOOK_POSITIONS 1000		/* more than PGES_MIN_ADVANCE */

/* The first event that is not done. */
typedef struct FirstEvent
{
	int64		position;		/* 0: none */
	Datum		occurred_at;
} FirstEvent;

/* Take the first event, and end the scan. */
static bool
take_first(PgesScan *scan, PgesPartition *partition, int64 position, TupleTableSlot *row)
{
	FirstEvent *first = scan->arg;
	bool		isnull;

	first->position = position;
	first->occurred_at = slot_getattr(row, PGES_OCCURRED_AT + 1, &isnull);
	return false;
}

/*
 * Find the first event of some partitions; return the position up to which all were read.
 */
static int64
scan_for_first(const PgesSubscription *subscription, const PgesPartitions *partitions,
			   int64 after, int64 to, FirstEvent *first)
{
	PgesScan	scan;

	pges_begin_scan(&scan, subscription, partitions, take_first, first);
	return pges_scan_log(&scan, after, to, LOOK_POSITIONS);
}

/* Find the first event of any type after a position. */
static void
find_next(const PgesSubscription *subscription, int64 after, int64 mark, FirstEvent *first)
{
	PgesSubscription all = *subscription;
	PgesPartitions one;

	all.event_types = all.aggregate_types = (Datum) 0;
	pges_make_partitions(&one, 1);
	(void) scan_for_first(&all, &one, after, mark, first);
}

/*
 * Find the event at which the lag begins.  Return the position before it, or the mark if
 * there is none.
 */
static int64
find_first(const PgesSubscription *subscription, const PgesPartitions *partitions,
		   int64 mark, FirstEvent *first)
{
	int64		from = mark;

	for (int i = 0; i < partitions->n; i++)
		from = Min(from, partitions->rows[i].checkpoint);
	if (from < mark)
		from = scan_for_first(subscription, partitions, from, Min(mark, from + LOOK_POSITIONS), first);
	if (first->position == 0 && from < mark)
		find_next(subscription, from, mark, first);
	return first->position > 0 ? first->position - 1 : mark;
}

/* How far a subscription is behind its store. */
typedef struct Lag
{
	PgesSubscription *subscription;
	int64		positions;
	FirstEvent	first;
} Lag;

/* Measure how far a subscription is behind its store. */
static bool
measure(void *arg)
{
	Lag		   *lag = arg;
	PgesSubscription *subscription = lag->subscription;
	PgesPartitions partitions;
	int64		highest = 0;
	int64		mark;

	pges_open_subscribed_store(subscription);
	if (subscription->runner == PGES_TRIGGER)
		return true;
	pges_read_partitions(subscription, &partitions);
	pges_check_epoch(subscription, &partitions);
	for (int i = 0; i < partitions.n; i++)
		highest = Max(highest, partitions.rows[i].checkpoint);
	mark = pges_mark_after(subscription->store, highest);
	lag->positions = mark - find_first(subscription, &partitions, mark, &lag->first);
	return true;
}

/*
 * Return whether a subscription has processed all of its events up to a position that the
 * high-water mark has reached.
 */
bool
pges_is_done_up_to(PgesSubscription *subscription, int64 position)
{
	PgesPartitions partitions;
	FirstEvent	first = {0};
	int64		from;

	pges_read_partitions(subscription, &partitions);
	if (!pges_is_epoch_of(subscription, &partitions))
		return false;
	from = pges_lowest_of(&partitions);
	while (from < position && first.position == 0)
		from = scan_for_first(subscription, &partitions, from, position, &first);
	return first.position == 0;
}

/* Return whether an error is about the store or the definitions, not about this session. */
bool
pges_is_about_store(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION):
		case ERRCODE_TO_CATEGORY(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE):
		case ERRCODE_TO_CATEGORY(ERRCODE_FEATURE_NOT_SUPPORTED):
		case ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION):
			return sqlstate != ERRCODE_LOCK_NOT_AVAILABLE;
		default:
			return false;
	}
}

/*
 * Measure in a subtransaction: if one store cannot be read, the view of all subscriptions
 * must still return rows.  Return the message of the error, or NULL.
 */
static char *
try_to_measure(Lag *lag)
{
	ErrorData  *error = pges_run_in_subtransaction(measure, lag);

	if (error && !pges_is_about_store(error->sqlerrcode))
		ReThrowError(error);
	return error ? error->message : NULL;
}

/*
 * Return whether all events of a subscription up to the high-water mark are done.  A poll
 * without events does not tell: the subscription may be paused, or wait for another attempt.
 */
bool
pges_is_complete(const char *name)
{
	PgesSubscription *subscription = pges_find_subscription(name, false);
	PgesPartitions partitions;

	if (subscription->paused)
		return false;
	pges_open_subscribed_store(subscription);
	pges_read_partitions(subscription, &partitions);
	for (int i = 0; i < partitions.n; i++)
	{
		if (partitions.rows[i].retry_at != 0 || partitions.rows[i].stopped)
			return false;
	}
	return partitions.n > 0 && pges_is_done_up_to(subscription, pges_high_water_mark(subscription->store));
}

PG_FUNCTION_INFO_V1(pges_subscription_lag);

/* SQL: return how far a subscription is behind its store, or why that is not known. */
Datum
pges_subscription_lag(PG_FUNCTION_ARGS)
{
	Lag			lag = {pges_look_up_subscription(pges_text_argument(fcinfo, 0, "subscription"), false, false)};
	char	   *problem = try_to_measure(&lag);
	TupleDesc	desc;
	Datum		values[3] = {Int64GetDatum(lag.positions), lag.first.occurred_at, (Datum) 0};
	bool		nulls[3] = {problem != NULL, lag.first.position == 0 || problem != NULL, problem == NULL};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (problem)
		values[2] = CStringGetTextDatum(problem);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
