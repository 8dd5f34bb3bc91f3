/*
 * append_sql.c
 *		The SQL functions that append.  Each reads its arguments into a batch.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "append/append.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "event/event.h"
#include "store/store.h"

/* What the CONTEXT of an error shows about the current append. */
typedef struct AppendContext
{
	ErrorContextCallback callback;
	const PgesStore *store;
	PgesBatch  *batch;			/* NULL before the events are counted */
} AppendContext;

/* Return a text about the current events: "event 2 of 3", "1 event" or "events". */
static const char *
describe_events(const AppendContext *context)
{
	const PgesBatch *batch = context->batch;

	if (batch == NULL)
		return "events";
	if (batch->current > 0)
		return psprintf("event %d of %d", batch->current, batch->nevents);
	return psprintf("%d %s", batch->nevents, batch->nevents == 1 ? "event" : "events");
}

/* Add the current append to the CONTEXT of an error.  Error context callback. */
static void
append_context(void *arg)
{
	const AppendContext *context = arg;
	const char *store = context->store->live.qualified_name;
	const PgesBatch *batch = context->batch;

	if (batch != NULL && batch->naggregates == 1 && batch->aggregates[0].id)
		errcontext("appending %s to aggregate \"%s\" of store %s",
				   describe_events(context),
				   pges_shorten(text_to_cstring(batch->aggregates[0].id)), store);
	else
		errcontext("appending %s to store %s", describe_events(context), store);
}

/*
 * Open a store for an append; the caller has locked the store for reading.  Raise an error
 * if the user may not insert, before any lock that can block other sessions.  Then lock
 * the store in the mode of the INSERT that follows.
 */
const PgesStore *
pges_open_for_append(const PgesStore *store)
{
	Oid			relid = store->live.relid;

	PreventCommandIfReadOnly("an append of events");
	if (!pges_may_insert(relid))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, store->live.table);
	return pges_open_for_change(relid);
}

/* Begin an append: open the store, and add the append to the CONTEXT of errors. */
static void
begin_append(AppendContext *context, FunctionCallInfo fcinfo, int store_arg)
{
	context->store = pges_store_argument(fcinfo, store_arg, AccessShareLock, ACL_INSERT);
	context->batch = NULL;
	context->callback.callback = append_context;
	context->callback.arg = context;
	context->callback.previous = error_context_stack;
	error_context_stack = &context->callback;
	context->store = pges_open_for_append(context->store);
}

/* Append the batch, and remove the append from the CONTEXT of errors. */
static void
finish_append(AppendContext *context)
{
	pges_append_batch(context->store, context->batch, false);
	error_context_stack = context->callback.previous;
}

/* Return a text argument, or NULL if the argument is null. */
static text *
text_argument(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : PG_GETARG_TEXT_PP(arg);
}

/* Assign a batch to one aggregate; argument "arg" is the expected version or null. */
static void
expect_version(FunctionCallInfo fcinfo, int arg, PgesBatch *batch,
			   text *aggregate_id)
{
	bool		given = !PG_ARGISNULL(arg);

	pges_batch_one_aggregate(batch, aggregate_id, given,
							 given ? PG_GETARG_INT32(arg) : 0);
}

/*
 * Return the version of the aggregate after the last event, as the result of the SQL
 * function: null for events of no aggregate.
 */
static Datum
version_result(FunctionCallInfo fcinfo, const PgesBatch *batch)
{
	int			n = batch->nevents;

	if (n > 0 && batch->events[n - 1].version == 0)
		PG_RETURN_NULL();
	if (n > 0)
		PG_RETURN_INT32(batch->events[n - 1].version);
	PG_RETURN_INT32(batch->naggregates > 0 ? batch->aggregates[0].version : 0);
}

/* Read events from JSON into a new batch. */
static PgesBatch *
read_batch(AppendContext *context, Jsonb *events)
{
	PgesBatch  *batch = context->batch = pges_batch_create(pges_batch_json_count(events));

	pges_batch_read_json(batch, events);
	return batch;
}

PG_FUNCTION_INFO_V1(pges_append_events);

/* SQL: append events of one aggregate, given as JSON. */
Datum
pges_append_events(PG_FUNCTION_ARGS)
{
	AppendContext context;
	PgesBatch  *batch;

	pges_require_argument(fcinfo, 0, "events");
	begin_append(&context, fcinfo, 2);
	batch = read_batch(&context, PG_GETARG_JSONB_P(0));
	expect_version(fcinfo, 1, batch,
				   batch->nevents > 0 ? batch->events[0].aggregate_id : NULL);
	finish_append(&context);
	return version_result(fcinfo, batch);
}

PG_FUNCTION_INFO_V1(pges_append_event);

/* SQL: append one event, given by named arguments. */
Datum
pges_append_event(PG_FUNCTION_ARGS)
{
	AppendContext context;
	PgesBatch  *batch;
	PgesEvent  *event;

	pges_require_argument(fcinfo, 0, "event_type");
	pges_require_argument(fcinfo, 1, "data");
	begin_append(&context, fcinfo, 10);
	batch = context.batch = pges_batch_create(1);
	event = &batch->events[0];
	event->event_type = PG_GETARG_TEXT_PP(0);
	event->data = PG_GETARG_JSONB_P(1);
	event->aggregate_id = text_argument(fcinfo, 2);
	event->aggregate_type = text_argument(fcinfo, 4);
	event->metadata = PG_ARGISNULL(5) ? NULL : PG_GETARG_JSONB_P(5);
	event->event_id = text_argument(fcinfo, 6);
	event->occurred_at_given = !PG_ARGISNULL(7);
	if (event->occurred_at_given)
		event->occurred_at = PG_GETARG_TIMESTAMPTZ(7);
	event->correlation_id = text_argument(fcinfo, 8);
	event->causation_id = text_argument(fcinfo, 9);
	expect_version(fcinfo, 3, batch, event->aggregate_id);
	finish_append(&context);
	return version_result(fcinfo, batch);
}

/* The elements of an array argument; n is -1 if the argument is null. */
typedef struct ArrayArgument
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
} ArrayArgument;

/*
 * Return the number of elements of an array argument, or -1 if the argument is null.
 * Raise an error if the array has more than one dimension.
 */
static int
array_argument_length(FunctionCallInfo fcinfo, int arg, const char *name)
{
	ArrayType  *array;

	if (PG_ARGISNULL(arg))
		return -1;
	array = PG_GETARG_ARRAYTYPE_P(arg);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must have one dimension", name),
				 errdetail("It has %d.", ARR_NDIM(array))));
	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
}

/* Raise an error unless an array argument is null or has an element for each event. */
static void
check_array_length(FunctionCallInfo fcinfo, int arg, const char *name,
				   int nevents)
{
	int			n = array_argument_length(fcinfo, arg, name);

	if (n >= 0 && n != nevents)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arrays of one append must have the same length"),
				 errdetail("Argument \"event_types\" has length %d, argument \"%s\" has length %d.",
						   nevents, name, n)));
}

/* Return the elements of an array argument; n is -1 if the argument is null. */
static ArrayArgument
array_argument(FunctionCallInfo fcinfo, int arg, Oid type)
{
	ArrayArgument result = {.n = -1};
	bool		is_time = (type == TIMESTAMPTZOID);

	if (PG_ARGISNULL(arg))
		return result;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), type, is_time ? 8 : -1,
					  is_time && FLOAT8PASSBYVAL,
					  is_time ? TYPALIGN_DOUBLE : TYPALIGN_INT,
					  &result.values, &result.nulls, &result.n);
	return result;
}

/* Return an element that is a text or jsonb; NULL if it is null, or the array is. */
static void *
element(const ArrayArgument *array, int i)
{
	/* the elements of an array have no short header */
	return array->n < 0 || array->nulls[i] ? NULL : PG_DETOAST_DATUM(array->values[i]);
}

/*
 * Read the parallel arrays of append_to_aggregate() into a new batch.  Raise an error if
 * their lengths differ.  The lengths are compared before any array is read, because a
 * small array of nulls may have very many elements.
 */
static PgesBatch *
batch_from_arrays(AppendContext *context, FunctionCallInfo fcinfo)
{
	int			nevents = array_argument_length(fcinfo, 1, "event_types");
	PgesEvent	shared = {0};	/* common to all events, detoasted once */
	PgesBatch  *batch;
	ArrayArgument types;
	ArrayArgument data;
	ArrayArgument metadata;
	ArrayArgument ids;
	ArrayArgument times;

	check_array_length(fcinfo, 2, "data", nevents);
	check_array_length(fcinfo, 5, "metadata", nevents);
	check_array_length(fcinfo, 6, "event_ids", nevents);
	check_array_length(fcinfo, 7, "occurred_at", nevents);
	types = array_argument(fcinfo, 1, TEXTOID);
	data = array_argument(fcinfo, 2, JSONBOID);
	metadata = array_argument(fcinfo, 5, JSONBOID);
	ids = array_argument(fcinfo, 6, TEXTOID);
	times = array_argument(fcinfo, 7, TIMESTAMPTZOID);
	shared.aggregate_id = PG_GETARG_TEXT_PP(0);
	shared.aggregate_type = text_argument(fcinfo, 4);
	shared.correlation_id = text_argument(fcinfo, 8);
	shared.causation_id = text_argument(fcinfo, 9);

	batch = context->batch = pges_batch_create(nevents);
	for (int i = 0; i < nevents; i++)
	{
		PgesEvent  *event = &batch->events[i];

		CHECK_FOR_INTERRUPTS();
		*event = shared;
		event->ordinal = i + 1;
		event->event_id = element(&ids, i);
		event->event_type = element(&types, i);
		event->data = element(&data, i);
		event->metadata = element(&metadata, i);
		event->occurred_at_given = times.n >= 0 && !times.nulls[i];
		if (event->occurred_at_given)
			event->occurred_at = DatumGetTimestampTz(times.values[i]);
	}
	return batch;
}

PG_FUNCTION_INFO_V1(pges_append_to_aggregate);

/* SQL: append events of one aggregate, given as parallel arrays. */
Datum
pges_append_to_aggregate(PG_FUNCTION_ARGS)
{
	AppendContext context;
	PgesBatch  *batch;

	pges_require_argument(fcinfo, 0, "aggregate_id");
	pges_require_argument(fcinfo, 1, "event_types");
	pges_require_argument(fcinfo, 2, "data");
	begin_append(&context, fcinfo, 10);
	batch = batch_from_arrays(&context, fcinfo);
	expect_version(fcinfo, 3, batch, PG_GETARG_TEXT_PP(0));
	finish_append(&context);
	return version_result(fcinfo, batch);
}

/* Add one row for each event of a batch to the result set. */
static void
return_appended(FunctionCallInfo fcinfo, const PgesBatch *batch)
{
	static const PgesColumn columns[] = {PGES_POSITION, PGES_EVENT_ID, PGES_AGGREGATE_ID,
	PGES_AGGREGATE_VERSION};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < batch->nevents; i++)
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		for (int c = 0; c < lengthof(columns); c++)
			values[c] = pges_event_value(&batch->events[i], columns[c], &nulls[c]);
		values[4] = BoolGetDatum(batch->deduplicated);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

PG_FUNCTION_INFO_V1(pges_append);

/* SQL: append events of any aggregates, given as JSON. */
Datum
pges_append(PG_FUNCTION_ARGS)
{
	AppendContext context;
	PgesBatch  *batch;

	pges_require_argument(fcinfo, 0, "events");
	begin_append(&context, fcinfo, 2);
	batch = read_batch(&context, PG_GETARG_JSONB_P(0));
	pges_batch_group(batch, PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1));
	finish_append(&context);
	return_appended(fcinfo, batch);
	return (Datum) 0;
}
