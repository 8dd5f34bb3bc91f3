/*
 * retention.c
 *		Sets the retention rules of a store, and makes rules for archiving from them.
 *
 * The rules of the retention are the arguments of a trigger of the archive.  This trigger
 * can be replaced without blocking readers:
 *
 *		CREATE TRIGGER eventstore_retention BEFORE TRUNCATE ON archive
 *			FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change('1 year', '100')
 *
 * An empty argument means that there is no such rule.  The trigger is found by its
 * function and its number of arguments, not by its name.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "archive/archive_steps.h"
#include "base/act_as.h"
#include "base/ddl.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "store/store.h"

/* The longest max_age, in years.  A timestamp can be that old. */
#define MAX_AGE_YEARS 5000

/*
 * Read the arguments of the trigger of an archive that carries the rules, age and count.
 * Return the name of the trigger, or NULL if there is none.
 */
static char *
find_rules(const PgesStore *store, char *arguments[2])
{
	return pges_find_trigger_arguments(store->archive.relid, pges_function_oid("refuse_change", 0, NULL),
									   -1, arguments, 2);
}

/* Set "rules" to the retention rules of a store; return their number. */
int
pges_retention_rules(const PgesStore *store, int64 limit, PgesRule rules[2])
{
	char	   *arguments[2];
	int			n = 0;

	if (find_rules(store, arguments) == NULL)
		return 0;
	if (arguments[0][0] != '\0')
	{
		Datum		age = DirectFunctionCall3(interval_in, CStringGetDatum(arguments[0]),
											  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

		rules[n] = pges_make_rule("max_age", limit);
		pges_set_rule_param(&rules[n++], PGES_RULE_BEFORE_TIME,
							DirectFunctionCall2(timestamptz_mi_interval,
												TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()),
												age));
	}
	if (arguments[1][0] != '\0' && pg_strtoint32(arguments[1]) > 0)
	{
		rules[n] = pges_make_rule("max_count_per_aggregate", limit);
		pges_set_rule_param(&rules[n++], PGES_RULE_KEEP, Int64GetDatum(pg_strtoint32(arguments[1])));
	}
	return n;
}

/* Raise the error that an interval cannot be the max_age of a retention. */
static void
report_age(const Interval *age, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"max_age\" must be %s", wanted),
			 errdetail("It is %s.",
					   DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(age))))));
}

/*
 * Return the argument max_age, or NULL if it is null.  Raise an error unless the age is
 * above zero, has no negative part, and is at most MAX_AGE_YEARS.  The sign of an age
 * with months and negative days is undefined.  PostgreSQL cannot represent a time
 * before its first timestamp, so no event can be compared with such a time.
 */
static Interval *
age_argument(FunctionCallInfo fcinfo, int arg)
{
	Interval   *age = PG_ARGISNULL(arg) ? NULL : PG_GETARG_INTERVAL_P(arg);
	Interval	most = {.month = MAX_AGE_YEARS * MONTHS_PER_YEAR};

	if (age == NULL)
		return NULL;
	if (age->month < 0 || age->day < 0 || age->time < 0 ||
		(age->month == 0 && age->day == 0 && age->time == 0))
		report_age(age, "above zero, without negative parts");
	if (DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(age),
										 IntervalPGetDatum(&most))))
		report_age(age, psprintf("at most %d years", MAX_AGE_YEARS));
	return age;
}

/* Return an age as text that does not depend on the session's IntervalStyle. */
static char *
age_text(const Interval *age)
{
	pges_set_locally("intervalstyle", "postgres");
	return DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(age)));
}

/* Write the retention rules; raise an error if archive and store differ in owner. */
static void
write_retention(const PgesStore *store, const Interval *max_age, int64 max_count)
{
	const char *archive = store->archive.qualified_name;
	char	   *arguments[2];
	const char *present = find_rules(store, arguments);
	const char *trigger = quote_identifier(present ? present : "eventstore_retention");
	PgesIdentity caller;
	bool		as_owner;
	int			nestlevel;
	const char *age;
	const char *count;

	pges_check_archive_owner(store);
	as_owner = pges_act_as_owner(&caller, store);
	nestlevel = pges_begin_ddl();
	age = max_age ? age_text(max_age) : "";
	count = max_count > 0 ? psprintf(INT64_FORMAT, max_count) : "";
	pges_run_ddl(psprintf("CREATE OR REPLACE TRIGGER %s BEFORE TRUNCATE ON %s "
						  "FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change(%s, %s)",
						  trigger, archive, quote_literal_cstr(age), quote_literal_cstr(count)));
	pges_comment_on(psprintf("TRIGGER %s ON %s", trigger, archive),
					"carries the rules of set_retention(), and refuses TRUNCATE");
	pges_end_ddl(nestlevel);
	if (as_owner)
		pges_become_again(&caller);
}

PG_FUNCTION_INFO_V1(pges_set_retention);

/* SQL: set which events of a store are due for its archive. */
Datum
pges_set_retention(PG_FUNCTION_ARGS)
{
	const PgesStore *store;
	Interval   *max_age;
	int64		max_count;
	Oid			relid;

	PreventCommandIfReadOnly("eventstore.set_retention()");
	pges_require_argument(fcinfo, 0, "store");
	relid = pges_store_argument(fcinfo, 0, AccessShareLock, ACL_NO_RIGHTS)->live.relid;
	max_age = age_argument(fcinfo, 1);
	max_count = pges_count_argument(fcinfo, 2, "max_count_per_aggregate", 0);
	store = pges_lock_archiving(relid);
	pges_require_link(store);
	pges_check_can_be_archived(store);
	if (!OidIsValid(store->archive.relid) && max_age == NULL && max_count == 0)
		PG_RETURN_VOID();
	if (!OidIsValid(store->archive.relid))
	{
		(void) pges_create_archive_of(store, NULL, NULL, false);
		store = pges_store_with_archive_locked(relid);
	}
	write_retention(store, max_age, max_count);
	PG_RETURN_VOID();
}
