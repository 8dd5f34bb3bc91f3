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
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/own_object.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "projection/projection_steps.h"
#include "subscription/subscription.h"

const PgesOwnTable pges_projection_rows = {
	"projection_definitions", 10,
	{
		{"projection", TEXTOID},
		{"mode", TEXTOID},
		{"handler", TEXTOID},
		{"tables", InvalidOid},
		{"batch_size", INT4OID},
		{"start_position", INT8OID},
		{"rebuild_of", TEXTOID},
		{"copies", NAMEOID},
		{"last_error_position", INT8OID},
		{"last_error_event_type", TEXTOID}
	}
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
