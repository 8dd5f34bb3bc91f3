/*
 * create_projection.c
 *		The SQL functions that create, alter, pause and drop projections.
 *
 * A function that changes a projection locks the definition of its subscription first.
 * The new definition takes effect in runs that begin after the commit.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/ddl.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "parked/parked.h"
#include "projection/projection.h"
#include "projection/projection_steps.h"
#include "store/store.h"
#include "subscription/subscription.h"

#define MAX_BATCH_SIZE 100000
#define MAX_ATTEMPTS 1000000

static PgesOwnStatement update_row = {
	{&pges_projection_rows}, false,
	"UPDATE eventstore.projection_definitions SET "
	"handler = COALESCE($2, handler), "
	"tables = COALESCE($3::eventstore.regstore[], tables), "
	"batch_size = COALESCE($4, batch_size), "
	"mode = COALESCE($5, mode) "
	"WHERE projection OPERATOR(pg_catalog.=) $1",
	5, {TEXTOID, TEXTOID, REGCLASSARRAYOID, INT4OID, TEXTOID}
};

/* Return a number argument from 1 to a limit; raise an error if it is null or another one. */
static int
number_argument(FunctionCallInfo fcinfo, int arg, const char *name, int greatest)
{
	pges_require_argument(fcinfo, arg, name);
	pges_check_number(fcinfo, arg, name, greatest);
	return PG_GETARG_INT32(arg);
}

/* Raise an error if on_error does not fit a mode. */
static void
check_on_error(const char *on_error, PgesMode mode)
{
	if (mode == PGES_INLINE && strcmp(on_error, "stop") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an inline projection cannot %s events", on_error),
				 errdetail("An error of the handler undoes the append."),
				 errhint("Use on_error \"stop\", or mode \"async\".")));
}

/* Return the argument on_error; raise an error if it does not fit the mode. */
static char *
on_error_argument(FunctionCallInfo fcinfo, int arg, PgesMode mode)
{
	char	   *on_error = pges_text_argument(fcinfo, arg, "on_error");

	if (strcmp(on_error, "stop") != 0 && strcmp(on_error, "park") != 0 && strcmp(on_error, "skip") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"on_error\": \"%s\"", on_error),
				 errhint("Valid values are \"stop\", \"park\" and \"skip\".")));
	check_on_error(on_error, mode);
	return on_error;
}

/* Return whether a table is a store. */
static bool
is_store(Oid table)
{
	Relation	rel = table_open(table, AccessShareLock);
	bool		result = pges_is_store(rel);

	table_close(rel, AccessShareLock);
	return result;
}

/* Raise an error unless a table can belong to a projection of the user. */
static void
check_table(Oid table)
{
	char		relkind = get_rel_relkind(table);

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(relkind == '\0' ? ERRCODE_UNDEFINED_TABLE : ERRCODE_WRONG_OBJECT_TYPE),
				 relkind == '\0' ? errmsg("table with OID %u does not exist", table) :
				 errmsg("\"%s\" is not a table", get_rel_name(table)),
				 errhint("List the tables that the handler fills.")));
	if (IsCatalogRelationOid(table) || OidIsValid(getExtensionOfObject(RelationRelationId, table)) || is_store(table))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table %s cannot belong to a projection", pges_relation_name(table)),
				 errdetail("It is a store, or belongs to an extension or to the system."),
				 errhint("List the tables that the handler fills: a rebuild replaces all their rows.")));
	if (get_rel_persistence(table) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is temporary", get_rel_name(table)),
				 errdetail("Other sessions cannot run a projection that fills it.")));
	if (pg_class_aclmask(table, GetUserId(), ACL_INSERT, ACLMASK_ANY) == 0)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(table));
}

/* Return the argument with the tables of a projection. */
static Datum
tables_argument(FunctionCallInfo fcinfo, int arg)
{
	ArrayType  *tables;
	Datum	   *values;
	int			n;

	pges_require_argument(fcinfo, arg, "tables");
	tables = PG_GETARG_ARRAYTYPE_P(arg);
	if (array_contains_nulls(tables))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not contain nulls", "tables")));
	deconstruct_array(tables, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT, &values, NULL, &n);
	for (int i = 0; i < n; i++)
		check_table(DatumGetObjectId(values[i]));
	return PointerGetDatum(tables);
}

/* Read the arguments of create_projection(). */
static void
read_arguments(FunctionCallInfo fcinfo, PgesNewProjection *new)
{
	PgesNewSubscription *subscription = &new->subscription;

	subscription->name = pges_name_argument(fcinfo, 0, "name");
	pges_require_argument(fcinfo, 1, "handler");
	pges_check_handler(PG_GETARG_OID(1), GetUserId());
	new->handler = pges_procedure_name(PG_GETARG_OID(1));
	new->mode = pges_parse_mode(pges_text_argument(fcinfo, 2, "mode"));
	new->tables = tables_argument(fcinfo, 7);
	new->batch_size = number_argument(fcinfo, 8, "batch_size", MAX_BATCH_SIZE);
	subscription->on_exhausted = on_error_argument(fcinfo, 9, new->mode);
	subscription->max_attempts = number_argument(fcinfo, 10, "max_attempts", MAX_ATTEMPTS);
	pges_require_argument(fcinfo, 11, "backoff");
	(void) pges_interval_argument(fcinfo, 11, "backoff", 0, true);
	subscription->backoff = PG_GETARG_DATUM(11);
	subscription->lease = DirectFunctionCall3(interval_in, CStringGetDatum("30 seconds"),
											  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	subscription->partitions = 1;
	subscription->runner = new->mode == PGES_MANUAL ? PGES_CALLER : PGES_WORKER;
	subscription->store = pges_readable_store_argument(fcinfo, 3);
	if (new->mode == PGES_INLINE)
		pges_check_may_be_inline(subscription->store, GetUserId());
	subscription->event_types = pges_types_argument(fcinfo, 4, "event_types");
	subscription->aggregate_types = pges_types_argument(fcinfo, 5, "aggregate_types");
	subscription->start = pges_start_argument(fcinfo, 6, "start_position", subscription->store);
}

/* Return whether two arrays of regstore or regclass have the same tables, in any order. */
static bool
are_tables_equal(Datum a, Datum b)
{
	List	   *tables = pges_list_tables(a);
	List	   *others = pges_list_tables(b);

	return list_difference_oid(tables, others) == NIL && list_difference_oid(others, tables) == NIL;
}

/* Raise an error unless an existing projection is like a new one; otherwise a notice. */
static void
report_existing(const PgesNewProjection *new)
{
	const char *name = new->subscription.name;
	PgesProjection *existing = pges_look_up_projection(name, true);
	const char *difference = NULL;

	if (existing)
	{
		existing->subscription = pges_find_subscription(name, false);
		difference = existing->mode != new->mode ? "mode" :
			strcmp(existing->handler, new->handler) != 0 ? "handler" :
			existing->subscription->relid != new->subscription.store->live.relid ? "store" :
			!pges_are_types_equal(existing->subscription, &new->subscription) ? "types" :
			!are_tables_equal(existing->tables, new->tables) ? "tables" : NULL;
	}
	if (existing == NULL || difference)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("%s \"%s\" already exists%s", existing ? "projection" : "subscription", name,
						existing ? " with another definition" : ""),
				 existing ? errdetail("The %s differ%s.", difference, difference[0] == 't' ? "" : "s") :
				 errdetail("A projection is a subscription of the same name."),
				 existing ? errhint("Change it with eventstore.alter_projection(), or drop it first.") :
				 errhint("Choose another name.")));
	ereport(NOTICE,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("projection \"%s\" already exists, skipping", name)));
}

/*
 * Make a new inline projection inline at once, if the store has at most batch_size events
 * for it.  Otherwise tell that the worker does it.
 */
static void
make_inline(const char *name)
{
	PgesProjection *projection = pges_find_projection(name, true, false);

	if (!pges_switch_to_trigger(projection, projection->batch_size + 1))
		ereport(NOTICE,
				(errmsg("projection \"%s\" becomes inline when the worker has handled the events of store %s", name,
						projection->subscription->store->live.qualified_name),
				 errhint("eventstore.wait_for_projection() waits for that.")));
}

PG_FUNCTION_INFO_V1(pges_create_projection);

/* SQL: create a projection. */
Datum
pges_create_projection(PG_FUNCTION_ARGS)
{
	PgesNewProjection new = {.mode = PGES_ASYNC};

	PreventCommandDuringRecovery("eventstore.create_projection()");
	PreventCommandIfReadOnly("eventstore.create_projection()");
	read_arguments(fcinfo, &new);
	if (!pges_add_projection(&new))
		report_existing(&new);
	else if (new.mode == PGES_INLINE)
		make_inline(new.subscription.name);
	PG_RETURN_VOID();
}

/*
 * Raise an error unless a projection can run with another handler, another owner or in
 * another mode; InvalidOid means the present one.  Otherwise it would fail, and if it is
 * inline, so would appends.
 */
static void
check_changes(const PgesProjection *projection, Oid handler, Oid owner, PgesMode mode)
{
	PgesSubscription subscription = *projection->subscription;
	PgesProjection changed = *projection;
	bool		changes_mode = mode != projection->mode;
	PgesIdentity user;

	if (!OidIsValid(handler) && !OidIsValid(owner) && !changes_mode)
		return;
	changed.subscription = &subscription;
	if (OidIsValid(owner))
		subscription.owner = owner;
	if (OidIsValid(handler))
		changed.handler = pges_procedure_name(handler);
	pges_begin_handlers(&user, &changed);
	if (OidIsValid(owner) || changes_mode)
		pges_open_subscribed_store(&subscription);
	pges_become_again(&user);
	if ((OidIsValid(owner) || changes_mode) && mode == PGES_INLINE)
		pges_check_may_be_inline(subscription.store, subscription.owner);
}

/* Raise an error if a projection that is to be inline has parked events. */
static void
check_none_parked(const PgesProjection *projection)
{
	if (pges_has_parked(projection->subscription))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("projection \"%s\" has parked events", projection->name),
				 errdetail("An inline projection handles every event."),
				 errhint("Call eventstore.replay_parked() and wait, or eventstore.discard_parked(), before.")));
}

/* Change the mode of a projection, whose row has the new one. */
static void
change_mode(PgesProjection *projection, PgesMode mode)
{
	if (mode == projection->mode)
		return;
	if (projection->mode == PGES_INLINE)
	{
		pges_switch_to_worker(projection);
		pges_drop_inline_trigger(projection);
	}
	pges_set_runner(projection->subscription, mode == PGES_MANUAL ? PGES_CALLER : PGES_WORKER);
	if (mode == PGES_INLINE && !projection->subscription->paused)
		make_inline(projection->name);
}

PG_FUNCTION_INFO_V1(pges_alter_projection);

/* SQL: change a projection. */
Datum
pges_alter_projection(PG_FUNCTION_ARGS)
{
	PgesProjection *projection = pges_projection_argument(fcinfo, "eventstore.alter_projection()");
	PgesSubscription *subscription = projection->subscription;
	Datum		values[PGES_SUBSCRIPTION_PARAMS] = {
		subscription->key, (Datum) 0, (Datum) 0, (Datum) 0, (Datum) 0, PG_GETARG_DATUM(7), PG_GETARG_DATUM(8),
		PG_GETARG_DATUM(6), PG_GETARG_DATUM(9)
	};
	bool		nulls[PGES_SUBSCRIPTION_PARAMS] = {
		false, false, false, true, true, PG_ARGISNULL(7), PG_ARGISNULL(8), PG_ARGISNULL(6), PG_ARGISNULL(9)
	};
	PgesMode	mode = PG_ARGISNULL(10) ? projection->mode : pges_parse_mode(pges_text_argument(fcinfo, 10, "mode"));
	Datum		row[] = {
		projection->key, (Datum) 0, PG_GETARG_DATUM(4), PG_GETARG_DATUM(5), CStringGetTextDatum(pges_mode_name(mode))
	};
	bool		row_nulls[lengthof(row)] = {[1] = PG_ARGISNULL(1),[2] = PG_ARGISNULL(4),[3] = PG_ARGISNULL(5)};

	pges_check_no_rebuild(projection);
	if (!PG_ARGISNULL(6))
		(void) on_error_argument(fcinfo, 6, mode);
	else
		check_on_error(pges_on_exhausted_name(subscription->on_exhausted), mode);
	if (mode == PGES_INLINE && mode != projection->mode)
		check_none_parked(projection);
	pges_check_number(fcinfo, 7, "max_attempts", MAX_ATTEMPTS);
	pges_check_number(fcinfo, 5, "batch_size", MAX_BATCH_SIZE);
	if (!PG_ARGISNULL(4))
		(void) tables_argument(fcinfo, 4);
	(void) pges_interval_argument(fcinfo, 8, "backoff", 0, true);
	pges_check_new_owner(fcinfo, 9);
	check_changes(projection, PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1),
				  PG_ARGISNULL(9) ? InvalidOid : get_role_oid(NameStr(*PG_GETARG_NAME(9)), false), mode);
	if (!PG_ARGISNULL(1))
		row[1] = CStringGetTextDatum(pges_procedure_name(PG_GETARG_OID(1)));
	pges_set_types(fcinfo, 2, subscription, values, nulls);
	pges_change_subscription(subscription, values, nulls);
	(void) pges_execute_own_statement(&update_row, row, row_nulls);
	change_mode(projection, mode);
	if (!PG_ARGISNULL(1) || !PG_ARGISNULL(9))
		pges_try_again(subscription, false);
	pges_change_projections();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pges_drop_projection);

/* SQL: drop a projection. */
Datum
pges_drop_projection(PG_FUNCTION_ARGS)
{
	PgesProjection *projection = pges_projection_argument(fcinfo, "eventstore.drop_projection()");

	if (projection->rebuild_of)
		pges_drop_copies(projection);
	else
	{
		pges_drop_rebuild(projection);
		pges_drop_inline_trigger(projection);
	}
	pges_remove_projection(projection);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pges_pause_projection);

/* SQL: pause a projection. */
Datum
pges_pause_projection(PG_FUNCTION_ARGS)
{
	PgesProjection *projection = pges_projection_argument(fcinfo, "eventstore.pause_projection()");

	pges_switch_to_worker(projection);
	pges_pause(projection->subscription);
	pges_change_projections();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pges_resume_projection);

/* SQL: end a pause, and try a failed event again at once. */
Datum
pges_resume_projection(PG_FUNCTION_ARGS)
{
	PgesProjection *projection = pges_projection_argument(fcinfo, "eventstore.resume_projection()");

	pges_resume(projection->subscription);
	pges_change_projections();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pges_run_projection);

/* SQL: run a projection in the transaction of the caller. */
Datum
pges_run_projection(PG_FUNCTION_ARGS)
{
	PgesProjection *projection;
	int			max_count;
	PgesRun		run;

	PreventCommandDuringRecovery("eventstore.run_projection()");
	PreventCommandIfReadOnly("eventstore.run_projection()");
	projection = pges_find_projection(pges_text_argument(fcinfo, 0, "name"), false, false);
	max_count = pges_count_argument(fcinfo, 1, "max_count", projection->batch_size);
	if (projection->rebuild_of)
		pges_run_rebuild(projection, max_count, &run);
	else
		do
		{
			pges_run_batch(projection, max_count, &run);
		} while (run.more);
	PG_RETURN_INT32(run.taken);
}
