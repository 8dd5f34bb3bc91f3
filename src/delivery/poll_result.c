/*
 * poll_result.c
 *		The rows that poll() returns.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "nodes/execnodes.h"
#include "utils/tuplestore.h"

#include "delivery/scan.h"
#include "event/event.h"

#define LEADING_COLUMNS 3		/* delivery, attempt, partition */

/* The columns of a poll before those of the event, as a row stores them. */
typedef struct LeadingColumns
{
	int64		delivery;
	int32		attempt;
	int32		partition;
} LeadingColumns;

StaticAssertDecl(sizeof(LeadingColumns) == MAXALIGN(sizeof(LeadingColumns)),
				 "the columns of the event must keep their alignment");

/* Return the bits of the columns of an event that are not null. */
static bits16
present_columns(HeapTuple event)
{
	const bits8 *bits = event->t_data->t_bits;

	return HeapTupleHasNulls(event) ? bits[0] | bits[1] << 8 : (1 << PGES_NUM_COLUMNS) - 1;
}

/*
 * Add an event to the result of a poll, which is "arg".  The stored columns are copied as one block,
 * which avoids the cost of deforming the row and forming another one.
 */
void
pges_put_in_result(PgesDelivery *delivery, const PgesPartition *partition, int attempt, TupleTableSlot *row)
{
	ReturnSetInfo *set = delivery->arg;
	LeadingColumns leading = {delivery->token, attempt, partition->number};
	bool		is_copy;
	HeapTuple	event = pges_stored_row(row, &is_copy);
	Size		head = MAXALIGN(SizeofHeapTupleHeader + BITMAPLEN(LEADING_COLUMNS + PGES_NUM_COLUMNS));
	Size		size = event->t_len - event->t_data->t_hoff;
	HeapTupleData result = {.t_len = head + sizeof(leading) + size};
	bits16		present = present_columns(event) << LEADING_COLUMNS | ((1 << LEADING_COLUMNS) - 1);
	char	   *data;

	result.t_data = palloc0(result.t_len);
	result.t_data->t_infomask = event->t_data->t_infomask & (HEAP_HASVARWIDTH | HEAP_HASEXTERNAL);
	result.t_data->t_infomask |= HEAP_HASNULL;
	result.t_data->t_hoff = head;
	HeapTupleHeaderSetNatts(result.t_data, LEADING_COLUMNS + PGES_NUM_COLUMNS);
	result.t_data->t_bits[0] = present & 0xFF;
	result.t_data->t_bits[1] = present >> 8;
	data = (char *) result.t_data + head;
	memcpy(data, &leading, sizeof(leading));
	memcpy(data + sizeof(leading), (char *) event->t_data + event->t_data->t_hoff, size);
	tuplestore_puttuple(set->setResult, &result);
	pfree(result.t_data);
	if (is_copy)
		heap_freetuple(event);
}
