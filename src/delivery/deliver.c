/*
 * deliver.c
 *		Makes a delivery from the events of partitions that the caller has locked.
 *
 * One scan of the log, from the lowest of their checkpoints, serves all partitions.  At
 * the end of the scan, every event of the partitions up to that position is in the
 * delivery or done.  The position is stored in "scanned_to".  When the whole delivery is
 * acknowledged, the checkpoints move there.
 *
 * If a delivery of several events is lost, any of them may have killed the consumer.  So
 * up to "suspect_to", the position of the last of them, the partition delivers one event
 * at a time.  A failed event is also delivered alone.  An event that was delivered alone
 * max_attempts times is exhausted: it is parked, or its partition is stopped.
 *
 * A consumer that polls again while it has a delivery has lost an answer, or was
 * restarted under the same name.  The first such poll returns the same events.  Later
 * ones return one event at a time, so that the event that kills the consumer is found.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "parked/parked.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "delivery/scan.h"
#include "event/event.h"
#include "read/read.h"
#include "subscription/subscription.h"
#include "table/table.h"

/* Reads parked events. */
static const PgesStatement at_positions = {
	"SELECT " PGES_COLUMNS " FROM %1$s "
	"WHERE position OPERATOR(pg_catalog.=) ANY ($1) ORDER BY position",
	1, {INT8ARRAYOID},.custom = true
};

/*
 * Return a row of the log as it is stored.  If a column was added to the table after the
 * row was written, the stored row lacks its value, so a new row is formed.
 */
HeapTuple
pges_stored_row(TupleTableSlot *row, bool *is_copy)
{
	HeapTuple	tuple = ExecFetchSlotHeapTuple(row, false, is_copy);

	if (HeapTupleHeaderGetNatts(tuple->t_data) == PGES_NUM_COLUMNS)
		return tuple;
	slot_getallattrs(row);
	*is_copy = true;
	return heap_form_tuple(row->tts_tupleDescriptor, row->tts_values, row->tts_isnull);
}

/* Return the aggregate of an event, or NULL for none. */
static const text *
aggregate_of(TupleTableSlot *row)
{
	bool		isnull;
	Datum		value = slot_getattr(row, PGES_AGGREGATE_ID + 1, &isnull);

	return isnull ? NULL : DatumGetTextPP(value);
}

/* Close a partition: it gets no more events in this delivery. */
static void
close_partition(PgesDelivery *delivery, PgesPartition *partition, int64 position)
{
	partition->closed = true;
	partition->bound = position;
	delivery->open--;
}

/* Set whether a partition delivers its next events one at a time. */
static void
set_mode(PgesPartition *partition, int attempts_together)
{
	partition->alone = partition->checkpoint < partition->suspect_to ||
		partition->attempt >= attempts_together;
}

/* If the delivery of a partition was lost and had several events, suspect all of them. */
static void
suspect_lost(PgesPartition *partition)
{
	if (partition->delivery != 0 && !partition->replaying && partition->delivered > 1)
		partition->suspect_to = Max(partition->suspect_to, partition->delivered_to);
}

/* Prepare a partition for a delivery. */
static void
prepare_partition(const PgesDelivery *delivery, PgesPartition *partition)
{
	bool		together = delivery->again && partition->attempt < 2;

	partition->bound = delivery->again ? partition->scanned_to : PG_INT64_MAX;
	partition->count = 0;
	partition->closed = false;
	if (!together)
		suspect_lost(partition);
	partition->exhausted = delivery->subscription->runner == PGES_CONSUMERS &&
		partition->attempt >= delivery->subscription->max_attempts && partition->delivered <= 1;
	set_mode(partition, together ? 2 : 1);
}

/* Return the reason that is recorded for an exhausted event. */
static char *
exhaustion(int attempts)
{
	return psprintf("Deliveries without an acknowledgement: %d.", attempts);
}

/* Park an exhausted event, or stop its partition, according to on_exhausted. */
static void
exhaust_event(PgesDelivery *delivery, PgesPartition *partition, int64 position, TupleTableSlot *row)
{
	partition->exhausted = false;
	partition->changed = true;
	partition->failed_attempts = partition->attempt;
	if (delivery->subscription->on_exhausted == PGES_STOP)
	{
		partition->stopped = true;
		close_partition(delivery, partition, position - 1);
		return;
	}
	pges_park_event(delivery->subscription, position, aggregate_of(row), pges_slot_of_event(row),
					partition->attempt, exhaustion(partition->attempt));
	delivery->any_blocked = true;
	pges_move_checkpoint(partition, position);
	set_mode(partition, 1);
}

/* Return whether an earlier event of the aggregate of an event is parked. */
static bool
is_blocked(const PgesDelivery *delivery, TupleTableSlot *row)
{
	const text *aggregate_id = delivery->any_blocked ? aggregate_of(row) : NULL;

	return aggregate_id && pges_is_blocked(delivery->subscription, aggregate_id);
}

/*
 * Park an event behind an earlier one of its aggregate.  If the delivery has no event of
 * the partition yet, move the checkpoint over the event.  Otherwise the acknowledgement
 * of the delivery moves it; see parked.c.
 */
static void
park_behind(PgesDelivery *delivery, PgesPartition *partition, int64 position, TupleTableSlot *row)
{
	pges_park_behind(delivery->subscription, position, aggregate_of(row), pges_slot_of_event(row));
	partition->changed = true;
	if (partition->count > 0)
		return;
	pges_move_checkpoint(partition, position);
	partition->exhausted = false;
	set_mode(partition, 1);
}

/*
 * Reset the attempts of a partition unless they belong to its first event, which then
 * directly follows the checkpoint.  The event that failed may have been deleted.
 */
static void
check_first(PgesPartition *partition, int64 position, bool together)
{
	if (partition->attempt == 0 || position == partition->checkpoint + 1)
		return;
	partition->attempt = 0;
	partition->exhausted = false;
	set_mode(partition, together ? 2 : 1);
}

/* Take an event for a delivery; return false if the delivery is complete. */
static bool
deliver_event(PgesScan *scan, PgesPartition *partition, int64 position, TupleTableSlot *row)
{
	PgesDelivery *delivery = scan->arg;

	if (partition->closed || position > partition->bound)
		return true;
	if (partition->count == 0)
		check_first(partition, position, delivery->again);
	if (is_blocked(delivery, row))
		park_behind(delivery, partition, position, row);
	else if (partition->exhausted)
		exhaust_event(delivery, partition, position, row);
	else
	{
		if (partition->count++ == 0)
			partition->first = position;
		partition->delivered_to = position;
		delivery->count++;
		delivery->put(delivery, partition, partition->attempt + 1, row);
		if (partition->alone)
			close_partition(delivery, partition, position);
	}
	return delivery->count < delivery->max_count && delivery->open > 0;
}

/*
 * Add the events of a delivery to the rate of a partition.  The rate is a count of
 * delivered events that decays exponentially with a time constant of one minute.  At a
 * steady rate it is the number of events delivered in a minute.
 */
static void
add_to_rate(PgesPartition *partition)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		age = Max(now - partition->delivered_at, 0);

	partition->rate = partition->rate * exp(-(double) age / USECS_PER_MINUTE) + partition->count;
	partition->delivered_at = now;
}

/* Lease a partition to the consumer of a delivery. */
static void
lease_partition(const PgesDelivery *delivery, PgesPartition *partition, int shared)
{
	add_to_rate(partition);
	partition->delivery = delivery->token;
	partition->consumer = delivery->consumer ? pstrdup(delivery->consumer) : NULL;
	partition->lease_until = GetCurrentTimestamp() + delivery->subscription->lease;
	partition->retry_at = 0;
	partition->shared = shared;
	partition->save = true;
}

/* Lease a partition that has events in a delivery, and set its progress. */
static void
finish_with_events(const PgesDelivery *delivery, PgesPartition *partition, int64 scanned_to, int shared)
{
	lease_partition(delivery, partition, shared);
	pges_raise_checkpoint(partition, partition->first - 1);
	partition->attempt++;
	partition->delivered = partition->count;
	partition->scanned_to = scanned_to;
	partition->replaying = false;
}

/* Release a partition that has no events in a delivery, and move its checkpoint. */
static void
finish_without_events(PgesPartition *partition, int64 scanned_to)
{
	if (!partition->changed && partition->delivery == 0 &&
		scanned_to - partition->checkpoint < PGES_MIN_ADVANCE)
		return;
	pges_end_delivery(partition);
	if (partition->stopped)
		pges_raise_checkpoint(partition, scanned_to);
	else
		pges_move_checkpoint(partition, Max(scanned_to, partition->checkpoint));
	partition->save = true;
}

/* Return how many partitions have events in a delivery. */
static int
count_with_events(const PgesPartitions *partitions)
{
	int			count = 0;

	for (int i = 0; i < partitions->n; i++)
		count += partitions->rows[i].count > 0;
	return count;
}

/* Update and write the partitions after a scan up to a position. */
static void
finish_partitions(const PgesDelivery *delivery, PgesPartitions *partitions, int64 end)
{
	int			shared = count_with_events(partitions);

	for (int i = 0; i < partitions->n; i++)
	{
		PgesPartition *partition = &partitions->rows[i];
		int64		scanned_to = Min(end, partition->bound);

		if (partition->failed_attempts > 0)
			partition->error = exhaustion(partition->failed_attempts);
		if (partition->count == 0)
			finish_without_events(partition, scanned_to);
		else
			finish_with_events(delivery, partition, scanned_to, shared);
	}
	pges_save_partitions(partitions);
}

/*
 * Deliver the next events of some partitions, after a position and up to the mark.  All
 * events of the partitions up to the position must be done.
 */
void
pges_deliver(PgesDelivery *delivery, PgesPartitions *partitions, int64 after, int64 mark)
{
	int			rows_per_event = Max(delivery->subscription->partitions / partitions->n, 1);
	int			limit = Min(Max(delivery->max_count, 1000), 100000 / rows_per_event) * rows_per_event;
	PgesScan	scan;
	int64		end;

	for (int i = 0; i < partitions->n; i++)
		prepare_partition(delivery, &partitions->rows[i]);
	delivery->open = partitions->n;
	delivery->any_blocked = pges_is_any_blocked(delivery->subscription);
	pges_begin_scan(&scan, delivery->subscription, partitions, deliver_event, delivery);
	end = pges_scan_log(&scan, after, mark, limit);
	finish_partitions(delivery, partitions, end);
}

/* A receiver of parked events that are delivered again. */
typedef struct ReplayReceiver
{
	DestReceiver receiver;		/* must be first */
	PgesDelivery *delivery;
	PgesPartitions *partitions;
	const int64 *positions;		/* of the events, ascending */
	const int  *attempts;
} ReplayReceiver;

/* Receive a parked event. */
static bool
receive_replay(TupleTableSlot *row, DestReceiver *self)
{
	ReplayReceiver *receiver = (ReplayReceiver *) self;
	bool		isnull;
	int64		position = DatumGetInt64(slot_getattr(row, PGES_POSITION + 1, &isnull));
	PgesPartition *partition = pges_partition_of_slot(receiver->partitions, pges_slot_of_event(row));

	while (*receiver->positions < position)
	{
		receiver->positions++;
		receiver->attempts++;
	}
	receiver->delivery->count++;
	receiver->delivery->put(receiver->delivery, partition, *receiver->attempts, row);
	partition->count++;
	partition->last_replayed = position;
	return true;
}

/* Callback of the receiver: do nothing. */
static void
startup_replay(DestReceiver *receiver, int operation, TupleDesc desc)
{
}

/* Callback of the receiver: do nothing. */
static void
shutdown_replay(DestReceiver *receiver)
{
}

/* Read the events at some positions into a delivery. */
static void
read_replays(PgesDelivery *delivery, PgesPartitions *partitions, const int64 *positions,
			 const int *attempts, int n)
{
	ReplayReceiver receiver = {
		{receive_replay, startup_replay, shutdown_replay, shutdown_replay, DestNone},
		delivery, partitions, positions, attempts
	};
	const PgesStore *store = delivery->subscription->store;
	Datum	   *values = palloc(sizeof(Datum) * (n + 1));
	Datum		array;
	PgesScope	scope;

	for (int i = 0; i < n; i++)
		values[i] = Int64GetDatum(positions[i]);
	array = PointerGetDatum(construct_array(values, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	PushActiveSnapshot(GetLatestSnapshot());
	scope = pges_scope_to_read(&store, true);
	SPI_connect();
	(void) pges_run_statement(store, scope, &at_positions, &array, NULL, true, &receiver.receiver);
	SPI_finish();
	PopActiveSnapshot();
}

/*
 * Deliver the parked events of some partitions that replay_parked() has marked.  The
 * checkpoints and attempts of the partitions do not change.
 */
void
pges_deliver_replays(PgesDelivery *delivery, PgesPartitions *partitions)
{
	int64	   *positions;
	int		   *attempts;
	int			n = pges_begin_replay(delivery->subscription, partitions, delivery->token,
									  delivery->max_count, delivery->again, &positions, &attempts);
	int			shared;

	read_replays(delivery, partitions, positions, attempts, n);
	shared = count_with_events(partitions);
	for (int i = 0; i < partitions->n; i++)
	{
		PgesPartition *partition = &partitions->rows[i];

		suspect_lost(partition);
		if (partition->count > 0)
		{
			lease_partition(delivery, partition, shared);
			partition->delivered_to = partition->last_replayed;
			partition->replaying = true;
			if (partition->attempt == 0)
				partition->delivered = partition->count;
		}
		else
			pges_end_delivery(partition);
	}
	pges_save_all_partitions(partitions);
}
