/*
 * run.c
 *		Runs a projection: one batch of events in one transaction.
 *
 * A run is a poll, the handler and an acknowledgement in one transaction, with the rights
 * of the owner.  The checkpoint and what the handler has written commit together, so each
 * event has its effect exactly once.  A run skips a projection that another transaction
 * runs: the poll skips its partition, whose row that transaction has locked.
 *
 * In a session, run_projection() runs a batch in the transaction of the caller, and an
 * error of the handler is an error of the call.  The background worker (runner.c) begins a
 * transaction for each run, and records an error in another one (record_failure.c).
 *
 * A handler may append to other stores, but not to the store of its projection: the
 * projection would get these events, and its handler would append again, for ever.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/sql_argument.h"
#include "delivery/delivery.h"
#include "position/position.h"
#include "projection/projection_steps.h"
#include "subscription/subscription.h"

#define MAX_RUN_SIZE (16 * 1024 * 1024) /* bytes; a run ends with the event
										 * that exceeds it */

/* Callback of a delivery: add an event to the run. */
static void
take_event(PgesDelivery *delivery, const PgesPartition *partition, int attempt, TupleTableSlot *row)
{
	PgesEvents *events = delivery->arg;

	pges_add_projected_event(events, row);
	if (events->size > MAX_RUN_SIZE)
		delivery->max_count = delivery->count;
}

/* Return the last position that this transaction has taken from a store; 0: none. */
static int64
last_append(const PgesStore *store)
{
	for (const PgesAppended *appended = pges_appended(); appended; appended = appended->next)
	{
		if (appended->store->live.relid == store->live.relid)
			return appended->position;
	}
	return 0;
}

/* Raise the error that a handler has appended to the store of its projection. */
static void
report_append(const PgesProjection *projection)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the handler of projection \"%s\" appended to store %s", projection->name,
					projection->subscription->store->live.qualified_name),
			 errdetail("The projection reads this store, and could handle its own events for ever."),
			 errhint("Append from a consumer of a subscription.")));
}

/* Call the handler of a projection, which must not append to its store. */
static void
handle(const PgesProjection *projection, const PgesEvents *events, PgesRun *run)
{
	const PgesStore *store = projection->subscription->store;
	int64		before = last_append(store);

	pges_call_handler(projection, events, run);
	if (last_append(store) != before)
		report_append(projection);
}

/*
 * Run at most max_count events of a projection, and set *run to what was done, also if an
 * error is raised.
 */
void
pges_run_batch(PgesProjection *projection, int max_count, PgesRun *run)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pg_eventstore run",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	PgesEvents	events;
	PgesDelivery delivery = {.max_count = max_count,.put = take_event,.arg = &events};
	PgesIdentity user;

	memset(run, 0, sizeof(PgesRun));
	pges_begin_events(&events);
	pges_begin_handlers(&user, projection);
	if (pges_poll_for(projection->subscription, &delivery))
	{
		run->taken = events.n;
		run->position = pges_only_position(&events);
		projection->subscription->store = delivery.subscription->store;
		handle(projection, &events, run);
		pges_acknowledge(projection->subscription, delivery.token, PG_INT64_MAX);
	}
	run->busy = delivery.busy;
	run->more = delivery.more;
	pges_become_again(&user);
	pges_end_events(&events);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
