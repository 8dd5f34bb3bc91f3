/*
 * sql_argument.c
 *		Arguments of SQL functions.
 */
#include "postgres.h"

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
