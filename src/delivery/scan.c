/*
 * scan.c
 *		Scans the log for the events of some partitions of a subscription.
 *
 * One scan serves all partitions.  It uses the statements of read_events(), with the
 * filters of the subscription.  The partition of an event is computed here.  The executor
 * sends the rows to a receiver, which ends the statement when the callback returns false.
 *
 * A filtered scan reads a window of positions at a time, so that the planner need not
 * sort the rest of the log.  A scan ends after MAX_SCAN_MS and returns the position that
 * it has reached.  The next poll continues there.
 *
 * The caller reads the high-water mark before the scan takes its snapshot, see reader.c.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "delivery/scan.h"
#include "event/event.h"
#include "read/read.h"
#include "subscription/subscription.h"
#include "table/table.h"

#define WINDOW 100000			/* positions that one statement reads, with a
								 * filter */
#define MAX_SCAN_MS 500			/* no further statement after this time */

/* Return a text column of a row, or NULL. */
static const text *
text_of(TupleTableSlot *row, PgesColumn column)
{
	bool		isnull;
	Datum		value = slot_getattr(row, column + 1, &isnull);

	return isnull ? NULL : DatumGetTextPP(value);
}

/* Return the slot of an event. */
int
pges_slot_of_event(TupleTableSlot *row)
{
	const text *aggregate_id = text_of(row, PGES_AGGREGATE_ID);

	return pges_slot_of(aggregate_id ? aggregate_id : text_of(row, PGES_EVENT_ID));
}

/* Receive a row of the log; return false to end the statement. */
static bool
receive_event(TupleTableSlot *row, DestReceiver *receiver)
{
	PgesScan   *scan = (PgesScan *) receiver;
	int			slot = scan->all_slots ? 0 : pges_slot_of_event(row);
	int			index = scan->index[slot];
	bool		isnull;

	scan->last = DatumGetInt64(slot_getattr(row, PGES_POSITION + 1, &isnull));
	scan->rows_read++;
	if (scan->taken && ++scan->rows_after == scan->look_ahead)
		scan->ended = true;
	if (index >= 0 && !pges_is_done(&scan->rows[index], slot, scan->last))
	{
		scan->taken = true;
		if (!scan->take(scan, &scan->rows[index], scan->last, row))
			scan->ended = true;
	}
	return !scan->ended;
}

/* Callback of the receiver: do nothing. */
static void
startup_scan(DestReceiver *receiver, int operation, TupleDesc desc)
{
}

/* Callback of the receiver: do nothing. */
static void
shutdown_scan(DestReceiver *receiver)
{
}

/* Prepare a scan for the events of some partitions. */
void
pges_begin_scan(PgesScan *scan, const PgesSubscription *subscription,
				const PgesPartitions *partitions, PgesTakeEvent take, void *arg)
{
	memset(scan, 0, sizeof(PgesScan));
	scan->receiver.receiveSlot = receive_event;
	scan->receiver.rStartup = startup_scan;
	scan->receiver.rShutdown = shutdown_scan;
	scan->receiver.rDestroy = shutdown_scan;
	scan->receiver.mydest = DestNone;
	scan->subscription = subscription;
	scan->rows = partitions->rows;
	scan->take = take;
	scan->arg = arg;
	scan->all_slots = partitions->n == 1 && partitions->rows[0].nfloors == 0 &&
		partitions->rows[0].last_slot - partitions->rows[0].first_slot + 1 == PGES_SLOTS;
	memset(scan->index, -1, sizeof(scan->index));
	for (int i = 0; i < partitions->n; i++)
	{
		for (int slot = partitions->rows[i].first_slot; slot <= partitions->rows[i].last_slot; slot++)
			scan->index[slot] = i;
	}
}

/* Return the parameters of a statement, without the positions. */
static PgesParams
scan_params(const PgesSubscription *subscription, int limit)
{
	PgesParams	params = {.n = 2};

	pges_add_param(&params, Int64GetDatum(limit), false);
	if (subscription->event_types == (Datum) 0 && subscription->aggregate_types == (Datum) 0)
		return params;
	pges_add_param(&params, subscription->event_types, subscription->event_types == (Datum) 0);
	pges_add_param(&params, subscription->aggregate_types, subscription->aggregate_types == (Datum) 0);
	return params;
}

/*
 * Read the events after a position, up to another one, and at most "limit".  Return the
 * position up to which all events were read.
 */
static int64
scan_range(PgesScan *scan, const PgesStore *store, PgesScope scope, PgesParams *params,
		   int64 after, int64 to, int limit)
{
	int			before = scan->rows_read;

	params->values[0] = Int64GetDatum(after);
	params->values[1] = Int64GetDatum(to);
	(void) pges_run_statement(store, scope, pges_statement_forwards(store, params, to - after),
							  params->values, params->nulls, true, &scan->receiver);
	return scan->ended || scan->rows_read - before >= limit ? scan->last : to;
}

/*
 * Scan the log after a position, up to the mark, and pass the events of the partitions to
 * the callback.  "limit" is the number of rows of a statement.  Return the position up to
 * which all events were read.
 */
int64
pges_scan_log(PgesScan *scan, int64 after, int64 mark, int limit)
{
	PgesParams	params = scan_params(scan->subscription, limit);
	const PgesStore *store = scan->subscription->store;
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), MAX_SCAN_MS);
	PgesScope	scope;

	PushActiveSnapshot(GetLatestSnapshot());
	scope = pges_scope_to_read(&store, true);
	SPI_connect();
	do
	{
		int64		to = params.n > 3 ? Min(mark, after + WINDOW) : mark;

		CHECK_FOR_INTERRUPTS();
		after = scan_range(scan, store, scope, &params, after, to, limit);
	} while (after < mark && !scan->ended && GetCurrentTimestamp() < end);
	SPI_finish();
	PopActiveSnapshot();
	return after;
}
