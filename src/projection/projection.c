/*
 * projection.c
 *		Finds projections, and the stores that have some.
 *
 * A projection is a subscription with a handler, a function that the server calls with
 * the events.  The subscription has the same name.  It has the store, the types, the
 * owner, the checkpoint, the attempts and the parked events.  A row of
 * eventstore.projection_definitions has the rest.
 *
 * The handler is stored as text, because OIDs of functions differ after a restore.  If
 * there is no such function, the projection fails with that message until there is one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "base/own_object.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "notify/notify.h"
#include "projection/projection.h"
#include "projection/projection_steps.h"
#include "subscription/subscription.h"

const PgesOwnTable pges_projection_rows = {
	"projection_definitions", 9,
	{
		{"projection", TEXTOID},
		{"mode", TEXTOID},
		{"handler", TEXTOID},
		{"tables", InvalidOid},
		{"batch_size", INT4OID},
		{"rebuild_of", TEXTOID},
		{"copies", NAMEOID},
		{"last_error_position", INT8OID},
		{"last_error_event_type", TEXTOID}
	}
};

static PgesOwnStatement projected_stores = {
	{&pges_definition_rows}, true,
	"SELECT DISTINCT store::pg_catalog.oid FROM eventstore.subscription_definitions "
	"WHERE runner OPERATOR(pg_catalog.=) 'worker' AND NOT paused",
	0
};

static const char *const mode_names[] = {
	[PGES_ASYNC] = "async",[PGES_INLINE] = "inline",[PGES_MANUAL] = "manual"
};

/*
 * The stores that have projections which the worker runs, as a list of OIDs, whether the
 * list is complete, and the table whose invalidation means that it may not be.
 */
static List *stores = NIL;
static bool stores_known = false;
static Oid	table_of_projections = InvalidOid;

/* Return the name of a mode. */
const char *
pges_mode_name(PgesMode mode)
{
	return mode_names[mode];
}

/* Return the mode with a name; raise an error if there is none. */
PgesMode
pges_parse_mode(const char *name)
{
	for (int i = 0; i < lengthof(mode_names); i++)
	{
		if (strcmp(name, mode_names[i]) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for argument \"mode\": \"%s\"", pges_shorten(pstrdup(name))),
			 errhint("Valid values are \"async\", \"inline\" and \"manual\".")));
	return PGES_ASYNC;			/* not reached */
}

/* Read a row of projection_definitions, into the current context. */
static void
read_projection(HeapTuple row, TupleDesc desc, void *arg)
{
	PgesProjection *result = arg;
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(row, desc, values, nulls);
	result->mode = pges_parse_mode(TextDatumGetCString(values[1]));
	result->handler = TextDatumGetCString(values[2]);
	result->tables = PointerGetDatum(PG_DETOAST_DATUM_COPY(values[3]));
	result->batch_size = DatumGetInt32(values[4]);
	result->rebuild_of = nulls[5] ? NULL : TextDatumGetCString(values[5]);
	result->copies = nulls[6] ? NULL : pstrdup(NameStr(*DatumGetName(values[6])));
}

/*
 * Find the row of a projection, without its subscription and without a check of the
 * user's rights.  Return NULL, or raise an error, if there is none.
 */
PgesProjection *
pges_look_up_projection(const char *name, bool missing_ok)
{
	PgesProjection *result = palloc0(sizeof(PgesProjection));

	result->name = pstrdup(name);
	result->key = CStringGetTextDatum(name);
	pges_scan_own_rows(&pges_projection_rows, result->key, read_projection, result);
	if (result->handler)
		return result;
	if (!missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("projection \"%s\" does not exist", name),
				 errhint("View eventstore.projections shows the projections; eventstore.create_projection() creates one.")));
	return NULL;
}

/*
 * Find a projection with its subscription, and lock the subscription's definition if
 * "lock" is true.  Raise an error if there is none, or if the user is not a member of its
 * owner.
 */
PgesProjection *
pges_find_projection(const char *name, bool lock)
{
	PgesProjection *result = pges_look_up_projection(name, false);

	result->subscription = pges_find_subscription(name, lock);
	return result;
}

/* Return the projection of argument 0 to a function that changes it, locked. */
PgesProjection *
pges_projection_argument(FunctionCallInfo fcinfo, const char *function)
{
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	return pges_find_projection(pges_text_argument(fcinfo, 0, "name"), true);
}

/* Relcache callback: projections may have changed. */
static void
table_changed(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == table_of_projections)
		stores_known = false;
}

/* Read the stores that have projections which the worker runs. */
static void
read_stores(void)
{
	MemoryContext caller;

	SPI_connect();
	stores_known = true;		/* an invalidation may come meanwhile */
	(void) pges_run_own_statement(&projected_stores, NULL, NULL);
	caller = MemoryContextSwitchTo(TopMemoryContext);
	list_free(stores);
	stores = NIL;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		stores = lappend_oid(stores, DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
																	1, &isnull)));
	}
	MemoryContextSwitchTo(caller);
	SPI_finish();
}

/*
 * Return whether a store has a projection that the worker runs.  A transaction asks when it
 * commits.  It reads the table only if a projection has changed.
 */
bool
pges_is_projected(Oid store)
{
	Oid			table = stores_known ? table_of_projections : pges_own_table_oid(&pges_projection_rows, true);

	if (!OidIsValid(table))
		return false;			/* the extension is being dropped */
	table_of_projections = table;
	if (!stores_known)
		read_stores();
	return list_member_oid(stores, store);
}

/* Tell all sessions that projections have changed, when the transaction commits. */
void
pges_projections_change(void)
{
	CacheInvalidateRelcacheByRelid(pges_own_table_oid(&pges_projection_rows, false));
	CommandCounterIncrement();
	pges_nudge_notifier_at_commit();
}

/* Register the callback. */
void
pges_projections_init(void)
{
	CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
}
