/*
 * sql_argument.c
 *		Arguments of SQL functions.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/builtins.h"

#include "base/sql_argument.h"

/* Raise when an argument that must not be null is. */
void
pges_require_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
}

/* Raise unless called as a trigger of the expected kind. */
void
pges_require_trigger(FunctionCallInfo fcinfo, const char *name, bool right_event)
{
	if (!CALLED_AS_TRIGGER(fcinfo) || !right_event)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is a trigger of stores", name),
				 errhint("eventstore.create_store() creates the triggers.")));
}

/* A text argument that must not be null. */
char *
pges_text_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	pges_require_argument(fcinfo, arg, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}
