/*
 * partition.c
 *		The partitions of a subscription: rows of eventstore.subscription_progress.
 *
 * The key of an event is its aggregate id, or its event id if it belongs to no aggregate.
 * The slot of an event is the CRC-32C (Castagnoli) of the bytes of its key, divided by
 * 2^22: a number from 0 to 1023.  Of n partitions, partition slot * n / 1024 (rounded
 * down) has the slot.  This is the same on all platforms, and easy to compute in any
 * language.  It must not change, because checkpoints rest on it.
 *
 * A partition is free if it has no delivery, or if the lease of its delivery has ended.
 * It is due if it is not stopped and its pause after a failure is over.  Whatever
 * decides about a partition is decided under the lock of its row, which the transaction
 * holds until it ends.  No function waits for the lock of a row but those that end a
 * delivery, and those of administrators.
 *
 * Times are those of the clock, not of the transaction.  If the clock is set back, a
 * lease or a pause ends later, but one that would last twice as long as the longest possible
 * is over.
 */
#include "postgres.h"

#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "port/pg_crc32c.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/own_object.h"
#include "table/table.h"
#include "subscription/subscription.h"

/* Returns the columns in the order of the table. */
#define SELECT_PARTITIONS \
	"SELECT subscription, partition, first_slot, last_slot, checkpoint, floors, delivery, consumer, " \
	"lease_until, delivered, delivered_to, scanned_to, replaying, attempt, suspect_to, " \
	"retry_at, stopped, last_delivery, delivered_at, rate, epoch, shared " \
	"FROM eventstore.subscription_progress WHERE subscription OPERATOR(pg_catalog.=) $1 "
#define IN_ORDER "ORDER BY partition "

/*
 * $4: now, $5: the time from which on a lease or pause cannot be right, $6: the epoch of the
 * definition that the poll has read
 */
#define FREE_AND_DUE \
	"AND epoch OPERATOR(pg_catalog.=) $6 " \
	"AND (delivery IS NULL OR lease_until OPERATOR(pg_catalog.<=) $4 " \
	"OR lease_until OPERATOR(pg_catalog.>) $5) " \
	"AND NOT stopped AND (retry_at IS NULL OR retry_at OPERATOR(pg_catalog.<=) $4 " \
	"OR retry_at OPERATOR(pg_catalog.>) $5) "

/* How to lock each set of partitions. */
static PgesOwnStatement select_partitions[] = {
	[PGES_LOCK_ALL] = {{&pges_partition_rows}, false, SELECT_PARTITIONS IN_ORDER "FOR UPDATE", 1, {TEXTOID}},
	[PGES_TRY_ALL] = {{&pges_partition_rows}, false, SELECT_PARTITIONS IN_ORDER "FOR UPDATE SKIP LOCKED", 1, {TEXTOID}},
	[PGES_LOCK_OF_DELIVERY] = {
		{&pges_partition_rows}, false,
		SELECT_PARTITIONS "AND delivery OPERATOR(pg_catalog.=) $2 " IN_ORDER "FOR UPDATE",
		2, {TEXTOID, INT8OID}
	},
	[PGES_LOCK_NUMBERS] = {
		{&pges_partition_rows}, false,
		SELECT_PARTITIONS "AND partition OPERATOR(pg_catalog.=) ANY ($2) " IN_ORDER "FOR UPDATE",
		2, {TEXTOID, INT4ARRAYOID}
	},
	[PGES_LOCK_OF_CONSUMER] = {
		{&pges_partition_rows}, false,
		SELECT_PARTITIONS "AND consumer OPERATOR(pg_catalog.=) $2 AND delivery IS NOT NULL "
		IN_ORDER "FOR UPDATE",
		2, {TEXTOID, TEXTOID}
	},
	[PGES_TRY_OF_CONSUMER] = {
		{&pges_partition_rows}, false,
		SELECT_PARTITIONS "AND consumer OPERATOR(pg_catalog.=) $2 AND delivery IS NOT NULL "
		"AND epoch OPERATOR(pg_catalog.=) $6 " IN_ORDER "FOR UPDATE SKIP LOCKED",
		6, {TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID}
	},
	[PGES_TRY_NUMBERS] = {
		{&pges_partition_rows}, false,
		SELECT_PARTITIONS "AND partition OPERATOR(pg_catalog.=) ANY ($2) " FREE_AND_DUE
		"ORDER BY checkpoint, partition LIMIT $3 FOR UPDATE SKIP LOCKED",
		6, {TEXTOID, INT4ARRAYOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID}
	}
};

static PgesOwnStatement save = {
	{&pges_partition_rows}, false,
	"UPDATE eventstore.subscription_progress SET "
	"checkpoint = $3, floors = $4, delivery = $5, consumer = $6, lease_until = $7, "
	"delivered = $8, delivered_to = $9, scanned_to = $10, replaying = $11, attempt = $12, "
	"suspect_to = $13, retry_at = $14, stopped = $15, last_delivery = $16, "
	"delivered_at = $18, rate = $19, epoch = $20, shared = $21, last_error = COALESCE($17, last_error), "
	"last_error_at = CASE WHEN $17 IS NULL THEN last_error_at ELSE pg_catalog.clock_timestamp() END "
	"WHERE subscription OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) $2",
	21,
	{TEXTOID, INT4OID, INT8OID, INT8ARRAYOID, INT8OID, TEXTOID, TIMESTAMPTZOID, INT4OID, INT8OID, INT8OID,
	BOOLOID, INT4OID, INT8OID, TIMESTAMPTZOID, BOOLOID, INT8OID, TEXTOID, TIMESTAMPTZOID, FLOAT8OID, INT8OID, INT4OID}
};

/* Gives partitions to a consumer. */
static PgesOwnStatement lease = {
	{&pges_partition_rows}, false,
	"UPDATE eventstore.subscription_progress p SET "
	"checkpoint = u.checkpoint, delivery = $2, consumer = $3, lease_until = $4, delivered = u.delivered, "
	"delivered_to = u.delivered_to, scanned_to = u.scanned_to, replaying = false, attempt = u.attempt, "
	"suspect_to = u.suspect_to, retry_at = NULL, delivered_at = $13, rate = u.rate, shared = $14 "
	"FROM ROWS FROM (pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), "
	"pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), "
	"pg_catalog.unnest($12)) "
	"AS u (partition, checkpoint, delivered, delivered_to, scanned_to, attempt, suspect_to, rate) "
	"WHERE p.subscription OPERATOR(pg_catalog.=) $1 AND p.partition OPERATOR(pg_catalog.=) u.partition",
	14,
	{TEXTOID, INT8OID, TEXTOID, TIMESTAMPTZOID, INT4ARRAYOID, INT8ARRAYOID, INT4ARRAYOID, INT8ARRAYOID,
	INT8ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, FLOAT8ARRAYOID, TIMESTAMPTZOID, INT4OID}
};

/*
 * Ends a delivery of events that are all done with.  Floors go when the checkpoint has
 * passed the highest, which is the last.  The statement waits for the locks of the rows,
 * and then looks at the token again.  It returns of how many partitions the delivery was.
 */
static PgesOwnStatement acknowledge = {
	{&pges_partition_rows}, false,
	"UPDATE eventstore.subscription_progress SET "
	"checkpoint = GREATEST(checkpoint, scanned_to), "
	"floors = CASE WHEN floors[pg_catalog.cardinality(floors)] OPERATOR(pg_catalog.>) scanned_to THEN floors END, "
	"attempt = 0, retry_at = NULL, "
	"last_delivery = delivery, delivery = NULL, consumer = NULL, lease_until = NULL "
	"WHERE subscription OPERATOR(pg_catalog.=) $1 AND delivery OPERATOR(pg_catalog.=) $2 AND NOT replaying "
	"RETURNING shared",
	2, {TEXTOID, INT8OID}
};

static PgesOwnStatement insert = {
	{&pges_partition_rows}, false,
	"INSERT INTO eventstore.subscription_progress "
	"(subscription, partition, first_slot, last_slot, checkpoint, epoch) VALUES ($1, $2, $3, $4, $5, $6)",
	6, {TEXTOID, INT4OID, INT4OID, INT4OID, INT8OID, INT8OID}
};

static PgesOwnStatement delete = {
	{&pges_partition_rows}, false,
	"DELETE FROM eventstore.subscription_progress WHERE subscription OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

/* Moves the checkpoints of partitions over positions at which they have no event. */
static PgesOwnStatement advance = {
	{&pges_partition_rows}, false,
	"UPDATE eventstore.subscription_progress SET checkpoint = $3, attempt = 0, retry_at = NULL "
	"WHERE subscription OPERATOR(pg_catalog.=) $1 AND partition OPERATOR(pg_catalog.=) ANY ($2)",
	3, {TEXTOID, INT4ARRAYOID, INT8OID}
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

/* Make the partitions of a subscription, as they are without any event. */
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

/* Return the numbers of partitions as an array: of all, or of those with events. */
Datum
pges_partition_numbers(const PgesPartitions *partitions, bool with_events)
{
	Datum	   *numbers = palloc(sizeof(Datum) * (partitions->n + 1));
	int			n = 0;

	for (int i = 0; i < partitions->n; i++)
	{
		if (!with_events || partitions->rows[i].has_events)
			numbers[n++] = Int32GetDatum(partitions->rows[i].number);
	}
	return PointerGetDatum(construct_array(numbers, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
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

/* Read a row; what it points to is in the current memory context. */
static void
read_partition(PgesPartition *partition, HeapTuple row, TupleDesc desc)
{
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(row, desc, values, nulls);
	memset(partition, 0, sizeof(PgesPartition));
	partition->number = DatumGetInt32(values[1]);
	partition->first_slot = DatumGetInt32(values[2]);
	partition->last_slot = DatumGetInt32(values[3]);
	partition->checkpoint = DatumGetInt64(values[4]);
	if (!nulls[5])
		set_floors(partition, values[5]);
	partition->delivery = nulls[6] ? 0 : DatumGetInt64(values[6]);
	partition->consumer = nulls[7] ? NULL : TextDatumGetCString(values[7]);
	partition->lease_until = nulls[8] ? 0 : DatumGetTimestampTz(values[8]);
	partition->delivered = DatumGetInt32(values[9]);
	partition->delivered_to = DatumGetInt64(values[10]);
	partition->scanned_to = DatumGetInt64(values[11]);
	partition->replaying = DatumGetBool(values[12]);
	partition->attempt = DatumGetInt32(values[13]);
	partition->suspect_to = DatumGetInt64(values[14]);
	partition->retry_at = nulls[15] ? 0 : DatumGetTimestampTz(values[15]);
	partition->stopped = DatumGetBool(values[16]);
	partition->last_delivery = nulls[17] ? 0 : DatumGetInt64(values[17]);
	partition->delivered_at = nulls[18] ? 0 : DatumGetTimestampTz(values[18]);
	partition->rate = DatumGetFloat8(values[19]);
	partition->epoch = DatumGetInt64(values[20]);
	partition->shared = DatumGetInt32(values[21]);
	pfree(values);
	pfree(nulls);
}

/* Partitions that are being read. */
typedef struct Reading
{
	PgesPartitions *partitions;
	int			room;			/* for how many there is memory */
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

/* Read all partitions of a subscription. */
static void
read_all_partitions(const PgesSubscription *subscription, PgesPartitions *partitions)
{
	Reading		reading = {partitions, Max(subscription->partitions, 1)};

	partitions->n = 0;
	partitions->rows = palloc(sizeof(PgesPartition) * reading.room);
	pges_scan_own_rows(&pges_partition_rows, subscription->key, add_partition, &reading);
}

/* Read and lock a set of partitions. */
static void
lock_partitions(PgesPartitionSet set, const Datum *values, PgesPartitions *partitions)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi;

	SPI_connect();
	partitions->n = pges_run_own_statement(&select_partitions[set], values, NULL);
	spi = MemoryContextSwitchTo(context);
	partitions->rows = palloc(sizeof(PgesPartition) * Max(partitions->n, 1));
	for (int i = 0; i < partitions->n; i++)
		read_partition(&partitions->rows[i], SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	MemoryContextSwitchTo(spi);
	SPI_finish();
}

/*
 * Read, and lock, a set of the partitions of a subscription, in the order of their
 * numbers.  "which" is the delivery, the consumer, or an array of numbers; "limit" the
 * most partitions to lock of these.
 */
void
pges_read_partitions(const PgesSubscription *subscription, PgesPartitionSet set, Datum which,
					 int limit, PgesPartitions *partitions)
{
	TimestampTz now = GetCurrentTimestamp();
	Datum		values[] = {subscription->key, which, Int64GetDatum(limit),
	TimestampTzGetDatum(now), TimestampTzGetDatum(now + PGES_MAX_END), Int64GetDatum(subscription->epoch)};

	if (set == PGES_READ_ALL)
		read_all_partitions(subscription, partitions);
	else
		lock_partitions(set, values, partitions);
}

/* Write a partition, whose row the transaction has locked. */
void
pges_save_partition(const PgesSubscription *subscription, const PgesPartition *partition)
{
	Datum		floors = floors_array(partition);
	Datum		values[] = {
		subscription->key, Int32GetDatum(partition->number), Int64GetDatum(partition->checkpoint), floors,
		Int64GetDatum(partition->delivery),
		partition->consumer ? CStringGetTextDatum(partition->consumer) : (Datum) 0,
		TimestampTzGetDatum(partition->lease_until), Int32GetDatum(partition->delivered),
		Int64GetDatum(partition->delivered_to), Int64GetDatum(partition->scanned_to),
		BoolGetDatum(partition->replaying), Int32GetDatum(partition->attempt),
		Int64GetDatum(partition->suspect_to), TimestampTzGetDatum(partition->retry_at),
		BoolGetDatum(partition->stopped), Int64GetDatum(partition->last_delivery),
		partition->error ? CStringGetTextDatum(partition->error) : (Datum) 0,
		TimestampTzGetDatum(partition->delivered_at), Float8GetDatum(partition->rate),
		Int64GetDatum(partition->epoch), Int32GetDatum(partition->shared)
	};
	bool		nulls[lengthof(values)] = {false};

	nulls[3] = floors == (Datum) 0;
	nulls[4] = partition->delivery == 0;
	nulls[5] = partition->consumer == NULL;
	nulls[6] = partition->lease_until == 0;
	nulls[13] = partition->retry_at == 0;
	nulls[15] = partition->last_delivery == 0;
	nulls[16] = partition->error == NULL;
	nulls[17] = partition->delivered_at == 0;
	SPI_connect();
	if (pges_run_own_statement(&save, values, nulls) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("partition %d of subscription \"%s\" was changed concurrently",
						partition->number, subscription->name),
				 errhint("Retry the transaction.")));
	SPI_finish();
}

/* Return an array of one of the fields of each partition. */
static Datum
array_of(const PgesPartition *partitions, int n, size_t offset, Oid type)
{
	Datum	   *values = palloc(sizeof(Datum) * n);
	int16		length;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	for (int i = 0; i < n; i++)
	{
		const char *field = (const char *) &partitions[i] + offset;

		values[i] = by_value ? fetch_att(field, true, length) : PointerGetDatum(field);
	}
	return PointerGetDatum(construct_array(values, n, type, length, by_value, align));
}

#define INT4_ARRAY(field) array_of(partitions, n, offsetof(PgesPartition, field), INT4OID)
#define INT8_ARRAY(field) array_of(partitions, n, offsetof(PgesPartition, field), INT8OID)
#define FLOAT8_ARRAY(field) array_of(partitions, n, offsetof(PgesPartition, field), FLOAT8OID)

/*
 * Write partitions that were given to a consumer, whose rows the transaction has locked.
 * One statement writes what a delivery changes; they have no floors and no new error.
 */
void
pges_save_leases(const PgesSubscription *subscription, const PgesPartition *partitions, int n)
{
	Datum		values[14];
	bool		nulls[14] = {false};

	if (n == 0)
		return;
	nulls[2] = partitions[0].consumer == NULL;
	values[0] = subscription->key;
	values[1] = Int64GetDatum(partitions[0].delivery);
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(partitions[0].consumer);
	values[3] = TimestampTzGetDatum(partitions[0].lease_until);
	values[4] = INT4_ARRAY(number);
	values[5] = INT8_ARRAY(checkpoint);
	values[6] = INT4_ARRAY(delivered);
	values[7] = INT8_ARRAY(delivered_to);
	values[8] = INT8_ARRAY(scanned_to);
	values[9] = INT4_ARRAY(attempt);
	values[10] = INT8_ARRAY(suspect_to);
	values[11] = FLOAT8_ARRAY(rate);
	values[12] = TimestampTzGetDatum(partitions[0].delivered_at);
	values[13] = Int32GetDatum(partitions[0].shared);
	SPI_connect();
	(void) pges_run_own_statement(&lease, values, nulls);
	SPI_finish();
}

/*
 * Acknowledge all events of a delivery.  Return false if the delivery is not outstanding,
 * or has parked events.  Set *incomplete to whether it has lost a partition to another
 * consumer; the caller must then raise an error.
 */
bool
pges_acknowledge_all(const PgesSubscription *subscription, int64 token, bool *incomplete)
{
	Datum		values[] = {subscription->key, Int64GetDatum(token)};
	uint64		rows;

	SPI_connect();
	rows = pges_run_own_statement(&acknowledge, values, NULL);
	*incomplete = rows > 0 && pges_found_int32(1) != rows;
	SPI_finish();
	return rows > 0;
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
			Int64GetDatum(subscription->epoch)
		};

		(void) pges_run_own_statement(&insert, values, NULL);
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

/*
 * Move the checkpoints of partitions, whose rows the transaction has locked, to a
 * position.  They have no event up to there that is not done with.
 */
void
pges_advance_partitions(const PgesSubscription *subscription, const PgesPartitions *partitions, int64 to)
{
	Datum		values[] = {subscription->key, pges_partition_numbers(partitions, false), Int64GetDatum(to)};

	if (partitions->n == 0)
		return;
	SPI_connect();
	(void) pges_run_own_statement(&advance, values, NULL);
	SPI_finish();
}

/*
 * Return whether a partition is among some that were read before, and was not changed
 * since in what says which of its events are done with.
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

/* Return whether an event of a partition is done with. */
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

/* Return whether a time has come, or is later than it can be: the clock was set back. */
static bool
is_over(TimestampTz time, TimestampTz now)
{
	return time <= now || time > now + PGES_MAX_END;
}

/* Return whether a partition belongs to a consumer. */
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
 * Move the checkpoint of a partition forwards, over positions at which it has no event
 * that is not done with.
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
 * Move the checkpoint of a partition forwards, over events.  The first event after it is
 * another one, which has not failed yet.
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

/* Return the partition that has a slot, or NULL if it is not among these. */
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
