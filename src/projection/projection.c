/*
 * projection.c
 *		The rows of projections: finds, adds and removes them.
 *
 * A projection is a subscription with a handler, a function that the server calls with
 * the events.  The subscription has the same name.  It has the store, the types, the
 * owner, the checkpoint, the attempts and the parked events.  A row of
 * eventstore.projection_definitions has the rest.
 *
 * The handler is stored as text, because OIDs of functions differ after a restore.  If
 * there is no such function, the projection fails with that message until there is one.
 * Another role could create a function with that name.  So a handler is called only if it
 * belongs to a role that has the rights of the owner of the projection.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/own_object.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "projection/projection_steps.h"
#include "subscription/subscription.h"

const PgesOwnTable pges_projection_rows = {
	"projection_definitions", 11,
	{
		{"projection", TEXTOID},
		{"mode", TEXTOID},
		{"handler", TEXTOID},
		{"tables", InvalidOid},
		{"batch_size", INT4OID},
		{"start_position", INT8OID},
		{"rebuild_of", TEXTOID},
		{"copies", NAMEOID},
		{"handler_version", INT8OID},
		{"last_error_position", INT8OID},
		{"last_error_event_type", TEXTOID}
	}
};

static PgesOwnStatement insert_row = {
	{&pges_projection_rows}, false,
	"INSERT INTO eventstore.projection_definitions (projection, mode, handler, tables, batch_size, "
	"start_position, rebuild_of, copies, handler_version) "
	"VALUES ($1, $2, $3, $4::eventstore.regstore[], $5, $6, $7, $8, $9)",
	9, {TEXTOID, TEXTOID, TEXTOID, REGCLASSARRAYOID, INT4OID, INT8OID, TEXTOID, NAMEOID, INT8OID}
};

static PgesOwnStatement delete_row = {
	{&pges_projection_rows}, false,
	"DELETE FROM eventstore.projection_definitions WHERE projection OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static PgesOwnStatement forget_rows = {
	{&pges_projection_rows, &pges_definition_rows}, false,
	"DELETE FROM eventstore.projection_definitions WHERE projection OPERATOR(pg_catalog.=) ANY "
	"(SELECT subscription FROM eventstore.subscription_definitions WHERE store::pg_catalog.oid OPERATOR(pg_catalog.=) $1) "
	"RETURNING copies",
	1, {OIDOID}
};

static const char *const mode_names[] = {
	[PGES_ASYNC] = "async",[PGES_INLINE] = "inline",[PGES_MANUAL] = "manual"
};

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
	result->start_position = DatumGetInt64(values[5]);
	result->rebuild_of = nulls[6] ? NULL : TextDatumGetCString(values[6]);
	result->copies = nulls[7] ? NULL : pstrdup(NameStr(*DatumGetName(values[7])));
	result->handler_version = nulls[8] ? 0 : DatumGetInt64(values[8]);
}

/* Raise the error that a projection does not exist. */
static void
report_missing(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("projection \"%s\" does not exist", name),
			 errhint("View eventstore.projections shows the projections; eventstore.create_projection() creates one.")));
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
		report_missing(name);
	return NULL;
}

/*
 * Find a projection with its subscription, and lock the subscription's definition if
 * "lock" is true.  Return NULL, or raise an error, if there is none.  Raise an error if the
 * user is not a member of its owner.
 */
PgesProjection *
pges_find_projection(const char *name, bool lock, bool missing_ok)
{
	PgesProjection *result = pges_look_up_projection(name, missing_ok);

	if (result)
		result->subscription = pges_look_up_subscription(name, lock, true);
	if (result == NULL || result->subscription == NULL)
	{
		if (!missing_ok)
			report_missing(name);
		return NULL;
	}
	pges_check_member(result->subscription);
	return result;
}

/* Return the projection of argument 0 to a function that changes it, locked. */
PgesProjection *
pges_projection_argument(FunctionCallInfo fcinfo, const char *function)
{
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	return pges_find_projection(pges_text_argument(fcinfo, 0, "name"), true, false);
}

/*
 * Write the rows of a new projection that the user owns; return false if there is one with
 * its name.
 */
bool
pges_add_projection(const PgesNewProjection *new)
{
	NameData	copies = {{0}};
	Datum		values[] = {
		CStringGetTextDatum(new->subscription.name), CStringGetTextDatum(pges_mode_name(new->mode)),
		CStringGetTextDatum(new->handler), new->tables, Int32GetDatum(new->batch_size),
		Int64GetDatum(new->subscription.start), (Datum) 0, NameGetDatum(&copies), Int64GetDatum(new->handler_version)
	};
	bool		nulls[lengthof(values)] = {
		[6] = new->rebuild_of == NULL,[7] = new->copies == NULL,[8] = new->rebuild_of == NULL
	};

	if (new->rebuild_of)
		values[6] = CStringGetTextDatum(new->rebuild_of);
	if (new->copies)
		namestrcpy(&copies, new->copies);
	if (!pges_add_subscription(&new->subscription))
		return false;
	(void) pges_execute_own_statement(&insert_row, values, nulls);
	pges_change_projections();
	return true;
}

/* Delete a projection whose definition is locked, with its progress. */
void
pges_remove_projection(const PgesProjection *projection)
{
	pges_remove_subscription(projection->subscription);
	(void) pges_execute_own_statement(&delete_row, &projection->key, NULL);
	pges_change_projections();
}

/*
 * Delete the rows of the projections of a store that is being created or dropped, and the
 * copies of rebuilds.  The caller deletes the subscriptions after that.
 */
void
pges_forget_projections(Oid store)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		value = ObjectIdGetDatum(store);
	List	   *rebuilds = NIL;
	ListCell   *lc;

	SPI_connect();
	(void) pges_run_own_statement(&forget_rows, &value, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *copies = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		MemoryContext spi = MemoryContextSwitchTo(caller);
		PgesProjection *rebuild = palloc0(sizeof(PgesProjection));

		rebuild->copies = copies ? pstrdup(copies) : NULL;
		rebuilds = lappend(rebuilds, rebuild);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	foreach(lc, rebuilds)
		pges_drop_copies(lfirst(lc));
	if (rebuilds != NIL)
		pges_change_projections();
}

/* Return 16 hexadecimal digits for the name of a projection, for the names of its objects. */
char *
pges_hash_of_name(const char *name)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) name, strlen(name), 0);

	return psprintf("%08x%08x", (uint32) (hash >> 32), (uint32) hash);
}
