/*
 * subscription.c
 *		Finds subscriptions, checks the right to use them, and opens their stores.
 *
 * A subscription is a row of eventstore.subscription_definitions.  Its name is its key.
 * Members of the owner may use it.  The owner is stored by name, because a dump can be
 * restored where the role does not exist.  Then only superusers may use the subscription.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "base/act_as.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "notify/notify.h"
#include "subscription/subscription.h"
#include "table/table.h"

const PgesOwnTable pges_definition_rows = {
	"subscription_definitions", 14,
	{
		{"subscription", TEXTOID},
		{"owner", NAMEOID},
		{"event_types", TEXTARRAYOID},
		{"aggregate_types", TEXTARRAYOID},
		{"partitions", INT4OID},
		{"next_partitions", INT4OID},
		{"lease", INTERVALOID},
		{"max_attempts", INT4OID},
		{"backoff", INTERVALOID},
		{"on_exhausted", TEXTOID},
		{"paused", BOOLOID},
		{"store", InvalidOid},
		{"epoch", INT8OID},
		{"runner", TEXTOID}
	}
};

const PgesOwnTable pges_parked_rows = {
	"subscription_parked", 4,
	{{"subscription", TEXTOID}, {"position", INT8OID}, {"slot", INT4OID}, {"aggregate_id", TEXTOID}}
};

const PgesOwnTable pges_partition_rows = {
	"subscription_progress", 24,
	{
		{"subscription", TEXTOID},
		{"partition", INT4OID},
		{"first_slot", INT4OID},
		{"last_slot", INT4OID},
		{"checkpoint", INT8OID},
		{"floors", INT8ARRAYOID},
		{"delivery", INT8OID},
		{"consumer", TEXTOID},
		{"lease_until", TIMESTAMPTZOID},
		{"delivered", INT4OID},
		{"delivered_to", INT8OID},
		{"scanned_to", INT8OID},
		{"replaying", BOOLOID},
		{"attempt", INT4OID},
		{"suspect_to", INT8OID},
		{"retry_at", TIMESTAMPTZOID},
		{"stopped", BOOLOID},
		{"last_delivery", INT8OID},
		{"delivered_at", TIMESTAMPTZOID},
		{"rate", FLOAT8OID},
		{"epoch", INT8OID},
		{"shared", INT4OID},
		{"last_error", TEXTOID},
		{"last_error_at", TIMESTAMPTZOID}
	}
};

const PgesOwnTable pges_consumer_rows = {
	"subscription_consumers", 3,
	{{"subscription", TEXTOID}, {"consumer", TEXTOID}, {"seen_at", TIMESTAMPTZOID}}
};

/* Returns the columns in the order of the table. */
static PgesOwnStatement find_and_lock = {
	{&pges_definition_rows}, false,
	"SELECT subscription, owner, event_types, aggregate_types, partitions, next_partitions, lease, "
	"max_attempts, backoff, on_exhausted, paused, store, epoch, runner "
	"FROM eventstore.subscription_definitions WHERE subscription OPERATOR(pg_catalog.=) $1 FOR UPDATE",
	1, {TEXTOID}
};

static PgesOwnStatement lowest_checkpoint = {
	{&pges_definition_rows, &pges_partition_rows}, true,
	"SELECT pg_catalog.min(p.checkpoint) FROM eventstore.subscription_definitions d "
	"JOIN eventstore.subscription_progress p ON p.subscription OPERATOR(pg_catalog.=) d.subscription "
	"WHERE d.store::pg_catalog.oid OPERATOR(pg_catalog.=) $1 AND d.runner OPERATOR(pg_catalog.<>) 'trigger'",
	1, {OIDOID}
};

static PgesOwnStatement forget_subscriptions = {
	{&pges_definition_rows, &pges_partition_rows, &pges_consumer_rows, &pges_parked_rows}, false,
	"WITH gone AS (DELETE FROM eventstore.subscription_definitions "
	"WHERE store::pg_catalog.oid OPERATOR(pg_catalog.=) $1 RETURNING subscription), "
	"progress AS (DELETE FROM eventstore.subscription_progress "
	"WHERE subscription OPERATOR(pg_catalog.=) ANY (SELECT subscription FROM gone)), "
	"consumers AS (DELETE FROM eventstore.subscription_consumers "
	"WHERE subscription OPERATOR(pg_catalog.=) ANY (SELECT subscription FROM gone)) "
	"DELETE FROM eventstore.subscription_parked "
	"WHERE subscription OPERATOR(pg_catalog.=) ANY (SELECT subscription FROM gone)",
	1, {OIDOID}
};

static PgesOwnStatement forget_parked = {
	{&pges_parked_rows, &pges_definition_rows}, false,
	"DELETE FROM eventstore.subscription_parked WHERE subscription OPERATOR(pg_catalog.=) ANY ("
	"SELECT d.subscription FROM eventstore.subscription_definitions d "
	"WHERE d.store::pg_catalog.oid OPERATOR(pg_catalog.=) $1)",
	1, {OIDOID}
};

/* Return a name of a subscription or a consumer; raise an error if it is invalid. */
char *
pges_name_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	char	   *value = pges_text_argument(fcinfo, arg, name);
	int			length = pg_mbstrlen(value);

	if (length == 0 || length > PGES_MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must have from 1 to %d characters", name, PGES_MAX_NAME),
				 errdetail("It has %d.", length)));
	return value;
}

/*
 * Return an interval argument in microseconds, or if_null; raise an error if it is
 * negative, zero unless that is allowed, or more than a day.
 */
int64
pges_interval_argument(FunctionCallInfo fcinfo, int arg, const char *name, int64 if_null, bool zero_ok)
{
	double		time;

	if (PG_ARGISNULL(arg))
		return if_null;
	time = pges_interval_seconds(PG_GETARG_INTERVAL_P(arg)) * USECS_PER_SEC;
	if (time > (double) PGES_MAX_LEASE || time < (zero_ok ? 0 : 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be %s, and at most 1 day", name,
						zero_ok ? "zero or more" : "more than zero"),
				 errdetail("It is %s.", DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(arg))))));
	return (int64) time;
}

static const char *const on_exhausted_names[] = {
	[PGES_PARK] = "park",[PGES_SKIP] = "skip",[PGES_STOP] = "stop"
};

/* Return the name of a value of on_exhausted. */
const char *
pges_on_exhausted_name(PgesOnExhausted on_exhausted)
{
	return on_exhausted_names[on_exhausted];
}

/* Return the value of on_exhausted with a name; raise an error if there is none. */
PgesOnExhausted
pges_parse_on_exhausted(const char *name)
{
	for (int i = 0; i < lengthof(on_exhausted_names); i++)
	{
		if (strcmp(name, on_exhausted_names[i]) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for argument \"on_exhausted\": \"%s\"", pges_shorten(pstrdup(name))),
			 errhint("Valid values are \"park\", \"skip\" and \"stop\".")));
	return PGES_PARK;			/* not reached */
}

/* Return what an error calls a subscription. */
static const char *
kind_of(const PgesSubscription *subscription)
{
	return subscription->runner == PGES_CONSUMERS ? "subscription" : "projection";
}

/* Raise an error unless the user is a member of the owner of a subscription. */
void
pges_check_member(const PgesSubscription *subscription)
{
	const char *owner = subscription->owner_name;
	const char *kind = kind_of(subscription);
	bool		exists = OidIsValid(subscription->owner);

	if (superuser() ||
		(exists && has_privs_of_role(GetUserId(), subscription->owner)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for %s \"%s\"", kind, subscription->name),
			 exists ? errdetail("It belongs to role \"%s\".", owner) :
			 errdetail("It belongs to role \"%s\", which does not exist.", owner),
			 exists && !superuser_arg(subscription->owner) ?
			 errhint("Members of that role may use it: GRANT %s TO %s;", quote_identifier(owner),
					 quote_identifier(GetUserNameFromId(GetUserId(), false))) :
			 errhint("A superuser can give it to another role: eventstore.alter_%s(..., owner => ...).", kind)));
}

/* Return a copy of an array of types; 0 for null. */
static Datum
types_of(Datum value, bool isnull)
{
	return isnull ? (Datum) 0 : PointerGetDatum(DatumGetArrayTypePCopy(value));
}

/* Return an interval in microseconds. */
static int64
microseconds_of(Datum value)
{
	return (int64) (pges_interval_seconds(DatumGetIntervalP(value)) * USECS_PER_SEC);
}

/* Return the name of a runner, as it is stored. */
const char *
pges_runner_name(PgesRunner runner)
{
	static const char *const names[] = {
		[PGES_CONSUMERS] = "consumers",[PGES_WORKER] = "worker",
		[PGES_CALLER] = "caller",[PGES_TRIGGER] = "trigger"
	};

	return names[runner];
}

/* Return the runner with a name.  The extension has written the name. */
static PgesRunner
parse_runner(const char *name)
{
	PgesRunner	runner = PGES_TRIGGER;

	while (runner > PGES_CONSUMERS && strcmp(name, pges_runner_name(runner)) != 0)
		runner--;
	return runner;
}

/* Read a row of subscription_definitions.  Strings are allocated in the current context. */
static void
read_definition(HeapTuple row, TupleDesc desc, void *arg)
{
	PgesSubscription *result = arg;
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(row, desc, values, nulls);
	result->owner_name = pstrdup(NameStr(*DatumGetName(values[1])));
	result->event_types = types_of(values[2], nulls[2]);
	result->aggregate_types = types_of(values[3], nulls[3]);
	result->partitions = DatumGetInt32(values[4]);
	result->next_partitions = nulls[5] ? 0 : DatumGetInt32(values[5]);
	result->lease = microseconds_of(values[6]);
	result->max_attempts = DatumGetInt32(values[7]);
	result->backoff = microseconds_of(values[8]);
	result->on_exhausted = pges_parse_on_exhausted(TextDatumGetCString(values[9]));
	result->paused = DatumGetBool(values[10]);
	result->relid = DatumGetObjectId(values[11]);
	result->epoch = DatumGetInt64(values[12]);
	result->runner = nulls[13] ? PGES_CONSUMERS : parse_runner(TextDatumGetCString(values[13]));
}

/* Read the definition of a subscription, if there is one, and lock its row. */
static void
lock_definition(PgesSubscription *subscription)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi;

	SPI_connect();
	if (pges_run_own_statement(&find_and_lock, &subscription->key, NULL) > 0)
	{
		spi = MemoryContextSwitchTo(context);
		read_definition(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, subscription);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
}

/*
 * Find a subscription without a check of the user's rights, and lock its row if "lock" is
 * true.  Return NULL, or raise an error, if there is none.
 */
PgesSubscription *
pges_look_up_subscription(const char *name, bool lock, bool missing_ok)
{
	PgesSubscription *result = palloc0(sizeof(PgesSubscription));

	result->name = pstrdup(name);
	result->key = CStringGetTextDatum(name);
	if (lock)
		lock_definition(result);
	else
		pges_scan_own_rows(&pges_definition_rows, result->key, read_definition, result);
	if (result->owner_name == NULL && missing_ok)
		return NULL;
	if (result->owner_name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("subscription \"%s\" does not exist", name),
				 errhint("View eventstore.subscriptions shows the subscriptions; eventstore.create_subscription() creates one.")));
	result->owner = get_role_oid(result->owner_name, true);
	return result;
}

/* Find a subscription; raise an error if the user is not a member of its owner. */
PgesSubscription *
pges_find_subscription(const char *name, bool lock)
{
	PgesSubscription *subscription = pges_look_up_subscription(name, lock, false);

	pges_check_member(subscription);
	return subscription;
}

/*
 * Raise an error if a subscription belongs to a projection.  A function that takes events
 * from it or moves its checkpoint would make the projection miss them.
 */
void
pges_refuse_projection(const PgesSubscription *subscription, const char *function)
{
	if (subscription->runner != PGES_CONSUMERS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s cannot be used for projection \"%s\"", function, subscription->name),
				 errdetail("The server itself processes the events of a projection."),
				 errhint("The functions of projections, such as eventstore.alter_projection(), change it. To receive the events elsewhere, too, create a subscription.")));
}

/*
 * Tell all sessions, when the transaction commits, that projections or their parked events
 * have changed, and let the notifier wake the workers that run them.
 */
void
pges_change_projections(void)
{
	CacheInvalidateRelcacheByRelid(pges_own_table_oid(&pges_definition_rows, false));
	CommandCounterIncrement();
	pges_nudge_notifier_at_commit();
}

/*
 * Return the subscription of an argument to a function that writes, unless it belongs to a
 * projection.
 */
PgesSubscription *
pges_subscription_argument(FunctionCallInfo fcinfo, int arg, const char *name, const char *function)
{
	PgesSubscription *subscription;

	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	subscription = pges_find_subscription(pges_text_argument(fcinfo, arg, name), false);
	pges_refuse_projection(subscription, function);
	return subscription;
}

/*
 * Raise an error if row-level security of the store applies to the role that reads it:
 * the user, or the owner of the store if the user acts as the owner.  The checkpoints
 * would pass the hidden events, and no consumer would get them.
 */
static void
check_no_row_security(const PgesSubscription *subscription)
{
	PgesIdentity caller;
	bool		as_owner = pges_act_as_owner(&caller, subscription->store);
	bool		enabled = check_enable_rls(subscription->store->live.relid, InvalidOid, true) == RLS_ENABLED;

	if (as_owner)
		pges_become_again(&caller);
	if (enabled)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s \"%s\" cannot be used under row security", kind_of(subscription), subscription->name),
				 errdetail("The policies of store %s may hide events, which the subscription would skip for all its consumers.",
						   subscription->store->live.qualified_name),
				 errhint("Use a role to which the policies do not apply, such as the owner of the store or one with BYPASSRLS.")));
}

/*
 * Lock and describe the store of a subscription, to read its events.  Raise an error if
 * the store was dropped, or if the user may not read it.  Also raise an error if
 * row-level security applies or the archive is missing, even if a poll would find no new
 * event.
 */
void
pges_open_subscribed_store(PgesSubscription *subscription)
{
	if (get_rel_relkind(subscription->relid) == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the store of %s \"%s\" does not exist", kind_of(subscription), subscription->name),
				 errdetail("It was dropped, or not restored."),
				 errhint("Drop it with eventstore.drop_%s().", kind_of(subscription))));
	subscription->store = pges_lock_store(subscription->relid, AccessShareLock, ACL_SELECT);
	pges_require_link(subscription->store);
	check_no_row_security(subscription);
}

/*
 * Return a random token, not 0, for a delivery or an epoch.  A token has 53 bits, so
 * clients that store numbers as doubles do not round it.
 */
int64
pges_make_token(void)
{
	int64		token;

	do
	{
		token = (int64) (pg_prng_uint64(&pg_global_prng_state) >> 11);
	} while (token == 0);
	return token;
}

/*
 * Return a token for a delivery of a store.  If the store is a slot, the last ten bits are
 * the number of the slot, so a client finds the slot of a delivery.
 */
int64
pges_make_delivery_token(const PgesStore *store)
{
	int64		token = pges_make_token();

	if (store->slot.count == 0)
		return token;
	return (token & ~(int64) (PGES_MAX_STORE_SLOTS - 1)) | PGES_MAX_STORE_SLOTS | store->slot.number;
}

/* Return whether partitions have the epoch of a definition that was read before them. */
bool
pges_is_epoch_of(const PgesSubscription *subscription, const PgesPartitions *partitions)
{
	return partitions->n > 0 && partitions->rows[0].epoch == subscription->epoch;
}

/*
 * Raise an error if partitions do not have the epoch of a definition that was read before
 * them.  If the definition has changed meanwhile, this is no error.
 */
void
pges_check_epoch(const PgesSubscription *subscription, const PgesPartitions *partitions)
{
	if (pges_is_epoch_of(subscription, partitions) ||
		pges_look_up_subscription(subscription->name, false, false)->epoch != subscription->epoch)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the progress of subscription \"%s\" does not belong to its definition", subscription->name),
			 partitions->n == 0 ? errdetail("It has no partitions, perhaps because they were not restored.") :
			 errdetail("One of them was restored or replicated without the other."),
			 partitions->n == 0 ? errhint("Drop the subscription, and create it again.") :
			 errhint("Move it to the right position with eventstore.reset_subscription().")));
}

/*
 * Return the lowest checkpoint of the subscriptions to a store, or PG_INT64_MAX if there
 * is none.
 */
int64
pges_lowest_checkpoint(Oid store)
{
	Datum		value = ObjectIdGetDatum(store);
	int64		lowest;

	SPI_connect();
	(void) pges_run_own_statement(&lowest_checkpoint, &value, NULL);
	lowest = pges_found_int64(1, PG_INT64_MAX);
	SPI_finish();
	return lowest;
}

/* Run a statement that deletes the rows about a store. */
static void
forget(PgesOwnStatement *statement, Oid store)
{
	Datum		value = ObjectIdGetDatum(store);

	SPI_connect();
	(void) pges_run_own_statement(statement, &value, NULL);
	SPI_finish();
}

/* Delete the subscriptions to a store that is being created or dropped. */
void
pges_forget_subscriptions(Oid store)
{
	forget(&forget_subscriptions, store);
}

/* Delete the parked events of a store whose events are deleted. */
void
pges_forget_parked(Oid store)
{
	forget(&forget_parked, store);
}
