/*
 * fold.c
 *		Computes a state: calls a reducer for each event of an aggregate.
 *
 * The events are read first, with the rights of the user, into a tuplestore, which goes
 * to disk from work_mem on.  Then the reducer is called, with the rights of the user or of
 * the owner of a state.  So code of the owner of the store, such as a policy, never runs
 * together with the reducer, and neither can change the settings of the other.
 *
 * The state must depend on the events alone, because it may be saved for others.  So the
 * settings that change how values are converted to text are fixed while the reducer runs,
 * but for settings of the function itself.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "base/act_as.h"
#include "base/ddl.h"
#include "base/text.h"
#include "event/event.h"
#include "snapshot/state.h"

static const PgesStatement events_after = {
	"SELECT " PGES_COLUMNS " FROM %1$s "
	"WHERE aggregate_id OPERATOR(pg_catalog.=) $1 "
	"AND aggregate_version OPERATOR(pg_catalog.>) $2 "
	"AND aggregate_version OPERATOR(pg_catalog.<=) $3 "
	"AND occurred_at OPERATOR(pg_catalog.<=) $4 "
	"ORDER BY aggregate_version",
	4, {TEXTOID, INT4OID, INT4OID, TIMESTAMPTZOID}
};

/* Settings on which the text of a value depends, and what a reducer gets. */
static const char *const fixed_settings[][2] = {
	{"TimeZone", "UTC"},
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"lc_numeric", "C"},
	{"lc_time", "C"}
};

/*
 * The calls of a reducer.  A state lives in one of two contexts: it is made in one while
 * the state before is in the other, and so are the values of its event.
 */
typedef struct Fold
{
	const PgesReducer *reducer;
	const PgesAggregateRead *read;
	PgesSnapshot *result;
	MemoryContext contexts[2];
	int			current;		/* of the contexts */
	TupleTableSlot *slot;
	FmgrInfo	function;
	FunctionCallInfo fcinfo;
	PgStat_FunctionCallUsage usage;
} Fold;

/* Name the event in the CONTEXT of an error.  Error context callback. */
static void
fold_context(void *arg)
{
	const Fold *fold = arg;

	errcontext("reducer %s at version %d of aggregate \"%s\" of store %s", fold->reducer->name,
			   fold->result->version, pges_shorten(text_to_cstring(fold->read->aggregate_id)),
			   fold->read->store->live.qualified_name);
}

/* Read the events after a version into a tuplestore. */
static Tuplestorestate *
read_events(const PgesAggregateRead *read, int32 after)
{
	Tuplestorestate *events = tuplestore_begin_heap(false, false, work_mem);
	DestReceiver *receiver = CreateDestReceiver(DestTuplestore);
	Datum		values[] = {PointerGetDatum(read->aggregate_id), Int32GetDatum(after),
	Int32GetDatum(read->to_version), TimestampTzGetDatum(read->at)};

	SetTuplestoreDestReceiverParams(receiver, events, CurrentMemoryContext, false, NULL, NULL);
	SPI_connect();
	(void) pges_run_statement(read->store, read->scope, &events_after, values, NULL, true, receiver);
	SPI_finish();
	return events;
}

/* Return a column of an event that is never null. */
static Datum
column_of(TupleTableSlot *event, PgesColumn column)
{
	bool		isnull;

	return slot_getattr(event, column + 1, &isnull);
}

/* Raise the error that a reducer returned null. */
static void
report_null(const Fold *fold)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("reducer %s returned null", fold->reducer->name),
			 errdetail("The type of the event is \"%s\".",
					   pges_shorten(TextDatumGetCString(column_of(fold->slot, PGES_EVENT_TYPE)))),
			 errhint("Let the reducer return the state unchanged for events that do not change it, for example with ELSE in a CASE.")));
}

/* Call the reducer with the event in the slot. */
static void
call_reducer(Fold *fold)
{
	PgesSnapshot *result = fold->result;
	MemoryContext caller;
	TimestampTz occurred_at = DatumGetTimestampTz(column_of(fold->slot, PGES_OCCURRED_AT));
	Datum		state;

	result->version = DatumGetInt32(column_of(fold->slot, PGES_AGGREGATE_VERSION));
	result->occurred_until = Max(result->occurred_until, occurred_at);
	fold->current = 1 - fold->current;
	MemoryContextReset(fold->contexts[fold->current]);
	caller = MemoryContextSwitchTo(fold->contexts[fold->current]);
	fold->fcinfo->args[0].value = result->state;
	fold->fcinfo->args[1].value = ExecFetchSlotHeapTupleDatum(fold->slot);
	fold->fcinfo->isnull = false;
	pgstat_init_function_usage(fold->fcinfo, &fold->usage);
	state = FunctionCallInvoke(fold->fcinfo);
	pgstat_end_function_usage(&fold->usage, true);
	if (fold->fcinfo->isnull)
		report_null(fold);
	/* a C function may return its argument, which is in the other context */
	if (DatumGetPointer(state) == DatumGetPointer(result->state))
		state = datumCopy(state, false, -1);
	result->state = state;
	result->event_id = DatumGetTextPCopy(column_of(fold->slot, PGES_EVENT_ID));
	MemoryContextSwitchTo(caller);
}

/* Prepare the calls of a reducer in the current context. */
static void
begin_fold(Fold *fold)
{
	TupleDesc	event;

	fmgr_info(fold->reducer->oid, &fold->function);
	fold->fcinfo = palloc0(SizeForFunctionCallInfo(2));
	InitFunctionCallInfoData(*fold->fcinfo, &fold->function, 2, InvalidOid, NULL, NULL);
	event = lookup_rowtype_tupdesc_copy(fold->reducer->event_type, -1);
	fold->slot = MakeSingleTupleTableSlot(event, &TTSOpsMinimalTuple);
	for (int i = 0; i < lengthof(fold->contexts); i++)
		fold->contexts[i] = AllocSetContextCreate(CurrentMemoryContext, "pg_eventstore fold",
												  ALLOCSET_DEFAULT_SIZES);
}

/* Call the reducer for all events of a tuplestore. */
static void
fold_events(Fold *fold, Tuplestorestate *events)
{
	ErrorContextCallback callback = {.callback = fold_context,.arg = fold,.previous = error_context_stack};

	error_context_stack = &callback;
	while (tuplestore_gettupleslot(events, true, false, fold->slot))
	{
		CHECK_FOR_INTERRUPTS();
		call_reducer(fold);
	}
	error_context_stack = callback.previous;
}

/* Fix the settings that a reducer must not depend on; see the head of this file. */
static void
fix_settings(const PgesReducer *reducer, bool as_owner)
{
	for (int i = 0; i < lengthof(fixed_settings); i++)
		pges_set_locally(fixed_settings[i][0], fixed_settings[i][1]);
	if (as_owner)
		pges_set_locally("search_path", psprintf("%s, pg_temp", quote_identifier(reducer->schema)));
}

/* Fold events as the user, as if the user called the reducer. */
static void
fold_as_user(Fold *fold, Tuplestorestate *events)
{
	int			nestlevel = NewGUCNestLevel();

	fix_settings(fold->reducer, false);
	fold_events(fold, events);
	AtEOXact_GUC(true, nestlevel);
}

/* Fold events as the owner of a state, in a security restricted operation. */
static void
fold_as_owner(Fold *fold, Tuplestorestate *events, Oid owner)
{
	PgesIdentity caller;

	pges_become(&caller, owner);
	fix_settings(fold->reducer, true);
	fold_events(fold, events);
	pges_become_again(&caller);
}

/*
 * Apply a reducer to the events after a snapshot, which may be an initial state with
 * version 0, and make the snapshot that of the last event.  The reducer runs with the
 * rights of the role "run_as", or of the user if that is InvalidOid.
 */
void
pges_fold(const PgesAggregateRead *read, const PgesReducer *reducer, Oid run_as, PgesSnapshot *snapshot)
{
	Tuplestorestate *events = read_events(read, snapshot->version);
	int32		first = snapshot->version;
	Fold		fold = {.reducer = reducer,.read = read,.result = snapshot};

	begin_fold(&fold);
	if (OidIsValid(run_as))
		fold_as_owner(&fold, events, run_as);
	else
		fold_as_user(&fold, events);
	if (snapshot->version > first)
	{
		snapshot->state = PointerGetDatum(PG_DETOAST_DATUM_COPY(snapshot->state));
		snapshot->event_id = DatumGetTextPCopy(PointerGetDatum(snapshot->event_id));
	}
	tuplestore_end(events);
	ExecDropSingleTupleTableSlot(fold.slot);
	for (int i = 0; i < lengthof(fold.contexts); i++)
		MemoryContextDelete(fold.contexts[i]);
}
