/*
 * notifier.c
 *		The notifier: a background worker that announces new events.
 *
 * NOTIFY takes a lock at commit that all databases of the server share, and
 * holds it while the WAL is flushed.  So appending transactions do not notify.
 * They wake the notifier when they have committed (call.c), and it sends one
 * notification for each store that has new events below its high-water mark.
 * It also keeps the watermarks, by which standbys and subscribers read.
 *
 * There is at most one in a database: it holds the seat, a lock.  Its card is a
 * lock too, on a tag that names its process, by which others find it.  It
 * comes when it is called, and leaves when it has had nothing to do for a
 * second, so that it stands in the way of DROP DATABASE only so long.
 *
 *	to begin	take the seat; put out the card; look at all stores
 *	to leave	put away the card; if anybody in the database holds a guard, or
 *				there is something to announce: put the card out again, stay;
 *				give up the seat
 *
 * A transaction looks for the card when it holds a guard.  If it saw the card
 * before it was put away, its guard is seen, or its events are.  If not, it
 * has another notifier started, which waits until the seat is free or a card
 * is out.  So no announcement is lost when a notifier leaves.  One that is
 * ended, by pg_terminate_backend() say, has another started in its place.
 *
 * Its transactions do not wait for the disk.  Their WAL follows that of the
 * events they speak of.
 */
#include "postgres.h"

#include "catalog/pg_database.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "announce.h"
#include "compat.h"
#include "guc.h"
#include "notifier.h"
#include "position.h"

#define LINGER_MS 1000			/* idle for so long, it leaves */
#define SOON_MS 100				/* when a watermark is to be written */
#define MAX_BACKOFF_MS 10000	/* between two failures */
#define MAX_OPEN_WAIT_MS 100	/* while an open append holds a mark back */
#define CROWD 8					/* so many appends make it rest for longer */
#define MAX_REST_MS 16			/* between two looks, if the tick is shorter */

/* Whether this notifier leaves by itself, so that nobody has to take over. */
static bool resigned = false;

/*
 * Announce.  This can be interrupted when the process is to end: who writes to
 * the watermarks may meet somebody else's trigger.  Otherwise it ends quietly.
 */
static void
look_around(PgesOutlook *outlook)
{
	pqsignal(SIGTERM, die);
	PG_TRY();
	{
		pges_announce_all(outlook);
	}
	PG_CATCH();
	{
		resigned = true;		/* too many errors */
		PG_RE_THROW();
	}
	PG_END_TRY();
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
}

/* Hold a lock of the notifier's as long as it is wanted; false if taken. */
static bool
hold(const LOCKTAG *tag)
{
	return LockAcquire(tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* The card of this process. */
static LOCKTAG
own_card(void)
{
	LOCKTAG		card;

	PGES_SET_CARD_TAG(card, MyProcPid, pges_proc_number_compat(MyProc));
	return card;
}

/*
 * Exit callback: one that was ended before its time has another started, which
 * sees to what may be left.  Without a card, the other waits for the seat.  DROP
 * DATABASE is told by its lock.
 */
static void
replace_if_ended(int code, Datum arg)
{
	LOCKTAG		card = own_card();
	LOCKTAG		database;

	if (resigned)
		return;
	if (pges_lock_held_by_me_compat(&card, ExclusiveLock))
		LockRelease(&card, ExclusiveLock, true);
	SET_LOCKTAG_OBJECT(database, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&database, RowExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return;
	LockRelease(&database, RowExclusiveLock, true);
	(void) pges_register_notifier();
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

/*
 * Take the seat.  If somebody sits there who has a card out, he will do it,
 * and is woken.  Without a card he is about to leave, or has just come.
 */
static bool
take_seat(void)
{
	LOCKTAG		seat;
	PgesNotifier other = {NULL, 0};

	PGES_SET_SEAT_TAG(seat);
	while (!hold(&seat))
	{
		if (pges_find_notifier(&other))
			pges_wake_notifier(&other);
		if (other.proc != NULL || ShutdownRequestPending)
			return false;
		nap(1);
	}
	return true;
}

/* Whether somebody in this database holds a guard, and so may commit events. */
static bool
is_anything_guarded(void)
{
	LockData   *data = GetLockStatusData();
	bool		found = false;

	for (int i = 0; i < data->nelements && !found; i++)
	{
		const LOCKTAG *tag = &data->locks[i].locktag;

		found = tag->locktag_type == LOCKTAG_ADVISORY &&
			tag->locktag_field4 == PGES_LOCK_GUARD &&
			tag->locktag_field1 == MyDatabaseId;
	}
	pfree(data->locks);
	pfree(data);
	return found;
}

/* Leave, unless there is or may soon be something to do. */
static bool
leave(void)
{
	LOCKTAG		card = own_card();
	LOCKTAG		seat;
	PgesOutlook outlook;

	LockRelease(&card, ExclusiveLock, true);
	if (!is_anything_guarded())
	{
		look_around(&outlook);
		if (!outlook.announced && !outlook.open_appends && !outlook.unrecorded)
		{
			PGES_SET_SEAT_TAG(seat);
			LockRelease(&seat, ExclusiveLock, true);
			return true;
		}
	}
	(void) hold(&card);
	return false;
}

/* Wait until woken or until there is something to look at; false if woken. */
static bool
wait_for_work(const PgesOutlook *outlook, int open_wait)
{
	int			timeout = LINGER_MS;
	int			events;

	if (outlook->unrecorded)
		timeout = SOON_MS;
	if (outlook->open_appends)
		timeout = Min(timeout, open_wait);
	pgstat_report_activity(STATE_IDLE, outlook->open_appends ?
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
	return (events & WL_LATCH_SET) == 0;
}

/*
 * How long to rest after a look: the tick, and ever longer while many positions were
 * taken from look to look.  A commit that does not wait for the disk wakes the WAL
 * writer, which then is in the way of those who flush.
 */
static int
next_rest(int rest, const PgesOutlook *outlook)
{
	if (outlook->failures > 0)
		return Min(SOON_MS << outlook->failures, MAX_BACKOFF_MS);
	if (outlook->taken < CROWD)
		return pges_notifier_tick;
	return Max(pges_notifier_tick, Min(Max(rest, 1) * 2, MAX_REST_MS));
}

/* Announce until there has been nothing to do for a while, or asked to end. */
static void
work(void)
{
	int			rest = 1;
	int			open_wait = 1;

	while (!ShutdownRequestPending)
	{
		PgesOutlook outlook;
		bool		timed_out;

		look_around(&outlook);
		rest = next_rest(rest, &outlook);
		nap(rest);
		timed_out = wait_for_work(&outlook, open_wait);
		open_wait = timed_out ? Min(open_wait * 2, MAX_OPEN_WAIT_MS) : 1;
		if (timed_out && !outlook.open_appends && !outlook.unrecorded && leave())
		{
			resigned = true;
			return;
		}
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

/* Entry point of the background worker. */
void
pges_notifier_main(Datum database)
{
	LOCKTAG		card;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	fix_settings();
	if (!take_seat())
		return;
	card = own_card();
	(void) hold(&card);
	pges_announcer_init();
	before_shmem_exit(replace_if_ended, (Datum) 0);
	work();
}
