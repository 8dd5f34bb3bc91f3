/*
 * columns.c
 *		The columns of a table of events, and the values of an event in these columns.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/timestamp.h"

#include "event/event.h"

const PgesColumnShape pges_columns[PGES_NUM_COLUMNS] = {
	[PGES_POSITION] = {"position", INT8OID, true,
	"its number in the store, in the order of the versions within an aggregate; rolled back appends leave gaps"},
	[PGES_EVENT_ID] = {"event_id", VARCHAROID, true,
	"its identity; by default a new UUID version 7"},
	[PGES_EVENT_TYPE] = {"event_type", VARCHAROID, true,
	"what kind of thing happened"},
	[PGES_OCCURRED_AT] = {"occurred_at", TIMESTAMPTZOID, true,
	"when it happened; by default the time of the transaction"},
	[PGES_CORRELATION_ID] = {"correlation_id", VARCHAROID, false,
	"what all events of one business process share"},
	[PGES_CAUSATION_ID] = {"causation_id", VARCHAROID, false,
	"the event or command that caused this one"},
	[PGES_AGGREGATE_ID] = {"aggregate_id", VARCHAROID, false,
	"the aggregate it belongs to; null for none"},
	[PGES_AGGREGATE_TYPE] = {"aggregate_type", VARCHAROID, false,
	"the type of the aggregate"},
	[PGES_AGGREGATE_VERSION] = {"aggregate_version", INT4OID, false,
	"its number within the aggregate, from 1, without gaps; null when it belongs to none"},
	[PGES_DATA] = {"data", JSONBOID, true,
	"what happened, as any JSON value"},
	[PGES_METADATA] = {"metadata", JSONBOID, false,
	"what else is to be kept with it"},
};

/* The memory layout of a column's values, for construct_md_array(). */
typedef struct ColumnLayout
{
	Oid			type;
	int			length;
	bool		by_value;
	char		alignment;
} ColumnLayout;

static const ColumnLayout layouts[PGES_NUM_COLUMNS] = {
	[PGES_POSITION] = {INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	[PGES_EVENT_ID] = {TEXTOID, -1, false, TYPALIGN_INT},
	[PGES_EVENT_TYPE] = {TEXTOID, -1, false, TYPALIGN_INT},
	[PGES_OCCURRED_AT] = {TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	[PGES_CORRELATION_ID] = {TEXTOID, -1, false, TYPALIGN_INT},
	[PGES_CAUSATION_ID] = {TEXTOID, -1, false, TYPALIGN_INT},
	[PGES_AGGREGATE_ID] = {TEXTOID, -1, false, TYPALIGN_INT},
	[PGES_AGGREGATE_TYPE] = {TEXTOID, -1, false, TYPALIGN_INT},
	[PGES_AGGREGATE_VERSION] = {INT4OID, 4, true, TYPALIGN_INT},
	[PGES_DATA] = {JSONBOID, -1, false, TYPALIGN_INT},
	[PGES_METADATA] = {JSONBOID, -1, false, TYPALIGN_INT},
};

/* Return the name of a store's column. */
const char *
pges_column_name(PgesColumn column)
{
	return pges_columns[column].name;
}

/* Return the column with a name; PGES_NUM_COLUMNS if there is none. */
PgesColumn
pges_column_of_name(const char *name, int length)
{
	PgesColumn	column = 0;

	while (column < PGES_NUM_COLUMNS &&
		   (strlen(pges_columns[column].name) != length ||
			memcmp(pges_columns[column].name, name, length) != 0))
		column++;
	return column;
}

/* Return a pointer as the value of a column; NULL is an SQL null. */
static Datum
pointer_value(const void *pointer, bool *isnull)
{
	*isnull = pointer == NULL;
	return PointerGetDatum(pointer);
}

/* Return the value of a column of an event, and set *isnull. */
Datum
pges_event_value(const PgesEvent *event, PgesColumn column, bool *isnull)
{
	*isnull = false;
	switch (column)
	{
		case PGES_POSITION:
			return Int64GetDatum(event->position);
		case PGES_EVENT_ID:
			return PointerGetDatum(event->event_id);
		case PGES_EVENT_TYPE:
			return PointerGetDatum(event->event_type);
		case PGES_OCCURRED_AT:
			return TimestampTzGetDatum(event->occurred_at);
		case PGES_CORRELATION_ID:
			return pointer_value(event->correlation_id, isnull);
		case PGES_CAUSATION_ID:
			return pointer_value(event->causation_id, isnull);
		case PGES_AGGREGATE_ID:
			return pointer_value(event->aggregate_id, isnull);
		case PGES_AGGREGATE_TYPE:
			return pointer_value(event->aggregate_type, isnull);
		case PGES_AGGREGATE_VERSION:
			*isnull = event->version == 0;
			return Int32GetDatum(event->version);
		case PGES_DATA:
			return PointerGetDatum(event->data);
		case PGES_METADATA:
			return pointer_value(event->metadata, isnull);
		case PGES_NUM_COLUMNS:
			break;
	}
	pg_unreachable();
}

/* Return the values of a column of all events, as an array. */
Datum
pges_column_array(const PgesBatch *batch, PgesColumn column)
{
	const ColumnLayout *layout = &layouts[column];
	int			n = batch->nevents;
	Datum	   *values = palloc(sizeof(Datum) * n);
	bool	   *nulls = palloc(sizeof(bool) * n);
	int			lower = 1;
	ArrayType  *array;

	for (int i = 0; i < n; i++)
		values[i] = pges_event_value(&batch->events[i], column, &nulls[i]);
	array = construct_md_array(values, nulls, 1, &n, &lower, layout->type,
							   layout->length, layout->by_value, layout->alignment);
	pfree(values);
	pfree(nulls);
	return PointerGetDatum(array);
}
