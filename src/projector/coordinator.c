/*
 * coordinator.c
 *		Starts and wakes the workers that run projections.
 *
 * The notifier does this, because every append wakes the notifier, and because it runs no
 * code of users.  So a handler that hangs delays no other projection as long as a worker
 * is free.  At each look, the notifier compares the high-water mark of each projected
 * store with the mark of which the workers know.  If a mark has moved, or projections have
 * changed, it starts the workers that do not run, and wakes all.  So the notifier does S1
 * to S6 of worker.c for the workers, when there is work that they find in W5.
 *
 * If a worker cannot be started, the notifier stays and tries again, unless the database
 * is to be dropped.
 *
 * All workers do the same work: each runs any projection that no other worker is running.
 * Their number is that of the projections, but at most pg_eventstore.projection_workers.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/snapmgr.h"

#include "base/guc.h"
#include "notify/notify.h"
#include "position/position.h"
#include "projector/projector.h"
#include "projector/projector_steps.h"

/* Whether workers are to be woken, but could not all be. */
static bool is_owed = false;

/* Whether the row of failures says that there was none since the last success. */
static bool is_status_clear = false;

/* The setting at the last look that has woken workers. */
static int	woken_workers = 0;

/*
 * Start and wake the workers for a number of projections; return whether all run.  If so,
 * failures of earlier starts are forgotten.
 */
static bool
wake_workers(int projections)
{
	bool		all_run = true;

	woken_workers = pges_projection_workers;
	for (int i = 0; i < Min(projections, pges_projection_workers); i++)
	{
		if (pges_ensure_worker(&pges_projectors[i], PGES_START))
			pges_wake_worker(&pges_projectors[i]);
		else
			all_run = is_status_clear = false;
	}
	if (all_run && !is_status_clear && woken_workers > 0)
		is_status_clear = pges_clear_status(&pges_projectors[0]);
	return all_run;
}

/*
 * Look at the marks of the stores.  Return the number of projections; set *moved to
 * whether the workers do not know of a mark, and *held_back to whether open appends hold a
 * mark back.  With "see", they are going to know.
 */
static int
look_at_marks(bool see, bool *moved, bool *held_back)
{
	int			projections = 0;
	ListCell   *lc;

	*moved = *held_back = false;
	foreach(lc, pges_projected_stores())
	{
		PgesProjectedStore *store = lfirst(lc);
		bool		held;
		int64		mark = pges_projected_mark(store, &held);

		*moved |= mark != store->seen;
		*held_back |= held;
		projections += store->projections;
		if (see)
			store->seen = mark;
	}
	return projections;
}

/* For the notifier: return whether workers are to be woken. */
static bool
has_work(void)
{
	bool		moved;
	bool		held_back;

	if (is_owed)
		return !pges_is_database_going();
	if (pges_has_no_projected_store())
		return false;
	StartTransactionCommand();
	(void) look_at_marks(false, &moved, &held_back);
	CommitTransactionCommand();
	return moved;
}

/* For the notifier: wake the workers if they have work. */
static void
look(PgesWorkLeft *left)
{
	bool		moved;
	bool		held_back;
	int			projections;

	if (!is_owed && pges_has_no_projected_store())
		return;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	projections = look_at_marks(true, &moved, &held_back);
	if (moved || is_owed || pges_projection_workers > woken_workers)
	{
		is_owed = pges_is_database_going() || !wake_workers(projections);
		left->announced = moved || !is_owed;
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	left->open_appends |= held_back;
	left->unrecorded |= is_owed && !pges_is_database_going();
}

/* Set what the notifier does for projections. */
static void
set_coordinator(void)
{
	pges_coordinator = (PgesCoordinator)
	{
		pges_is_projected, has_work, look
	};
}

/* Register the callbacks of the room. */
void
pges_projector_init(void)
{
	pges_projected_stores_init();
	pges_runner_init();
	set_coordinator();
}
