/*
 * definition.c
 *		The SQL functions that create, alter, pause, reset and drop subscriptions.
 *
 * A function that changes a subscription locks its definition first, then its partitions
 * in the order of their numbers.  A poll reads the definition without a lock.  So a
 * change of the types, the checkpoints or the partitions writes a new epoch into the
 * definition and the partitions, and a poll locks only partitions of the epoch that it
 * has read.  Other changes take effect in polls that begin after the commit.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "read/read.h"
#include "store/store.h"
#include "subscription/subscription.h"
#include "table/table.h"

static PgesOwnStatement insert_definition = {
	{&pges_definition_rows}, false,
	"INSERT INTO eventstore.subscription_definitions (subscription, store, owner, event_types, "
	"aggregate_types, partitions, lease, max_attempts, backoff, on_exhausted, runner, epoch, created_at) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, pg_catalog.clock_timestamp()) "
	"ON CONFLICT DO NOTHING",
	12,
	{TEXTOID, REGCLASSOID, NAMEOID, TEXTARRAYOID, TEXTARRAYOID, INT4OID, INTERVALOID, INT4OID,
	INTERVALOID, TEXTOID, TEXTOID, INT8OID}
};

static PgesOwnStatement update_definition = {
	{&pges_definition_rows}, false,
	"UPDATE eventstore.subscription_definitions SET "
	"event_types = $2, aggregate_types = $3, "
	"next_partitions = COALESCE($4, next_partitions), "
	"lease = COALESCE($5, lease), "
	"max_attempts = COALESCE($6, max_attempts), "
	"backoff = COALESCE($7, backoff), "
	"on_exhausted = COALESCE($8, on_exhausted), "
	"owner = COALESCE($9, owner) "
	"WHERE subscription OPERATOR(pg_catalog.=) $1",
	PGES_SUBSCRIPTION_PARAMS,
	{TEXTOID, TEXTARRAYOID, TEXTARRAYOID, INT4OID, INTERVALOID, INT4OID, INTERVALOID, TEXTOID, NAMEOID}
};

static PgesOwnStatement set_epoch = {
	{&pges_definition_rows}, false,
	"UPDATE eventstore.subscription_definitions SET epoch = $2 WHERE subscription OPERATOR(pg_catalog.=) $1",
	2, {TEXTOID, INT8OID}
};

static PgesOwnStatement set_paused = {
	{&pges_definition_rows}, false,
	"UPDATE eventstore.subscription_definitions SET paused = $2 "
	"WHERE subscription OPERATOR(pg_catalog.=) $1 AND paused OPERATOR(pg_catalog.<>) $2",
	2, {TEXTOID, BOOLOID}
};

static PgesOwnStatement set_runner = {
	{&pges_definition_rows}, false,
	"UPDATE eventstore.subscription_definitions SET runner = $2 WHERE subscription OPERATOR(pg_catalog.=) $1",
	2, {TEXTOID, TEXTOID}
};

static PgesOwnStatement delete_definition = {
	{&pges_definition_rows}, false,
	"DELETE FROM eventstore.subscription_definitions WHERE subscription OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static PgesOwnStatement delete_consumers = {
	{&pges_consumer_rows}, false,
	"DELETE FROM eventstore.subscription_consumers WHERE subscription OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static PgesOwnStatement delete_parked_after = {
	{&pges_parked_rows}, false,
	"DELETE FROM eventstore.subscription_parked WHERE subscription OPERATOR(pg_catalog.=) $1 "
	"AND position OPERATOR(pg_catalog.>) $2",
	2, {TEXTOID, INT8OID}
};

/* Finds the first event that occurred at or after a time. */
static const PgesStatement first_from_time = {
	"SELECT position FROM %1$s WHERE occurred_at OPERATOR(pg_catalog.>=) $1 "
	"ORDER BY position LIMIT 1",
	1, {TIMESTAMPTZOID},.custom = true
};

static const PgesWanted all = {.wait = true};

/* Raise an error unless a number is within its limits. */
void
pges_check_number(FunctionCallInfo fcinfo, int arg, const char *name, int greatest)
{
	int			number = PG_ARGISNULL(arg) ? 1 : PG_GETARG_INT32(arg);

	if (number < 1 || number > greatest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be from 1 to %d", name, greatest),
				 errdetail("It is %d.", number)));
}

/*
 * Check the arguments partitions, lease, max_attempts, backoff and on_exhausted, which
 * are consecutive, from number "arg" on.
 */
static void
check_options(FunctionCallInfo fcinfo, int arg)
{
	pges_check_number(fcinfo, arg, "partitions", PGES_SLOTS);
	(void) pges_interval_argument(fcinfo, arg + 1, "lease", 0, false);
	pges_check_number(fcinfo, arg + 2, "max_attempts", 1000000);
	(void) pges_interval_argument(fcinfo, arg + 3, "backoff", 0, true);
	if (!PG_ARGISNULL(arg + 4))
		(void) pges_parse_on_exhausted(text_to_cstring(PG_GETARG_TEXT_PP(arg + 4)));
}

/* Compare two texts for qsort(), by their bytes. */
static int
compare_types(const void *a, const void *b)
{
	return strcmp(TextDatumGetCString(*(const Datum *) a), TextDatumGetCString(*(const Datum *) b));
}

/*
 * Return an argument with types, sorted and without duplicates, so that equal sets are
 * equal arrays.  Return 0, which means all types, if the argument is null or empty.
 */
Datum
pges_types_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	ArrayType  *types = PG_ARGISNULL(arg) ? NULL : PG_GETARG_ARRAYTYPE_P(arg);
	Datum	   *values;
	int			n;
	int			kept = 1;

	if (types == NULL || ArrayGetNItems(ARR_NDIM(types), ARR_DIMS(types)) == 0)
		return (Datum) 0;
	if (ARR_NDIM(types) > 1 || array_contains_nulls(types))
		ereport(ERROR,
				(errcode(ARR_NDIM(types) > 1 ? ERRCODE_INVALID_PARAMETER_VALUE : ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 ARR_NDIM(types) > 1 ? errmsg("argument \"%s\" must have one dimension", name) :
				 errmsg("argument \"%s\" must not contain nulls", name)));
	deconstruct_array(types, TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &n);
	qsort(values, n, sizeof(Datum), compare_types);
	for (int i = 1; i < n; i++)
	{
		if (compare_types(&values[i], &values[kept - 1]) != 0)
			values[kept++] = values[i];
	}
	return PointerGetDatum(construct_array(values, kept, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Return whether two arrays of types are equal; 0 means null. */
static bool
are_equal(Datum a, Datum b)
{
	if (a == (Datum) 0 || b == (Datum) 0)
		return a == b;
	return datumIsEqual(a, b, false, -1);
}

/* Return whether a subscription and a new one are for the same types. */
bool
pges_are_types_equal(const PgesSubscription *subscription, const PgesNewSubscription *new)
{
	return are_equal(subscription->event_types, new->event_types) &&
		are_equal(subscription->aggregate_types, new->aggregate_types);
}

/*
 * Raise an error if the existing subscription has another definition, otherwise a notice.
 */
static void
report_existing(const char *name, Oid store, Datum event_types, Datum aggregate_types)
{
	const PgesSubscription *existing = pges_find_subscription(name, false);
	const char *difference = existing->relid != store ? "store" :
		!are_equal(existing->event_types, event_types) ? "event types" :
		!are_equal(existing->aggregate_types, aggregate_types) ? "aggregate types" : NULL;

	if (existing->runner != PGES_CONSUMERS)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("there is already a projection \"%s\"", name),
				 errdetail("A projection is a subscription of the same name."),
				 errhint("Choose another name.")));
	if (difference)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("subscription \"%s\" already exists with another definition", name),
				 errdetail("The %s differ%s.", difference, existing->relid != store ? "s" : ""),
				 errhint("Change the types with eventstore.alter_subscription(), or choose another name.")));
	ereport(NOTICE,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("subscription \"%s\" already exists, skipping", name)));
}

/* Return a start position; null is the end of the log.  Raise an error if it is invalid. */
int64
pges_start_argument(FunctionCallInfo fcinfo, int arg, const char *name, const PgesStore *store)
{
	int64		mark = pges_mark_to_read(store);

	if (PG_ARGISNULL(arg))
		return mark;
	if (PG_GETARG_INT64(arg) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be negative", name),
				 errdetail("It is " INT64_FORMAT ".", PG_GETARG_INT64(arg))));
	if (PG_GETARG_INT64(arg) > mark)
		pges_check_given(store, PG_GETARG_INT64(arg));
	return PG_GETARG_INT64(arg);
}

/* Insert the partitions of a new subscription, with one checkpoint. */
static void
insert_new_partitions(const char *name, int count, int64 checkpoint)
{
	PgesSubscription *subscription = pges_find_subscription(name, false);
	PgesPartitions partitions;

	pges_make_partitions(&partitions, count);
	for (int i = 0; i < count; i++)
		partitions.rows[i].checkpoint = checkpoint;
	pges_insert_partitions(subscription, &partitions);
}

/*
 * Add a subscription that the user owns; return false if there is one with this name.
 */
bool
pges_add_subscription(const PgesNewSubscription *new)
{
	NameData	owner = {{0}};
	Datum		values[] = {
		CStringGetTextDatum(new->name), ObjectIdGetDatum(new->store->live.relid), NameGetDatum(&owner),
		new->event_types, new->aggregate_types, Int32GetDatum(new->partitions), new->lease,
		Int32GetDatum(new->max_attempts), new->backoff, CStringGetTextDatum(new->on_exhausted),
		CStringGetTextDatum(pges_runner_name(new->runner)), Int64GetDatum(pges_make_token())
	};
	bool		nulls[lengthof(values)] = {
		[3] = new->event_types == (Datum) 0,[4] = new->aggregate_types == (Datum) 0
	};

	namestrcpy(&owner, GetUserNameFromId(GetUserId(), false));
	if (pges_execute_own_statement(&insert_definition, values, nulls) == 0)
		return false;
	insert_new_partitions(new->name, new->partitions, new->start);
	return true;
}

PG_FUNCTION_INFO_V1(pges_create_subscription);

/* SQL: create a subscription. */
Datum
pges_create_subscription(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"partitions", "lease", "max_attempts", "backoff", "on_exhausted"};
	char	   *name;
	const PgesStore *store;
	int64		start;
	Datum		event_types;
	Datum		aggregate_types;
	PgesNewSubscription new;

	PreventCommandDuringRecovery("eventstore.create_subscription()");
	PreventCommandIfReadOnly("eventstore.create_subscription()");
	name = pges_name_argument(fcinfo, 0, "name");
	for (int i = 0; i < lengthof(required); i++)
		pges_require_argument(fcinfo, i + 5, required[i]);
	check_options(fcinfo, 5);
	store = pges_readable_store_argument(fcinfo, 1);
	start = pges_start_argument(fcinfo, 4, "start_position", store);

	event_types = pges_types_argument(fcinfo, 2, "event_types");
	aggregate_types = pges_types_argument(fcinfo, 3, "aggregate_types");
	new = (PgesNewSubscription)
	{
		name, store, event_types, aggregate_types, start, PG_GETARG_INT32(5), PG_GETARG_DATUM(6),
			PG_GETARG_INT32(7), PG_GETARG_DATUM(8), text_to_cstring(PG_GETARG_TEXT_PP(9)), PGES_CONSUMERS
	};
	if (!pges_add_subscription(&new))
		report_existing(name, store->live.relid, event_types, aggregate_types);
	PG_RETURN_VOID();
}

/*
 * Find a subscription and lock its definition, for a function that changes it.  The
 * argument 0 is the name.
 */
static PgesSubscription *
lock_definition(FunctionCallInfo fcinfo, const char *function)
{
	PgesSubscription *subscription;

	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	subscription = pges_find_subscription(pges_text_argument(fcinfo, 0, "name"), true);
	pges_refuse_projection(subscription, function);
	return subscription;
}

/* Raise an error unless the user is a member of the role that is to own a subscription. */
void
pges_check_new_owner(FunctionCallInfo fcinfo, int arg)
{
	if (!PG_ARGISNULL(arg))
		pges_check_may_give_compat(get_role_oid(NameStr(*PG_GETARG_NAME(arg)), false));
}

/*
 * Begin a new epoch of a subscription whose definition is locked.  A poll that has read
 * an earlier epoch can then lock no partition, and move no checkpoint.  End all
 * deliveries.  If "checkpoint" is not negative, set all checkpoints to it.
 */
static void
begin_epoch(PgesSubscription *subscription, int64 checkpoint)
{
	PgesPartitions partitions;
	Datum		values[] = {subscription->key, (Datum) 0};

	subscription->epoch = pges_make_token();
	values[1] = Int64GetDatum(subscription->epoch);
	(void) pges_execute_own_statement(&set_epoch, values, NULL);
	pges_read_and_lock_partitions(subscription, &all, &partitions);
	for (int i = 0; i < partitions.n; i++)
	{
		PgesPartition *partition = &partitions.rows[i];

		partition->epoch = subscription->epoch;
		pges_end_delivery(partition);
		partition->attempt = 0;
		partition->suspect_to = 0;
		if (checkpoint >= 0)
		{
			partition->checkpoint = checkpoint;
			partition->nfloors = 0;
			partition->retry_at = 0;
			partition->stopped = false;
		}
	}
	pges_save_all_partitions(&partitions);
}

/*
 * Change a subscription whose definition is locked.  "values" are the parameters of
 * update_definition: null keeps the value, and null types mean all types.
 */
void
pges_change_subscription(PgesSubscription *subscription, const Datum *values, const bool *nulls)
{
	if (!are_equal(values[1], subscription->event_types) ||
		!are_equal(values[2], subscription->aggregate_types))
		begin_epoch(subscription, -1);
	(void) pges_execute_own_statement(&update_definition, values, nulls);
}

/* Set the types in the parameters of pges_change_subscription(), from two arguments. */
void
pges_set_types(FunctionCallInfo fcinfo, int arg, const PgesSubscription *subscription,
			   Datum *values, bool *nulls)
{
	values[1] = PG_ARGISNULL(arg) ? subscription->event_types :
		pges_types_argument(fcinfo, arg, "event_types");
	values[2] = PG_ARGISNULL(arg + 1) ? subscription->aggregate_types :
		pges_types_argument(fcinfo, arg + 1, "aggregate_types");
	nulls[1] = values[1] == (Datum) 0;
	nulls[2] = values[2] == (Datum) 0;
}

PG_FUNCTION_INFO_V1(pges_alter_subscription);

/* SQL: change a subscription. */
Datum
pges_alter_subscription(PG_FUNCTION_ARGS)
{
	PgesSubscription *subscription = lock_definition(fcinfo, "eventstore.alter_subscription()");
	Datum		values[PGES_SUBSCRIPTION_PARAMS];
	bool		nulls[PGES_SUBSCRIPTION_PARAMS];

	check_options(fcinfo, 3);
	pges_check_new_owner(fcinfo, 8);
	for (int i = 0; i < lengthof(values); i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i);
	}
	if (subscription->next_partitions == 0 && PG_GETARG_INT32(3) == subscription->partitions)
		nulls[3] = true;
	pges_set_types(fcinfo, 1, subscription, values, nulls);
	pges_change_subscription(subscription, values, nulls);
	if (!nulls[3])
		(void) pges_repartition(subscription);
	PG_RETURN_VOID();
}

/* Delete a subscription whose definition is locked, and all that belongs to it. */
void
pges_remove_subscription(const PgesSubscription *subscription)
{
	PgesPartitions partitions;
	Datum		values[] = {subscription->key, Int64GetDatum(PG_INT64_MIN)};

	pges_read_and_lock_partitions(subscription, &all, &partitions);
	pges_delete_partitions(subscription);
	(void) pges_execute_own_statement(&delete_parked_after, values, NULL);
	(void) pges_execute_own_statement(&delete_consumers, values, NULL);
	(void) pges_execute_own_statement(&delete_definition, values, NULL);
}

PG_FUNCTION_INFO_V1(pges_drop_subscription);

/* SQL: drop a subscription. */
Datum
pges_drop_subscription(PG_FUNCTION_ARGS)
{
	pges_remove_subscription(lock_definition(fcinfo, "eventstore.drop_subscription()"));
	PG_RETURN_VOID();
}

/* Pause a subscription whose definition is locked. */
void
pges_pause(const PgesSubscription *subscription)
{
	Datum		values[] = {subscription->key, BoolGetDatum(true)};

	(void) pges_execute_own_statement(&set_paused, values, NULL);
}

PG_FUNCTION_INFO_V1(pges_pause_subscription);

/* SQL: pause a subscription. */
Datum
pges_pause_subscription(PG_FUNCTION_ARGS)
{
	pges_pause(lock_definition(fcinfo, "eventstore.pause_subscription()"));
	PG_RETURN_VOID();
}

/*
 * Restart the partitions of a subscription that were stopped by exhausted events, and for a
 * projection those that wait for another attempt.  With "wait", wait for events that
 * another transaction processes.
 */
void
pges_try_again(const PgesSubscription *subscription, bool wait)
{
	const PgesWanted wanted = {.wait = wait};
	PgesPartitions partitions;

	pges_read_and_lock_partitions(subscription, &wanted, &partitions);
	for (int i = 0; i < partitions.n; i++)
	{
		PgesPartition *partition = &partitions.rows[i];

		if (!partition->stopped && (subscription->runner == PGES_CONSUMERS || partition->retry_at == 0))
			continue;
		partition->stopped = false;
		partition->attempt = 0;
		partition->retry_at = 0;
		partition->save = true;
	}
	pges_save_partitions(&partitions);
}

/* End a pause of a subscription whose definition is locked, and restart its partitions. */
void
pges_resume(const PgesSubscription *subscription)
{
	Datum		values[] = {subscription->key, BoolGetDatum(false)};

	(void) pges_execute_own_statement(&set_paused, values, NULL);
	pges_try_again(subscription, true);
}

/*
 * Set who processes the events of a subscription whose definition is locked.  A poll that
 * has read the definition before can then lock no partition.
 */
void
pges_set_runner(PgesSubscription *subscription, PgesRunner runner)
{
	Datum		values[] = {subscription->key, CStringGetTextDatum(pges_runner_name(runner))};

	subscription->runner = runner;
	(void) pges_execute_own_statement(&set_runner, values, NULL);
	begin_epoch(subscription, -1);
}

/*
 * Set the checkpoint of a subscription whose definition is locked, and forget its parked
 * events.  Events that another transaction processes are waited for.
 */
void
pges_set_checkpoint(PgesSubscription *subscription, int64 checkpoint)
{
	Datum		values[] = {subscription->key, Int64GetDatum(PG_INT64_MIN)};

	begin_epoch(subscription, checkpoint);
	(void) pges_execute_own_statement(&delete_parked_after, values, NULL);
}

PG_FUNCTION_INFO_V1(pges_resume_subscription);

/* SQL: end a pause, and restart stopped partitions. */
Datum
pges_resume_subscription(PG_FUNCTION_ARGS)
{
	pges_resume(lock_definition(fcinfo, "eventstore.resume_subscription()"));
	PG_RETURN_VOID();
}

/*
 * Return the position before the first event that occurred at or after a time; the mark
 * if there is none.
 */
static int64
position_before(const PgesStore *store, Datum time)
{
	int64		mark = pges_mark_to_read(store);
	int64		position;
	PgesScope	scope;

	PushActiveSnapshot(GetLatestSnapshot());
	scope = pges_scope_to_read(&store, true);
	SPI_connect();
	(void) pges_run_statement(store, scope, &first_from_time, &time, NULL, true, NULL);
	position = SPI_processed > 0 ? pges_found_int64(1, 0) - 1 : mark;
	SPI_finish();
	PopActiveSnapshot();
	return Min(position, mark);
}

PG_FUNCTION_INFO_V1(pges_reset_subscription);

/* SQL: move all checkpoints of a subscription. */
Datum
pges_reset_subscription(PG_FUNCTION_ARGS)
{
	PgesSubscription *subscription = lock_definition(fcinfo, "eventstore.reset_subscription()");
	int64		checkpoint;
	Datum		values[2];

	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments \"to_position\" and \"to_time\" cannot be given together")));
	pges_open_subscribed_store(subscription);
	checkpoint = PG_ARGISNULL(2) ? pges_start_argument(fcinfo, 1, "to_position", subscription->store) :
		position_before(subscription->store, PG_GETARG_DATUM(2));
	begin_epoch(subscription, checkpoint);
	values[0] = subscription->key;
	values[1] = Int64GetDatum(checkpoint);
	(void) pges_execute_own_statement(&delete_parked_after, values, NULL);
	PG_RETURN_INT64(checkpoint);
}
