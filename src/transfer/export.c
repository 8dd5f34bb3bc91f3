/*
 * export.c
 *		Exports events as JSON objects, which can be imported.
 *
 * An export reads the log up to the high-water mark, LOT events at a time, all under one
 * snapshot.  The head of reader.c describes the order of the steps.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "base/progress.h"
#include "base/sql_argument.h"
#include "event/event.h"
#include "read/read.h"
#include "store/store.h"
#include "table/table.h"

#define LOT 1000				/* events that one statement reads */

/* The values that the CONTEXT of an error shows. */
typedef struct ExportContext
{
	ErrorContextCallback callback;
	const PgesStore *store;
	int64		position;		/* of the current event */
} ExportContext;

/* Error context callback: name the current event. */
static void
export_context(void *arg)
{
	const ExportContext *context = arg;

	errcontext("exporting the event at position " INT64_FORMAT " of store %s",
			   context->position, context->store->live.qualified_name);
}

/* Add the events that SPI has found to the result set, and return the last position. */
static Datum
return_rows(ReturnSetInfo *rsinfo, const PgesStore *store, MemoryContext context)
{
	Datum		position = (Datum) 0;
	ExportContext shown = {
		.callback = {.callback = export_context,.arg = &shown,.previous = error_context_stack},
		.store = store
	};

	error_context_stack = &shown.callback;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		MemoryContext caller = MemoryContextSwitchTo(context);
		Datum		values[2];
		bool		nulls[2] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = position = SPI_getbinval(row, SPI_tuptable->tupdesc, PGES_POSITION + 1, &nulls[0]);
		shown.position = DatumGetInt64(position);
		values[1] = JsonbPGetDatum(pges_event_json(row, SPI_tuptable->tupdesc));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	error_context_stack = shown.callback.previous;
	return position;
}

/* Add the events after a position, up to the mark, to the result set. */
static void
export_range(ReturnSetInfo *rsinfo, const PgesStore *store, PgesScope scope, PgesParams *params,
			 const PgesProgress *progress)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pg_eventstore export",
												  ALLOCSET_DEFAULT_SIZES);
	int64		left = params->nulls[2] ? PG_INT64_MAX : DatumGetInt64(params->values[2]);
	int64		done = 0;
	uint64		found = LOT;

	params->nulls[2] = false;
	SPI_connect();
	while (found == LOT && done < left)
	{
		params->values[2] = Int64GetDatum(Min(left - done, LOT));
		(void) pges_run_statement(store, scope, pges_read_forwards, params->values, params->nulls, true, NULL);
		found = SPI_processed;
		if (found > 0)
			params->values[0] = return_rows(rsinfo, store, context);
		done += found;
		pges_progress_update(progress, done, 0);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
	MemoryContextDelete(context);
}

PG_FUNCTION_INFO_V1(pges_export_events);

/* SQL: return the ordered log as JSON objects. */
Datum
pges_export_events(PG_FUNCTION_ARGS)
{
	const PgesStore *store = pges_store_argument(fcinfo, 2, AccessShareLock, ACL_SELECT);
	int64		after = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0);
	int64		mark = pges_mark_after(store, after);
	PgesParams	params = {.n = 0};
	PgesProgress progress;
	PgesScope	scope;

	pges_add_param(&params, Int64GetDatum(after), false);
	pges_add_param(&params, Int64GetDatum(mark), false);
	pges_add_max_count(&params, fcinfo, 1);
	InitMaterializedSRF(fcinfo, 0);
	PushActiveSnapshot(GetLatestSnapshot());
	scope = pges_scope_to_read(&store, pges_bool_argument(fcinfo, 3, true));
	pges_progress_begin(&progress, PGES_EXPORT, store->live.relid);
	export_range((ReturnSetInfo *) fcinfo->resultinfo, store, scope, &params, &progress);
	pges_progress_end(&progress);
	PopActiveSnapshot();
	return (Datum) 0;
}
