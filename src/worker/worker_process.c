/*
 * worker_process.c
 *		What all background workers of the extension do in their processes.
 *
 * A worker begins with W1 and W2 of the protocol in worker.c, and leaves by W4 to W6.  A
 * worker that is terminated, or ends by an error, starts a successor when it exits.
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
#include "storage/lock.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "position/position.h"
#include "worker/worker.h"

/* Whether this process is asked to end, as by pg_terminate_backend(). */
static volatile sig_atomic_t is_terminated = false;

/* Whether the worker ends by itself, because it is idle or gives up. */
static bool leaves_in_order = false;

/* The worker of this process, and when it acquired the lease. */
static PgesWorker *this_worker = NULL;
static TimestampTz began_at = 0;

/* Whether SIGTERM may interrupt the present work. */
static volatile sig_atomic_t is_interruptible = false;

/*
 * Signal handler for SIGTERM: end the worker.  Work that may wait for a lock is
 * interrupted by an error.  Otherwise the worker ends without an error.
 */
static void
handle_sigterm(SIGNAL_ARGS)
{
	is_terminated = true;
	if (is_interruptible)
		die(postgres_signal_arg);
	else
		SignalHandlerForShutdownRequest(postgres_signal_arg);
}

/* Set whether SIGTERM may interrupt the work that follows. */
void
pges_set_interruptible(bool interruptible)
{
	is_interruptible = interruptible;
}

/* Return whether this process is asked to end. */
bool
pges_is_worker_terminated(void)
{
	return is_terminated;
}

/*
 * Return whether DROP DATABASE holds its lock on this database.  ALTER DATABASE ... SET
 * TABLESPACE, too, waits for the workers to end.
 */
bool
pges_is_database_going(void)
{
	LOCKTAG		database;

	SET_LOCKTAG_OBJECT(database, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&database, RowExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&database, RowExclusiveLock, true);
	return false;
}

/*
 * Exit callback: start a successor if the worker is terminated or ends by an error,
 * because there may be work left.  If it fails in less than PGES_LINGER_MS, start none,
 * because a successor would fail, too.  Start none either while DROP DATABASE holds its
 * lock on the database.
 */
static void
replace_unless_in_order(int code, Datum arg)
{
	pges_release_lease(this_worker);
	if (leaves_in_order ||
		(!is_terminated && !TimestampDifferenceExceeds(began_at, GetCurrentTimestamp(), PGES_LINGER_MS)))
		return;
	if (!pges_is_database_going() && !pges_register_worker(this_worker, MyDatabaseId, 0, NULL))
		ereport(LOG,
				(errmsg("could not start the successor of a %s: no background worker slot is free", this_worker->name),
				 errdetail("Work that is left is done when a session next appends or begins to read the log."),
				 errhint("You might need to increase max_worker_processes.")));
}

/* Set the settings that a worker relies on, over those of the database. */
static void
fix_settings(const char *name)
{
	const char *const settings[][2] = {
		{"application_name", name},
		{"role", "none"},
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

/* Do W1, the guards first, as in W5; return whether the worker is to work. */
static bool
is_needed(bool (*has_work) (void))
{
	bool		is_guarded = pges_is_anything_guarded();

	return has_work() || is_guarded;
}

/*
 * Begin the process of a worker: connect, and do W1 and W2.  Return false if the worker is
 * to end, because there is nothing to do, or another worker holds the lease.
 */
bool
pges_begin_worker(PgesWorker *worker, Datum database, bool (*has_work) (void))
{
	bool		needed;

	is_interruptible = true;
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, handle_sigterm);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	fix_settings(worker->name);
	needed = is_needed(has_work);
	is_interruptible = false;
	if (!needed || !pges_take_lease(worker))
		return false;
	this_worker = worker;
	began_at = GetCurrentTimestamp();
	before_shmem_exit(replace_unless_in_order, (Datum) 0);
	tell_starter();
	return true;
}

/* Return has_work(), or true after an error, which the next look can handle. */
bool
pges_may_have_work(bool (*has_work) (void))
{
	MemoryContext context = CurrentMemoryContext;
	bool		found = true;

	PG_TRY();
	{
		is_interruptible = true;
		found = has_work();
		is_interruptible = false;
	}
	PG_CATCH();
	{
		is_interruptible = false;
		MemoryContextSwitchTo(context);
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	return found;
}

/* Do W4 to W6; return whether the worker is to end. */
bool
pges_try_to_leave(PgesWorker *worker, bool (*has_work) (void))
{
	pges_release_lease(worker);
	if (!pges_is_anything_guarded() && !pges_may_have_work(has_work))
		leaves_in_order = true;
	else
		leaves_in_order = !pges_take_lease(worker);
	return leaves_in_order;
}

/* Note that the worker ends by itself, and needs no successor. */
void
pges_end_worker(void)
{
	leaves_in_order = true;
}

/* Sleep for this many milliseconds, regardless of wakes, unless asked to end. */
void
pges_rest(int ms)
{
	while (ms > 0 && !ShutdownRequestPending)
	{
		int			slice = Min(ms, 10);

		(void) WaitLatch(NULL, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, slice, PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
		ms -= slice;
	}
}

/* Wait until woken or until the timeout; return whether the worker was woken. */
bool
pges_wait_for_wake(const char *activity, int timeout)
{
	int			events;

	pgstat_report_activity(STATE_IDLE, activity);
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
