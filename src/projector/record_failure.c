/*
 * record_failure.c
 *		Records that a run of a projection has failed in a background worker.
 *
 * The run was rolled back.  The failure of an event is recorded as by nack(), in a new
 * transaction: the event is polled again, alone, and its attempt fails.  So the count of
 * attempts, the pause before the next one, and the parking of an exhausted event are those
 * of subscriptions.
 *
 * Not every error is a failure of an event:
 *
 *	-	A run of several events does not tell which of them has failed.  It is repeated with
 *		fewer events, at once.
 *	-	Errors that have other causes than the event, such as a deadlock, a full disk or
 *		pg_cancel_backend(), do not count as attempts.  The run is repeated after a pause.
 *	-	An error before the handler is called, such as a missing handler, concerns all
 *		events.  The partition pauses, and its row tells the error.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/act_as.h"
#include "base/guc.h"
#include "base/own_object.h"
#include "delivery/delivery.h"
#include "event/event.h"
#include "projection/projection.h"
#include "projector/projector_steps.h"
#include "subscription/subscription.h"

#define MIN_PAUSE_MS 10			/* after an error with another cause */
#define MAX_PAUSE_MS 60000
#define MAX_MESSAGE 2000		/* bytes of a message that are recorded */
#define SILENT_FAILURES 3		/* in a row with another cause, that are not
								 * recorded */

static PgesOwnStatement set_failed_event = {
	{&pges_projection_rows}, false,
	"UPDATE eventstore.projection_definitions SET last_error_position = $2, last_error_event_type = $3 "
	"WHERE projection OPERATOR(pg_catalog.=) $1",
	3, {TEXTOID, INT8OID, TEXTOID}
};

/* Return whether an error has another cause than the event that was handled. */
static bool
has_other_cause(const PgesRun *run, const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK):
		case ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES):
		case ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR):
		case ERRCODE_TO_CATEGORY(ERRCODE_CONNECTION_EXCEPTION):
			return true;
		case ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION):
			return error->sqlerrcode != ERRCODE_QUERY_CANCELED || !run->timed_out;
		default:
			return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
	}
}

/* Return the text of an error as it is recorded; a long message is cut. */
static char *
describe(const ErrorData *error)
{
	int			length = pg_mbcliplen(error->message, strlen(error->message), MAX_MESSAGE);

	return psprintf("%.*s (SQLSTATE %s)", length, error->message, unpack_sql_state(error->sqlerrcode));
}

/* The event that is polled again. */
typedef struct Polled
{
	MemoryContext context;		/* of the type */
	int64		position;
	Datum		event_type;
} Polled;

/* Callback of a delivery: note the event. */
static void
note_event(PgesDelivery *delivery, const PgesPartition *partition, int attempt, TupleTableSlot *row)
{
	Polled	   *polled = delivery->arg;
	bool		isnull;
	MemoryContext scan = MemoryContextSwitchTo(polled->context);

	polled->position = DatumGetInt64(slot_getattr(row, PGES_POSITION + 1, &isnull));
	polled->event_type = PointerGetDatum(DatumGetTextPCopy(slot_getattr(row, PGES_EVENT_TYPE + 1, &isnull)));
	MemoryContextSwitchTo(scan);
}

/* Record the failure of an event, unless another transaction has run it meanwhile. */
static void
fail_event(PgesProjection *projection, int64 position, const ErrorData *error)
{
	Polled		polled = {.context = CurrentMemoryContext};
	PgesDelivery delivery = {.max_count = 1,.put = note_event,.arg = &polled};
	PgesIdentity user;

	pges_begin_handlers(&user, projection);
	if (pges_poll_for(projection->subscription, &delivery))
	{
		if (polled.position != position)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("the failed event was run meanwhile")));
		pges_fail_event(projection->subscription, delivery.token, position, describe(error));
	}
	pges_become_again(&user);
	if (polled.position == position)
	{
		Datum		values[] = {projection->key, Int64GetDatum(position), polled.event_type};

		(void) pges_execute_own_statement(&set_failed_event, values, NULL);
	}
}

/* Record an error that concerns all events of a projection, and pause its partition. */
static void
fail_projection(const char *name, const ErrorData *error, int pause)
{
	PgesSubscription *subscription = pges_look_up_subscription(name, false, true);
	PgesWanted	wanted = {.wait = false};
	PgesPartitions partitions;

	if (subscription == NULL)
		return;					/* it was dropped meanwhile */
	pges_read_and_lock_partitions(subscription, &wanted, &partitions);
	for (int i = 0; i < partitions.n; i++)
	{
		partitions.rows[i].retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pause);
		partitions.rows[i].error = describe(error);
	}
	pges_save_all_partitions(&partitions);
}

/* Return the pause after a number of failures in a row, in milliseconds. */
static int
pause_after(int failures)
{
	return MIN_PAUSE_MS << Min(failures, 12) > MAX_PAUSE_MS ? MAX_PAUSE_MS : MIN_PAUSE_MS << Min(failures, 12);
}

/* Log an error of a run, and the projection. */
static void
log_failure(const char *name, const ErrorData *error)
{
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("projection \"%s\" failed: %s", name, error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 error->context ? errcontext("%s", error->context) : 0));
}

/*
 * Record an error of a run.  Return the pause before the next one, in milliseconds.  The
 * error of a projection that was dropped meanwhile is none.
 */
static int
record(const char *name, const PgesRun *run, const ErrorData *error, int failures)
{
	PgesProjection *projection = pges_find_projection(name, false, true);

	if (projection == NULL)
		return 0;
	if (run->taken <= 1)
		log_failure(name, error);
	if (has_other_cause(run, error) || run->taken == 0)
	{
		if (failures > SILENT_FAILURES || !has_other_cause(run, error))
			fail_projection(name, error, pause_after(failures));
		return pause_after(failures);
	}
	if (run->taken > 1)
		return 0;
	pges_begin_session(projection);
	fail_event(projection, run->position, error);
	return 0;
}

/*
 * Record that a run has failed, in a transaction.  "failures" is the number of failed runs
 * in a row.  Return the pause before the next run, in milliseconds.  If the failure cannot
 * be recorded, only the server log tells it.
 */
int
pges_record_failure(const char *name, const PgesRun *run, const ErrorData *error, int failures)
{
	MemoryContext context = CurrentMemoryContext;
	volatile int pause = pause_after(failures);

	PG_TRY();
	{
		StartTransactionCommand();
		if (pges_projection_timeout > 0)
			enable_timeout_after(STATEMENT_TIMEOUT, pges_projection_timeout);
		PushActiveSnapshot(GetTransactionSnapshot());
		pause = record(name, run, error, failures);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
		QueryCancelPending = false;
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		log_failure(name, error);
	}
	PG_END_TRY();
	disable_timeout(STATEMENT_TIMEOUT, false);
	pges_end_session();
	MemoryContextSwitchTo(context);
	return pause;
}
