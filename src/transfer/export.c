/*
 * export.c
 *		Exports events as JSON, in the shape in which they can be imported.
 *
 * The log is read a page at a time up to the high-water mark, under one snapshot
 * that is taken after it (high_water_mark.c), from what holds events by that snapshot
 * (pges_scope_to_read()).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/progress.h"
#include "position/high_water_mark.h"
#include "read/read.h"
#include "store/store.h"
#include "table/statement.h"

#define LOT 1000				/* events that are read at once */

/* 1: after, 2: mark, 3: limit */
static const PgesStatement page = {
	"SELECT " PGES_COLUMNS " FROM %1$s "
	"WHERE position OPERATOR(pg_catalog.>) $1 "
	"AND position OPERATOR(pg_catalog.<=) $2 "
	"ORDER BY position LIMIT $3",
	3, {INT8OID, INT8OID, INT8OID}
};

/* Add a key to an event object. */
static void
add_key(PgesJsonBuilder *builder, PgesColumn column)
{
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = unconstify(char *, pges_column_name(column));
	key.val.string.len = strlen(key.val.string.val);
	pges_json_push_compat(builder, WJB_KEY, &key);
}

/* The value of a column of an event as JSON. */
static void
make_value(PgesColumn column, Datum value, JsonbValue *json)
{
	char	   *time;

	switch (column)
	{
		case PGES_AGGREGATE_VERSION:
			json->type = jbvNumeric;
			json->val.numeric = int64_to_numeric(DatumGetInt32(value));
			return;
		case PGES_DATA:
		case PGES_METADATA:
			JsonbToJsonbValue(DatumGetJsonbP(value), json);
			return;
		case PGES_OCCURRED_AT:
			time = JsonEncodeDateTime(palloc(MAXDATELEN + 1), value, TIMESTAMPTZOID, NULL);
			json->type = jbvString;
			json->val.string.val = time;
			json->val.string.len = strlen(time);
			return;
		default:
			json->type = jbvString;
			json->val.string.val = VARDATA_ANY(DatumGetTextPP(value));
			json->val.string.len = VARSIZE_ANY_EXHDR(DatumGetTextPP(value));
			return;
	}
}

/* An event as JSON: an object without the keys that are null. */
static Jsonb *
event_json(HeapTuple row, TupleDesc desc)
{
	PgesJsonBuilder builder = {0};

	pges_json_push_compat(&builder, WJB_BEGIN_OBJECT, NULL);
	for (PgesColumn column = PGES_EVENT_ID; column < PGES_NUM_COLUMNS; column++)
	{
		JsonbValue	json;
		bool		isnull;
		Datum		value = SPI_getbinval(row, desc, column + 1, &isnull);

		if (isnull)
			continue;
		add_key(&builder, column);
		make_value(column, value, &json);
		pges_json_push_compat(&builder, WJB_VALUE, &json);
	}
	pges_json_push_compat(&builder, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(builder.result);
}

/* Put the events that SPI has found into the result set; the last position. */
static Datum
return_rows(ReturnSetInfo *rsinfo, MemoryContext context)
{
	Datum		position = (Datum) 0;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		MemoryContext caller = MemoryContextSwitchTo(context);
		Datum		values[2];
		bool		nulls[2] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = position = SPI_getbinval(row, SPI_tuptable->tupdesc, PGES_POSITION + 1, &nulls[0]);
		values[1] = JsonbPGetDatum(event_json(row, SPI_tuptable->tupdesc));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	return position;
}

/* Put the events after a position, up to the mark, into the result set. */
static void
export_range(ReturnSetInfo *rsinfo, const PgesStore *store, PgesScope scope, PgesParams *params,
			 const PgesProgress *progress)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pg_eventstore export",
												  ALLOCSET_DEFAULT_SIZES);
	int64		left = DatumGetInt64(params->values[2]);
	int64		done = 0;
	uint64		found = LOT;

	SPI_connect();
	while (found == LOT && done < left)
	{
		params->values[2] = Int64GetDatum(Min(left - done, LOT));
		(void) pges_execute_in(store, scope, &page, params->values, params->nulls, true, NULL);
		found = SPI_processed;
		if (found > 0)
			params->values[0] = return_rows(rsinfo, context);
		done += found;
		pges_progress_update(progress, done, 0);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
	MemoryContextDelete(context);
}

PG_FUNCTION_INFO_V1(pges_export_events);

/* SQL: the ordered log as JSON objects. */
Datum
pges_export_events(PG_FUNCTION_ARGS)
{
	const PgesStore *store = pges_store_argument(fcinfo, 2, AccessShareLock, ACL_SELECT);
	int64		mark = pges_high_water_mark(store);
	PgesParams	params = {.n = 0};
	PgesProgress progress;
	PgesScope	scope;

	pges_add_param(&params, Int64GetDatum(PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0)));
	pges_add_param(&params, Int64GetDatum(mark));
	pges_add_max_count(&params, fcinfo, 1, PG_INT32_MAX);
	InitMaterializedSRF(fcinfo, 0);
	scope = pges_begin_latest(&store, !PG_ARGISNULL(3) && PG_GETARG_BOOL(3));
	pges_progress_begin(&progress, PGES_EXPORT, store->relid);
	export_range((ReturnSetInfo *) fcinfo->resultinfo, store, scope, &params, &progress);
	pges_progress_end(&progress);
	PopActiveSnapshot();
	return (Datum) 0;
}
