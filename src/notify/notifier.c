/*
 * notifier.c
 *		The notifier: a background worker that announces new events.
 *
 * NOTIFY takes a lock at commit that all databases of the server share, and
 * holds it while the WAL is flushed.  So appending transactions do not notify.
 * They wake the notifier when they have committed, and it sends one
 * notification for each store that has new events below its high-water mark
 * (announcer.c).  It also keeps the watermarks, by which standbys and subscribers
 * read.  It comes when it is needed, and leaves when it has had nothing to do for a
 * second, so that DROP DATABASE waits only so long; worker.c tells the protocol.
 *
 * Its transactions do not wait for the disk.  Their WAL follows that of the
 * events they speak of.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "fmgr.h"
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
#include "base/lock_tag.h"
#include "notify/announced_stores.h"
#include "notify/announcer.h"
#include "notify/notifier.h"
#include "notify/notify.h"
#include "position/position.h"
#include "worker/worker.h"

#define LINGER_MS 1000			/* idle for so long, it leaves */
#define MAX_PAUSE_MS 500		/* between two looks that find nothing */
#define SOON_MS 100				/* when a watermark is to be written */
#define MAX_BACKOFF_MS 10000	/* between two failures */
#define MAX_OPEN_WAIT_MS 100	/* while an open append holds a mark back */
#define CROWD 8					/* so many appends make it rest for longer */
#define MAX_REST_MS 16			/* between two looks, if the tick is shorter */
#define REST_SHARE 4			/* so many times what a look took it rests */

PgesWorker	pges_notifier = {
	.name = "pg_eventstore notifier",
	.function = "pges_notifier_main",
	.lock_class = PGES_LOCK_NOTIFIER,
	.status = &pges_notifier_status
};

/* Whether this process is asked to end, as by pg_terminate_backend(). */
static volatile sig_atomic_t is_terminated = false;

/* Whether it ends by itself, with nothing left to do or to be tried. */
static bool leaves_in_order = false;

/* When it took the lease. */
static TimestampTz began_at = 0;

/* Whether SIGTERM may interrupt what is being done. */
static volatile sig_atomic_t is_looking = false;

/* Have the notifier look at the stores soon, if it can run. */
void
pges_nudge_notifier(void)
{
	if (pges_ensure_worker(&pges_notifier, PGES_NUDGE))
		pges_wake_worker(&pges_notifier);
}

/*
 * Signal handler for SIGTERM.  A look at the stores is interrupted, as it may wait
 * for a lock.  Otherwise the notifier ends quietly.
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

/* Announce, unless asked to end. */
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
 * Exit callback: a notifier that does not leave in order, as it is terminated or by an
 * error, has another started, which sees to what may be left.  One that has failed at
 * once is not replaced: the next would fail, too.  DROP DATABASE is told by its lock.
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

/* Sleep, however often somebody sets the latch meanwhile. */
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

/* Whether there is something to do. */
static bool
has_work(void)
{
	bool		found;

	is_looking = true;
	found = pges_is_anything_owed();
	is_looking = false;
	return found;
}

/* The same; an error is left to the next look, which can handle it. */
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

/* Leave, unless there is or may soon be something to do: W4 to W6. */
static bool
try_to_leave(void)
{
	pges_release_lease(&pges_notifier);
	if (!pges_is_anything_guarded() && !may_have_work())
		return true;
	return !pges_take_lease(&pges_notifier);
}

/* Wait until woken or until it is time to look again; whether it was woken. */
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
 * How long to rest after a look: the tick, and ever longer while many positions were
 * taken from look to look.  A commit that does not wait for the disk wakes the WAL
 * writer, which then is in the way of those who flush.  With very many stores, the
 * looks themselves must not take a processor for themselves.
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
 * Rest after a look, and wait until there may be work again.  The pause is doubled as
 * long as nothing is found.  Whether there has been nothing to do for long.
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

/* Announce until there has been nothing to do for a while, or asked to end. */
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

/* Settings that no configuration of the database may change for the notifier. */
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

/* Wake the session that waits for this worker to be ready, if it still does. */
static void
tell_starter(void)
{
	PGPROC	   *starter = MyBgworkerEntry->bgw_notify_pid == 0 ? NULL :
		BackendPidGetProc(MyBgworkerEntry->bgw_notify_pid);

	if (starter)
		SetLatch(&starter->procLatch);
}

/* Entry point of the background worker. */
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
