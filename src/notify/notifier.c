/*
 * notifier.c
 *		The notifier: a background worker that announces new events.
 *
 * NOTIFY acquires a lock at commit that all databases of the server share, and holds it
 * while the WAL is flushed.  So transactions that append do not notify, but wake the
 * notifier after their commit.  The notifier sends one notification for each store that
 * has new events below its high-water mark (announcer.c).  The notifier also
 * writes the watermarks, up to which standbys and subscribers read.  The notifier is
 * started when it is needed, and ends when it has had nothing to do for a second, so that
 * DROP DATABASE waits at most one second.  The protocol is in worker.c.
 *
 * The notifier commits asynchronously.  In the WAL, its watermarks follow the events that
 * they cover, so a crash does not lose such an event and keep the watermark.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "notify/notifier.h"
#include "position/position.h"

#define MAX_PAUSE_MS 500		/* maximum between two looks without work */
#define SOON_MS 100				/* base of the rest after a failure */
#define MAX_BACKOFF_MS 10000	/* longest rest after a failure */
#define MAX_OPEN_WAIT_MS 100	/* longest wait for open appends or writes */
#define CROWD 8					/* positions per look that make rests grow */
#define MAX_REST_MS 16			/* between two looks, if the tick is shorter */
#define REST_SHARE 4			/* minimum rest, as a multiple of the look */

/* Announce new events, unless the notifier is asked to end. */
static void
announce_interruptibly(PgesWorkLeft *left)
{
	pges_set_interruptible(true);
	if (pges_is_worker_terminated())
		ShutdownRequestPending = true;
	else
		pges_announce_all(left);
	pges_set_interruptible(false);
}

/*
 * Return for how many milliseconds to rest after a look: at least the tick.  While looks
 * find CROWD or more new positions, the rest doubles up to MAX_REST_MS: an asynchronous
 * commit wakes the WAL writer, which slows down sessions that flush.  The rest is at least
 * REST_SHARE times the look, so that looks at many stores do not occupy a processor.
 */
static int
next_rest(int rest, const PgesWorkLeft *left)
{
	int			least = Max(pges_notifier_tick, REST_SHARE * left->look_us / 1000);

	if (left->failures > 0)
		return Min(SOON_MS << Min(left->failures, 8), MAX_BACKOFF_MS);
	if (left->taken < CROWD)
		return least;
	return Max(least, Min(Max(rest, 1) * 2, MAX_REST_MS));
}

/*
 * Rest after a look, and wait until there may be work again.  The pause doubles as long
 * as looks find nothing.  Return whether there has been nothing to do for PGES_LINGER_MS.
 */
static bool
wait_after_look(const PgesWorkLeft *left)
{
	static int	rest = 1;
	static int	pause = 1;
	static TimestampTz idle_since = 0;
	bool		has_left_over = left->open_appends || left->unrecorded;
	bool		woken;

	if (left->announced || idle_since == 0)
	{
		pause = 1;
		idle_since = GetCurrentTimestamp();
	}
	rest = next_rest(rest, left);
	pges_rest(rest);
	woken = pges_wait_for_wake(left->open_appends ? "waiting for the end of open appends" : "waiting for appends",
							   has_left_over ? Min(pause, MAX_OPEN_WAIT_MS) : pause);
	pause = woken ? 1 : Min(pause * 2, MAX_PAUSE_MS);
	if (woken || has_left_over)
		idle_since = GetCurrentTimestamp();
	return TimestampDifferenceExceeds(idle_since, GetCurrentTimestamp(), PGES_LINGER_MS);
}

/* Announce until there has been nothing to do for PGES_LINGER_MS, or until asked to end. */
static void
serve_until_idle(void)
{
	while (!ShutdownRequestPending)
	{
		PgesWorkLeft left = {0};

		announce_interruptibly(&left);
		if (left.gives_up)
			pges_end_worker();
		if (left.gives_up ||
			(wait_after_look(&left) && pges_try_to_leave(&pges_notifier, pges_is_anything_owed)))
			return;
	}
}

/* Run the notifier: the entry point of the background worker. */
void
pges_notifier_main(Datum database)
{
	pqsignal(SIGINT, SIG_IGN);	/* pg_cancel_backend(): there is no statement */
	if (pges_begin_worker(&pges_notifier, database, pges_is_anything_owed))
		serve_until_idle();
}
