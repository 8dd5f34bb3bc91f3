/*
 * export.c
 *		Exports events as JSON, in the shape in which they can be imported.
 *
 * The log is read by a cursor up to the high-water mark, under a snapshot that
 * is taken after it (mark.c).
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

#include "compat.h"
#include "mark.h"
#include "progress.h"
#include "read.h"
#include "store.h"

#define LOT 1000				/* rows that are fetched at once */

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

/* Put the events that SPI has fetched into the result set. */
static void
return_rows(ReturnSetInfo *rsinfo, MemoryContext context)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		MemoryContext caller = MemoryContextSwitchTo(context);
		Datum		values[2];
		bool		nulls[2] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = SPI_getbinval(row, SPI_tuptable->tupdesc, PGES_POSITION + 1, &nulls[0]);
		values[1] = JsonbPGetDatum(event_json(row, SPI_tuptable->tupdesc));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
}

/* Put the events after a position, up to the mark, into the result set. */
static void
export_range(ReturnSetInfo *rsinfo, const PgesStore *store, Datum *bounds)
{
	Oid			types[] = {INT8OID, INT8OID, INT8OID};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pg_eventstore export",
												  ALLOCSET_DEFAULT_SIZES);
	Portal		portal;
	int64		done = 0;

	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL,
									   psprintf("SELECT " PGES_COLUMNS " FROM %s "
												"WHERE position OPERATOR(pg_catalog.>) $1 "
												"AND position OPERATOR(pg_catalog.<=) $2 "
												"ORDER BY position LIMIT $3", store->qualified_name),
									   lengthof(types), types, bounds, NULL, true, 0);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, LOT);
		if (SPI_processed == 0)
			break;
		return_rows(rsinfo, context);
		done += SPI_processed;
		pges_progress_update(done, 0);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextDelete(context);
}

PG_FUNCTION_INFO_V1(pges_export_events);

/* SQL: the ordered log as JSON objects. */
Datum
pges_export_events(PG_FUNCTION_ARGS)
{
	const PgesStore *store = pges_store_argument(fcinfo, 2, AccessShareLock);
	int64		mark = pges_high_water_mark(store);
	PgesParams	bounds = {.n = 0};

	pges_add_param(&bounds, Int64GetDatum(PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0)));
	pges_add_param(&bounds, Int64GetDatum(mark));
	pges_add_max_count(&bounds, fcinfo, 1, PG_INT32_MAX);
	InitMaterializedSRF(fcinfo, 0);
	PushActiveSnapshot(GetLatestSnapshot());
	pges_progress_begin(PGES_EXPORT, store->relid, 0);
	export_range((ReturnSetInfo *) fcinfo->resultinfo, store, bounds.values);
	pges_progress_end();
	PopActiveSnapshot();
	return (Datum) 0;
}
