/*
 * runner.c
 *		The background worker that runs projections.
 *
 * The notifier starts and wakes the workers (coordinator.c).  A worker runs one batch of
 * each projection that is due, each in a transaction of its own, and begins again until
 * there is nothing to do.  A projection that another worker or a session runs is skipped.
 * A worker ends when it has had nothing to do for a second.  While a projection waits for
 * another attempt, a worker stays, unless the database is to be dropped.
 *
 * A batch has as many events as are there, at most batch_size.  After an error, the next
 * batch ends before the event that failed, or if that is not known, has half the events.
 * So a run of one event finds the event that fails.  After each success, the batch doubles.
 *
 * A worker commits asynchronously: in the WAL, the commit follows the events.  After a
 * crash, both the checkpoint and what the handler wrote are as of the same commit.
 *
 * The handlers of several roles run in one process.  So the owner of a projection is the
 * user and the session user of a run, and session locks that a handler has left are
 * released (worker.c).
 *
 * A run is limited to pg_eventstore.projection_timeout.  If the handler catches the
 * cancellation and has not ended after twice that time, the worker ends.  It tells its
 * successor, which records the failure.  pg_cancel_backend() cancels the
 * present run, which is then repeated.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/lock_tag.h"
#include "base/own_object.h"
#include "projection/projection.h"
#include "projector/projector_steps.h"
#include "subscription/subscription.h"

#define MAX_WAIT_MS 500			/* maximum between two looks without work */
#define BUSY_MS 100				/* before another look at a projection that
								 * another transaction runs */
#define HARD_FAILURES 12		/* for the pause after a handler that had to
								 * be ended: as after so many failures */
#define REST_FACTOR 4			/* of the duration of runs that have left
								 * nothing, for the rest after them */
#define MAX_REST_US 10000
#define LOCK_TIMEOUT "10s"		/* for the locks that a handler waits for */

#define DEADLOCK_LIMIT "100ms"	/* shorter than that of sessions: a worker
								 * ends a deadlock, because it can repeat the
								 * run */

/* The workers; pges_runner_init() fills them in. */
PgesWorker	pges_projectors[PGES_MAX_PROJECTION_WORKERS];

/* The projections that workers run, and when each is due. */
static PgesOwnStatement find_projections = {
	{&pges_definition_rows, &pges_partition_rows}, true,
	"SELECT d.subscription, d.store::pg_catalog.oid, p.retry_at FROM eventstore.subscription_definitions d "
	"JOIN eventstore.subscription_progress p ON p.subscription OPERATOR(pg_catalog.=) d.subscription "
	"WHERE d.runner OPERATOR(pg_catalog.=) 'worker' AND NOT d.paused AND NOT p.stopped",
	0
};

/* What this worker knows of a projection. */
typedef struct Known
{
	char		name[4 * PGES_MAX_NAME + 64];	/* hash key */
	int			limit;			/* events in the next batch; 0: batch_size */
	int			next_limit;		/* in the one after it, if that succeeds */
	bool		full;			/* the last batch had as many as it could */
	int			failures;		/* in a row */
	TimestampTz not_before;		/* of the next run by this worker */
	int64		mark;			/* at the last run that found nothing; -1:
								 * none */
} Known;

/* A projection that may be run. */
typedef struct Candidate
{
	char	   *name;
	TimestampTz due_at;			/* 0: now */
	int64		mark;			/* -1: not known */
} Candidate;

static HTAB *known_projections = NULL;

/* The worker of this process. */
static PgesWorker *this_projector = NULL;

/* The timeout that ends the worker, and for its handler, the present run. */
static TimeoutId end_timeout;
static uint64 running = 0;		/* hash of the name of the projection */
static volatile sig_atomic_t is_canceled = false;

/* The generation of the list of stores at the last look. */
static uint64 known_generation = 0;

/* Return what this worker knows of a projection. */
static Known *
know(const char *name)
{
	Known	   *known;
	bool		found;

	if (known_projections == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(known->name),.entrysize = sizeof(Known)};

		known_projections = hash_create("pg_eventstore projections", 16, &control, HASH_ELEM | HASH_STRINGS);
	}
	known = hash_search(known_projections, name, HASH_ENTER, &found);
	if (!found)
	{
		known->limit = known->next_limit = known->failures = 0;
		known->full = false;
		known->not_before = 0;
		known->mark = -1;
	}
	return known;
}

/* If projections may have changed, forget at which marks there was nothing to run. */
static void
forget_marks(void)
{
	HASH_SEQ_STATUS status;
	Known	   *known;

	if (known_generation == pges_projected_generation() || known_projections == NULL)
		return;
	known_generation = pges_projected_generation();
	hash_seq_init(&status, known_projections);
	while ((known = hash_seq_search(&status)) != NULL)
	{
		known->mark = -1;
		known->not_before = 0;
	}
}

/* Return the mark of a store in a list; -1 if it is not known. */
static int64
mark_of(List *stores, Oid relid)
{
	ListCell   *lc;
	bool		held_back;

	foreach(lc, stores)
	{
		PgesProjectedStore *store = lfirst(lc);

		if (store->relid == relid)
			return pges_projected_mark(store, &held_back);
	}
	return -1;
}

/* Read the projections that workers run, into a context. */
static List *
find_candidates(MemoryContext context)
{
	List	   *stores = pges_projected_stores();
	List	   *candidates = NIL;

	forget_marks();
	if (stores == NIL)
		return NIL;
	SPI_connect();
	(void) pges_run_own_statement(&find_projections, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull));
		Datum		retry_at = SPI_getbinval(row, desc, 3, &isnull);
		MemoryContext caller = MemoryContextSwitchTo(context);
		Candidate  *candidate = palloc(sizeof(Candidate));

		candidate->due_at = isnull ? 0 : DatumGetTimestampTz(retry_at);
		candidate->name = SPI_getvalue(row, desc, 1);
		candidate->mark = mark_of(stores, relid);
		candidates = lappend(candidates, candidate);
		MemoryContextSwitchTo(caller);
	}
	SPI_finish();
	return candidates;
}

/* Read the projections in a transaction. */
static List *
list_candidates(MemoryContext context)
{
	List	   *candidates;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	candidates = find_candidates(context);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return candidates;
}

/* Return whether a projection may have events that this worker has not looked for. */
static bool
may_have_events(const Candidate *candidate, const Known *known)
{
	return known->mark == -1 || candidate->mark != known->mark;
}

/*
 * Run a batch of a projection, unless it was dropped.  If an inline projection has nothing
 * left to run, switch it to the trigger.
 */
static void
run_projection(const char *name, Known *known, PgesRun *run)
{
	PgesProjection *projection = pges_find_projection(name, false, true);
	int			limit;

	if (projection == NULL)
		return;
	limit = known->limit > 0 ? Min(known->limit, projection->batch_size) : projection->batch_size;
	pges_begin_session(projection);
	if (projection->rebuild_of)
		pges_run_rebuild(projection, limit, run);
	else
	{
		pges_run_batch(projection, limit, run);
		if (projection->mode == PGES_INLINE && run->taken == 0 && !run->busy && !run->more)
			run->busy = !pges_try_to_switch(name);
	}
	known->next_limit = limit >= projection->batch_size ? 0 : limit * 2;
	known->full = run->taken >= limit;
}

/* Signal handler for SIGINT: cancel the present run. */
static void
handle_sigint(SIGNAL_ARGS)
{
	is_canceled = true;
	StatementCancelHandler(postgres_signal_arg);
}

/*
 * Handler of the timeout: end the worker if the run was canceled, and goes on.  A run that
 * was not canceled has no limit: a rebuild has disabled it.
 */
static void
end_worker(void)
{
	if (!is_canceled)
		return;
	this_projector->message = running;
	kill(MyProcPid, SIGTERM);
}

/* Return a hash of the name of a projection, which is not 0. */
static uint64
hash_name(const char *name)
{
	return hash_bytes_extended((const unsigned char *) name, strlen(name), 0) | 1;
}

/* Begin to limit the duration of a run. */
static void
begin_timeouts(const char *name)
{
	running = hash_name(name);
	is_canceled = false;
	if (pges_projection_timeout == 0)
		return;
	enable_timeout_after(STATEMENT_TIMEOUT, pges_projection_timeout);
	enable_timeout_after(end_timeout, Min(pges_projection_timeout, PG_INT32_MAX / 2) * 2);
}

/* End what begin_timeouts() has begun. */
static void
end_timeouts(void)
{
	if (get_timeout_active(STATEMENT_TIMEOUT))
		disable_timeout(STATEMENT_TIMEOUT, false);
	if (get_timeout_active(end_timeout))
		disable_timeout(end_timeout, false);
}

/* Run a batch of a projection in a transaction. */
static void
run_in_transaction(const Candidate *candidate, Known *known, PgesRun *run)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	begin_timeouts(candidate->name);
	PushActiveSnapshot(GetTransactionSnapshot());
	pges_keep_lease(this_projector);
	run_projection(candidate->name, known, run);
	PopActiveSnapshot();
	(void) pges_renew_lease(this_projector);
	CommitTransactionCommand();
	end_timeouts();
	pges_end_session();
}

/* Handle the error of a run: roll back, make the next batch smaller, and record it. */
static void
recover(const Candidate *candidate, Known *known, PgesRun *run, MemoryContext context)
{
	ErrorData  *error;

	run->timed_out = pges_projection_timeout > 0 &&
		TimestampDifferenceExceeds(GetCurrentStatementStartTimestamp(), GetCurrentTimestamp(), pges_projection_timeout);
	end_timeouts();
	QueryCancelPending = false;
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	pges_end_session();
	if (!pges_renew_lease(this_projector))
	{
		pges_end_worker();
		ShutdownRequestPending = true;
	}
	MemoryContextSwitchTo(context);
	if (run->taken > 1)
		known->limit = run->handled > 0 && run->handled < run->taken ? run->handled : run->taken / 2;
	else
		known->failures++;
	known->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													pges_record_failure(candidate->name, run, error, known->failures));
}

/*
 * Run a batch of a projection; return whether it has had events.  Set *behind if there may
 * be more.
 */
static bool
run_one(const Candidate *candidate, Known *known, MemoryContext context, bool *behind)
{
	PgesRun		run = {0};
	bool		failed = false;

	pgstat_report_activity(STATE_RUNNING, psprintf("projection %s", candidate->name));
	PG_TRY();
	{
		run_in_transaction(candidate, known, &run);
	}
	PG_CATCH();
	{
		failed = true;
		recover(candidate, known, &run, context);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	if (failed)
		return run.taken > 1;
	known->failures = 0;
	known->limit = known->next_limit;
	known->not_before = run.busy ? TimestampTzPlusMilliseconds(GetCurrentTimestamp(), BUSY_MS) : 0;
	*behind |= run.more || known->full;
	known->mark = run.taken == 0 && !run.busy && !run.more ? candidate->mark : -1;
	return run.taken > 0 || run.more;
}

/*
 * Run one batch of each projection that is due.  Return whether one has had events.  Set
 * *behind to whether one may have more, and *next to the time at which the next one is due;
 * 0 if none waits.
 */
static bool
run_all(MemoryContext context, bool *behind, TimestampTz *next)
{
	bool		found = false;
	ListCell   *lc;

	*behind = false;
	*next = 0;
	foreach(lc, list_candidates(context))
	{
		const Candidate *candidate = lfirst(lc);
		Known	   *known = know(candidate->name);
		TimestampTz due_at = Max(candidate->due_at, known->not_before);

		if (ShutdownRequestPending)
			break;
		if (due_at <= GetCurrentTimestamp())
		{
			if (!may_have_events(candidate, known))
				continue;
			found |= run_one(candidate, known, context, behind);
			due_at = known->not_before;
		}
		if (due_at > 0 && (*next == 0 || due_at < *next))
			*next = due_at;
	}
	return found;
}

/* For W5: return whether there may be something to run. */
static bool
has_work(void)
{
	MemoryContext context = CurrentMemoryContext;
	ListCell   *lc;

	foreach(lc, list_candidates(context))
	{
		const Candidate *candidate = lfirst(lc);

		if (may_have_events(candidate, know(candidate->name)))
			return true;
	}
	return false;
}

/*
 * Run the projections that are due, and handle an error in reading their list: the
 * extension may be being dropped or updated.
 */
static bool
run_due(MemoryContext context, bool *behind, TimestampTz *next)
{
	volatile bool found = false;

	pges_set_interruptible(true);
	PG_TRY();
	{
		found = run_all(context, behind, next);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		*next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), MAX_WAIT_MS);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	MemoryContextReset(context);
	pges_set_interruptible(false);
	pgstat_report_stat(false);
	return found;
}

/* Return for how long to wait, in milliseconds, if the next run is due at a time. */
static int
wait_ms(int pause, TimestampTz next)
{
	if (next == 0)
		return pause;
	return Max(Min(pause, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next)), 1);
}

/*
 * Rest after runs that have left little to do, so that events that come one by one are run
 * in batches, and a worker takes at most a fifth of a core from the clients that append.
 */
static void
rest_after(TimestampTz begun)
{
	pg_usleep(Min((GetCurrentTimestamp() - begun) * REST_FACTOR, MAX_REST_US));
}

/* Run projections until there has been nothing to do for PGES_LINGER_MS. */
static void
serve_until_idle(PgesWorker *worker)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "pg_eventstore projections",
												  ALLOCSET_DEFAULT_SIZES);
	TimestampTz idle_since = GetCurrentTimestamp();
	int			pause = 1;

	MemoryContextSwitchTo(context);
	while (!ShutdownRequestPending && !pges_is_worker_terminated())
	{
		TimestampTz begun = GetCurrentTimestamp();
		TimestampTz next = 0;
		bool		behind = false;
		bool		found = run_due(context, &behind, &next);

		if (pges_is_database_going())
		{
			pges_end_worker();
			return;
		}
		if (found)
		{
			if (!behind)
				rest_after(begun);
			idle_since = GetCurrentTimestamp();
			pause = 1;
			continue;
		}
		if (pges_wait_for_wake("waiting for events", wait_ms(pause, next)))
			pause = 1;
		else
			pause = Min(pause * 2, MAX_WAIT_MS);
		if (next == 0 && TimestampDifferenceExceeds(idle_since, GetCurrentTimestamp(), PGES_LINGER_MS) &&
			pges_try_to_leave(worker, has_work))
			return;
	}
}

/*
 * Record that the worker before this one had to end because a handler did not: its
 * projection pauses, so that the worker can run others.
 */
static void
record_message(uint64 message)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "pg_eventstore message", ALLOCSET_SMALL_SIZES);
	ErrorData	error = {.sqlerrcode = ERRCODE_QUERY_CANCELED,.message = "the handler did not end when it was canceled"};
	PgesRun		run = {0};
	ListCell   *lc;

	foreach(lc, list_candidates(context))
	{
		const Candidate *candidate = lfirst(lc);

		if (hash_name(candidate->name) == message)
			(void) pges_record_failure(candidate->name, &run, &error, HARD_FAILURES);
	}
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
}

/* Run a worker: the entry point of the background worker. */
void
pges_projector_main(Datum database)
{
	uint32		number;
	uint64		message;

	memcpy(&number, MyBgworkerEntry->bgw_extra, sizeof(number));
	pqsignal(SIGINT, handle_sigint);
	if (number < lengthof(pges_projectors) &&
		pges_begin_worker(&pges_projectors[number], database, has_work))
	{
		this_projector = &pges_projectors[number];
		end_timeout = RegisterTimeout(USER_TIMEOUT, end_worker);
		SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
		SetConfigOption("deadlock_timeout", DEADLOCK_LIMIT, PGC_SUSET, PGC_S_OVERRIDE);
		memcpy(&message, MyBgworkerEntry->bgw_extra + sizeof(uint64), sizeof(message));
		if (message != 0)
			record_message(message);
		serve_until_idle(&pges_projectors[number]);
	}
}

/* Fill in the workers. */
void
pges_runner_init(void)
{
	for (int i = 0; i < lengthof(pges_projectors); i++)
		pges_projectors[i] = (PgesWorker)
	{
		.name = "pg_eventstore projections",
			.function = "pges_projector_main",
			.without = "Meanwhile, projections do not advance, unless run_projection() is called.",
			.lock_class = PGES_LOCK_PROJECTOR,
			.number = i,
			.status = &pges_projector_status
	};
}
