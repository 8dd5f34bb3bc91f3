/*
 * fold.c
 *		Computes a state: calls a reducer for each event of an aggregate.
 *
 * The events are read first, with the rights of the user, into a tuplestore, which goes
 * to disk from work_mem on.  Then the reducer is called, with the rights of the user or of
 * the owner of a state.  So code of the owner of the store, such as a policy, never runs
 * together with the reducer, and neither can change the settings of the other.
 *
 * The call of the reducer is an expression that is planned once, so a simple function in
 * language sql is inlined, and its body is prepared once for all events.
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
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/params.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
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
 * The calls of a reducer.  Two expression contexts take turns: a state is made in the
 * memory of one while the state before is in that of the other, with the values of its
 * event.
 */
typedef struct Fold
{
	const PgesReducer *reducer;
	const PgesAggregateRead *read;
	PgesSnapshot *result;
	bool		is_owner;		/* runs as the owner of a state */
	TupleTableSlot *slot;		/* of an event */
	EState	   *estate;
	ExprState  *call;
	ParamListInfo params;		/* of the call: the state and the event */
	ExprContext *contexts[2];
	int			current;		/* of the contexts */
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
	TimestampTz occurred_at = DatumGetTimestampTz(column_of(fold->slot, PGES_OCCURRED_AT));
	ExprContext *context;
	MemoryContext caller;
	Datum		state;
	bool		isnull;

	result->version = DatumGetInt32(column_of(fold->slot, PGES_AGGREGATE_VERSION));
	result->occurred_until = Max(result->occurred_until, occurred_at);
	fold->current = 1 - fold->current;
	context = fold->contexts[fold->current];
	ResetExprContext(context);
	caller = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);
	fold->params->params[0].value = result->state;
	fold->params->params[1].value = ExecFetchSlotHeapTupleDatum(fold->slot);
	state = ExecEvalExpr(fold->call, context, &isnull);
	if (isnull)
		report_null(fold);
	/* an unchanged state is still in the other context */
	if (DatumGetPointer(state) == DatumGetPointer(result->state))
		state = datumCopy(state, false, -1);
	result->state = state;
	result->event_id = DatumGetTextPCopy(column_of(fold->slot, PGES_EVENT_ID));
	MemoryContextSwitchTo(caller);
}

/* Make a parameter of the call of a reducer. */
static Param *
make_param(int number, Oid type)
{
	Param	   *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = number;
	param->paramtype = type;
	param->paramtypmod = -1;
	param->paramcollid = InvalidOid;
	param->location = -1;
	return param;
}

/* Make the call of a reducer: an expression of two parameters. */
static FuncExpr *
make_call(const PgesReducer *reducer)
{
	List	   *arguments = list_make1(make_param(1, JSONBOID));

	arguments = lappend(arguments, make_param(2, reducer->event_type));
	return makeFuncExpr(reducer->oid, JSONBOID, arguments, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/* A call that is planned for a role under the search path of the states of a reducer. */
typedef struct PlannedCall
{
	struct
	{
		Oid			reducer;
		Oid			role;
	}			key;
	CachedExpression *expression;	/* NULL until it is planned */
} PlannedCall;

/* The planned calls; lives as long as the backend. */
static HTAB *planned_calls = NULL;

/* Find or make the entry of a reducer for the present role. */
static PlannedCall *
planned_call(const PgesReducer *reducer)
{
	HASHCTL		ctl = {.keysize = sizeof(((PlannedCall *) NULL)->key),.entrysize = sizeof(PlannedCall)};
	PlannedCall entry = {.key = {reducer->oid, GetUserId()}};
	PlannedCall *result;
	bool		found;

	if (planned_calls == NULL)
		planned_calls = hash_create("pg_eventstore reducers", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	result = hash_search(planned_calls, &entry.key, HASH_ENTER, &found);
	if (!found)
		result->expression = NULL;
	return result;
}

/*
 * Return the planned call of a reducer.  As the owner of a state, the search path is always
 * the same, so the plan is kept until something that it depends on changes.  The result is
 * a copy, because a reducer may compute another state, which may free the plan.
 */
static Expr *
plan_call(const PgesReducer *reducer, bool is_owner)
{
	PlannedCall *entry;

	if (!is_owner)
		return expression_planner((Expr *) make_call(reducer));
	entry = planned_call(reducer);
	if (entry->expression && !entry->expression->is_valid)
	{
		FreeCachedExpression(entry->expression);
		entry->expression = NULL;
	}
	if (entry->expression == NULL)
		entry->expression = GetCachedExpression((Node *) make_call(reducer));
	return copyObject((Expr *) entry->expression->expr);
}

/* Set the type of a parameter of the call; its value is set for each event. */
static void
set_param(Fold *fold, int i, Oid type)
{
	fold->params->params[i].ptype = type;
	fold->params->params[i].pflags = 0;
	fold->params->params[i].isnull = false;
}

/*
 * Prepare the calls of a reducer, with the rights and settings with which it will run: a
 * function that is inlined is parsed now.
 */
static void
begin_fold(Fold *fold)
{
	Oid			event_type = fold->reducer->event_type;
	MemoryContext caller;

	fold->estate = CreateExecutorState();
	caller = MemoryContextSwitchTo(fold->estate->es_query_cxt);
	fold->slot = MakeSingleTupleTableSlot(lookup_rowtype_tupdesc_copy(event_type, -1), &TTSOpsMinimalTuple);
	fold->params = makeParamList(2);
	set_param(fold, 0, JSONBOID);
	set_param(fold, 1, event_type);
	fold->call = ExecInitExprWithParams(plan_call(fold->reducer, fold->is_owner), fold->params);
	for (int i = 0; i < lengthof(fold->contexts); i++)
	{
		fold->contexts[i] = CreateExprContext(fold->estate);
		fold->contexts[i]->ecxt_param_list_info = fold->params;
	}
	MemoryContextSwitchTo(caller);
}

/* Call the reducer for all events of a tuplestore, with the present rights and settings. */
static void
fold_events(Fold *fold, Tuplestorestate *events)
{
	ErrorContextCallback callback = {.callback = fold_context,.arg = fold,.previous = error_context_stack};

	error_context_stack = &callback;
	begin_fold(fold);
	while (tuplestore_gettupleslot(events, true, false, fold->slot))
	{
		CHECK_FOR_INTERRUPTS();
		call_reducer(fold);
	}
	error_context_stack = callback.previous;
}

/* Free what begin_fold() has made, and copy the result from there. */
static void
end_fold(Fold *fold)
{
	fold->result->state = PointerGetDatum(PG_DETOAST_DATUM_COPY(fold->result->state));
	fold->result->event_id = DatumGetTextPCopy(PointerGetDatum(fold->result->event_id));
	ExecDropSingleTupleTableSlot(fold->slot);
	FreeExecutorState(fold->estate);
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
	Fold		fold = {.reducer = reducer,.read = read,.result = snapshot,.is_owner = OidIsValid(run_as)};

	if (tuplestore_tuple_count(events) > 0)
	{
		if (OidIsValid(run_as))
			fold_as_owner(&fold, events, run_as);
		else
			fold_as_user(&fold, events);
		end_fold(&fold);
	}
	tuplestore_end(events);
}
