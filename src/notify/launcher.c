/*
 * launcher.c
 *		The launcher: starts the notifiers of all databases when the server starts.
 *
 * There is a launcher only if shared_preload_libraries contains pg_eventstore.  Otherwise
 * a notifier is started only by a session that appends or begins to read, so what was
 * left to do before a restart is done after the next append.
 *
 * The launcher is a static background worker that is connected to no database.  The
 * postmaster starts it when recovery has ended: after each start, after a crash of a
 * server process, and after the promotion of a standby.  The launcher does:
 *
 *	L1	find the database with the next OID in pg_database, among those that allow
 *		connections; if there is none: end
 *	L2	request the notifier of that database; if no worker slot is free: pause, and go
 *		to L1 for the same database, but after MAX_FAILURES in a row give up
 *	L3	wait until that notifier has ended, for SETTLE_MS at most; go to L1
 *
 * The protocol of the notifier needs nothing of its starter (worker.c).  A notifier ends
 * at W1 if it has no work, also because the database does not have the extension, and at
 * W2 if a session has started another one.  It does not matter that the launcher cannot
 * read the row with the next start (S4), because it starts each notifier only once.
 *
 * The launcher is not in the way of DROP DATABASE and CREATE DATABASE ... TEMPLATE, which
 * wait some seconds for background workers: a notifier without work leaves at once, and
 * any other one a second after its work.  A database that is dropped before L1 is not
 * found.  If it is dropped between L1 and the start of its notifier, the notifier ends
 * with an error, as an autovacuum worker does.
 *
 * Only one slot at a time is taken for notifiers without work (L3), so a server with many
 * databases keeps its slots for other workers.
 *
 * The postmaster forgets a background worker that exits with code 0, or whose restart time
 * is BGW_NEVER_RESTART, and then does not start it after a crash.  After an exit with code
 * 1, the postmaster starts it again when the restart time has passed, or after a crash at
 * once.  So the launcher has the longest restart time there is, 24 days, and exits with
 * code 1.  Its slot stays taken meanwhile.  A launcher that gives up exits with code 0, so
 * that its slot is free for a notifier that a session starts.
 */
#include "postgres.h"

#include <limits.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "notify/notifier.h"
#include "notify/notify.h"

#define RESTART_S (INT_MAX / 1000)	/* the postmaster counts milliseconds */
#define SETTLE_MS 2000			/* longest wait for the end of a notifier */
#define MAX_FAILURES 10			/* in a row; the pauses sum up to nine minutes */

/* A database whose notifier is started. */
typedef struct Database
{
	Oid			oid;
	NameData	name;
} Database;

/*
 * Do L1: find the first database by OID, after the last one, that allows connections.  A
 * connection limit below -1 marks what an interrupted DROP DATABASE has left.  Return
 * false if there is none.
 */
static bool
next_database(Oid last, Database *database)
{
	bool		found = false;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (!form->datallowconn || form->datconnlimit < -1 ||
			form->oid <= last || (found && form->oid > database->oid))
			continue;
		database->oid = form->oid;
		database->name = form->datname;
		found = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	return found;
}

/* Wait for so many milliseconds, but for a background worker, if given, until it has ended. */
static void
wait_for(int ms, BackgroundWorkerHandle *worker)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	pid_t		pid;
	long		rest;

	while ((rest = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end)) > 0 &&
		   (worker == NULL || GetBackgroundWorkerPid(worker, &pid) != BGWH_STOPPED))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 rest, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
}

/* Do L2 and L3, without the pause; return false if no worker slot is free. */
static bool
start_notifier(const Database *database)
{
	BackgroundWorkerHandle *handle;

	pgstat_report_activity(STATE_RUNNING, "starting notifiers");
	if (!pges_register_worker(&pges_notifier, database->oid, MyProcPid, &handle))
		return false;
	wait_for(SETTLE_MS, handle);
	pfree(handle);
	return true;
}

/* Pause after a failure.  Only the first failure of this launcher is logged. */
static void
pause_after_failure(const Database *database, int failures)
{
	static bool is_logged = false;

	if (!is_logged)
		ereport(LOG,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start the pg_eventstore notifier of database \"%s\": no background worker slot is free",
						NameStr(database->name)),
				 errdetail("The launcher tries again, with pauses that grow."),
				 errhint("You might need to increase max_worker_processes.")));
	is_logged = true;
	pgstat_report_activity(STATE_IDLE, "waiting for a free background worker slot");
	wait_for(pges_pause_ms(failures), NULL);
}

/* End the launcher because no worker slot gets free, and free its own slot. */
static void
give_up(void)
{
	ereport(LOG,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("pg_eventstore launcher gives up: no background worker slot is free"),
			 errdetail("The notifiers of further databases are started when a session appends or begins to read the log."),
			 errhint("You might need to increase max_worker_processes.")));
	proc_exit(0);
}

/* Start the notifiers: the entry point of the background worker. */
void
pges_launcher_main(Datum arg)
{
	Database	database;
	Oid			last = InvalidOid;
	int			failures = 0;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, SIG_IGN);	/* pg_cancel_backend(): there is no statement */
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	while (next_database(last, &database))
	{
		if (start_notifier(&database))
		{
			last = database.oid;
			failures = 0;
		}
		else if (++failures < MAX_FAILURES)
			pause_after_failure(&database, failures);
		else
			give_up();
	}
	proc_exit(1);
}

/* Register the launcher, if the postmaster preloads the library. */
void
pges_launcher_init(void)
{
	BackgroundWorker bgw;

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	pges_describe_worker(&bgw, "pg_eventstore launcher", "pges_launcher_main");
	bgw.bgw_restart_time = RESTART_S;
	RegisterBackgroundWorker(&bgw);
}
