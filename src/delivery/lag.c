/*
 * lag.c
 *		How far a subscription is behind its store.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/timestamp.h"

#include "base/sql_argument.h"
#include "delivery/scan.h"
#include "event/event.h"
#include "read/read.h"
#include "subscription/subscription.h"

#define ROWS_AT_A_TIME 1000

/* The first event that is not done with. */
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

/* Find the first event of all partitions; return the position up to which there is none. */
static int64
find_first(const PgesSubscription *subscription, int64 mark, FirstEvent *first)
{
	PgesPartitions partitions;
	PgesScan	scan;
	int64		from = mark;

	pges_read_partitions(subscription, PGES_READ_ALL, (Datum) 0, 0, &partitions);
	for (int i = 0; i < partitions.n; i++)
		from = Min(from, partitions.rows[i].checkpoint);
	if (from >= mark)
		return mark;
	pges_begin_scan(&scan, subscription, &partitions, take_first, first);
	return pges_scan_log(&scan, from, mark, ROWS_AT_A_TIME);
}

PG_FUNCTION_INFO_V1(pges_subscription_lag);

/*
 * SQL: return how far a subscription is behind its store; null if that is not known, as
 * the archive is missing.  One such store must not end the view of all subscriptions.
 */
Datum
pges_subscription_lag(PG_FUNCTION_ARGS)
{
	PgesSubscription *subscription =
		pges_look_up_subscription(pges_text_argument(fcinfo, 0, "subscription"), false);
	FirstEvent	first = {0};
	int64		mark;
	int64		done;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	pges_look_at_store(subscription);
	if (subscription->store->wants_archive && !OidIsValid(subscription->store->archive.relid))
		PG_RETURN_NULL();
	mark = pges_mark_to_read(subscription->store);
	done = find_first(subscription, mark, &first);
	if (first.position > 0)
		done = first.position - 1;
	values[0] = Int64GetDatum(mark - done);
	values[1] = first.occurred_at;
	nulls[1] = first.position == 0;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
