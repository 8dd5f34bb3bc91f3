/*
 * rebuild.c
 *		Rebuilds a projection: its handler gets all events again, and the old rows stay
 *		readable until the new ones are complete.
 *
 * A rebuild is a projection of its own, "NAME.rebuild", with the handler of the projection
 * and a subscription from the start.  It fills copies of the tables (exchange.c): while its
 * handler runs, the schema of the copies is the first one in the search_path.  Meanwhile the
 * projection itself goes on with its own tables.  When the rebuild has found nothing to run,
 * it ends in one transaction:
 *
 *	1	Lock the projection: its partition, or if it is inline, its store against appends.
 *	2	Run the events that are left.  If some remain, as one has failed, end later.
 *	3	Exchange the rows, and give the projection the checkpoint and the parked events of
 *		the rebuild.
 *	4	Drop the copies and the rebuild.
 *
 * After an interruption, the rebuild goes on from its checkpoint.  If its handler was
 * replaced, it begins anew, because all rows must be those of one handler.
 *
 * A handler that names the schema of a table writes to the table itself.  The locks of the
 * transaction show this, and the batch is rolled back.  Then the rebuild uses no copies: it
 * deletes the rows of the tables and runs all events in one transaction, in which the
 * projection is locked.  Tables that cannot be copied are rebuilt in the same way.  An
 * inline projection would lock out appends all that time, so its rebuild fails instead.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/act_as.h"
#include "base/lock_tag.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "base/subtransaction.h"
#include "base/text.h"
#include "delivery/delivery.h"
#include "projection/projection_steps.h"
#include "store/store.h"
#include "subscription/subscription.h"
#include "table/table.h"

static PgesOwnStatement forget_copies = {
	{&pges_projection_rows}, false,
	"UPDATE eventstore.projection_definitions SET copies = NULL WHERE projection OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static PgesOwnStatement move_parked = {
	{&pges_parked_rows}, false,
	"UPDATE eventstore.subscription_parked SET subscription = $2 WHERE subscription OPERATOR(pg_catalog.=) $1",
	2, {TEXTOID, TEXTOID}
};

static PgesOwnStatement find_sharing = {
	{&pges_projection_rows}, true,
	"SELECT o.projection FROM eventstore.projection_definitions p JOIN eventstore.projection_definitions o "
	"ON o.tables::pg_catalog.oid[] OPERATOR(pg_catalog.&&) p.tables::pg_catalog.oid[] "
	"WHERE p.projection OPERATOR(pg_catalog.=) $1 "
	"AND COALESCE(o.rebuild_of, o.projection) OPERATOR(pg_catalog.<>) $1 LIMIT 1",
	1, {TEXTOID}
};

static const PgesWanted all = {.wait = true};

/* Return the name of the rebuild of a projection. */
static char *
rebuild_name(const PgesProjection *projection)
{
	return psprintf("%s" PGES_REBUILD_SUFFIX, projection->name);
}

/* Find the rebuild of a projection; NULL if there is none. */
static PgesProjection *
find_rebuild(const PgesProjection *projection)
{
	PgesProjection *rebuild = pges_look_up_projection(rebuild_name(projection), true);

	return rebuild && rebuild->rebuild_of ? rebuild : NULL;
}

/* Raise an error if a projection is a rebuild, or is being rebuilt. */
void
pges_check_no_rebuild(const PgesProjection *projection)
{
	if (projection->rebuild_of == NULL && find_rebuild(projection) == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 projection->rebuild_of ? errmsg("projection \"%s\" is a rebuild", projection->name) :
			 errmsg("projection \"%s\" is being rebuilt", projection->name),
			 errhint("Wait until the rebuild has ended, or drop it: SELECT eventstore.drop_projection(%s);",
					 quote_literal_cstr(projection->rebuild_of ? projection->name : rebuild_name(projection)))));
}

/* Drop the rebuild of a projection, if there is one. */
void
pges_drop_rebuild(const PgesProjection *projection)
{
	PgesProjection *rebuild = find_rebuild(projection);

	if (rebuild == NULL)
		return;
	rebuild->subscription = pges_find_subscription(rebuild->name, true);
	pges_drop_copies(rebuild);
	pges_remove_projection(rebuild);
}

/* Return whether a rebuild runs all events in one transaction. */
static bool
is_one_transaction(const PgesProjection *rebuild)
{
	return rebuild->copies == NULL;
}

/* Raise an error if a table is referenced by a foreign key. */
static void
check_not_referenced(Oid table)
{
	Relation	rel = table_open(table, AccessShareLock);

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_PK)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot rebuild table %s", pges_relation_name(table)),
					 errdetail("A foreign key of table %s references it, and a rebuild deletes rows.",
							   pges_relation_name(trigger->tgconstrrelid)),
					 errhint("Drop the foreign key, or empty the tables and create the projection again.")));
	}
	table_close(rel, AccessShareLock);
}

/* Raise an error if another projection fills a table of a projection. */
static void
check_not_shared(const PgesProjection *projection)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		key = projection->key;
	text	   *other = NULL;

	SPI_connect();
	if (pges_run_own_statement(&find_sharing, &key, NULL) > 0)
		other = pges_found_text(context, 1);
	SPI_finish();
	if (other)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rebuild projection \"%s\"", projection->name),
				 errdetail("Projection \"%s\" fills one of its tables, too, and a rebuild would delete its rows.",
						   text_to_cstring(other)),
				 errhint("Let one handler fill the table, or remove the table from one of the projections.")));
}

/* Raise an error unless the tables of a projection can be rebuilt. */
static void
check_tables(const PgesProjection *projection)
{
	List	   *tables = pges_list_tables(projection->tables);
	ListCell   *lc;

	if (tables == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("projection \"%s\" has no tables to rebuild", projection->name),
				 errhint("List the tables that its handler fills: eventstore.alter_projection(..., tables => ...).")));
	check_not_shared(projection);
	foreach(lc, tables)
		check_not_referenced(lfirst_oid(lc));
}

/* Empty the tables of a projection, and let the worker run all events again. */
static void
rebuild_in_place(PgesProjection *projection)
{
	pges_switch_to_worker(projection);
	pges_set_checkpoint(projection->subscription, projection->start_position);
	pges_empty_tables(projection, true);
	pges_change_projections();
}

/* Create the rebuild of a projection.  The caller has the rights of its owner. */
static void
create_rebuild(PgesProjection *projection)
{
	PgesSubscription *subscription = projection->subscription;
	Interval	backoff = {.time = subscription->backoff};
	Interval	lease = {.time = subscription->lease};
	PgesNewProjection new = {
		{
			.name = rebuild_name(projection),.event_types = subscription->event_types,
			.aggregate_types = subscription->aggregate_types,.start = projection->start_position,
			.partitions = 1,.lease = IntervalPGetDatum(&lease),.max_attempts = subscription->max_attempts,
			.backoff = IntervalPGetDatum(&backoff),
			.on_exhausted = pges_on_exhausted_name(subscription->on_exhausted),
			.runner = projection->mode == PGES_MANUAL ? PGES_CALLER : PGES_WORKER
		}, projection->mode, projection->handler, projection->tables, projection->batch_size, projection->name
	};

	new.handler_version = pges_handler_version(projection);
	pges_open_subscribed_store(subscription);
	new.subscription.store = subscription->store;
	if (pges_can_be_copied(projection->tables))
		new.copies = psprintf("eventstore_rebuild_" INT64_FORMAT, pges_make_token());
	else if (projection->mode == PGES_INLINE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rebuild inline projection \"%s\" beside its tables", projection->name),
				 errdetail("A table has a trigger, a foreign key, an identity column, partitions or children, or two tables have the same name."),
				 errhint("Use eventstore.rebuild_projection(..., in_place => true).")));
	if (!pges_add_projection(&new))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("there is already a subscription \"%s\"", new.subscription.name)));
	if (new.copies)
		pges_create_copies(new.copies, projection->tables, subscription->owner);
}

PG_FUNCTION_INFO_V1(pges_rebuild_projection);

/* SQL: begin to rebuild a projection, anew if a rebuild has begun. */
Datum
pges_rebuild_projection(PG_FUNCTION_ARGS)
{
	PgesProjection *projection = pges_projection_argument(fcinfo, "eventstore.rebuild_projection()");
	PgesIdentity user;

	if (projection->rebuild_of)
		pges_check_no_rebuild(projection);
	check_tables(projection);
	pges_drop_rebuild(projection);
	if (pges_bool_argument(fcinfo, 1, false))
	{
		rebuild_in_place(projection);
		PG_RETURN_TEXT_P(cstring_to_text(projection->name));
	}
	pges_begin_handlers(&user, projection);
	create_rebuild(projection);
	pges_become_again(&user);
	PG_RETURN_TEXT_P(cstring_to_text(rebuild_name(projection)));
}

/* A batch of a rebuild that fills copies. */
typedef struct Batch
{
	PgesProjection *rebuild;
	int			max_count;
	PgesRun    *run;
	List	   *tables;
	Oid			touched;		/* table that the handler has used itself */
} Batch;

/* Run a batch; return false to roll it back, if the handler has not used the copies only. */
static bool
run_copies(void *arg)
{
	Batch	   *batch = arg;

	PG_TRY();
	{
		pges_run_batch(batch->rebuild, batch->max_count, batch->run);
	}
	PG_FINALLY();
	{
		batch->touched = pges_touched_table(batch->tables);
	}
	PG_END_TRY();
	return !OidIsValid(batch->touched);
}

/* Rebuild without copies, from the start, because the handler does not use them. */
static void
abandon_copies(PgesProjection *rebuild, const char *table, PgesRun *run)
{
	Datum		key = rebuild->key;

	memset(run, 0, sizeof(PgesRun));
	if (rebuild->mode == PGES_INLINE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rebuild inline projection \"%s\" beside its tables", rebuild->rebuild_of),
				 errdetail("The handler uses table %s itself, not its copy.", table),
				 errhint("Write the names of the tables in the handler without their schema, or use eventstore.rebuild_projection(..., in_place => true).")));
	ereport(LOG,
			(errmsg("projection \"%s\" is rebuilt in one transaction", rebuild->rebuild_of),
			 errdetail("The handler uses table %s itself, not its copy.", table),
			 errhint("A handler that writes the names of the tables without their schema fills the copies.")));
	rebuild->subscription = pges_find_subscription(rebuild->name, true);
	pges_drop_copies(rebuild);
	pges_set_checkpoint(rebuild->subscription, rebuild->start_position);
	(void) pges_execute_own_statement(&forget_copies, &key, NULL);
	pges_change_projections();
}

/*
 * Raise an error if the transaction has used a table of a rebuild: then its locks do not
 * show whether the handler does.
 */
static void
check_not_used(const PgesProjection *rebuild, const List *tables)
{
	Oid			used = pges_touched_table(tables);

	if (OidIsValid(used))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot run projection \"%s\" in a transaction that has used table %s", rebuild->name,
						pges_relation_name(used)),
				 errdetail("The locks of the transaction would not show whether the handler uses the table itself."),
				 errhint("Run it in a transaction of its own.")));
}

/* Run a batch of a rebuild that fills copies; return false if it is to use none. */
static bool
run_beside(PgesProjection *rebuild, int max_count, PgesRun *run)
{
	Batch		batch = {rebuild, max_count, run, pges_list_tables(rebuild->tables)};
	ErrorData  *error;

	check_not_used(rebuild, batch.tables);
	error = pges_run_in_subtransaction(run_copies, &batch);
	if (error && !OidIsValid(batch.touched))
		ReThrowError(error);
	if (!OidIsValid(batch.touched))
		return true;
	abandon_copies(rebuild, pges_relation_name(batch.touched), run);
	return false;
}

/* Return false if another transaction is ending a rebuild. */
static bool
begin_end(const PgesProjection *rebuild)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, hash_bytes((const unsigned char *) rebuild->name, strlen(rebuild->name)), 0,
						 PGES_LOCK_REBUILD);
	return pges_lock_for_top_transaction(&tag, ExclusiveLock, false);
}

/* Lock the projection of a rebuild, so that no event is run for it. */
static void
lock_projection(PgesProjection *projection)
{
	PgesPartitions partitions;

	if (projection->subscription->runner == PGES_TRIGGER)
		(void) pges_lock_out_appends(projection);
	else
		pges_read_and_lock_partitions(projection->subscription, &all, &partitions);
}

/*
 * Lock the definitions of a rebuild and of its projection, and return the projection.
 * Return NULL if another transaction has ended this rebuild meanwhile.
 */
static PgesProjection *
lock_definitions(PgesProjection *rebuild)
{
	PgesProjection *projection = pges_find_projection(rebuild->rebuild_of, true, true);
	PgesProjection *present = projection ? pges_find_projection(rebuild->name, true, true) : NULL;

	if (present == NULL || present->subscription->epoch != rebuild->subscription->epoch)
		return NULL;
	rebuild->subscription = present->subscription;
	return projection;
}

/* Return whether the handler of a rebuild is another one than when the rebuild began. */
static bool
is_replaced(const PgesProjection *rebuild)
{
	return pges_handler_version(rebuild) != rebuild->handler_version;
}

/*
 * Begin a rebuild anew, because its handler was replaced, unless another transaction has
 * ended the rebuild meanwhile.
 */
static void
begin_anew(PgesProjection *rebuild)
{
	PgesProjection *projection = lock_definitions(rebuild);
	PgesIdentity user;

	if (projection == NULL)
		return;
	ereport(LOG,
			(errmsg("the rebuild of projection \"%s\" begins anew", projection->name),
			 errdetail("Its handler %s was replaced.", projection->handler)));
	pges_drop_rebuild(projection);
	pges_begin_handlers(&user, projection);
	create_rebuild(projection);
	pges_become_again(&user);
}

/* Raise the error that the handler of a rebuild was replaced; a worker begins it anew. */
static void
report_replaced(const PgesProjection *rebuild)
{
	ereport(ERROR,
			(errcode(MyBackendType == B_BG_WORKER ? ERRCODE_T_R_SERIALIZATION_FAILURE :
					 ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the handler of projection \"%s\" was replaced during its rebuild", rebuild->rebuild_of),
			 errdetail("The rows of a rebuild must be those of one handler."),
			 errhint("Begin the rebuild anew: SELECT eventstore.rebuild_projection(%s);",
					 quote_literal_cstr(rebuild->rebuild_of))));
}

/* Give a projection the progress of its rebuild, and remove the rebuild. */
static void
replace_projection(PgesProjection *projection, PgesProjection *rebuild)
{
	Datum		keys[] = {rebuild->key, projection->key};
	PgesPartitions partitions;

	if (projection->subscription->runner != PGES_TRIGGER)
	{
		pges_read_partitions(rebuild->subscription, &partitions);
		pges_set_checkpoint(projection->subscription, pges_lowest_of(&partitions));
		(void) pges_execute_own_statement(&move_parked, keys, NULL);
	}
	pges_drop_copies(rebuild);
	pges_remove_projection(rebuild);
}

/*
 * End a rebuild that fills copies, and has found nothing to run.  Return false if it is not
 * complete yet.
 */
static bool
finish(PgesProjection *rebuild, int max_count)
{
	PgesProjection *projection = lock_definitions(rebuild);
	PgesRun		run;

	if (projection == NULL)
		return true;
	lock_projection(projection);
	do
	{
		if (!run_beside(rebuild, max_count, &run))
			return true;		/* it goes on without copies */
	} while (run.taken > 0 || run.more);
	if (!pges_is_complete(rebuild->name) || is_replaced(rebuild))
		return false;
	pges_exchange_rows(rebuild);
	replace_projection(projection, rebuild);
	return true;
}

/* Run a rebuild without copies: all events in this transaction. */
static void
run_at_once(PgesProjection *rebuild, int max_count)
{
	PgesProjection *projection = lock_definitions(rebuild);
	int64		total = 0;
	PgesRun		run;

	if (projection == NULL)
		return;
	lock_projection(projection);
	pges_empty_tables(rebuild, false);
	do
	{
		pges_run_batch(rebuild, max_count, &run);
		total += run.taken;
		pgstat_report_activity(STATE_RUNNING, psprintf("projection %s, " INT64_FORMAT " events", rebuild->name, total));
	} while (run.taken > 0 || run.more);
	if (!pges_is_complete(rebuild->name))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the rebuild of projection \"%s\" is paused, or waits for another attempt", projection->name)));
	if (is_replaced(rebuild))
		report_replaced(rebuild);
	replace_projection(projection, rebuild);
}

/*
 * Run a batch of a rebuild, or all of it.  Set *run as pges_run_batch() does.  A run that
 * ends the rebuild has no events.  It may take long, so in a worker it has no timeout.  If it finds that
 * the rebuild is not complete, it is busy, and to be repeated.  In a worker, a rebuild whose
 * handler was replaced begins anew.
 */
void
pges_run_rebuild(PgesProjection *rebuild, int max_count, PgesRun *run)
{
	memset(run, 0, sizeof(PgesRun));
	if (is_replaced(rebuild))
	{
		if (MyBackendType != B_BG_WORKER)
			report_replaced(rebuild);
		begin_anew(rebuild);
		run->more = true;
		return;
	}
	if (!is_one_transaction(rebuild) &&
		(!run_beside(rebuild, max_count, run) || run->taken > 0 || run->busy || run->more))
		return;
	if (MyBackendType == B_BG_WORKER && get_timeout_active(STATEMENT_TIMEOUT))
		disable_timeout(STATEMENT_TIMEOUT, false);
	memset(run, 0, sizeof(PgesRun));
	if (!begin_end(rebuild))
		run->busy = true;
	else if (is_one_transaction(rebuild))
		run_at_once(rebuild, max_count);
	else
		run->busy = !finish(rebuild, max_count);
}
