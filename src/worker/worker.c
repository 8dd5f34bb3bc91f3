/*
 * worker.c
 *		Starts and wakes background workers that run only while there is work for them.
 *		The protocol and its proof are described only here.
 *
 * The extension has no shared memory of its own.  So the protocol uses locks of the
 * lock table, which are found by their tags, and a row of a table (worker_status.c).
 *
 * In a database, at most one worker of a kind works: the worker that holds the lease,
 * an advisory lock of the worker's class, for its session.  Kinds that differ only in
 * their number are several workers for the same work.
 *
 * A worker does:
 *
 *	W1	check whether any session holds a guard, or there is work, without doing it; if
 *		not: end.  A worker that cannot work ends here, too
 *	W2	acquire the lease; if another worker holds it: end
 *	W3	work, until there has been nothing to do for LINGER_MS (notifier.c)
 *	W4	release the lease
 *	W5	check whether any session holds a guard, or there is work; if not: end
 *	W6	acquire the lease again and go to W3; if another worker holds it: end
 *
 * A transaction that has appended does, before it commits and while it holds its guard
 * (notify.c):
 *
 *	S1	if any worker holds the lease: go to S6
 *	S2	acquire the start lock; if another session holds it: notify itself, end
 *	S3	if any worker holds the lease now: release the start lock, go to S6
 *	S4	if the next start in the row is in the future: release the start lock, notify
 *		itself, end
 *	S5	start a worker, and wait until a worker holds the lease, for two seconds at
 *		most; if that fails: write the row, log the failure, notify itself, end
 *	S6	commit, then wake the worker
 *
 * "Notify itself" means that the transaction sends the notification at commit.
 *
 * Every append is announced.  Either the transaction notifies itself, or a worker has held
 * the lease after the transaction acquired its guard (S1, S3 or S5).  That worker ends
 * only after it has released the lease (W4) and has then checked again (W5).  At that time
 * the transaction still holds its guard, or it has ended and the worker finds its events:
 * the worker does not end.  If the worker cannot acquire the lease again (W6), another
 * worker has acquired the lease after the guard, and this argument applies to that worker.
 * For a worker that is terminated, a successor is started (notifier.c).  A worker that
 * gives up after errors writes the row before it ends.  A worker that is started at S5
 * does not end at W1, because it finds the guard.
 *
 * A session that fails to start a worker keeps the start lock until its transaction ends.
 * So the next session that acquires the lock sees the row.  The row sets the pause before
 * the next start for all sessions: one second after the first failure, doubled with each
 * further failure, five minutes at most.  A worker that has started resets the row.
 *
 * A wake is a hint, and may be lost when one worker ends and another starts.  Therefore a
 * worker that has nothing to do checks again after one millisecond, then after two, and so
 * on, until it ends.
 */
#include "postgres.h"

#include <dlfcn.h>

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/lock_tag.h"
#include "worker/worker.h"

#define READY_MS 2000			/* a worker must hold the lease by then */
#define NUDGE_MS 50				/* longest wait of a session with PGES_NUDGE */
#define LOOK_MS 10				/* between two checks of the lease */
#define MIN_PAUSE_MS 1000		/* after the first failure */
#define MAX_PAUSE_MS 300000

/* The tags of the lease and of the start lock of a kind of worker. */
#define SET_LEASE_TAG(tag, worker) \
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (worker)->number, 0, (worker)->lock_class)
#define SET_START_TAG(tag, worker) \
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (worker)->number, 1, (worker)->lock_class)

/* Why a worker could not be started. */
typedef struct Failure
{
	const char *error;
	const char *hint;
} Failure;

static const Failure no_slot = {
	"no background worker slot is free",
	"You might need to increase max_worker_processes."
};
static const Failure ended = {
	"the background worker ended before it was ready",
	"See the server log for the cause."
};
static const Failure late = {
	"the background worker was not ready in time",
	"Check pg_locks for sessions that hold locks on system catalogs."
};

/* Return whether a worker holds the lease. */
static bool
is_leased(const PgesWorker *worker)
{
	LOCKTAG		lease;

	SET_LEASE_TAG(lease, worker);
	return LockWaiterCount(&lease) > 0;
}

/* Return the process that holds the lease, or 0. */
static int
lease_holder(const PgesWorker *worker)
{
	LockData   *data = GetLockStatusData();
	LOCKTAG		lease;
	int			pid = 0;

	SET_LEASE_TAG(lease, worker);
	for (int i = 0; i < data->nelements && pid == 0; i++)
	{
		if (data->locks[i].holdMask != 0 &&
			memcmp(&data->locks[i].locktag, &lease, sizeof(LOCKTAG)) == 0)
			pid = data->locks[i].pid;
	}
	pfree(data->locks);
	pfree(data);
	return pid;
}

/* Find the process to wake, unless it is known; NULL if no process holds the lease. */
static void
find_worker(PgesWorker *worker)
{
	if (worker->proc != NULL && worker->proc->pid == worker->pid)
		return;
	worker->pid = lease_holder(worker);
	worker->proc = worker->pid == 0 ? NULL : BackendPidGetProc(worker->pid);
}

/* Wake the worker that pges_ensure_worker() has found, if it still runs. */
void
pges_wake_worker(const PgesWorker *worker)
{
	if (worker->proc != NULL && worker->proc->pid == worker->pid)
		SetLatch(&worker->proc->procLatch);
}

/*
 * Set the library of a worker to the path of the file that this session has loaded, if the
 * path fits.  By the name of the library alone, the worker could load another file or
 * none, because it does not have the settings of this session.
 */
static void
set_library(BackgroundWorker *worker)
{
	Dl_info		info;

	if (dladdr((void *) pges_register_worker, &info) != 0 && info.dli_fname != NULL &&
		info.dli_fname[0] == '/' && strlen(info.dli_fname) < sizeof(worker->bgw_library_name))
		strlcpy(worker->bgw_library_name, info.dli_fname, sizeof(worker->bgw_library_name));
	else
		strlcpy(worker->bgw_library_name, "$libdir/pg_eventstore", sizeof(worker->bgw_library_name));
}

/* Set what all background workers of the extension have in common. */
void
pges_describe_worker(BackgroundWorker *bgw, const char *name, const char *function)
{
	memset(bgw, 0, sizeof(BackgroundWorker));
	bgw->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	bgw->bgw_start_time = BgWorkerStart_RecoveryFinished;
	bgw->bgw_restart_time = BGW_NEVER_RESTART;
	set_library(bgw);
	strlcpy(bgw->bgw_function_name, function, sizeof(bgw->bgw_function_name));
	strlcpy(bgw->bgw_name, name, sizeof(bgw->bgw_name));
	strlcpy(bgw->bgw_type, name, sizeof(bgw->bgw_type));
}

/*
 * Request the worker of a database from the postmaster; return false if no worker slot is
 * free.
 */
bool
pges_register_worker(const PgesWorker *worker, Oid database, pid_t notify_pid,
					 BackgroundWorkerHandle **handle)
{
	BackgroundWorker bgw;

	pges_describe_worker(&bgw, worker->name, worker->function);
	bgw.bgw_main_arg = ObjectIdGetDatum(database);
	memcpy(bgw.bgw_extra, &worker->number, sizeof(worker->number));
	memcpy(bgw.bgw_extra + sizeof(uint64), &worker->message, sizeof(worker->message));
	bgw.bgw_notify_pid = notify_pid;
	return RegisterDynamicBackgroundWorker(&bgw, handle);
}

/* Acquire the lease for the session; return false if another worker holds it. */
bool
pges_take_lease(const PgesWorker *worker)
{
	LOCKTAG		lease;

	SET_LEASE_TAG(lease, worker);
	return LockAcquire(&lease, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* Release the lease, if this session holds it. */
void
pges_release_lease(const PgesWorker *worker)
{
	LOCKTAG		lease;

	SET_LEASE_TAG(lease, worker);
	if (pges_lock_held_by_me_compat(&lease, ExclusiveLock))
		(void) LockRelease(&lease, ExclusiveLock, true);
}

/*
 * Keep the lease for this transaction, too, before code of users runs in it: that can
 * release all session locks with pg_advisory_unlock_all().
 */
void
pges_keep_lease(const PgesWorker *worker)
{
	LOCKTAG		lease;

	SET_LEASE_TAG(lease, worker);
	(void) pges_lock_for_top_transaction(&lease, ExclusiveLock, true);
}

/*
 * Release all session locks that code of users has left, and acquire the lease for the
 * session again.  Return false if another worker holds the lease; that is possible only
 * after the end of the transaction.
 */
bool
pges_renew_lease(const PgesWorker *worker)
{
	LockReleaseSession(USER_LOCKMETHOD);
	return pges_take_lease(worker);
}

/*
 * Acquire the start lock until the transaction ends.  If another session holds it, wait
 * if "wait" is true, and otherwise return false.  The holder of the lock may write the
 * row.
 */
bool
pges_lock_start(const PgesWorker *worker, bool wait)
{
	LOCKTAG		start;

	SET_START_TAG(start, worker);
	return pges_lock_for_top_transaction(&start, ExclusiveLock, wait);
}

/* Release the start lock before the transaction ends. */
static void
unlock_start(const PgesWorker *worker)
{
	ResourceOwner caller = CurrentResourceOwner;
	LOCKTAG		start;

	SET_START_TAG(start, worker);
	CurrentResourceOwner = TopTransactionResourceOwner;
	(void) LockRelease(&start, ExclusiveLock, false);
	CurrentResourceOwner = caller;
}

/*
 * Wait until a worker holds the lease and return NULL, or return the failure.  The state
 * of the started worker is read before the lease.  So if the started worker has ended
 * because another worker holds the lease, that is not a failure.
 */
static const Failure *
wait_until_ready(const PgesWorker *worker, BackgroundWorkerHandle *handle, bool is_needed)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												  is_needed ? READY_MS : NUDGE_MS);

	for (;;)
	{
		pid_t		pid;
		BgwHandleStatus status = GetBackgroundWorkerPid(handle, &pid);

		if (is_leased(worker))
			return NULL;
		if (status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED)
			return &ended;
		if (GetCurrentTimestamp() >= end)
		{
			if (is_needed)
				TerminateBackgroundWorker(handle);
			return &late;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Return for how many milliseconds to pause after this many failures in a row. */
int
pges_pause_ms(int failed_starts)
{
	return failed_starts > 9 ? MAX_PAUSE_MS :
		Min(MIN_PAUSE_MS << Max(failed_starts - 1, 0), MAX_PAUSE_MS);
}

/*
 * Log a failure and pause this session, and all sessions if the row may be written.
 * Return whether the row was written.
 */
static bool
record_failure(PgesWorker *worker, PgesWorkerStatus *status, const Failure *failure,
			   PgesWorkerNeed need)
{
	int			pause;

	if (status->failed_starts < PG_INT32_MAX)
		status->failed_starts++;
	pause = pges_pause_ms(status->failed_starts);
	pges_set_error(status, failure->error);
	status->next_start_at = TimestampTzPlusMilliseconds(status->last_error_at, pause);
	worker->paused_until = status->next_start_at;
	ereport(need == PGES_NUDGE ? DEBUG1 : LOG,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("could not start the %s of database \"%s\": %s",
					worker->name, get_database_name(MyDatabaseId), failure->error),
			 errdetail("No session tries again for %d s. %s", pause / 1000, worker->without),
			 errhint("%s", failure->hint)));
	return need >= PGES_REQUIRE_AND_WRITE && pges_write_status(worker->status, status);
}

/*
 * Forget the failures, if the row has any, because the workers of this status run.  Return
 * false if that has to be tried again.
 */
bool
pges_clear_status(const PgesWorker *worker)
{
	PgesWorkerStatus status;

	if (!pges_lock_start(worker, false) || !pges_read_status(worker->status, &status))
		return false;
	if (status.failed_starts == 0 && status.next_start_at == 0)
		return true;
	status.failed_starts = 0;
	status.next_start_at = 0;
	return pges_write_status(worker->status, &status);
}

/*
 * Return whether the worker that this session has started last is still starting, and set
 * *failed if it has ended without a lease that this session has seen.
 */
static bool
is_starting(PgesWorker *worker, bool *failed)
{
	pid_t		pid;
	BgwHandleStatus status;

	*failed = false;
	if (worker->starting == NULL)
		return false;
	status = GetBackgroundWorkerPid(worker->starting, &pid);
	if (status == BGWH_NOT_YET_STARTED || status == BGWH_STARTED)
		return true;
	pfree(worker->starting);
	worker->starting = NULL;
	*failed = true;
	return false;
}

/*
 * Request a worker, and wait until it holds the lease.  A session that starts workers for
 * others does not wait for long; it keeps the handle, and starts no second worker as long
 * as the first one is starting.
 */
static const Failure *
try_start(PgesWorker *worker, PgesWorkerNeed need)
{
	bool		is_needed = need == PGES_REQUIRE || need == PGES_REQUIRE_AND_WRITE;
	const Failure *failure = &no_slot;
	BackgroundWorkerHandle *handle;
	MemoryContext caller;
	bool		failed;

	if (is_starting(worker, &failed))
		return &late;
	if (failed)
		return &ended;
	caller = MemoryContextSwitchTo(TopMemoryContext);
	if (pges_register_worker(worker, MyDatabaseId, MyProcPid, &handle))
	{
		MemoryContextSwitchTo(caller);
		failure = wait_until_ready(worker, handle, is_needed);
		if (failure == &late && need == PGES_START)
			worker->starting = handle;
		else
			pfree(handle);
	}
	MemoryContextSwitchTo(caller);
	return failure;
}

/* Do S3 to S5 with the start lock held; return whether a worker holds the lease. */
static bool
start_worker(PgesWorker *worker, PgesWorkerNeed need, bool *written)
{
	PgesWorkerStatus status;
	const Failure *failure;

	if (is_leased(worker))
		return true;
	if (!pges_read_status(worker->status, &status))
		return false;
	if (GetCurrentTimestamp() < status.next_start_at)
	{
		worker->paused_until = status.next_start_at;
		return false;
	}
	failure = try_start(worker, need);
	if (failure == &late && need == PGES_START)
		return false;			/* it is still starting */
	if (failure)
		*written = record_failure(worker, &status, failure, need);
	return failure == NULL;
}

/*
 * Start a worker unless one runs: S1 to S5.  Requires that the caller holds a guard, or
 * that there is work, so that the worker does not end (W5).  Return false if no worker can
 * run; the caller must then do the work itself.  With PGES_REQUIRE_AND_WRITE, a failure is
 * recorded for other sessions, too.  With PGES_REQUIRE, the caller cannot do the work
 * itself, so the function waits for another session that is starting a worker.
 */
bool
pges_ensure_worker(PgesWorker *worker, PgesWorkerNeed need)
{
	bool		written = false;
	bool		runs = is_leased(worker);

	if (!runs)
	{
		if (!IsUnderPostmaster || GetCurrentTimestamp() < worker->paused_until ||
			!pges_lock_start(worker, need == PGES_REQUIRE))
			return false;
		runs = start_worker(worker, need, &written);
		if (!written)
			unlock_start(worker);
	}
	if (runs)
	{
		find_worker(worker);
		if (worker->starting)
			pfree(worker->starting);
		worker->starting = NULL;
	}
	return runs;
}
