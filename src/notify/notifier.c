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

#define LINGER_MS 1000			/* after which an idle notifier ends */
#define MAX_PAUSE_MS 500		/* maximum between two looks without work */
#define SOON_MS 100				/* base of the rest after a failure */
#define MAX_BACKOFF_MS 10000	/* longest rest after a failure */
#define MAX_OPEN_WAIT_MS 100	/* longest wait for open appends or writes */
#define CROWD 8					/* positions per look that make rests grow */
#define MAX_REST_MS 16			/* between two looks, if the tick is shorter */
#define REST_SHARE 4			/* minimum rest, as a multiple of the look */

/* Whether this process is asked to end, as by pg_terminate_backend(). */
static volatile sig_atomic_t is_terminated = false;

/* Whether the notifier ends by itself, because it is idle or gives up. */
static bool leaves_in_order = false;

/* When the notifier acquired the lease. */
static TimestampTz began_at = 0;

/* Whether SIGTERM may interrupt the present work. */
static volatile sig_atomic_t is_looking = false;

/*
 * Signal handler for SIGTERM: end the notifier.  A look at the stores is interrupted by
 * an error, as it may wait for a lock.  Otherwise the notifier ends without an error.
 */
static void
handle_sigterm(SIGNAL_ARGS)
{
	is_terminated = true;
	if (is_looking)
		die(postgres_signal_arg);
	else
		SignalHandlerForShutdownRequest(postgres_signal_arg);
}

/* Announce new events, unless the notifier is asked to end. */
static void
announce_interruptibly(PgesWorkLeft *left)
{
	is_looking = true;
	if (is_terminated)
		ShutdownRequestPending = true;
	else
		pges_announce_all(left);
	is_looking = false;
}

/*
 * Exit callback: start a successor if the notifier is terminated or ends by an error,
 * because there may be events left to announce.  If it fails in less than LINGER_MS, start
 * none, because a successor would fail, too.  Start none either while DROP DATABASE holds
 * its lock on the database.
 */
static void
replace_unless_in_order(int code, Datum arg)
{
	LOCKTAG		database;

	pges_release_lease(&pges_notifier);
	if (leaves_in_order ||
		(!is_terminated && !TimestampDifferenceExceeds(began_at, GetCurrentTimestamp(), LINGER_MS)))
		return;
	SET_LOCKTAG_OBJECT(database, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&database, RowExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return;
	LockRelease(&database, RowExclusiveLock, true);
	if (!pges_register_worker(&pges_notifier, 0, NULL))
		ereport(LOG,
				(errmsg("could not start the successor of a pg_eventstore notifier: no background worker slot is free"),
				 errdetail("Events that were not announced yet are announced when a session next appends or begins to read the log."),
				 errhint("You might need to increase max_worker_processes.")));
}

/* Sleep for this many milliseconds, regardless of wakes, unless asked to end. */
static void
nap(int ms)
{
	while (ms > 0 && !ShutdownRequestPending)
	{
		int			slice = Min(ms, 10);

		(void) WaitLatch(NULL, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, slice, PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
		ms -= slice;
	}
}

/* Return whether there is something to do. */
static bool
has_work(void)
{
	bool		found;

	is_looking = true;
	found = pges_is_anything_owed();
	is_looking = false;
	return found;
}

/* Return has_work(), or true after an error, which the next look can handle. */
static bool
may_have_work(void)
{
	MemoryContext context = CurrentMemoryContext;
	bool		found = true;

	PG_TRY();
	{
		found = has_work();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		AbortCurrentTransaction();
		is_looking = false;
	}
	PG_END_TRY();
	return found;
}

/* Do W4 to W6; return whether the notifier is to end. */
static bool
try_to_leave(void)
{
	pges_release_lease(&pges_notifier);
	if (!pges_is_anything_guarded() && !may_have_work())
		return true;
	return !pges_take_lease(&pges_notifier);
}

/* Wait until woken or until the timeout; return whether the notifier was woken. */
static bool
wait_for_work(const PgesWorkLeft *left, int timeout)
{
	int			events;

	pgstat_report_activity(STATE_IDLE, left->open_appends ?
						   "waiting for the end of open appends" : "waiting for appends");
	events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					   timeout, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return (events & WL_LATCH_SET) != 0;
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
 * as looks find nothing.  Return whether there has been nothing to do for LINGER_MS.
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
	nap(rest);
	woken = wait_for_work(left, has_left_over ? Min(pause, MAX_OPEN_WAIT_MS) : pause);
	pause = woken ? 1 : Min(pause * 2, MAX_PAUSE_MS);
	if (woken || has_left_over)
		idle_since = GetCurrentTimestamp();
	return TimestampDifferenceExceeds(idle_since, GetCurrentTimestamp(), LINGER_MS);
}

/* Announce until there has been nothing to do for LINGER_MS, or until asked to end. */
static void
serve_until_idle(void)
{
	while (!ShutdownRequestPending)
	{
		PgesWorkLeft left = {0};

		announce_interruptibly(&left);
		leaves_in_order = left.gives_up || (wait_after_look(&left) && try_to_leave());
		if (leaves_in_order)
			return;
	}
}

/* Set the settings that the notifier relies on, over those of the database. */
static void
fix_settings(void)
{
	static const char *const settings[][2] = {
		{"application_name", "pg_eventstore notifier"},
		{"search_path", "pg_catalog, pg_temp"},
		{"synchronous_commit", "off"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"exit_on_error", "off"},
		{"lock_timeout", "1s"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"transaction_timeout", "0"},	/* not in all versions */
	};

	for (int i = 0; i < lengthof(settings); i++)
	{
		if (GetConfigOption(settings[i][0], true, false) == NULL)
			continue;
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	}
}

/* Wake the session that waits for this worker to be ready, if that session still runs. */
static void
tell_starter(void)
{
	PGPROC	   *starter = MyBgworkerEntry->bgw_notify_pid == 0 ? NULL :
		BackendPidGetProc(MyBgworkerEntry->bgw_notify_pid);

	if (starter)
		SetLatch(&starter->procLatch);
}

/* Run the notifier: the entry point of the background worker. */
void
pges_notifier_main(Datum database)
{
	is_looking = true;
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, handle_sigterm);
	pqsignal(SIGINT, SIG_IGN);	/* pg_cancel_backend(): there is no statement */
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	fix_settings();
	pges_announced_stores_init();
	(void) has_work();
	if (!pges_take_lease(&pges_notifier))
		return;
	began_at = GetCurrentTimestamp();
	before_shmem_exit(replace_unless_in_order, (Datum) 0);
	tell_starter();
	serve_until_idle();
}
