/*
 * call.c
 *		Calls the notifier: finds it, starts it, wakes it after a commit.
 *
 * There is one notifier in a database, or none (notifier.c).  Without shared
 * memory of our own, it is found through the lock table: it holds a lock on
 * a tag that names its process, its card.  A backend looks for the card once
 * and remembers the process; later it only asks whether the card is still held.
 *
 * A transaction calls in its trigger, when it holds the guard of the store, and
 * wakes the notifier when it has committed.  A notifier puts its card away
 * before it leaves, and then stays if it sees any guard (notifier.c).  So one
 * whose card was held when a transaction called is still there when that
 * transaction ends.  If somebody ends it, it has a successor started.
 *
 * If there is none, one is started: without waiting for it, as what it finds
 * when it comes up it announces.  Of the sessions that commit until then only
 * one starts a notifier: the start lock of a slot of time tells.  It belongs to
 * the session, which gives it back when it next calls.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "notifier.h"

#define START_SLOT_USECS (USECS_PER_SEC / 2)

/*
 * The notifier that this backend found last.  It may be gone: its card is looked
 * at when a transaction calls, and before it commits.
 */
static PgesNotifier known = {NULL, 0};

/* Whether the present transaction has called; its end resets this. */
static bool called = false;

/* The slot of time whose start lock this session holds, or 0. */
static uint32 start_slot = 0;

/* Whether the notifier that is known still has its card out. */
static bool
is_known(void)
{
	LOCKTAG		tag;

	if (known.proc == NULL)
		return false;
	PGES_SET_CARD_TAG(tag, known.pid, pges_proc_number_compat(known.proc));
	return LockWaiterCount(&tag) > 0;
}

/* Find the notifier of this database by its card. */
bool
pges_find_notifier(PgesNotifier *notifier)
{
	LockData   *data = GetLockStatusData();
	bool		found = false;

	for (int i = 0; i < data->nelements && !found; i++)
	{
		const LockInstanceData *lock = &data->locks[i];

		if (lock->locktag.locktag_type != LOCKTAG_ADVISORY ||
			lock->locktag.locktag_field4 != PGES_LOCK_NOTIFIER ||
			lock->locktag.locktag_field1 != MyDatabaseId ||
			lock->locktag.locktag_field2 == 0 || lock->holdMask == 0)
			continue;
		notifier->pid = lock->locktag.locktag_field2;
		notifier->proc = GetPGProcByNumber(lock->locktag.locktag_field3);
		found = true;
	}
	pfree(data->locks);
	pfree(data);
	return found;
}

/*
 * Wake a notifier.  If it is gone after all, a latch that nobody waits on is
 * set, or another process looks up for nothing.
 */
void
pges_wake_notifier(const PgesNotifier *notifier)
{
	SetLatch(&notifier->proc->procLatch);
}

/* Have the postmaster start a notifier; false when there is no slot for it. */
bool
pges_register_notifier(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "pg_eventstore", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pges_notifier_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pg_eventstore notifier", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "pg_eventstore notifier", sizeof(worker.bgw_type));
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/*
 * Give back the start lock.  DISCARD ALL may have done so before, and asking
 * avoids its warning.
 */
static void
release_start_lock(void)
{
	LOCKTAG		tag;

	if (start_slot == 0)
		return;
	PGES_SET_START_TAG(tag, start_slot);
	if (pges_lock_held_by_me_compat(&tag, ExclusiveLock))
		(void) LockRelease(&tag, ExclusiveLock, true);
	start_slot = 0;
}

/* Tell the log, once in a session, that there is no worker slot. */
static void
report_no_slot(void)
{
	static bool reported = false;

	if (!reported)
		ereport(LOG,
				(errmsg("could not start a notifier of pg_eventstore: no background worker slot is free"),
				 errdetail("Transactions that append announce their events themselves meanwhile, at commit."),
				 errhint("You might need to increase max_worker_processes.")));
	reported = true;
}

/* Whether a session holds the start lock of a slot. */
static bool
was_started_in(uint32 slot)
{
	LOCKTAG		tag;

	PGES_SET_START_TAG(tag, slot);
	return LockWaiterCount(&tag) > 0;
}

/*
 * Start a notifier, unless somebody has in this slot of time or the one before;
 * false when there is no worker slot for it.  One session at a time looks for
 * that and starts.  Two slots are less than the time a notifier stays at least.
 */
static bool
start_notifier(void)
{
	LOCKTAG		starting;
	LOCKTAG		started;
	uint32		slot;
	bool		done = true;

	PGES_SET_START_TAG(starting, 0xFFFFFFFF);
	(void) LockAcquire(&starting, ExclusiveLock, false, false);
	slot = (uint32) (GetCurrentTimestamp() / START_SLOT_USECS);
	if (!was_started_in(slot) && !was_started_in(slot - 1))
	{
		release_start_lock();
		done = pges_register_notifier();
		PGES_SET_START_TAG(started, slot);
		if (done && LockAcquire(&started, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
			start_slot = slot;
	}
	LockRelease(&starting, ExclusiveLock, false);
	if (!done)
		report_no_slot();
	return done;
}

/* Know the notifier, or have one started; false when there can be none. */
static bool
ensure_notifier(void)
{
	if (is_known() || pges_find_notifier(&known))
	{
		release_start_lock();
		return true;
	}
	known.proc = NULL;
	return start_notifier();
}

/*
 * See to it that there is a notifier, and that it is woken when the present
 * transaction has ended.  Who appends calls when it holds the guard.  False when
 * there can be none: then the caller has to announce its events itself.
 */
bool
pges_call_notifier(void)
{
	if (!ensure_notifier())
		return false;
	called = true;
	return true;
}

/*
 * Transaction callback.  What may fail is done before the commit: a notifier
 * may have come or gone since the transaction called.  One that is not known
 * even then is just coming up, and looks around when it has.  A transaction
 * that is rolled back may have held others back, so it wakes the notifier, too.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	if (!called)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			(void) ensure_notifier();
			return;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			called = false;
			if (known.proc)
				pges_wake_notifier(&known);
			return;
		default:
			return;
	}
}

/* Be told of the ends of transactions. */
void
pges_call_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
}
