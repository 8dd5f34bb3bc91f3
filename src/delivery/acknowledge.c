/*
 * acknowledge.c
 *		The SQL functions that end a delivery: ack(), nack(), park(), release(); and
 *		extend_lease().
 *
 * The token of a delivery is a random number, which is stored in the rows of its
 * partitions.  A function locks these rows, and waits for their locks.  If a poll has
 * delivered the events again meanwhile, to the same consumer or another one, no row has
 * the token.  Then the function raises an error and changes nothing.  An expired lease
 * alone is no error: while the rows have the token, no other consumer has the events.
 *
 * Another consumer may have received only some partitions of a delivery.  Each row has
 * the number of partitions of its delivery.  If fewer rows than that have the token, the
 * delivery is lost, and no function accepts the token.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "parked/parked.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "delivery/scan.h"
#include "event/event.h"
#include "read/read.h"
#include "subscription/subscription.h"
#include "table/table.h"

#define MAX_REASON 10000		/* bytes */

static PgesOwnStatement find_token = {
	{&pges_partition_rows}, true,
	"SELECT subscription FROM eventstore.subscription_progress "
	"WHERE delivery OPERATOR(pg_catalog.=) $1 OR last_delivery OPERATOR(pg_catalog.=) $1 LIMIT 1",
	1, {INT8OID}
};

static PgesOwnStatement forget_consumer = {
	{&pges_consumer_rows}, false,
	"DELETE FROM eventstore.subscription_consumers WHERE subscription OPERATOR(pg_catalog.=) $1 "
	"AND consumer OPERATOR(pg_catalog.=) $2",
	2, {TEXTOID, TEXTOID}
};

/* Finds an event that passes the filters. */
static const PgesStatement find_event = {
	"SELECT event_id, aggregate_id FROM %1$s WHERE position OPERATOR(pg_catalog.=) $1 "
	"AND (pg_catalog.cardinality($2) OPERATOR(pg_catalog.=) 0 OR event_type OPERATOR(pg_catalog.=) ANY ($2)) "
	"AND (pg_catalog.cardinality($3) OPERATOR(pg_catalog.=) 0 OR aggregate_type OPERATOR(pg_catalog.=) ANY ($3))",
	3, {INT8OID, TEXTARRAYOID, TEXTARRAYOID}
};

/*
 * Return the DETAIL for a delivery that is not outstanding.  "incomplete" means that some
 * of its partitions still have the token.
 */
static char *
explain_lost(const PgesSubscription *subscription, int64 token, bool incomplete)
{
	Datum		value = Int64GetDatum(token);
	text	   *owner = NULL;
	MemoryContext context = CurrentMemoryContext;

	if (incomplete)
		return "Some of its events were delivered again after its lease had ended.";
	SPI_connect();
	if (pges_run_own_statement(&find_token, &value, NULL) > 0)
		owner = pges_found_text(context, 1);
	SPI_finish();
	if (owner == NULL)
		return "Its events were delivered again after its lease had ended, or the subscription was reset, or there was no such delivery.";
	if (!pges_text_equal(owner, DatumGetTextPP(subscription->key)))
		return psprintf("It is a delivery of subscription \"%s\".", text_to_cstring(owner));
	return "It was acknowledged before.";
}

/* Raise the error that a delivery is not outstanding. */
static void
report_lost(const PgesSubscription *subscription, int64 token, bool incomplete)
{
	ereport(ERROR,
			(errcode(ERRCODE_PGES_LEASE_LOST),
			 errmsg("delivery " INT64_FORMAT " of subscription \"%s\" is not outstanding", token, subscription->name),
			 errdetail("%s", explain_lost(subscription, token, incomplete)),
			 errhint("Do not repeat the call. Undo the effects of these events, if that is still possible, and poll again.")));
}

/* Lock the partitions of a delivery.  Raise an error unless all of them have the token. */
static void
lock_delivery(const PgesSubscription *subscription, int64 token, PgesPartitions *partitions)
{
	PgesWanted	wanted = {.wait = true,.delivery = token};

	partitions->n = 0;
	if (token != 0)				/* 0 is never a valid token */
		pges_read_and_lock_partitions(subscription, &wanted, partitions);
	if (partitions->n == 0 || partitions->rows[0].shared != partitions->n)
		report_lost(subscription, token, partitions->n > 0);
}

/* Return the position of the last event of a delivery. */
static int64
last_of_delivery(const PgesPartitions *partitions)
{
	int64		last = 0;

	for (int i = 0; i < partitions->n; i++)
		last = Max(last, partitions->rows[i].delivered_to);
	return last;
}

/* End the delivery of a partition, all of whose events are done. */
static void
finish_delivery(PgesPartition *partition)
{
	partition->last_delivery = partition->delivery;
	if (!partition->replaying)
		pges_move_checkpoint(partition, partition->scanned_to);
	pges_end_delivery(partition);
}

/*
 * Acknowledge the events of the partitions of a delivery up to a position.  Partitions
 * with remaining events stay in the delivery.
 */
static void
acknowledge_up_to(PgesPartitions *partitions, int64 up_to)
{
	int			left = 0;

	for (int i = 0; i < partitions->n; i++)
	{
		PgesPartition *partition = &partitions->rows[i];

		if (up_to >= partition->delivered_to)
			finish_delivery(partition);
		else
		{
			left++;
			if (up_to > partition->checkpoint && !partition->replaying)
			{
				pges_move_checkpoint(partition, up_to);
				partition->attempt = 1;
			}
		}
	}
	for (int i = 0; i < partitions->n; i++)
	{
		if (partitions->rows[i].delivery != 0)
			partitions->rows[i].shared = left;
	}
	pges_save_all_partitions(partitions);
}

/*
 * Acknowledge the events of a delivery up to a position; PG_INT64_MAX: all.  The consumer
 * keeps the rest.
 */
void
pges_acknowledge(PgesSubscription *subscription, int64 token, int64 up_to)
{
	PgesPartitions partitions;

	lock_delivery(subscription, token, &partitions);
	if (up_to != PG_INT64_MAX && up_to > last_of_delivery(&partitions))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("position " INT64_FORMAT " is beyond delivery " INT64_FORMAT, up_to, token),
				 errdetail("The last event of the delivery has position " INT64_FORMAT ".", last_of_delivery(&partitions)),
				 errhint("Leave out the position to acknowledge all events of the delivery.")));
	if (partitions.rows[0].replaying)
		pges_end_replay(subscription, token, up_to);
	acknowledge_up_to(&partitions, up_to);
}

PG_FUNCTION_INFO_V1(pges_ack);

/* SQL: acknowledge events of a delivery. */
Datum
pges_ack(PG_FUNCTION_ARGS)
{
	PgesSubscription *subscription = pges_subscription_argument(fcinfo, 0, "subscription", "eventstore.ack()");

	pges_require_argument(fcinfo, 1, "delivery");
	pges_acknowledge(subscription, PG_GETARG_INT64(1), PG_ARGISNULL(2) ? PG_INT64_MAX : PG_GETARG_INT64(2));
	PG_RETURN_VOID();
}

/* An event that has failed. */
typedef struct Failure
{
	PgesSubscription *subscription;
	PgesPartitions partitions;	/* of its delivery */
	int64		token;
	int64		position;
	int			slot;
	text	   *aggregate_id;	/* NULL: none */
	PgesPartition *partition;	/* that has the event */
	char	   *reason;			/* NULL: none given */
} Failure;

/* Raise the error that a delivery does not have an event. */
static void
report_no_event(const Failure *failure)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("delivery " INT64_FORMAT " has no event at position " INT64_FORMAT,
					failure->token, failure->position),
			 errhint("Pass the position of an event that poll() returned with this delivery, and that was not acknowledged.")));
}

/* Return the types of a filter as a parameter; an empty array means all. */
static Datum
types_param(Datum types)
{
	return types != (Datum) 0 ? types : PointerGetDatum(construct_empty_array(TEXTOID));
}

/* Find the event of a failure in the store; return false if it is not there. */
static bool
find_failed_event(Failure *failure)
{
	MemoryContext context = CurrentMemoryContext;
	const PgesSubscription *subscription = failure->subscription;
	const PgesStore *store = subscription->store;
	Datum		values[] = {
		Int64GetDatum(failure->position), types_param(subscription->event_types),
		types_param(subscription->aggregate_types)
	};
	PgesScope	scope;
	bool		found;

	PushActiveSnapshot(GetLatestSnapshot());
	scope = pges_scope_to_read(&store, true);
	SPI_connect();
	found = pges_fetch_one_now(store, scope, &find_event, values);
	if (found)
	{
		text	   *event_id = pges_found_text(context, 1);

		failure->aggregate_id = pges_found_text(context, 2);
		failure->slot = pges_slot_of(failure->aggregate_id ? failure->aggregate_id : event_id);
	}
	SPI_finish();
	PopActiveSnapshot();
	return found;
}

/* Find the partition of the event of a failure; raise an error if there is none. */
static void
find_failed_partition(Failure *failure)
{
	PgesPartition *partition = NULL;

	if (find_failed_event(failure))
		partition = pges_partition_of_slot(&failure->partitions, failure->slot);
	if (partition == NULL || failure->position > partition->delivered_to ||
		pges_is_done(partition, failure->slot, failure->position))
		report_no_event(failure);
	failure->partition = partition;
}

/*
 * End the delivery of a partition whose events up to a position are done.  The delivery
 * does not count as an attempt, because the remaining events have not failed.
 */
static void
give_back(PgesPartition *partition, int64 position)
{
	pges_end_delivery(partition);
	if (position > partition->checkpoint)
		pges_move_checkpoint(partition, position);
	else
		partition->attempt = Max(partition->attempt - 1, 0);
}

/*
 * End the delivery of a failed event.  The events before it are done, in all partitions.
 * Return a copy of the partition of the event before the change.
 */
static PgesPartition
end_failed_delivery(const Failure *failure)
{
	PgesPartition before = *failure->partition;

	for (int i = 0; i < failure->partitions.n; i++)
	{
		PgesPartition *partition = &failure->partitions.rows[i];

		if (partition == failure->partition)
		{
			pges_end_delivery(partition);
			pges_move_checkpoint(partition, failure->position - 1);
			continue;
		}
		if (failure->position >= partition->delivered_to)
			finish_delivery(partition);
		else
			give_back(partition, failure->position);
	}
	return before;
}

/* Park the failed event, or stop its partition. */
static void
exhaust(const Failure *failure, int attempts, bool may_stop)
{
	PgesPartition *partition = failure->partition;

	if (may_stop && failure->subscription->on_exhausted == PGES_STOP)
	{
		partition->stopped = true;
		return;
	}
	pges_park_event(failure->subscription, failure->position, failure->aggregate_id, failure->slot,
					attempts, failure->reason);
	pges_move_checkpoint(partition, failure->position);
}

/*
 * Return the pause after a number of attempts, in microseconds.  A projection is tried
 * again at least once a minute, because nothing but its handler has to change.
 */
static int64
backoff_after(const PgesSubscription *subscription, int attempts)
{
	int64		longest = subscription->runner == PGES_CONSUMERS ? PGES_MAX_LEASE : USECS_PER_MINUTE;
	int64		pause = subscription->backoff;

	while (--attempts > 0 && pause < longest)
		pause *= 2;
	return Min(pause, longest);
}

/*
 * Return whether an event is exhausted after a number of attempts.  A projection that
 * stops at a failed event is tried again for ever.
 */
static bool
is_exhausted(const PgesSubscription *subscription, int attempts)
{
	if (subscription->runner != PGES_CONSUMERS && subscription->on_exhausted == PGES_STOP)
		return false;
	return attempts >= subscription->max_attempts;
}

/*
 * Park a replayed event again after a failure, and end its delivery.  The events before
 * it are done.  Later events remain to be replayed.
 */
static void
park_again(Failure *failure)
{
	if (!pges_fail_replay(failure->subscription, failure->token, failure->position, failure->reason))
		report_no_event(failure);
	pges_end_replay(failure->subscription, failure->token, failure->position - 1);
	for (int i = 0; i < failure->partitions.n; i++)
		pges_end_delivery(&failure->partitions.rows[i]);
	pges_save_all_partitions(&failure->partitions);
}

/* Truncate a reason to MAX_REASON bytes. */
static char *
cut_reason(char *reason)
{
	int			length = strlen(reason);

	if (length <= MAX_REASON)
		return reason;
	length = pg_mbcliplen(reason, length, MAX_REASON);
	return psprintf("%.*s ... (cut)", length, reason);
}

/* Read the arguments of nack() and park(), and lock the delivery. */
static void
begin_failure(Failure *failure, FunctionCallInfo fcinfo, const char *function)
{
	memset(failure, 0, sizeof(Failure));
	failure->subscription = pges_subscription_argument(fcinfo, 0, "subscription", function);
	pges_require_argument(fcinfo, 1, "delivery");
	pges_require_argument(fcinfo, 2, "at_position");
	failure->token = PG_GETARG_INT64(1);
	failure->position = PG_GETARG_INT64(2);
	if (!PG_ARGISNULL(3))
		failure->reason = cut_reason(text_to_cstring(PG_GETARG_TEXT_PP(3)));
	pges_open_subscribed_store(failure->subscription);
	lock_delivery(failure->subscription, failure->token, &failure->partitions);
}

/*
 * End a delivery because an event has failed.  If the event is exhausted or "park" is
 * true, park it or stop its partition.  Return the time of the next attempt, or 0.
 */
static TimestampTz
fail(Failure *failure, bool park, int64 pause)
{
	PgesPartition *partition;
	PgesPartition before;
	int			attempts;

	if (failure->partitions.rows[0].replaying)
	{
		park_again(failure);
		return 0;
	}
	find_failed_partition(failure);
	before = end_failed_delivery(failure);
	partition = failure->partition;
	attempts = before.delivered == 1 ? before.attempt : 1;
	partition->attempt = attempts;
	partition->delivered = 1;
	partition->error = failure->reason ? failure->reason : pstrdup("No reason was given.");
	if (park || is_exhausted(failure->subscription, attempts))
		exhaust(failure, attempts, !park);
	else
		partition->retry_at = GetCurrentTimestamp() +
			(pause >= 0 ? pause : backoff_after(failure->subscription, attempts));
	pges_save_all_partitions(&failure->partitions);
	return partition->retry_at;
}

/*
 * Report that an event of a delivery failed, for the room "projection".  Like nack(), with
 * the backoff of the subscription.
 */
void
pges_fail_event(PgesSubscription *subscription, int64 token, int64 position, char *reason)
{
	Failure		failure = {
		.subscription = subscription,.token = token,.position = position,.reason = cut_reason(reason)
	};

	pges_open_subscribed_store(subscription);
	lock_delivery(subscription, token, &failure.partitions);
	(void) fail(&failure, false, -1);
}

PG_FUNCTION_INFO_V1(pges_nack);

/* SQL: report that an event of a delivery failed. */
Datum
pges_nack(PG_FUNCTION_ARGS)
{
	int64		pause = pges_interval_argument(fcinfo, 4, "retry_after", -1, true);
	Failure		failure;
	TimestampTz retry_at;

	begin_failure(&failure, fcinfo, "eventstore.nack()");
	retry_at = fail(&failure, false, pause);
	if (retry_at == 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(retry_at);
}

PG_FUNCTION_INFO_V1(pges_park);

/* SQL: park an event of a delivery. */
Datum
pges_park(PG_FUNCTION_ARGS)
{
	Failure		failure;

	begin_failure(&failure, fcinfo, "eventstore.park()");
	(void) fail(&failure, true, -1);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pges_extend_lease);

/* SQL: extend the lease of a delivery. */
Datum
pges_extend_lease(PG_FUNCTION_ARGS)
{
	PgesSubscription *subscription =
		pges_subscription_argument(fcinfo, 0, "subscription", "eventstore.extend_lease()");
	int64		lease = pges_interval_argument(fcinfo, 2, "lease", subscription->lease, false);
	PgesPartitions partitions;
	TimestampTz until;

	pges_require_argument(fcinfo, 1, "delivery");
	lock_delivery(subscription, PG_GETARG_INT64(1), &partitions);
	until = GetCurrentTimestamp() + lease;
	for (int i = 0; i < partitions.n; i++)
		partitions.rows[i].lease_until = until;
	pges_save_all_partitions(&partitions);
	PG_RETURN_TIMESTAMPTZ(until);
}

PG_FUNCTION_INFO_V1(pges_release);

/* SQL: release the delivery of a consumer. */
Datum
pges_release(PG_FUNCTION_ARGS)
{
	PgesSubscription *subscription = pges_subscription_argument(fcinfo, 0, "subscription", "eventstore.release()");
	Datum		values[] = {subscription->key, (Datum) 0};
	PgesWanted	wanted = {.wait = true};
	PgesPartitions partitions;

	pges_require_argument(fcinfo, 1, "consumer");
	values[1] = PG_GETARG_DATUM(1);
	wanted.consumer = TextDatumGetCString(values[1]);
	pges_read_and_lock_partitions(subscription, &wanted, &partitions);
	for (int i = 0; i < partitions.n; i++)
	{
		PgesPartition *partition = &partitions.rows[i];

		if (partition->replaying)
			pges_end_delivery(partition);
		else
			give_back(partition, partition->checkpoint);
	}
	pges_save_all_partitions(&partitions);
	SPI_connect();
	(void) pges_run_own_statement(&forget_consumer, values, NULL);
	SPI_finish();
	PG_RETURN_INT32(partitions.n);
}
