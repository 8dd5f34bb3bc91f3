/*
 * sql_argument.c
 *		Reads and checks the arguments of SQL functions.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/builtins.h"

#include "base/sql_argument.h"

/* Raise an error if an argument is null. */
void
pges_require_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
}

/* Raise an error unless a function is called as a trigger of the expected kind. */
void
pges_require_trigger(FunctionCallInfo fcinfo, const char *name, bool right_event,
					 const char *tables, const char *hint)
{
	if (!CALLED_AS_TRIGGER(fcinfo) || !right_event)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is a trigger of %s", name, tables),
				 hint ? errhint("%s", hint) : 0));
}

/* Return a boolean argument, or if_null if the argument is null. */
bool
pges_bool_argument(FunctionCallInfo fcinfo, int arg, bool if_null)
{
	return PG_ARGISNULL(arg) ? if_null : PG_GETARG_BOOL(arg);
}

/* Return a count argument, or if_null if it is null; raise an error if it is below 1. */
int64
pges_count_argument(FunctionCallInfo fcinfo, int arg, const char *name, int64 if_null)
{
	if (PG_ARGISNULL(arg))
		return if_null;
	if (PG_GETARG_INT32(arg) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be more than zero", name),
				 errdetail("It is %d.", PG_GETARG_INT32(arg))));
	return PG_GETARG_INT32(arg);
}

/* Return an interval in seconds; a month counts as 30 days. */
double
pges_interval_seconds(const Interval *interval)
{
	double		days = interval->day + (double) interval->month * DAYS_PER_MONTH;

	return interval->time / (double) USECS_PER_SEC + days * SECS_PER_DAY;
}

/* Return a text argument; raise an error if the argument is null. */
char *
pges_text_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	pges_require_argument(fcinfo, arg, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}
