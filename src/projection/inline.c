/*
 * inline.c
 *		Inline projections: the handler runs in the transaction that appends.
 *
 * A trigger of the store, after INSERT, for each statement, passes the rows of the
 * statement's transition table to the handler.  So every way to append runs it: the
 * functions, INSERT, COPY and MERGE.  An error of the handler undoes the append.
 *
 * The events that the store had before the projection are run by a worker first, as those
 * of an async projection.  When none is left, the worker, or create_projection() itself if
 * there are few, switches the projection to the trigger:
 *
 *	1	Lock the store in ShareRowExclusiveLock.  Appends wait, and those that had begun
 *		have ended.  So the high-water mark is the last position.
 *	2	Run the events that are left.
 *	3	Create the trigger, if there is none, and write the new runner into the definition.
 *
 * An append that gets its lock after that reads the new definition, because the trigger
 * reads it under the latest snapshot.  So each event is run either by the worker or by the
 * trigger.  The switch back, for a pause or a rebuild, locks the store in the same way, and
 * sets the checkpoint to the mark.  Then the trigger does nothing, and the worker goes on.
 *
 * The worker waits for the lock for LOCK_MS only, because appends queue up behind it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "base/act_as.h"
#include "base/ddl.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "delivery/delivery.h"
#include "event/event.h"
#include "position/position.h"
#include "projection/projection_steps.h"
#include "read/read.h"
#include "store/store.h"
#include "subscription/subscription.h"

#define LOCK_MS "200ms"			/* how long a worker waits for the store */

/* The names of the inline projections whose handlers are running, innermost first. */
static List *running = NIL;

/* Return whether an array of types is null or has a type. */
static bool
passes(Datum types, Datum type, bool isnull)
{
	Datum	   *values;
	int			n;

	if (types == (Datum) 0)
		return true;
	deconstruct_array(DatumGetArrayTypeP(types), TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &n);
	for (int i = 0; !isnull && i < n; i++)
	{
		if (pges_text_equal(DatumGetTextPP(values[i]), DatumGetTextPP(type)))
			return true;
	}
	return false;
}

/* Fill a slot of type eventstore.event with a row of the store, whose columns may differ. */
static void
fill_event(TupleTableSlot *event, TupleTableSlot *row, const AttrNumber *attnums)
{
	ExecClearTuple(event);
	for (PgesColumn column = 0; column < PGES_NUM_COLUMNS; column++)
		event->tts_values[column] = slot_getattr(row, attnums[column], &event->tts_isnull[column]);
	ExecStoreVirtualTuple(event);
}

/* Return whether an event passes the filters of a subscription. */
static bool
is_wanted(const PgesSubscription *subscription, const TupleTableSlot *event)
{
	return passes(subscription->event_types, event->tts_values[PGES_EVENT_TYPE],
				  event->tts_isnull[PGES_EVENT_TYPE]) &&
		passes(subscription->aggregate_types, event->tts_values[PGES_AGGREGATE_TYPE],
			   event->tts_isnull[PGES_AGGREGATE_TYPE]);
}

/* Collect the events of a transition table that a subscription wants. */
static void
collect(PgesEvents *events, const PgesSubscription *subscription, TriggerData *trigdata)
{
	const PgesStore *store = pges_store(RelationGetRelid(trigdata->tg_relation));
	TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(trigdata->tg_relation), &TTSOpsMinimalTuple);
	TupleTableSlot *event = MakeSingleTupleTableSlot(events->desc, &TTSOpsVirtual);

	tuplestore_rescan(trigdata->tg_newtable);
	while (tuplestore_gettupleslot(trigdata->tg_newtable, true, false, row))
	{
		fill_event(event, row, store->live.attnums);
		if (is_wanted(subscription, event))
			pges_add_projected_event(events, event);
	}
	ExecDropSingleTupleTableSlot(event);
	ExecDropSingleTupleTableSlot(row);
	pges_sort_events(events);
}

/* Raise an error if the handler of a projection has appended to its store. */
static void
check_not_running(const char *name)
{
	ListCell   *lc;

	foreach(lc, running)
	{
		if (strcmp(lfirst(lc), name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the handler of projection \"%s\" appended to its store", name),
					 errdetail("The projection is inline, and would run its handler again, for ever."),
					 errhint("Append from a consumer of a subscription.")));
	}
}

/* Error context callback: name the projection, which the role that appends may not know. */
static void
inline_context(void *arg)
{
	errcontext("inline projection \"%s\"", (const char *) arg);
}

/*
 * Call the handler of an inline projection with events.  Its owner must still be allowed to
 * read the store.
 */
static void
run_inline(const PgesProjection *projection, const PgesEvents *events)
{
	ErrorContextCallback callback = {error_context_stack, inline_context, unconstify(char *, projection->name)};
	List	   *outer = running;
	PgesIdentity user;
	PgesRun		run = {0};

	check_not_running(projection->name);
	PG_TRY();
	{
		error_context_stack = &callback;
		running = lcons(unconstify(char *, projection->name), running);
		pges_begin_handlers(&user, projection);
		pges_open_subscribed_store(projection->subscription);
		error_context_stack = callback.previous;
		pges_call_handler(projection, events, &run);
		pges_become_again(&user);
	}
	PG_FINALLY();
	{
		running = outer;
	}
	PG_END_TRY();
}

/* Return the name of the trigger of a projection. */
static char *
trigger_name(const char *projection)
{
	return psprintf("eventstore_inline_%s", pges_hash_of_name(projection));
}

/*
 * Find the projection of a trigger; NULL if the trigger does not run it now, or if there is
 * none any more.
 */
static PgesProjection *
projection_of_trigger(const TriggerData *trigdata)
{
	PgesProjection *projection = pges_look_up_projection(trigdata->tg_trigger->tgargs[0], true);

	if (projection == NULL)
		return NULL;
	projection->subscription = pges_look_up_subscription(projection->name, false, true);
	if (projection->subscription == NULL ||
		projection->subscription->runner != PGES_TRIGGER ||
		projection->subscription->relid != RelationGetRelid(trigdata->tg_relation))
		return NULL;
	return projection;
}

/*
 * Raise an error unless a trigger has the name of the one that the extension has created.
 * Another trigger would run the projection twice.
 */
static void
check_own_trigger(const Trigger *trigger)
{
	if (strcmp(trigger->tgname, trigger_name(trigger->tgargs[0])) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" cannot run projection \"%s\"", trigger->tgname, trigger->tgargs[0]),
				 errdetail("Only the trigger that eventstore.create_projection() creates does."),
				 errhint("Drop the trigger.")));
}

PG_FUNCTION_INFO_V1(pges_run_inline);

/* Trigger, after INSERT, for each statement: run an inline projection. */
Datum
pges_run_inline(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	PgesProjection *projection;
	PgesEvents	events;

	pges_require_trigger(fcinfo, "run_inline",
						 CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_AFTER(trigdata->tg_event) &&
						 TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event) &&
						 TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) && trigdata->tg_newtable != NULL &&
						 trigdata->tg_trigger->tgnargs == 1, "stores",
						 "eventstore.create_projection() creates the trigger.");
	check_own_trigger(trigdata->tg_trigger);
	projection = projection_of_trigger(trigdata);
	if (projection)
	{
		pges_begin_events(&events);
		collect(&events, projection->subscription, trigdata);
		if (events.n > 0)
			run_inline(projection, &events);
		pges_end_events(&events);
	}
	return PointerGetDatum(NULL);
}

/* Create the trigger of a projection, or replace it. */
static void
create_trigger(const PgesProjection *projection, const PgesStore *store)
{
	char	   *trigger = trigger_name(projection->name);

	pges_run_as(BOOTSTRAP_SUPERUSERID, psprintf("CREATE OR REPLACE TRIGGER %s AFTER INSERT ON %s REFERENCING NEW TABLE AS events "
												"FOR EACH STATEMENT EXECUTE FUNCTION eventstore.run_inline(%s)",
												trigger, store->live.qualified_name, quote_literal_cstr(projection->name)));
}

/* Drop the trigger of a projection, if there is one. */
void
pges_drop_inline_trigger(const PgesProjection *projection)
{
	Oid			relid = projection->subscription->relid;
	char	   *trigger = trigger_name(projection->name);

	if (get_rel_relkind(relid) != '\0' && OidIsValid(get_trigger_oid(relid, trigger, true)))
		pges_run_as(BOOTSTRAP_SUPERUSERID, psprintf("DROP TRIGGER %s ON %s", trigger, pges_relation_name(relid)));
}

/*
 * Raise an error unless a role may let a store call a handler for each append.
 */
void
pges_check_may_be_inline(const PgesStore *store, Oid role)
{
	if (pg_class_aclcheck(store->live.relid, role, ACL_TRIGGER) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create an inline projection of store %s", store->live.qualified_name),
				 errdetail("An error of its handler undoes appends of others, so its owner must have the privilege TRIGGER on the store."),
				 errhint("GRANT TRIGGER ON %s TO %s; or use mode \"async\".", store->live.qualified_name,
						 quote_identifier(GetUserNameFromId(role, false)))));
}

/*
 * Lock the store of a projection against appends.  In a worker, wait for LOCK_MS only,
 * because appends queue up behind this lock.  Raise an error if positions are still open,
 * which transactions without a lock on the store can have.
 */
const PgesStore *
pges_lock_out_appends(PgesProjection *projection)
{
	const PgesStore *store;
	int			nestlevel = NewGUCNestLevel();

	if (MyBackendType == B_BG_WORKER)
		pges_set_locally("lock_timeout", LOCK_MS);
	LockRelationOid(projection->subscription->relid, ShareRowExclusiveLock);
	AtEOXact_GUC(false, nestlevel);
	pges_open_subscribed_store(projection->subscription);
	store = projection->subscription->store;
	if (pges_high_water_mark(store) < pges_next_of_sequence(store->sequence) - 1)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not lock out the appends to store %s", store->live.qualified_name),
				 errdetail("A transaction has taken a position and not ended.")));
	return store;
}

/*
 * Switch an inline projection to the trigger, and run at most max_count events that are
 * left.  Return false, with nothing changed but what these runs did, if there are more.
 * The caller has locked the definition.
 */
bool
pges_switch_to_trigger(PgesProjection *projection, int max_count)
{
	const PgesStore *store = pges_lock_out_appends(projection);
	PgesRun		run;

	pges_check_may_be_inline(store, projection->subscription->owner);
	do
	{
		if (max_count <= 0)
			return false;
		pges_run_batch(projection, Min(max_count, projection->batch_size), &run);
		max_count -= run.taken;
	} while (run.taken > 0 || run.more);
	if (!pges_is_complete(projection->name))
		return false;
	create_trigger(projection, store);
	pges_set_runner(projection->subscription, PGES_TRIGGER);
	pges_change_projections();
	return true;
}

/*
 * Let the worker run an inline projection, from now on, if the trigger runs it.  The caller
 * has locked the definition.
 */
void
pges_switch_to_worker(PgesProjection *projection)
{
	if (projection->subscription->runner != PGES_TRIGGER)
		return;
	pges_set_checkpoint(projection->subscription, pges_high_water_mark(pges_lock_out_appends(projection)));
	pges_set_runner(projection->subscription, PGES_WORKER);
}

/*
 * In a worker that has found nothing to run: switch an inline projection to the trigger.
 * Appends may have added a few events meanwhile.  Return false if it is to be tried again.
 */
bool
pges_try_to_switch(const char *name)
{
	PgesProjection *projection = pges_find_projection(name, true, true);

	return projection == NULL || projection->subscription->paused || projection->subscription->runner == PGES_TRIGGER ||
		pges_switch_to_trigger(projection, projection->batch_size);
}
