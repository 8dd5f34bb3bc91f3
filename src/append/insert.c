/*
 * insert.c
 *		Inserts a batch of events that is complete.
 *
 * A plain store is inserted into directly (insert_direct.c).  For any other, this is
 * one statement through SPI, so that triggers, row security, column defaults
 * and whatever else the table has work as for any INSERT.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"

#include "append/append.h"
#include "append/insert.h"
#include "append/insert_direct.h"
#include "table/statement.h"

static const PgesStatement insert_one_statement = {
	"INSERT INTO %1$s (" PGES_COLUMNS ") "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
	PGES_NUM_COLUMNS,
	{INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID, INT4OID, JSONBOID, JSONBOID}
};

static const PgesStatement insert_many_statement = {
	"INSERT INTO %1$s (" PGES_COLUMNS ") "
	"SELECT * FROM ROWS FROM ("
	"pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), "
	"pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6), "
	"pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9), "
	"pg_catalog.unnest($10), pg_catalog.unnest($11))",
	PGES_NUM_COLUMNS,
	{INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID,
		TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT4ARRAYOID,
	JSONBARRAYOID, JSONBARRAYOID}
};

/* How a column's values lie in memory. */
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

/* The value of an event's column that is a pointer or NULL. */
static Datum
pointer_value(const void *pointer, bool *isnull)
{
	*isnull = pointer == NULL;
	return PointerGetDatum(pointer);
}

/* The value of a column of an event. */
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

/* The values of a column of all events, as an array. */
static Datum
column_array(const PgesBatch *batch, PgesColumn column)
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

/* Run the INSERT of a batch. */
static void
run_insert(const PgesStore *store, const PgesBatch *batch)
{
	bool		one = batch->nevents == 1;
	Datum		values[PGES_NUM_COLUMNS];
	bool		nulls[PGES_NUM_COLUMNS] = {false};
	int			result;

	for (int i = 0; i < PGES_NUM_COLUMNS; i++)
	{
		if (one)
			values[i] = pges_event_value(&batch->events[0], i, &nulls[i]);
		else
			values[i] = column_array(batch, i);
	}
	result = pges_execute(store,
						  one ? &insert_one_statement : &insert_many_statement,
						  values, nulls, false, NULL);
	if (result != SPI_OK_INSERT || SPI_processed != batch->nevents)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("store %s did not take all events",
						store->qualified_name),
				 errdetail("It took " UINT64_FORMAT " of %d.",
						   result == SPI_OK_INSERT ? SPI_processed : 0,
						   batch->nevents),
				 errhint("Look for a BEFORE INSERT trigger on the table that discards rows.")));
}

/* Insert a batch; a duplicate key becomes an error that speaks of events. */
void
pges_insert_events(const PgesStore *store, const PgesBatch *batch)
{
	PG_TRY();
	{
		if (batch->direct)
			pges_direct_insert(store, batch);
		else
			run_insert(store, batch);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(batch->context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		FlushErrorState();
		pges_report_unique_violation(store, batch, error);
		ReThrowError(error);
	}
	PG_END_TRY();
}
