/*
 * insert.c
 *		Inserts a batch of events whose values are complete.
 *
 * A plain store gets the events without the executor (insert_direct.c).  Any other store
 * gets one statement through SPI, so that triggers, row security, column defaults and all
 * other properties of the table take effect as for any INSERT.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/rls.h"

#include "append/append_steps.h"
#include "event/event.h"
#include "store/store.h"
#include "table/table.h"

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

/*
 * The batch whose INSERT is running, and its store; NULL for none.  The end of the
 * statement restores the previous values, also after an error.
 */
static const PgesStore *inserting_to = NULL;
static const PgesBatch *inserting = NULL;

/* Return whether an event belongs to the batch whose INSERT is running. */
bool
pges_is_being_inserted(const PgesStore *store, const PgesEvent *event)
{
	int			low = 0;
	int			high = inserting && inserting_to->live.relid == store->live.relid ?
		inserting->nevents : 0;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int64		position = inserting->events[middle].position;

		if (position == event->position)
			return true;
		if (position < event->position)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Run the INSERT of a batch.  Raise an error unless it stores all events. */
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
			values[i] = pges_column_array(batch, i);
	}
	result = pges_run_statement(store, PGES_LIVE,
								one ? &insert_one_statement : &insert_many_statement,
								values, nulls, false, NULL);
	if (result != SPI_OK_INSERT || SPI_processed != batch->nevents)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("store %s did not store all events",
						store->live.qualified_name),
				 errdetail("Only " UINT64_FORMAT " of %d events were inserted.",
						   result == SPI_OK_INSERT ? SPI_processed : 0,
						   batch->nevents),
				 errhint("Look for a BEFORE INSERT trigger on the table that discards rows.")));
}

/* Insert a batch.  Replace a duplicate key error by an error in terms of events. */
void
pges_insert_events(const PgesStore *store, PgesBatch *batch)
{
	const PgesStore *outer_store = inserting_to;
	const PgesBatch *outer_batch = inserting;

	/* an error handler cannot read the catalogs */
	bool		secured = !batch->direct &&
		check_enable_rls(store->live.relid, InvalidOid, true) == RLS_ENABLED;

	PG_TRY();
	{
		inserting_to = store;
		inserting = batch;
		if (batch->direct)
			pges_direct_insert(store, batch);
		else
			run_insert(store, batch);
		inserting_to = outer_store;
		inserting = outer_batch;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		inserting_to = outer_store;
		inserting = outer_batch;
		MemoryContextSwitchTo(batch->context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		FlushErrorState();
		pges_report_unique_violation(store, batch, error, secured);
		ReThrowError(error);
	}
	PG_END_TRY();
}
