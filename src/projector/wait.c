/*
 * wait.c
 *		wait_for_projection(): lets a client read what it has written.
 *
 * The session reads the progress at growing intervals, as wait_for_events() reads the mark.
 * No other process has to wake the session, so the function works through any pooler, and
 * on a standby.  While it waits, it holds no lock on a row.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/sql_argument.h"
#include "delivery/delivery.h"
#include "notify/notify.h"
#include "parked/parked.h"
#include "position/position.h"
#include "projection/projection.h"
#include "projector/projector_steps.h"
#include "read/read.h"
#include "subscription/subscription.h"
#include "table/table.h"

/* Finds the last event that is committed, also above the high-water mark. */
static const PgesStatement last_event = {
	"SELECT pg_catalog.max(position) FROM %1$s", 0
};

/*
 * Find a projection whose store the user may read.  The user need not be a member of the
 * owner.  Return NULL, or raise an error, if there is none.
 */
static PgesProjection *
find_readable(const char *name, bool missing_ok)
{
	PgesProjection *projection = pges_look_up_projection(name, missing_ok);

	if (projection)
		projection->subscription = pges_look_up_subscription(name, false, missing_ok);
	if (projection == NULL || projection->subscription == NULL)
		return NULL;
	pges_open_subscribed_store(projection->subscription);
	return projection;
}

/*
 * Raise an error if this transaction has appended to the store of a projection that others
 * run: they see its events only after the commit.
 */
static void
check_not_appended(const PgesProjection *projection)
{
	const PgesAppended *appended = pges_appended();

	while (appended && appended->store->live.relid != projection->subscription->relid)
		appended = appended->next;
	if (appended && projection->subscription->runner != PGES_TRIGGER)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot wait for projection \"%s\" in a transaction that has appended to its store",
						projection->name),
				 errdetail("The projection gets the events of this transaction after the commit."),
				 errhint("Commit first, then wait for the position that the append returned.")));
}

/* Return the position of the last event that is committed now; 0 if there is none. */
static int64
last_committed(const PgesStore *store)
{
	PgesScope	scope;
	int64		last;

	PushActiveSnapshot(GetLatestSnapshot());
	scope = pges_scope_to_read(&store, true);
	SPI_connect();
	(void) pges_run_statement(store, scope, &last_event, NULL, NULL, true, NULL);
	last = pges_found_int64(1, 0);
	SPI_finish();
	PopActiveSnapshot();
	return last;
}

/* Return the position to wait for; raise an error if the store has not given it yet. */
static int64
position_argument(FunctionCallInfo fcinfo, int arg, const PgesStore *store)
{
	int64		position = PG_ARGISNULL(arg) ? last_committed(store) : PG_GETARG_INT64(arg);

	if (!PG_ARGISNULL(arg) && position > pges_high_water_mark(store))
		pges_check_given(store, position);
	return position;
}

/*
 * Return whether the first event after the checkpoint has failed more than once, or the
 * projection as a whole has failed.
 */
static bool
has_failed(const PgesPartition *partition)
{
	return partition->attempt >= 2 || (partition->attempt == 0 && partition->retry_at > 0);
}

/* Raise an error if a projection cannot advance: it is paused, or an event has failed. */
static void
check_may_advance(const PgesProjection *projection)
{
	PgesPartitions partitions;

	if (projection->subscription->paused)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("projection \"%s\" is paused", projection->name),
				 errhint("eventstore.resume_projection() ends the pause.")));
	pges_read_partitions(projection->subscription, &partitions);
	if (partitions.n == 1 && has_failed(&partitions.rows[0]))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("projection \"%s\" has failed", projection->name),
				 errdetail("It does not advance beyond position " INT64_FORMAT ".", partitions.rows[0].checkpoint),
				 errhint("View eventstore.projections shows the error. After a correction of the handler, eventstore.resume_projection() tries the event again at once.")));
}

/*
 * Return whether a projection has handled its events up to a position, also those that
 * replay_parked() has chosen.
 */
static bool
is_done(PgesProjection *projection, int64 position)
{
	PgesSubscription *subscription = projection->subscription;

	if (projection->rebuild_of)
		return false;			/* it is done when it does not exist any more */
	if (projection->mode == PGES_INLINE || subscription->runner == PGES_TRIGGER)
		return subscription->runner == PGES_TRIGGER;
	return pges_mark_to_read(subscription->store) >= position && pges_is_done_up_to(subscription, position) &&
		!pges_has_replays(subscription, position);
}

/*
 * Let a worker run a projection.  The notifier starts the workers when events come.  But if
 * none could be started then, or a setting was 0, the notifier may not know that they are
 * to be started now.
 */
static void
nudge_workers(const PgesProjection *projection)
{
	pges_nudge_notifier();
	if (projection->subscription->runner == PGES_WORKER && pges_projection_workers > 0 &&
		pges_ensure_worker(&pges_projectors[0], PGES_NUDGE))
		pges_wake_worker(&pges_projectors[0]);
}

/* Wait until a projection has handled its events up to a position; return false at the end. */
static bool
wait_for(PgesProjection *projection, int64 position, TimestampTz end)
{
	const char *name = projection->name;
	bool		is_rebuild = projection->rebuild_of != NULL;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pg_eventstore wait", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	bool		done = false;

	for (int nap = 1; !(done = is_done(projection, position)); nap = Min(nap * 2, PGES_MAX_NAP_MS))
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);

		check_may_advance(projection);
		if (left <= 0)
			break;
		if (nap == PGES_MAX_NAP_MS && !RecoveryInProgress())
			nudge_workers(projection);
		pges_nap(Min(nap, left));
		MemoryContextReset(context);
		projection = find_readable(name, is_rebuild);
		if (projection == NULL)
		{
			done = true;
			break;
		}
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return done;
}

/*
 * Return the name of the projection that a projection of this name rebuilds; NULL if it
 * is not the name of a rebuild.
 */
static char *
rebuilt_projection(const char *name)
{
	size_t		length = strlen(name);
	size_t		suffix = strlen(PGES_REBUILD_SUFFIX);

	if (length <= suffix || strcmp(name + length - suffix, PGES_REBUILD_SUFFIX) != 0)
		return NULL;
	return pnstrdup(name, length - suffix);
}

PG_FUNCTION_INFO_V1(pges_wait_for_projection);

/*
 * SQL: wait until a projection has handled the events up to a position.  A short rebuild
 * can end before the caller waits for it: then there is nothing to wait for.
 */
Datum
pges_wait_for_projection(PG_FUNCTION_ARGS)
{
	char	   *name = pges_text_argument(fcinfo, 0, "name");
	char	   *rebuilt = rebuilt_projection(name);
	PgesProjection *projection = find_readable(name, rebuilt != NULL);
	bool		has_ended = projection == NULL;
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pges_timeout_argument(fcinfo, 2));
	int64		position;

	if (has_ended)
		projection = find_readable(rebuilt, false);
	Assert(projection);
	position = position_argument(fcinfo, 1, projection->subscription->store);
	check_not_appended(projection);
	if (!has_ended && !wait_for(projection, position, end))
		PG_RETURN_NULL();
	PG_RETURN_INT64(position);
}
