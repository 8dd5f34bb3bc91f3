/*
 * import.c
 *		Imports events from a query, a table or JSON.
 *
 * This is the main file of the room "transfer", which imports and exports events.  No
 * other room calls it: users call its SQL functions.  The head of export.c has the
 * protocol of an export.  An import repeats these steps:
 *
 *	1	Fetch a lot, which is some rows of a cursor on the query.
 *	2	Split the lot into batches.  A batch ends when it is large, or before an event
 *		id that it already has.
 *	3	Leave out events that are stored, by event id and content (repeated_call.c).
 *		Append the rest like any batch: with the same locks, checks and inserts.
 *
 * If rows are large, the next lot has fewer rows.  So the memory for a lot is limited,
 * whatever the number and the size of the rows.  An interrupted import can be repeated as
 * a whole, because of step 3.
 *
 * One transaction does all of an import, so all events are stored, or none.  Its guard
 * stops readers of the log until the transaction ends, so split large imports.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "append/append.h"
#include "base/act_as.h"
#include "base/progress.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "event/event.h"
#include "store/store.h"
#include "transfer/import_row.h"

#define FIRST_LOT 10			/* rows of the first lot */
#define MAX_LOT 1000			/* rows of a lot at most */
#define LOT_BYTES (8 * 1024 * 1024) /* bytes that end a batch */

/* The state of an import. */
typedef struct Import
{
	ErrorContextCallback callback;
	const PgesStore *store;
	Oid			source;			/* the table or view that is named, and its
								 * owner; InvalidOid for a query */
	Oid			source_owner;
	PgesImportRow row;
	const PgesBatch *batch;		/* NULL between batches */
	int64	   *lines;			/* of its events */
	int			nlines;			/* 0 between batches */
	int64		done;			/* events of earlier batches */
	int64		stored;			/* how many of them were stored before */
	MemoryContext context;		/* reset after each batch */
	PgesProgress progress;
} Import;

/*
 * Error context callback: name the store, and the current event or the events of the
 * batch.
 */
static void
import_context(void *arg)
{
	const Import *import = arg;
	const char *store = import->store->live.qualified_name;
	int			current = import->batch ? import->batch->current : 0;
	int64		n = current - import->done;
	char	   *column = import->row.reading == 0 ? "" :
		psprintf(", column \"%s\",", NameStr(TupleDescAttr(import->row.desc, import->row.reading - 1)->attname));

	if (import->nlines == 0)
		errcontext("importing events to store %s", store);
	else if (n < 1 || n > import->nlines)
		errcontext("importing events " INT64_FORMAT " to " INT64_FORMAT " to store %s",
				   import->done + 1, import->done + import->nlines, store);
	else if (import->lines[n - 1] > 0)
		errcontext("importing event %d, line " INT64_FORMAT "%s to store %s",
				   current, import->lines[n - 1], column, store);
	else
		errcontext("importing event %d%s to store %s", current, column, store);
}

/* Return a batch of n fetched rows, from "first" on; raise an error for a bad row. */
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
	import->batch = batch;
	for (int i = 0; i < n; i++)
	{
		PgesEvent  *event = &batch->events[i];

		CHECK_FOR_INTERRUPTS();
		batch->current = event->ordinal = import->done + i + 1;
		pges_read_row(&import->row, SPI_tuptable->vals[first + i], event, &import->lines[i]);
	}
	batch->current = 0;
	return batch;
}

/* Return the size of a row with all of its values detoasted. */
static Size
size_of_row(const Import *import, HeapTuple row)
{
	Size		size = row->t_len;

	heap_deform_tuple(row, import->row.desc, import->row.values, import->row.nulls);
	for (int i = 0; i < import->row.desc->natts; i++)
	{
		struct varlena *value = (struct varlena *) DatumGetPointer(import->row.values[i]);

		if (!import->row.nulls[i] && TupleDescAttr(import->row.desc, i)->attlen == -1 &&
			VARATT_IS_EXTENDED(value))
			size += toast_raw_datum_size(import->row.values[i]);
	}
	return size;
}

/* Return how many fetched rows, from "first" on, make a batch; set *size to its size. */
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
 * Import up to n fetched rows, from "first" on, as one batch, and return how many were
 * imported.  If an event id is repeated, the batch ends before the repetition, which the
 * next batch finds stored.  The store is looked up for each batch, because the query or a
 * trigger may change the store.
 */
static int
import_batch(Import *import, uint64 first, int n)
{
	MemoryContext caller = MemoryContextSwitchTo(import->context);
	PgesBatch  *batch = read_rows(import, first, n);

	n = batch->nevents = pges_first_repeated(batch);
	pges_batch_group(batch, NULL);
	import->store = pges_store(import->store->live.relid);
	pges_append_batch(import->store, batch, true);
	import->stored += n - batch->nevents;
	import->nlines = 0;
	import->batch = NULL;
	import->done += n;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(import->context);
	return n;
}

/* Import the rows that SPI has fetched, and return how many to fetch next. */
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
 * If the user is a superuser, act as the owner of the named table or view, because code
 * in a view or in a policy belongs to that owner.  Return whether the rights were taken.
 * Return false for a query, which is the user's own.
 */
static bool
act_as_source_owner(PgesIdentity *caller, const Import *import)
{
	return OidIsValid(import->source_owner) && pges_act_as(caller, import->source_owner);
}

/*
 * Raise an error if the name of a source now refers to another relation, before any code
 * of the source runs.  The named relation is the first dependency of the query.
 */
static void
check_source(const Import *import, SPIPlanPtr plan)
{
	CachedPlanSource *query = linitial(SPI_plan_get_plan_sources(plan));

	if (OidIsValid(import->source) &&
		(query->relationOids == NIL || linitial_oid(query->relationOids) != import->source))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the source of the import was renamed concurrently"),
				 errhint("Retry the call.")));
}

/* Return a cursor on a query.  Raise an error if the query cannot be prepared. */
static Portal
open_cursor(const Import *import, const char *query, int nargs, Oid *types, Datum *values)
{
	PgesIdentity caller;
	bool		as_owner;
	Portal		portal;
	SPIPlanPtr	plan = SPI_prepare_cursor(query, nargs, types, 0);

	if (plan == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not prepare a query: %s", SPI_result_code_string(SPI_result))));
	check_source(import, plan);
	as_owner = act_as_source_owner(&caller, import);
	portal = SPI_cursor_open(NULL, plan, values, NULL, false);
	check_source(import, plan);
	if (as_owner)
		pges_become_again(&caller);
	return portal;
}

/*
 * Import all rows of a query.  The portal is pinned, because code in the query or in a
 * trigger could close it.
 */
static void
import_query(Import *import, const char *query, int nargs, Oid *types, Datum *values)
{
	Portal		portal;
	long		lot = FIRST_LOT;
	PgesIdentity caller;
	bool		as_owner;

	SPI_connect();
	portal = open_cursor(import, query, nargs, types, values);
	PinPortal(portal);
	pges_note_columns(&import->row, portal->tupDesc);
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

/*
 * Callback of RangeVarGetRelidExtended(): raise an error unless the user may read the
 * table.  The callback runs before the table is locked.
 */
static void
check_readable(const RangeVar *name, Oid relid, Oid old_relid, void *arg)
{
	if (OidIsValid(relid))
		pges_check_may_use(relid, ACL_SELECT);
}

/* Return a query on a table or view, in the order of column position if there is one. */
static char *
query_of_table(Import *import, List *names)
{
	Oid			relid = RangeVarGetRelidExtended(makeRangeVarFromNameList(names), AccessShareLock,
												 0, check_readable, NULL);
	bool		ordered = get_attnum(relid, pges_column_name(PGES_POSITION)) != InvalidAttrNumber;

	import->source = relid;
	import->source_owner = pges_owner_of(relid);
	return psprintf("SELECT * FROM %s%s",
					pges_relation_name(relid), ordered ? " ORDER BY position" : "");
}

/* Return the query that a source is, or a query that reads the table it names. */
static char *
query_of(Import *import, const char *source)
{
	char	   *copy = pstrdup(source);
	List	   *parts;

	if (SplitIdentifierString(copy, '.', &parts) && list_length(parts) > 0 && list_length(parts) <= 3)
		return query_of_table(import, textToQualifiedNameList(cstring_to_text(source)));
	return pstrdup(source);
}

/* Return a row of two counts: imported events, and events that were stored before. */
static Datum
counts_as_row(TupleDesc desc, const Import *import)
{
	Datum		values[2];
	bool		nulls[2] = {false};

	values[0] = Int64GetDatum(import->done - import->stored);
	values[1] = Int64GetDatum(import->stored);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* Import the rows of a query to the store of the second argument. */
static Datum
run_import(FunctionCallInfo fcinfo, const char *source, int nargs, Oid *types, Datum *values)
{
	Import		import = {.done = 0};
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	import.store = pges_store_argument(fcinfo, 1, AccessShareLock, ACL_INSERT);
	import.callback.callback = import_context;
	import.callback.arg = &import;
	import.callback.previous = error_context_stack;
	error_context_stack = &import.callback;
	import.store = pges_open_for_append(import.store);
	import.context = AllocSetContextCreate(CurrentMemoryContext, "pg_eventstore import",
										   ALLOCSET_DEFAULT_SIZES);

	pges_progress_begin(&import.progress, PGES_IMPORT, import.store->live.relid);
	import_query(&import, query_of(&import, source), nargs, types, values);
	pges_progress_end(&import.progress);
	MemoryContextDelete(import.context);
	error_context_stack = import.callback.previous;
	return counts_as_row(desc, &import);
}

PG_FUNCTION_INFO_V1(pges_import_events);

/* SQL: import events from a query or a table. */
Datum
pges_import_events(PG_FUNCTION_ARGS)
{
	char	   *source;

	pges_require_argument(fcinfo, 0, "source");
	source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (source[strspn(source, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"source\" must not be empty")));
	return run_import(fcinfo, source, 0, NULL, NULL);
}

PG_FUNCTION_INFO_V1(pges_import_json);

/* SQL: import events from JSON, which is an array of event objects or one object. */
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
					  1, &type, &events);
}
