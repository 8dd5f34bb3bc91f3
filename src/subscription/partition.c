/*
 * partition.c
 *		The partitions of a subscription: rows of eventstore.subscription_progress.
 *
 * The key of an event is its aggregate id, or its event id if it belongs to no aggregate.
 * The slot of an event is the CRC-32C (Castagnoli) of the bytes of its key, divided by
 * 2^22: a number from 0 to 1023.  Of n partitions, partition slot * n / 1024 (rounded
 * down) has the slot.  The result is the same on all platforms and in any language.  The
 * hash must not change, because stored checkpoints depend on it.
 *
 * An event is done if its position is not above the checkpoint of its partition, or not
 * above a floor of its slot (repartition.c).
 *
 * A partition is free if it has no delivery, or if the lease of its delivery has expired.
 * A partition is due if it is not stopped and its retry pause is over.  Both are checked
 * under the lock of the row, which the transaction holds until it ends.  Only the
 * functions that end a delivery and the administrative functions wait for the lock of a
 * row.
 *
 * Times come from the clock, not from the start of the transaction.  If the clock is set
 * back, leases and pauses last longer.  An end that is more than PGES_MAX_END away counts
 * as past.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "port/pg_crc32c.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/own_object.h"
#include "table/table.h"
#include "subscription/subscription.h"

/* The columns of eventstore.subscription_progress. */
typedef enum Column
{
	COLUMN_SUBSCRIPTION,
	COLUMN_PARTITION,
	COLUMN_FIRST_SLOT,
	COLUMN_LAST_SLOT,
	COLUMN_CHECKPOINT,
	COLUMN_FLOORS,
	COLUMN_DELIVERY,
	COLUMN_CONSUMER,
	COLUMN_LEASE_UNTIL,
	COLUMN_DELIVERED,
	COLUMN_DELIVERED_TO,
	COLUMN_SCANNED_TO,
	COLUMN_REPLAYING,
	COLUMN_ATTEMPT,
	COLUMN_SUSPECT_TO,
	COLUMN_RETRY_AT,
	COLUMN_STOPPED,
	COLUMN_LAST_DELIVERY,
	COLUMN_DELIVERED_AT,
	COLUMN_RATE,
	COLUMN_EPOCH,
	COLUMN_SHARED,
	COLUMN_LAST_ERROR,
	COLUMN_LAST_ERROR_AT
} Column;

static PgesOwnStatement insert = {
	{&pges_partition_rows}, false,
	"INSERT INTO eventstore.subscription_progress "
	"(subscription, partition, first_slot, last_slot, checkpoint, floors, retry_at, stopped, epoch) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	9, {TEXTOID, INT4OID, INT4OID, INT4OID, INT8OID, INT8ARRAYOID, TIMESTAMPTZOID, BOOLOID, INT8OID}
};

static PgesOwnStatement delete = {
	{&pges_partition_rows}, false,
	"DELETE FROM eventstore.subscription_progress WHERE subscription OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

/* Return the slot of a key. */
int
pges_slot_of(const text *key)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
	FIN_CRC32C(crc);
	return (uint32) crc >> 22;
}

/* Make the initial partitions of a subscription. */
void
pges_make_partitions(PgesPartitions *partitions, int count)
{
	partitions->n = count;
	partitions->rows = palloc0(sizeof(PgesPartition) * count);
	for (int i = 0; i < count; i++)
	{
		partitions->rows[i].number = i;
		partitions->rows[i].first_slot = (i * PGES_SLOTS + count - 1) / count;
		partitions->rows[i].last_slot = ((i + 1) * PGES_SLOTS + count - 1) / count - 1;
	}
}

/* Return the floors of a partition as an array for its row, or 0 if there are none. */
static Datum
floors_array(const PgesPartition *partition)
{
	int			n = partition->nfloors * 3;
	Datum	   *values = palloc(sizeof(Datum) * (n + 1));

	if (n == 0)
		return (Datum) 0;
	for (int i = 0; i < n; i++)
		values[i] = Int64GetDatum(((const int64 *) partition->floors)[i]);
	return PointerGetDatum(construct_array(values, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* Set the floors of a partition from the array of its row. */
static void
set_floors(PgesPartition *partition, Datum array)
{
	Datum	   *values;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, NULL, &n);
	partition->nfloors = n / 3;
	partition->floors = palloc(sizeof(PgesFloor) * (partition->nfloors + 1));
	for (int i = 0; i < partition->nfloors * 3; i++)
		((int64 *) partition->floors)[i] = DatumGetInt64(values[i]);
}

/* Read a row.  Its strings and arrays are allocated in the current memory context. */
static void
read_partition(PgesPartition *partition, HeapTuple row, TupleDesc desc)
{
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(row, desc, values, nulls);
	memset(partition, 0, sizeof(PgesPartition));
	partition->tid = row->t_self;
	partition->number = DatumGetInt32(values[COLUMN_PARTITION]);
	partition->first_slot = DatumGetInt32(values[COLUMN_FIRST_SLOT]);
	partition->last_slot = DatumGetInt32(values[COLUMN_LAST_SLOT]);
	partition->checkpoint = DatumGetInt64(values[COLUMN_CHECKPOINT]);
	if (!nulls[COLUMN_FLOORS])
		set_floors(partition, values[COLUMN_FLOORS]);
	partition->delivery = nulls[COLUMN_DELIVERY] ? 0 : DatumGetInt64(values[COLUMN_DELIVERY]);
	partition->consumer = nulls[COLUMN_CONSUMER] ? NULL : TextDatumGetCString(values[COLUMN_CONSUMER]);
	partition->lease_until = nulls[COLUMN_LEASE_UNTIL] ? 0 : DatumGetTimestampTz(values[COLUMN_LEASE_UNTIL]);
	partition->delivered = DatumGetInt32(values[COLUMN_DELIVERED]);
	partition->delivered_to = DatumGetInt64(values[COLUMN_DELIVERED_TO]);
	partition->scanned_to = DatumGetInt64(values[COLUMN_SCANNED_TO]);
	partition->replaying = DatumGetBool(values[COLUMN_REPLAYING]);
	partition->attempt = DatumGetInt32(values[COLUMN_ATTEMPT]);
	partition->suspect_to = DatumGetInt64(values[COLUMN_SUSPECT_TO]);
	partition->retry_at = nulls[COLUMN_RETRY_AT] ? 0 : DatumGetTimestampTz(values[COLUMN_RETRY_AT]);
	partition->stopped = DatumGetBool(values[COLUMN_STOPPED]);
	partition->last_delivery = nulls[COLUMN_LAST_DELIVERY] ? 0 : DatumGetInt64(values[COLUMN_LAST_DELIVERY]);
	partition->delivered_at = nulls[COLUMN_DELIVERED_AT] ? 0 : DatumGetTimestampTz(values[COLUMN_DELIVERED_AT]);
	partition->rate = DatumGetFloat8(values[COLUMN_RATE]);
	partition->epoch = DatumGetInt64(values[COLUMN_EPOCH]);
	partition->shared = DatumGetInt32(values[COLUMN_SHARED]);
	pfree(values);
	pfree(nulls);
}

/* Partitions that are being read. */
typedef struct Reading
{
	PgesPartitions *partitions;
	int			room;			/* allocated rows */
} Reading;

/* Add a row to the partitions that are being read. */
static void
add_partition(HeapTuple row, TupleDesc desc, void *arg)
{
	Reading    *reading = arg;
	PgesPartitions *partitions = reading->partitions;

	if (partitions->n == reading->room)
	{
		reading->room *= 2;
		partitions->rows = repalloc(partitions->rows, sizeof(PgesPartition) * reading->room);
	}
	read_partition(&partitions->rows[partitions->n++], row, desc);
}

/* Read the partitions of a subscription, in the order of their numbers, without locks. */
void
pges_read_partitions(const PgesSubscription *subscription, PgesPartitions *partitions)
{
	Reading		reading = {partitions, Max(subscription->partitions, 1)};

	partitions->n = 0;
	partitions->rows = palloc(sizeof(PgesPartition) * reading.room);
	pges_scan_own_rows(&pges_partition_rows, subscription->key, add_partition, &reading);
}

/* Return whether a partition meets all conditions of "wanted". */
static bool
is_wanted(const PgesPartition *partition, const PgesWanted *wanted)
{
	if (wanted->epoch != 0 && partition->epoch != wanted->epoch)
		return false;
	if (wanted->delivery != 0 && partition->delivery != wanted->delivery)
		return false;
	if (wanted->consumer && (partition->consumer == NULL || strcmp(partition->consumer, wanted->consumer) != 0))
		return false;
	if (wanted->slot_set && (partition->first_slot > wanted->slot || partition->last_slot < wanted->slot))
		return false;
	return !wanted->available || pges_is_available(partition, GetCurrentTimestamp());
}

/* Compare two partitions for qsort(): by checkpoint, then by number. */
static int
compare_checkpoints(const void *a, const void *b)
{
	const PgesPartition *x = a;
	const PgesPartition *y = b;

	if (x->checkpoint != y->checkpoint)
		return x->checkpoint < y->checkpoint ? -1 : 1;
	return x->number - y->number;
}

/*
 * Lock the rows of the wanted ones of some partitions that were read before, and set
 * "locked" to their current values.  If there is a limit (not 0), lock at most that many,
 * those with the lowest checkpoints first; otherwise in the order of their numbers.
 */
void
pges_lock_partitions(PgesPartitions *partitions, const PgesWanted *wanted, int limit,
					 PgesPartitions *locked)
{
	Relation	rel = pges_open_own_table(&pges_partition_rows, RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);

	if (limit > 0)
		qsort(partitions->rows, partitions->n, sizeof(PgesPartition), compare_checkpoints);
	locked->n = 0;
	locked->rows = palloc(sizeof(PgesPartition) * Max(partitions->n, 1));
	for (int i = 0; i < partitions->n && (limit == 0 || locked->n < limit); i++)
	{
		PgesPartition *partition = &locked->rows[locked->n];
		HeapTuple	row;

		if (!is_wanted(&partitions->rows[i], wanted) ||
			!pges_lock_own_row(rel, &partitions->rows[i].tid, wanted->wait, slot))
			continue;
		row = ExecCopySlotHeapTuple(slot);
		read_partition(partition, row, RelationGetDescr(rel));
		partition->row = row;
		if (is_wanted(partition, wanted))
			locked->n++;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
}

/* Read the partitions of a subscription, and lock those that are wanted. */
void
pges_read_and_lock_partitions(const PgesSubscription *subscription, const PgesWanted *wanted,
							  PgesPartitions *locked)
{
	PgesPartitions partitions;

	pges_read_partitions(subscription, &partitions);
	pges_lock_partitions(&partitions, wanted, 0, locked);
}

/* The new values of a row. */
typedef struct NewRow
{
	Datum	   *values;
	bool	   *nulls;
	bool	   *replaces;
} NewRow;

/* Set a column of a new row. */
static void
set_column(NewRow *row, Column column, Datum value, bool isnull)
{
	row->values[column] = value;
	row->nulls[column] = isnull;
	row->replaces[column] = true;
}

/* Set a column in which 0 is stored as null. */
static void
set_int64(NewRow *row, Column column, int64 value)
{
	set_column(row, column, Int64GetDatum(value), value == 0);
}

/* Set a column to a string; NULL is stored as null. */
static void
set_string(NewRow *row, Column column, const char *value)
{
	set_column(row, column, value ? CStringGetTextDatum(value) : (Datum) 0, value == NULL);
}

/* Return the new version of the row of a partition. */
static HeapTuple
form_row(const PgesPartition *partition, TupleDesc desc)
{
	NewRow		row = {
		palloc0(sizeof(Datum) * desc->natts), palloc0(sizeof(bool) * desc->natts),
		palloc0(sizeof(bool) * desc->natts)
	};
	Datum		floors = floors_array(partition);

	set_column(&row, COLUMN_CHECKPOINT, Int64GetDatum(partition->checkpoint), false);
	set_column(&row, COLUMN_FLOORS, floors, floors == (Datum) 0);
	set_int64(&row, COLUMN_DELIVERY, partition->delivery);
	set_string(&row, COLUMN_CONSUMER, partition->consumer);
	set_int64(&row, COLUMN_LEASE_UNTIL, partition->lease_until);
	set_column(&row, COLUMN_DELIVERED, Int32GetDatum(partition->delivered), false);
	set_column(&row, COLUMN_DELIVERED_TO, Int64GetDatum(partition->delivered_to), false);
	set_column(&row, COLUMN_SCANNED_TO, Int64GetDatum(partition->scanned_to), false);
	set_column(&row, COLUMN_REPLAYING, BoolGetDatum(partition->replaying), false);
	set_column(&row, COLUMN_ATTEMPT, Int32GetDatum(partition->attempt), false);
	set_column(&row, COLUMN_SUSPECT_TO, Int64GetDatum(partition->suspect_to), false);
	set_int64(&row, COLUMN_RETRY_AT, partition->retry_at);
	set_column(&row, COLUMN_STOPPED, BoolGetDatum(partition->stopped), false);
	set_int64(&row, COLUMN_LAST_DELIVERY, partition->last_delivery);
	set_int64(&row, COLUMN_DELIVERED_AT, partition->delivered_at);
	set_column(&row, COLUMN_RATE, Float8GetDatum(partition->rate), false);
	set_column(&row, COLUMN_EPOCH, Int64GetDatum(partition->epoch), false);
	set_column(&row, COLUMN_SHARED, Int32GetDatum(partition->shared), false);
	if (partition->error)
	{
		set_string(&row, COLUMN_LAST_ERROR, partition->error);
		set_column(&row, COLUMN_LAST_ERROR_AT, TimestampTzGetDatum(GetCurrentTimestamp()), false);
	}
	return heap_modify_tuple(partition->row, desc, row.values, row.nulls, row.replaces);
}

/* Write the partitions with "save" set.  The transaction must have locked their rows. */
void
pges_save_partitions(PgesPartitions *partitions)
{
	Relation	rel = pges_open_own_table(&pges_partition_rows, RowExclusiveLock);

	for (int i = 0; i < partitions->n; i++)
	{
		PgesPartition *partition = &partitions->rows[i];

		if (!partition->save)
			continue;
		partition->row = form_row(partition, RelationGetDescr(rel));
		pges_update_own_row(rel, &partition->tid, partition->row);
		partition->tid = partition->row->t_self;
		partition->save = false;
	}
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/* Write all given partitions.  The transaction must have locked their rows. */
void
pges_save_all_partitions(PgesPartitions *partitions)
{
	for (int i = 0; i < partitions->n; i++)
		partitions->rows[i].save = true;
	pges_save_partitions(partitions);
}

/* Insert the rows of the partitions of a subscription. */
void
pges_insert_partitions(const PgesSubscription *subscription, const PgesPartitions *partitions)
{
	SPI_connect();
	for (int i = 0; i < partitions->n; i++)
	{
		const PgesPartition *partition = &partitions->rows[i];
		Datum		values[] = {
			subscription->key, Int32GetDatum(partition->number), Int32GetDatum(partition->first_slot),
			Int32GetDatum(partition->last_slot), Int64GetDatum(partition->checkpoint),
			floors_array(partition), TimestampTzGetDatum(partition->retry_at),
			BoolGetDatum(partition->stopped), Int64GetDatum(subscription->epoch)
		};
		bool		nulls[lengthof(values)] = {false};

		nulls[5] = values[5] == (Datum) 0;
		nulls[6] = partition->retry_at == 0;
		(void) pges_run_own_statement(&insert, values, nulls);
	}
	SPI_finish();
}

/* Delete the rows of the partitions of a subscription. */
void
pges_delete_partitions(const PgesSubscription *subscription)
{
	SPI_connect();
	(void) pges_run_own_statement(&delete, &subscription->key, NULL);
	SPI_finish();
}

/* Return the lowest checkpoint of some partitions. */
int64
pges_lowest_of(const PgesPartitions *partitions)
{
	int64		result = PG_INT64_MAX;

	for (int i = 0; i < partitions->n; i++)
		result = Min(result, partitions->rows[i].checkpoint);
	return result;
}

/* Return the highest position that some partitions have reached. */
int64
pges_highest_of(const PgesPartitions *partitions)
{
	int64		result = 0;

	for (int i = 0; i < partitions->n; i++)
		result = Max(result, Max(partitions->rows[i].checkpoint,
								 partitions->rows[i].delivery == 0 ? 0 : partitions->rows[i].scanned_to));
	return result;
}

/*
 * Return whether a partition has the same epoch, checkpoint and floors in "before".  Then
 * the same events are done.
 */
bool
pges_is_unchanged(const PgesPartition *partition, const PgesPartitions *before)
{
	for (int i = 0; i < before->n; i++)
	{
		const PgesPartition *row = &before->rows[i];

		if (row->number == partition->number)
			return row->epoch == partition->epoch && row->checkpoint == partition->checkpoint &&
				row->nfloors == partition->nfloors &&
				(row->nfloors == 0 ||
				 memcmp(row->floors, partition->floors, sizeof(PgesFloor) * row->nfloors) == 0);
	}
	return false;
}

/* Return whether an event of a partition is done. */
bool
pges_is_done(const PgesPartition *partition, int slot, int64 position)
{
	if (position <= partition->checkpoint)
		return true;
	for (int i = 0; i < partition->nfloors; i++)
	{
		const PgesFloor *floor = &partition->floors[i];

		if (slot >= floor->first_slot && slot <= floor->last_slot && position <= floor->position)
			return true;
	}
	return false;
}

/*
 * Return whether a time is past, or too far in the future because the clock was set back.
 */
static bool
is_over(TimestampTz time, TimestampTz now)
{
	return time <= now || time > now + PGES_MAX_END;
}

/* Return whether a partition has a delivery whose lease has not expired. */
bool
pges_is_leased(const PgesPartition *partition, TimestampTz now)
{
	return partition->delivery != 0 && !is_over(partition->lease_until, now);
}

/* Return whether a partition is free and due. */
bool
pges_is_available(const PgesPartition *partition, TimestampTz now)
{
	return !pges_is_leased(partition, now) && !partition->stopped &&
		(partition->retry_at == 0 || is_over(partition->retry_at, now));
}

/* End the delivery of a partition. */
void
pges_end_delivery(PgesPartition *partition)
{
	partition->delivery = 0;
	partition->consumer = NULL;
	partition->lease_until = 0;
	partition->replaying = false;
	partition->shared = 0;
}

/*
 * Move the checkpoint of a partition forwards.  All events of the partition up to the
 * position must be done.
 */
void
pges_raise_checkpoint(PgesPartition *partition, int64 position)
{
	int			left = 0;

	if (position <= partition->checkpoint)
		return;
	partition->checkpoint = position;
	for (int i = 0; i < partition->nfloors; i++)
	{
		if (partition->floors[i].position > position)
			partition->floors[left++] = partition->floors[i];
	}
	partition->nfloors = left;
}

/*
 * Move the checkpoint of a partition forwards over events.  The attempts and the pause
 * are reset, because they belong to the first event after the old checkpoint.
 */
void
pges_move_checkpoint(PgesPartition *partition, int64 position)
{
	if (position <= partition->checkpoint)
		return;
	pges_raise_checkpoint(partition, position);
	partition->attempt = 0;
	partition->retry_at = 0;
}

/* Return the partition that has a slot, or NULL if none of these has it. */
PgesPartition *
pges_partition_of_slot(const PgesPartitions *partitions, int slot)
{
	for (int i = 0; i < partitions->n; i++)
	{
		if (slot >= partitions->rows[i].first_slot && slot <= partitions->rows[i].last_slot)
			return &partitions->rows[i];
	}
	return NULL;
}

/* Keep the partitions that are free and due, and copy those that are leased to "leased". */
void
pges_keep_available(PgesPartitions *partitions, PgesPartitions *leased)
{
	TimestampTz now = GetCurrentTimestamp();
	int			n = 0;

	leased->n = 0;
	leased->rows = palloc(sizeof(PgesPartition) * Max(partitions->n, 1));
	for (int i = 0; i < partitions->n; i++)
	{
		if (pges_is_leased(&partitions->rows[i], now))
			leased->rows[leased->n++] = partitions->rows[i];
		if (pges_is_available(&partitions->rows[i], now))
			partitions->rows[n++] = partitions->rows[i];
	}
	partitions->n = n;
}
