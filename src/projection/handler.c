/*
 * handler.c
 *		Calls the handler of a projection with events.
 *
 * A handler is a function with one argument, of type eventstore.event or
 * eventstore.event[].  Its result is not used.  It runs with the rights of the owner of
 * the projection, in a security restricted operation and a nest level of settings
 * (act_as.c).  So it cannot take the rights of another role, and cannot keep a setting.
 *
 * The search_path is fixed: the schema of the handler and then pg_temp, after pg_catalog.
 * In a rebuild, the schema of the copies of the tables comes first (rebuild.c).
 *
 * The handler is looked up for each run, so a run uses the function as it is when the run
 * begins.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "base/ddl.h"
#include "delivery/delivery.h"
#include "event/event.h"
#include "projection/projection_steps.h"

/* Return the type eventstore.event, or its array type. */
static Oid
event_type(bool array)
{
	Oid			type = pges_own_type_oid("event");

	return array ? get_array_type(type) : type;
}

/* Return whether a handler takes all events of a run at once. */
static bool
takes_array(Oid handler)
{
	Oid		   *types;
	int			ntypes;

	(void) get_func_signature(handler, &types, &ntypes);
	return ntypes == 1 && types[0] == event_type(true);
}

/* Raise an error unless a function can be a handler, and a role may execute it. */
void
pges_check_handler(Oid handler, Oid owner)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(handler));
	Form_pg_proc form;
	Oid			handler_owner;
	bool		fits;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function with OID %u does not exist", handler)));
	form = (Form_pg_proc) GETSTRUCT(tuple);
	handler_owner = form->proowner;
	fits = form->prokind == PROKIND_FUNCTION && !form->proretset && form->pronargs == 1 &&
		(form->proargtypes.values[0] == event_type(false) || form->proargtypes.values[0] == event_type(true));
	ReleaseSysCache(tuple);
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot be a handler", format_procedure(handler)),
				 errdetail("A handler is a function with one argument, of type eventstore.event or eventstore.event[], that returns no set.")));
	if (isAnyTempNamespace(get_func_namespace(handler)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot be a handler", format_procedure(handler)),
				 errdetail("It is temporary, so other sessions cannot call it.")));
	if (!has_privs_of_role(handler_owner, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("function %s cannot be a handler of a projection of role \"%s\"", format_procedure(handler),
						GetUserNameFromId(owner, false)),
				 errdetail("The handler runs as that role, but belongs to role \"%s\", which is no member of it.",
						   GetUserNameFromId(handler_owner, false)),
				 errhint("Give the function to the owner of the projection: ALTER FUNCTION ... OWNER TO %s;",
						 quote_identifier(GetUserNameFromId(owner, false)))));
	if (!pges_may_execute_compat(handler, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", format_procedure(handler)),
				 errdetail("The handler of a projection runs as the owner of the projection, \"%s\".",
						   GetUserNameFromId(owner, false))));
}

/*
 * Return the handler of a projection; raise an error if there is no such function.
 */
Oid
pges_handler_of(const PgesProjection *projection)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum		oid;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = CStringGetTextDatum(projection->handler);
	fcinfo->args[0].isnull = false;
	oid = to_regprocedure(fcinfo);
	if (fcinfo->isnull)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("handler %s of projection \"%s\" does not exist", projection->handler, projection->name),
				 errdetail("It was dropped or renamed, or was not restored."),
				 errhint("Create the function, or choose another one with eventstore.alter_projection().")));
	return DatumGetObjectId(oid);
}

/*
 * Return a number for the definition of the handler of a projection, which changes when the
 * function is replaced or altered: its OID and the transaction that has written its row.
 */
int64
pges_handler_version(const PgesProjection *projection)
{
	Oid			handler = pges_handler_of(projection);
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(handler));
	uint64		version;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", handler);
	version = ((uint64) handler << 32) | HeapTupleHeaderGetRawXmin(tuple->t_data);
	ReleaseSysCache(tuple);
	return (int64) version;
}

/*
 * Take the rights of the owner of a projection, and its settings, until
 * pges_become_again().  Raise an error if the handler cannot be called: that is before
 * the poll, because such an error concerns all events (record_failure.c).
 */
void
pges_begin_handlers(PgesIdentity *saved, const PgesProjection *projection)
{
	Oid			owner = projection->subscription->owner;
	Oid			handler;
	StringInfoData path;

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\", the owner of projection \"%s\", does not exist",
						projection->subscription->owner_name, projection->name),
				 errhint("A superuser can give the projection to another role: eventstore.alter_projection(..., owner => ...).")));
	pges_become(saved, owner);
	handler = pges_handler_of(projection);
	pges_check_handler(handler, owner);
	initStringInfo(&path);
	if (projection->copies)
		appendStringInfo(&path, "%s, ", quote_identifier(projection->copies));
	appendStringInfo(&path, "%s, pg_temp", quote_identifier(get_namespace_name(get_func_namespace(handler))));
	pges_set_locally("search_path", path.data);
	pfree(path.data);
}

/*
 * For a background worker: let the owner of a projection be the session user, until
 * pges_end_session().  Otherwise session_user would be a superuser, and a function that
 * checks the rights of the session user would grant the owner too much.  An abort does not
 * restore the session user.  The user stays the same, until pges_begin_handlers().
 */
void
pges_begin_session(const PgesProjection *projection)
{
	Oid			owner = projection->subscription->owner;
	Oid			user;
	int			sec_context;

	if (!OidIsValid(owner))
		return;
	GetUserIdAndSecContext(&user, &sec_context);
	SetSessionAuthorization(owner, superuser_arg(owner));
	SetUserIdAndSecContext(user, sec_context);
}

/* Let the bootstrap superuser be the session user again, outside a transaction. */
void
pges_end_session(void)
{
	SetSessionAuthorization(BOOTSTRAP_SUPERUSERID, true);
}

/* Begin to collect the events of a run, in the current context. */
void
pges_begin_events(PgesEvents *events)
{
	memset(events, 0, sizeof(PgesEvents));
	events->context = CurrentMemoryContext;
	events->desc = lookup_rowtype_tupdesc(event_type(false), -1);
}

/* Release what pges_begin_events() has acquired. */
void
pges_end_events(PgesEvents *events)
{
	ReleaseTupleDesc(events->desc);
}

/*
 * Add an event to those of a run, as a value of type eventstore.event.  Values that are
 * stored out of line are fetched, because a composite value must not point to them.
 */
void
pges_add_projected_event(PgesEvents *events, TupleTableSlot *row)
{
	MemoryContext caller = MemoryContextSwitchTo(events->context);
	bool		is_copy;
	bool		isnull;
	HeapTuple	tuple = pges_stored_row(row, &is_copy);
	int64		position = DatumGetInt64(slot_getattr(row, PGES_POSITION + 1, &isnull));
	Datum		value = heap_copy_tuple_as_datum(tuple, events->desc);

	if (is_copy)
		heap_freetuple(tuple);
	if (events->n == events->allocated)
	{
		events->allocated = Max(events->allocated * 2, 64);
		events->events = events->events ?
			repalloc(events->events, events->allocated * sizeof(PgesProjectedEvent)) :
			palloc(events->allocated * sizeof(PgesProjectedEvent));
	}
	events->events[events->n++] = (PgesProjectedEvent)
	{
		position, value
	};
	events->size += VARSIZE(DatumGetPointer(value));
	MemoryContextSwitchTo(caller);
}

/* Compare two events for qsort(), by their positions. */
static int
compare_events(const void *a, const void *b)
{
	int64		x = ((const PgesProjectedEvent *) a)->position;
	int64		y = ((const PgesProjectedEvent *) b)->position;

	return x < y ? -1 : x > y;
}

/* Sort events by position: the rows of an INSERT may have any order. */
void
pges_sort_events(PgesEvents *events)
{
	qsort(events->events, events->n, sizeof(PgesProjectedEvent), compare_events);
}

/* Call a handler with an argument. */
static void
call_function(FmgrInfo *function, Datum argument)
{
	LOCAL_FCINFO(fcinfo, 1);
	PgStat_FunctionCallUsage usage;

	InitFunctionCallInfoData(*fcinfo, function, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = argument;
	fcinfo->args[0].isnull = false;
	pgstat_init_function_usage(fcinfo, &usage);
	(void) FunctionCallInvoke(fcinfo);
	pgstat_end_function_usage(&usage, true);
}

/* Return the position of the only event of a run; 0 if it has more. */
int64
pges_only_position(const PgesEvents *events)
{
	return events->n == 1 ? events->events[0].position : 0;
}

/* A call of the handler. */
typedef struct Call
{
	const PgesProjection *projection;
	const PgesEvents *events;
	PgesRun    *run;
} Call;

/* Error context callback: name the projection, and the event if it is known. */
static void
handler_context(void *arg)
{
	const Call *call = arg;

	if (call->run->position > 0)
		errcontext("projection \"%s\" handling the event at position " INT64_FORMAT, call->projection->name,
				   call->run->position);
	else
		errcontext("projection \"%s\" handling %d events", call->projection->name, call->events->n);
}

/* Call a handler once for each event. */
static void
call_for_each(FmgrInfo *function, const PgesEvents *events, PgesRun *run)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pg_eventstore handler",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);

	for (int i = 0; i < events->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		run->position = events->events[i].position;
		call_function(function, events->events[i].value);
		MemoryContextReset(context);
		run->handled++;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* Call a handler with all events as an array. */
static void
call_for_all(FmgrInfo *function, const PgesEvents *events, PgesRun *run)
{
	Datum	   *values = palloc(sizeof(Datum) * events->n);
	ArrayType  *array;

	for (int i = 0; i < events->n; i++)
		values[i] = events->events[i].value;
	array = construct_array(values, events->n, events->desc->tdtypeid, -1, false, TYPALIGN_DOUBLE);

	call_function(function, PointerGetDatum(array));
	pfree(array);
	pfree(values);
	run->handled = events->n;
}

/*
 * Raise an error if the handler would not see what other transactions have committed since
 * this one began.  It could then miss the effects of earlier events, and so lose its own.
 */
static void
check_isolation(const PgesProjection *projection)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot run projection \"%s\" in isolation level \"%s\"", projection->name,
						GetConfigOption("transaction_isolation", false, false)),
				 errdetail("Its handler would not see what other transactions have committed since this one began."),
				 errhint("Use READ COMMITTED.")));
}

/*
 * Call the handler of a projection with events, in order of position.  The caller has
 * called pges_begin_handlers().
 */
void
pges_call_handler(const PgesProjection *projection, const PgesEvents *events, PgesRun *run)
{
	Call		call = {projection, events, run};
	ErrorContextCallback callback = {error_context_stack, handler_context, &call};
	Oid			handler = pges_handler_of(projection);
	FmgrInfo	function;

	check_isolation(projection);
	fmgr_info(handler, &function);
	error_context_stack = &callback;
	PushActiveSnapshot(GetTransactionSnapshot());
	if (takes_array(handler))
		call_for_all(&function, events, run);
	else
		call_for_each(&function, events, run);
	PopActiveSnapshot();
	CommandCounterIncrement();
	error_context_stack = callback.previous;
	run->position = pges_only_position(events);
}
