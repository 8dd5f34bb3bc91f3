/*
 * import.c
 *		Imports events from a query, a table or JSON.
 *
 * The rows of a query are fetched by a cursor, some at a time, and each lot is
 * a batch that is appended like any other: with the same locks, checks and
 * inserts.  So memory stays flat, however many there are, or how large: large
 * rows come in smaller lots.  What is stored already, by event id and content,
 * is left out, so an import that was broken off is begun again as it was
 * (retry.c).
 *
 * All of it is one transaction's work: all or nothing.  Its guard holds back
 * readers of the log until it ends, so who imports much does it in parts.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "append.h"
#include "argument.h"
#include "batch.h"
#include "progress.h"
#include "store.h"

#define FIRST_LOT 10			/* rows that are fetched at first */
#define MAX_LOT 1000			/* and at most at once, if they are small */
#define LOT_BYTES (8 * 1024 * 1024) /* so large a lot may be */

/* A column that holds a whole event as JSON, and one that tells its origin. */
#define EVENT_COLUMN "event"
#define LINE_COLUMN "line"

/* What is being imported. */
typedef struct Import
{
	ErrorContextCallback callback;
	Oid			relid;
	const PgesStore *store;
	Oid			source_owner;	/* of the table or view that is the source */
	TupleDesc	desc;			/* of the rows */
	int			columns[PGES_NUM_COLUMNS];	/* their numbers; 0: there is none */
	int			event_column;
	int			line_column;
	Oid		   *types;			/* of the columns, below any domains */
	Datum	   *values;			/* of the row at hand */
	bool	   *nulls;
	int64	   *lines;			/* of the batch's events; NULL without one */
	int			nlines;
	int			reading;		/* the column that is being read, or 0 */
	int64		done;			/* events before the batch */
	int64		stored;			/* how many of them were there already */
	MemoryContext context;		/* of a batch */
	PgesProgress progress;
} Import;

/*
 * Tell what was going on when an error was raised.  An append or import within
 * the query or a trigger, even if its error was caught, may have left its own
 * number of the current event.
 */
static void
import_context(void *arg)
{
	const Import *import = arg;
	const char *store = import->store->qualified_name;
	int64		n = pges_current_owner == import ? pges_current_event - import->done : 0;
	char	   *column = import->reading == 0 ? "" :
		psprintf(", column \"%s\",", NameStr(TupleDescAttr(import->desc, import->reading - 1)->attname));

	if (import->nlines == 0)
		errcontext("importing events to store %s", store);
	else if (n < 1 || n > import->nlines)
		errcontext("importing events " INT64_FORMAT " to " INT64_FORMAT " to store %s",
				   import->done + 1, import->done + import->nlines, store);
	else if (import->lines[n - 1] > 0)
		errcontext("importing event %d, line " INT64_FORMAT "%s to store %s",
				   pges_current_event, import->lines[n - 1], column, store);
	else
		errcontext("importing event %d%s to store %s", pges_current_event, column, store);
}

/* The column of an event that has a name; raises when there is none. */
static PgesColumn
column_of(const char *name)
{
	for (PgesColumn column = 0; column < PGES_NUM_COLUMNS; column++)
	{
		if (strcmp(name, pges_column_name(column)) == 0)
			return column;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" is none of an event's", name),
			 errdetail("The columns of the rows to import are those of an event, or \"%s\" with a whole event as JSON, and \"%s\".",
					   EVENT_COLUMN, LINE_COLUMN),
			 errhint("Name the columns of the query, or leave some out.")));
}

/* Note which column of the rows is which of an event's. */
static void
note_column(Import *import, int number)
{
	const char *name = NameStr(TupleDescAttr(import->desc, number - 1)->attname);
	int		   *place;

	if (strcmp(name, EVENT_COLUMN) == 0)
		place = &import->event_column;
	else if (strcmp(name, LINE_COLUMN) == 0)
		place = &import->line_column;
	else
		place = &import->columns[column_of(name)];
	if (*place > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column \"%s\" comes twice in the rows to import", name)));
	*place = number;
}

/* Raise when a row has an event as JSON and some of its keys as columns. */
static void
check_event_column(const Import *import)
{
	for (PgesColumn column = PGES_EVENT_ID; column < PGES_NUM_COLUMNS; column++)
	{
		if (import->event_column > 0 && import->columns[column] > 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" cannot stand beside column \"%s\" in the rows to import",
							pges_column_name(column), EVENT_COLUMN),
					 errdetail("Column \"%s\" holds whole events.", EVENT_COLUMN)));
	}
}

/* Find out what the rows bring. */
static void
note_columns(Import *import, TupleDesc desc)
{
	import->desc = desc;
	import->types = palloc0(sizeof(Oid) * desc->natts);
	import->values = palloc(sizeof(Datum) * desc->natts);
	import->nulls = palloc(sizeof(bool) * desc->natts);
	for (int i = 1; i <= desc->natts; i++)
	{
		if (TupleDescAttr(desc, i - 1)->attisdropped)
			continue;
		import->types[i - 1] = getBaseType(SPI_gettypeid(desc, i));
		note_column(import, i);
	}
	check_event_column(import);
	if (import->event_column == 0 && import->columns[PGES_EVENT_TYPE] == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("rows to import need a column \"%s\" or \"%s\"",
						pges_column_name(PGES_EVENT_TYPE), EVENT_COLUMN)));
}

/* Raise the error that a column's type is none that can be imported. */
static void
report_type(const Import *import, int number, Oid wanted)
{
	bool		json = wanted == JSONBOID;

	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of the rows to import cannot be of type %s",
					NameStr(TupleDescAttr(import->desc, number - 1)->attname),
					format_type_be(SPI_gettypeid(import->desc, number))),
			 json ? errhint("Make it JSON: to_jsonb(...).") :
			 errhint("Cast it to %s.", format_type_be(wanted))));
}

/* A value by way of its text. */
static Datum
by_text(Datum value, Oid type, Oid wanted)
{
	Oid			function;
	Oid			ioparam;
	bool		isvarlena;
	char	   *string;

	getTypeOutputInfo(type, &function, &isvarlena);
	string = OidOutputFunctionCall(function, value);
	getTypeInputInfo(wanted, &function, &ioparam);
	return OidInputFunctionCall(function, string, ioparam, -1);
}

/*
 * Make a cast by its function, as one in SQL is made: a further argument is the
 * typmod, none here, and that the cast is explicit.  False when the result is null.
 */
static bool
by_function(Oid function, Datum *value)
{
	LOCAL_FCINFO(fcinfo, 3);
	FmgrInfo	flinfo;

	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, flinfo.fn_nargs, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = *value;
	fcinfo->args[1].value = Int32GetDatum(-1);
	fcinfo->args[2].value = BoolGetDatum(true);
	for (int i = 0; i < flinfo.fn_nargs; i++)
		fcinfo->args[i].isnull = false;
	*value = FunctionCallInvoke(fcinfo);
	return !fcinfo->isnull;
}

/*
 * Make a value of some type one of the wanted type, as a cast in SQL does, but
 * JSON from what its text is JSON of.  False when it is null then.
 *
 * A cast that a user has made is refused.  Its function may do anything, with the
 * rights of the caller, who knows of it only if the query names it.
 */
static bool
convert(const Import *import, int number, Datum *value, Oid type, Oid wanted)
{
	char		category;
	bool		preferred;
	Oid			function = InvalidOid;
	CoercionPathType path = COERCION_PATH_COERCEVIAIO;

	get_type_category_preferred(type, &category, &preferred);
	if (wanted == TEXTOID && type == BPCHAROID)
	{
		*value = DirectFunctionCall1(rtrim1, *value);
		return true;
	}
	if (wanted == JSONBOID && type != UNKNOWNOID && type != JSONOID &&
		category != TYPCATEGORY_STRING && category != TYPCATEGORY_NUMERIC)
		report_type(import, number, wanted);
	if (wanted != TEXTOID && wanted != JSONBOID && type != UNKNOWNOID)
		path = find_coercion_pathway(wanted, type, COERCION_EXPLICIT, &function);
	if (path == COERCION_PATH_FUNC && function < FirstNormalObjectId)
		return by_function(function, value);
	if (path == COERCION_PATH_COERCEVIAIO)
		*value = by_text(*value, type, wanted);
	else if (path != COERCION_PATH_RELABELTYPE)
		report_type(import, number, wanted);
	return true;
}

/*
 * The value of a column of the row at hand as one of the wanted type; false when
 * it is null or there is none.
 */
static bool
row_value(Import *import, int number, Oid wanted, Datum *value)
{
	Oid			type;
	bool		found;

	if (number == 0 || import->nulls[number - 1])
		return false;
	*value = import->values[number - 1];
	type = import->types[number - 1];
	if (type == wanted || (wanted == TEXTOID && type == VARCHAROID))
		return true;
	import->reading = number;
	found = convert(import, number, value, type, wanted);
	import->reading = 0;
	return found;
}

/* A column of a row that is text. */
static text *
row_text(Import *import, PgesColumn column)
{
	Datum		value;

	return row_value(import, import->columns[column], TEXTOID, &value) ?
		DatumGetTextPP(value) : NULL;
}

/* A column of a row that is JSON. */
static Jsonb *
row_json(Import *import, int number)
{
	Datum		value;

	return row_value(import, number, JSONBOID, &value) ? DatumGetJsonbP(value) : NULL;
}

/* The version in a row; 0 for none. */
static int32
row_version(Import *import, const PgesEvent *event)
{
	Datum		value;

	if (!row_value(import, import->columns[PGES_AGGREGATE_VERSION], INT4OID, &value))
		return 0;
	if (DatumGetInt32(value) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key \"aggregate_version\" of an event must be a whole number from 1 to %d", PG_INT32_MAX),
				 errdetail("Key \"aggregate_version\" of event %d is %d.",
						   event->ordinal, DatumGetInt32(value))));
	return DatumGetInt32(value);
}

/* Read an event from the columns of a row. */
static void
read_columns(Import *import, PgesEvent *event)
{
	Datum		value;

	event->event_id = row_text(import, PGES_EVENT_ID);
	event->event_type = row_text(import, PGES_EVENT_TYPE);
	event->correlation_id = row_text(import, PGES_CORRELATION_ID);
	event->causation_id = row_text(import, PGES_CAUSATION_ID);
	event->aggregate_id = row_text(import, PGES_AGGREGATE_ID);
	event->aggregate_type = row_text(import, PGES_AGGREGATE_TYPE);
	event->given_version = row_version(import, event);
	event->data = row_json(import, import->columns[PGES_DATA]);
	event->metadata = row_json(import, import->columns[PGES_METADATA]);
	event->occurred_at_given = row_value(import, import->columns[PGES_OCCURRED_AT],
										 TIMESTAMPTZOID, &value);
	if (event->occurred_at_given)
		event->occurred_at = DatumGetTimestampTz(value);
}

/* Read an event from the JSON in a row. */
static void
read_json(Import *import, PgesEvent *event)
{
	Jsonb	   *json = row_json(import, import->event_column);

	if (json == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("an event must be a JSON object"),
				 errdetail("Event %d is null.", event->ordinal)));
	pges_event_from_json(event, json);
}

/* Read one row into an event. */
static void
read_row(Import *import, HeapTuple row, PgesEvent *event, int64 *line)
{
	Datum		value;

	heap_deform_tuple(row, import->desc, import->values, import->nulls);
	*line = row_value(import, import->line_column, INT8OID, &value) ? DatumGetInt64(value) : 0;
	if (import->event_column > 0)
		read_json(import, event);
	else
		read_columns(import, event);
}

/* Make a batch of n rows that SPI has fetched, from one on. */
static PgesBatch *
read_rows(Import *import, uint64 first, int n)
{
	PgesBatch  *batch = pges_batch_create(n);

	if (import->done > PG_INT32_MAX - MAX_LOT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot import more than %d events at once", PG_INT32_MAX)));
	import->lines = palloc0(sizeof(int64) * n);
	import->nlines = n;
	for (int i = 0; i < n; i++)
	{
		PgesEvent  *event = &batch->events[i];

		CHECK_FOR_INTERRUPTS();
		pges_current_owner = import;
		pges_current_event = event->ordinal = import->done + i + 1;
		read_row(import, SPI_tuptable->vals[first + i], event, &import->lines[i]);
	}
	pges_current_event = 0;
	return batch;
}

/* How large a row is when nothing of it is toasted any more. */
static Size
size_of_row(const Import *import, HeapTuple row)
{
	Size		size = row->t_len;

	heap_deform_tuple(row, import->desc, import->values, import->nulls);
	for (int i = 0; i < import->desc->natts; i++)
	{
		struct varlena *value = (struct varlena *) DatumGetPointer(import->values[i]);

		if (!import->nulls[i] && TupleDescAttr(import->desc, i)->attlen == -1 &&
			VARATT_IS_EXTENDED(value))
			size += toast_raw_datum_size(import->values[i]);
	}
	return size;
}

/* How many of the fetched rows, from one on, make a batch; how large it is. */
static int
rows_of_batch(const Import *import, uint64 first, uint64 fetched, Size *size)
{
	uint64		next = first;

	*size = 0;
	while (next < fetched && *size < LOT_BYTES)
		*size += size_of_row(import, SPI_tuptable->vals[next++]);
	return next - first;
}

/*
 * Import the first of n rows that SPI has fetched, from one on, as a batch, and
 * return how many.  An id that comes again begins another batch, which finds it
 * stored.  The store is looked up each time: the query, or a trigger, may do
 * anything to it.
 */
static int
import_batch(Import *import, uint64 first, int n)
{
	MemoryContext caller = MemoryContextSwitchTo(import->context);
	PgesBatch  *batch = read_rows(import, first, n);

	n = batch->nevents = pges_first_repeated(batch);
	pges_batch_check(batch);
	pges_batch_group(batch, NULL);
	import->store = pges_store(import->relid);
	import->stored += pges_import_batch(import->store, batch);
	import->lines = NULL;
	import->nlines = 0;
	pges_current_event = 0;
	import->done += n;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(import->context);
	return n;
}

/* Import the rows that SPI has fetched; how many are to be fetched next. */
static long
import_rows(Import *import)
{
	uint64		fetched = SPI_processed;
	SPITupleTable *rows = SPI_tuptable;
	Size		size = 0;
	Size		total = 0;
	uint64		first = 0;

	while (first < fetched)
	{
		int			n = rows_of_batch(import, first, fetched, &size);

		total += size;
		first += import_batch(import, first, n);
		SPI_tuptable = rows;
		pges_progress_update(&import->progress, import->done, import->stored);
	}
	SPI_freetuptable(rows);
	return Max(1, Min(Min(MAX_LOT, 2 * fetched), LOT_BYTES / Max(total / fetched, 1)));
}

/*
 * Read a table or view of somebody else as its owner, if the user is a superuser:
 * what is in a view, or a policy, is the owner's.  A query is the user's own.
 */
static bool
act_as_source_owner(PgesIdentity *caller, const Import *import)
{
	return OidIsValid(import->source_owner) && pges_act_as(caller, import->source_owner);
}

/*
 * Import all rows of a query.  Its portal is pinned, as what the query or a
 * trigger does could close it.
 */
static void
import_query(Import *import, const char *query, int nargs, Oid *types, Datum *values)
{
	Portal		portal;
	long		lot = FIRST_LOT;
	PgesIdentity caller;
	bool		as_owner;

	SPI_connect();
	as_owner = act_as_source_owner(&caller, import);
	portal = SPI_cursor_open_with_args(NULL, query, nargs, types, values, NULL, false, 0);
	if (as_owner)
		pges_become_again(&caller);
	PinPortal(portal);
	note_columns(import, portal->tupDesc);
	for (;;)
	{
		as_owner = act_as_source_owner(&caller, import);
		SPI_cursor_fetch(portal, true, lot);
		if (as_owner)
			pges_become_again(&caller);
		if (SPI_processed == 0)
			break;
		lot = import_rows(import);
	}
	UnpinPortal(portal);
	SPI_cursor_close(portal);
	SPI_finish();
}

/* Callback of RangeVarGetRelidExtended(): who may not read a table does not lock it. */
static void
check_readable(const RangeVar *name, Oid relid, Oid old_relid, void *arg)
{
	if (OidIsValid(relid))
		pges_check_may_use(relid, ACL_SELECT);
}

/*
 * The query that reads a table or view, in the order of its positions if it has
 * any; its owner, too.
 */
static char *
query_of_table(List *names, Oid *owner)
{
	Oid			relid = RangeVarGetRelidExtended(makeRangeVarFromNameList(names), AccessShareLock,
												 0, check_readable, NULL);
	bool		ordered = get_attnum(relid, pges_column_name(PGES_POSITION)) != InvalidAttrNumber;

	*owner = pges_owner_of(relid);
	return psprintf("SELECT * FROM %s%s",
					quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
											   get_rel_name(relid)),
					ordered ? " ORDER BY position" : "");
}

/*
 * The query that a source is, or that reads the table it names; then the owner of
 * that, too.
 */
static char *
query_of(char *source, Oid *owner)
{
	char	   *copy = pstrdup(source);
	List	   *parts;

	if (SplitIdentifierString(copy, '.', &parts) && list_length(parts) > 0 && list_length(parts) <= 3)
		return query_of_table(textToQualifiedNameList(cstring_to_text(source)), owner);
	return source;
}

/* The number of imported events, and of those that were there already. */
static Datum
counts(TupleDesc desc, const Import *import)
{
	Datum		values[2];
	bool		nulls[2] = {false};

	values[0] = Int64GetDatum(import->done - import->stored);
	values[1] = Int64GetDatum(import->stored);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* Import what a query brings, to the store of the second argument. */
static Datum
run_import(FunctionCallInfo fcinfo, const char *query, Oid source_owner,
		   int nargs, Oid *types, Datum *values)
{
	Import		import = {.source_owner = source_owner};
	int			outer_event = pges_current_event;
	const void *outer_owner = pges_current_owner;
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	import.store = pges_store_argument(fcinfo, 1, AccessShareLock, ACL_INSERT);
	import.relid = import.store->relid;
	import.callback.callback = import_context;
	import.callback.arg = &import;
	import.callback.previous = error_context_stack;
	error_context_stack = &import.callback;
	pges_current_event = 0;
	import.store = pges_open_for_append(import.store);
	import.context = AllocSetContextCreate(CurrentMemoryContext, "pg_eventstore import",
										   ALLOCSET_DEFAULT_SIZES);

	pges_progress_begin(&import.progress, PGES_IMPORT, import.relid);
	import_query(&import, query, nargs, types, values);
	pges_progress_end(&import.progress);
	MemoryContextDelete(import.context);
	error_context_stack = import.callback.previous;
	pges_current_event = outer_event;
	pges_current_owner = outer_owner;
	return counts(desc, &import);
}

PG_FUNCTION_INFO_V1(pges_import_events);

/* SQL: import events from a query or a table. */
Datum
pges_import_events(PG_FUNCTION_ARGS)
{
	char	   *source;
	char	   *query;
	Oid			owner = InvalidOid;

	pges_require_argument(fcinfo, 0, "source");
	source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (source[strspn(source, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"source\" must not be empty")));
	query = query_of(source, &owner);
	return run_import(fcinfo, query, owner, 0, NULL, NULL);
}

PG_FUNCTION_INFO_V1(pges_import_json);

/* SQL: import events from JSON, an array of event objects, or one. */
Datum
pges_import_json(PG_FUNCTION_ARGS)
{
	Oid			type = JSONBOID;
	Datum		events;

	pges_require_argument(fcinfo, 0, "events");
	events = PG_GETARG_DATUM(0);
	return run_import(fcinfo,
					  "SELECT e.event FROM pg_catalog.jsonb_array_elements("
					  "CASE WHEN pg_catalog.jsonb_typeof($1) OPERATOR(pg_catalog.=) 'array' THEN $1 "
					  "ELSE pg_catalog.jsonb_build_array($1) END) e (event)",
					  InvalidOid, 1, &type, &events);
}
