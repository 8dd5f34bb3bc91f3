/*
 * parked.c
 *		The parked events of subscriptions: rows of eventstore.subscription_parked.
 *
 * An event of an aggregate is parked with "blocks", unless on_exhausted is "skip".  A
 * poll then parks each later event of the aggregate behind it, instead of delivering that
 * event.  So the order in the aggregate is kept, and other aggregates are not blocked.
 *
 * A parked event is pending until the checkpoint of its partition has passed it.  An
 * event that was parked behind another one is pending while the delivery whose scan has
 * parked it is not acknowledged.  If the row of a pending event were deleted, the next
 * scan would deliver the event.  So a pending event is neither replayed nor discarded.
 * discard_parked() marks it for replay instead, because it is later than the discarded
 * events.
 *
 * replay_parked() sets "replay" in the rows.  A partition with such rows delivers them
 * before any other event, in the order of their positions.  The acknowledgement deletes
 * the row.  An aggregate is unblocked when its last row is deleted.  Until then, its
 * later events are parked behind.  Such an event is marked for replay if all parked
 * events of the aggregate are marked, so the marked events precede the others.  If a
 * replayed event fails again, the marks of its aggregate are cleared.  After a lost
 * delivery, events are replayed one at a time, to find the event that kills its consumer.
 *
 * A poll writes rows under the lock of their partition.  The administrative functions
 * lock the definition, and then the partitions whose rows they change.  So no poll parks
 * an event behind one that is being removed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/own_object.h"
#include "base/sql_argument.h"
#include "parked/parked.h"
#include "subscription/subscription.h"
#include "table/table.h"

static PgesOwnStatement any_blocked = {
	{&pges_parked_rows}, true,
	"SELECT 1 FROM eventstore.subscription_parked WHERE subscription OPERATOR(pg_catalog.=) $1 "
	"AND blocks LIMIT 1",
	1, {TEXTOID}
};

static PgesOwnStatement blocked = {
	{&pges_parked_rows}, true,
	"SELECT 1 FROM eventstore.subscription_parked WHERE subscription OPERATOR(pg_catalog.=) $1 "
	"AND aggregate_id OPERATOR(pg_catalog.=) $2 AND blocks LIMIT 1",
	2, {TEXTOID, TEXTOID}
};

static PgesOwnStatement park_event = {
	{&pges_parked_rows}, false,
	"INSERT INTO eventstore.subscription_parked "
	"(subscription, position, slot, aggregate_id, blocks, behind, replay, attempts, reason, parked_at) "
	"VALUES ($1, $2, $3, $4, $5, $6, "
	"$6 AND NOT EXISTS (SELECT FROM eventstore.subscription_parked k "
	"WHERE k.subscription OPERATOR(pg_catalog.=) $1 AND k.aggregate_id OPERATOR(pg_catalog.=) $4 "
	"AND k.blocks AND NOT k.replay), $7, $8, pg_catalog.clock_timestamp()) ON CONFLICT DO NOTHING",
	8, {TEXTOID, INT8OID, INT4OID, TEXTOID, BOOLOID, BOOLOID, INT4OID, TEXTOID}
};

/* Whether the event of row k is done in its partition p; otherwise the event is pending. */
#define PASSED \
	"(k.position OPERATOR(pg_catalog.<=) p.checkpoint " \
	"OR EXISTS (SELECT FROM pg_catalog.generate_series(1, pg_catalog.cardinality(p.floors), 3) i " \
	"WHERE k.slot OPERATOR(pg_catalog.>=) p.floors[i] " \
	"AND k.slot OPERATOR(pg_catalog.<=) p.floors[i OPERATOR(pg_catalog.+) 1] " \
	"AND k.position OPERATOR(pg_catalog.<=) p.floors[i OPERATOR(pg_catalog.+) 2])) "

/* Finds the partitions with events to replay, at no cost if there are none. */
static PgesOwnStatement find_replays = {
	{&pges_parked_rows, &pges_partition_rows}, true,
	"SELECT p.partition FROM eventstore.subscription_progress p "
	"WHERE p.subscription OPERATOR(pg_catalog.=) $1 "
	"AND (SELECT true FROM eventstore.subscription_parked k "
	"WHERE k.subscription OPERATOR(pg_catalog.=) $1 AND k.replay LIMIT 1) "
	"AND EXISTS (SELECT FROM eventstore.subscription_parked k "
	"WHERE k.subscription OPERATOR(pg_catalog.=) $1 AND k.replay "
	"AND k.slot OPERATOR(pg_catalog.>=) p.first_slot AND k.slot OPERATOR(pg_catalog.<=) p.last_slot "
	"AND " PASSED ")",
	1, {TEXTOID}
};

static PgesOwnStatement any_parked = {
	{&pges_parked_rows}, true,
	"SELECT FROM eventstore.subscription_parked WHERE subscription OPERATOR(pg_catalog.=) $1 LIMIT 1",
	1, {TEXTOID}
};

/* Finds whether there are events to replay up to a position. */
static PgesOwnStatement any_replay = {
	{&pges_parked_rows}, true,
	"SELECT FROM eventstore.subscription_parked k WHERE k.subscription OPERATOR(pg_catalog.=) $1 AND k.replay "
	"AND k.position OPERATOR(pg_catalog.<=) $2 LIMIT 1",
	2, {TEXTOID, INT8OID}
};

/* Clears "replay" for an event and for the other parked events of its aggregate. */
static PgesOwnStatement unmark = {
	{&pges_parked_rows}, false,
	"UPDATE eventstore.subscription_parked k SET replay = false, "
	"reason = CASE WHEN k.position OPERATOR(pg_catalog.=) $2 THEN COALESCE($3, k.reason) ELSE k.reason END "
	"WHERE k.subscription OPERATOR(pg_catalog.=) $1 AND k.replay "
	"AND (k.position OPERATOR(pg_catalog.=) $2 OR k.aggregate_id OPERATOR(pg_catalog.=) ("
	"SELECT e.aggregate_id FROM eventstore.subscription_parked e "
	"WHERE e.subscription OPERATOR(pg_catalog.=) $1 AND e.position OPERATOR(pg_catalog.=) $2))",
	3, {TEXTOID, INT8OID, TEXTOID}
};

static PgesOwnStatement first_replay = {
	{&pges_parked_rows, &pges_partition_rows}, true,
	"SELECT k.attempts, k.position FROM eventstore.subscription_parked k "
	"JOIN eventstore.subscription_progress p ON p.subscription OPERATOR(pg_catalog.=) $1 "
	"AND k.slot OPERATOR(pg_catalog.>=) p.first_slot AND k.slot OPERATOR(pg_catalog.<=) p.last_slot "
	"AND " PASSED
	"WHERE k.subscription OPERATOR(pg_catalog.=) $1 AND k.replay "
	"AND p.partition OPERATOR(pg_catalog.=) ANY ($2) ORDER BY k.position LIMIT 1",
	2, {TEXTOID, INT4ARRAYOID}
};

static PgesOwnStatement begin_replay = {
	{&pges_parked_rows, &pges_partition_rows}, false,
	"UPDATE eventstore.subscription_parked SET attempts = attempts OPERATOR(pg_catalog.+) 1, delivery = $4 "
	"WHERE subscription OPERATOR(pg_catalog.=) $1 AND position OPERATOR(pg_catalog.=) ANY (ARRAY("
	"SELECT k.position FROM eventstore.subscription_parked k "
	"JOIN eventstore.subscription_progress p ON p.subscription OPERATOR(pg_catalog.=) $1 "
	"AND k.slot OPERATOR(pg_catalog.>=) p.first_slot AND k.slot OPERATOR(pg_catalog.<=) p.last_slot "
	"AND " PASSED
	"WHERE k.subscription OPERATOR(pg_catalog.=) $1 AND k.replay "
	"AND p.partition OPERATOR(pg_catalog.=) ANY ($2) ORDER BY k.position LIMIT $3)) "
	"RETURNING position, attempts",
	4, {TEXTOID, INT4ARRAYOID, INT8OID, INT8OID}
};

static PgesOwnStatement end_replay = {
	{&pges_parked_rows}, false,
	"DELETE FROM eventstore.subscription_parked WHERE subscription OPERATOR(pg_catalog.=) $1 "
	"AND delivery OPERATOR(pg_catalog.=) $2 AND position OPERATOR(pg_catalog.<=) $3",
	3, {TEXTOID, INT8OID, INT8OID}
};

static PgesOwnStatement is_replayed = {
	{&pges_parked_rows}, true,
	"SELECT 1 FROM eventstore.subscription_parked WHERE subscription OPERATOR(pg_catalog.=) $1 "
	"AND position OPERATOR(pg_catalog.=) $2 AND delivery OPERATOR(pg_catalog.=) $3 AND replay",
	3, {TEXTOID, INT8OID, INT8OID}
};

/*
 * $2: events of an aggregate; $3: an event and the earlier ones of its aggregate; none:
 * all
 */
#define CHOSEN \
	"WHERE subscription OPERATOR(pg_catalog.=) $1 " \
	"AND ($2 IS NULL OR aggregate_id OPERATOR(pg_catalog.=) $2) " \
	"AND ($3 IS NULL OR position OPERATOR(pg_catalog.=) $3 " \
	"OR (position OPERATOR(pg_catalog.<) $3 AND aggregate_id OPERATOR(pg_catalog.=) (" \
	"SELECT c.aggregate_id FROM eventstore.subscription_parked c " \
	"WHERE c.subscription OPERATOR(pg_catalog.=) $1 AND c.position OPERATOR(pg_catalog.=) $3)))"

static PgesOwnStatement mark_replay = {
	{&pges_parked_rows}, false,
	"UPDATE eventstore.subscription_parked SET replay = true, attempts = 0 " CHOSEN,
	3, {TEXTOID, TEXTOID, INT8OID}
};

static PgesOwnStatement choose = {
	{&pges_parked_rows}, true,
	"SELECT position, slot FROM eventstore.subscription_parked " CHOSEN,
	3, {TEXTOID, TEXTOID, INT8OID}
};

static PgesOwnStatement discard = {
	{&pges_parked_rows}, false,
	"DELETE FROM eventstore.subscription_parked WHERE subscription OPERATOR(pg_catalog.=) $1 "
	"AND position OPERATOR(pg_catalog.=) ANY ($2)",
	2, {TEXTOID, INT8ARRAYOID}
};

static PgesOwnStatement mark_pending = {
	{&pges_parked_rows}, false,
	"UPDATE eventstore.subscription_parked SET replay = true, attempts = 0 "
	"WHERE subscription OPERATOR(pg_catalog.=) $1 AND position OPERATOR(pg_catalog.=) ANY ($2)",
	2, {TEXTOID, INT8ARRAYOID}
};

/* Run a statement, and return the number of rows. */
static uint64
run_parked(PgesOwnStatement *statement, const Datum *values, const bool *nulls)
{
	uint64		rows;

	SPI_connect();
	rows = pges_run_own_statement(statement, values, nulls);
	SPI_finish();
	return rows;
}

/* Return whether a subscription has a parked event that blocks others. */
bool
pges_is_any_blocked(const PgesSubscription *subscription)
{
	return !pges_is_own_table_empty(&pges_parked_rows) &&
		run_parked(&any_blocked, &subscription->key, NULL) > 0;
}

/* Return whether a parked event blocks the events of an aggregate. */
bool
pges_is_blocked(const PgesSubscription *subscription, const text *aggregate_id)
{
	Datum		values[] = {subscription->key, PointerGetDatum(aggregate_id)};

	return run_parked(&blocked, values, NULL) > 0;
}

/* Park an event. */
static void
park(const PgesSubscription *subscription, int64 position, const text *aggregate_id, int slot,
	 bool blocks, bool behind, int attempts, const char *reason)
{
	Datum		values[] = {
		subscription->key, Int64GetDatum(position), Int32GetDatum(slot), PointerGetDatum(aggregate_id),
		BoolGetDatum(blocks), BoolGetDatum(behind), Int32GetDatum(attempts),
		reason ? CStringGetTextDatum(reason) : (Datum) 0
	};
	bool		nulls[lengthof(values)] = {false};

	nulls[3] = aggregate_id == NULL;
	nulls[7] = reason == NULL;
	(void) run_parked(&park_event, values, nulls);
}

/* Park a failed event.  The event blocks its aggregate, unless on_exhausted is "skip". */
void
pges_park_event(const PgesSubscription *subscription, int64 position, const text *aggregate_id,
				int slot, int attempts, const char *reason)
{
	park(subscription, position, aggregate_id, slot,
		 subscription->on_exhausted != PGES_SKIP && aggregate_id != NULL, false, attempts, reason);
}

/* Park an event behind an earlier one of its aggregate. */
void
pges_park_behind(const PgesSubscription *subscription, int64 position, const text *aggregate_id, int slot)
{
	park(subscription, position, aggregate_id, slot, true, true, 0,
		 "An earlier event of the aggregate is parked.");
}

/* Set has_events in the partitions with events to replay; return whether there are any. */
bool
pges_find_replays(const PgesSubscription *subscription, PgesPartitions *partitions)
{
	bool		any = false;

	if (pges_is_own_table_empty(&pges_parked_rows))
		return false;
	SPI_connect();
	(void) pges_run_own_statement(&find_replays, &subscription->key, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int			number = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

		for (int p = 0; p < partitions->n; p++)
		{
			if (partitions->rows[p].number == number)
				any = partitions->rows[p].has_events = true;
		}
	}
	SPI_finish();
	return any;
}

/* Return whether a statement with some values returns a row. */
static bool
returns_row(PgesOwnStatement *statement, const Datum *values)
{
	uint64		n;

	SPI_connect();
	n = pges_run_own_statement(statement, values, NULL);
	SPI_finish();
	return n > 0;
}

/* Return whether there are parked events of a subscription. */
bool
pges_has_parked(const PgesSubscription *subscription)
{
	return returns_row(&any_parked, &subscription->key);
}

/* Return whether there are events to replay up to a position. */
bool
pges_has_replays(const PgesSubscription *subscription, int64 position)
{
	Datum		values[] = {subscription->key, Int64GetDatum(position)};

	return returns_row(&any_replay, values);
}

/* Cancel the replay of an event and of the other parked events of its aggregate. */
static void
end_replay_of(const PgesSubscription *subscription, int64 position, const char *reason)
{
	Datum		values[] = {subscription->key, Int64GetDatum(position), reason ? CStringGetTextDatum(reason) : (Datum) 0};
	bool		nulls[lengthof(values)] = {false, false, reason == NULL};

	(void) run_parked(&unmark, values, nulls);
}

/* Return the numbers of partitions as an array. */
static Datum
numbers_of(const PgesPartitions *partitions)
{
	Datum	   *numbers = palloc(sizeof(Datum) * (partitions->n + 1));

	for (int i = 0; i < partitions->n; i++)
		numbers[i] = Int32GetDatum(partitions->rows[i].number);
	return PointerGetDatum(construct_array(numbers, partitions->n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/*
 * Return the number of deliveries of the first event to replay of some partitions.  If
 * the number has reached max_attempts, cancel the replay of the event, and check the next
 * one.  Only the first event can have reached it, because after a lost delivery events
 * are replayed one at a time.  The limit is at least 2, because the first delivery can
 * have several events.
 */
static int
attempts_of_first(const PgesSubscription *subscription, const PgesPartitions *partitions)
{
	Datum		values[] = {subscription->key, numbers_of(partitions)};

	for (;;)
	{
		int			attempts = 0;
		int64		position = 0;

		CHECK_FOR_INTERRUPTS();
		SPI_connect();
		if (pges_run_own_statement(&first_replay, values, NULL) > 0)
		{
			attempts = pges_found_int32(1);
			position = pges_found_int64(2, 0);
		}
		SPI_finish();
		if (attempts < Max(subscription->max_attempts, 2))
			return attempts;
		end_replay_of(subscription, position, NULL);
	}
}

/* A parked event that is replayed. */
typedef struct Replay
{
	int64		position;
	int			attempt;
} Replay;

/* Compare two replayed events for qsort(): by position. */
static int
compare_replays(const void *a, const void *b)
{
	int64		x = ((const Replay *) a)->position;
	int64		y = ((const Replay *) b)->position;

	return (x > y) - (x < y);
}

/*
 * Assign the first events to replay of some partitions to a delivery.  Return their
 * number, and set *positions and *attempts, in the order of the positions.  If an earlier
 * delivery of the first event was lost, assign only this event.  But the first time that
 * a consumer polls again ("again"), assign the same events.
 */
int
pges_begin_replay(const PgesSubscription *subscription, const PgesPartitions *partitions,
				  int64 token, int max_count, bool again, int64 **positions, int **attempts)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[] = {subscription->key, numbers_of(partitions), Int64GetDatum(max_count),
	Int64GetDatum(token)};
	Replay	   *replays;
	int			n;

	if (attempts_of_first(subscription, partitions) > (again ? 1 : 0))
		values[2] = Int64GetDatum(1);
	SPI_connect();
	n = pges_run_own_statement(&begin_replay, values, NULL);
	replays = palloc(sizeof(Replay) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		bool		isnull;

		replays[i].position = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		replays[i].attempt = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
	}
	qsort(replays, n, sizeof(Replay), compare_replays);
	*positions = MemoryContextAlloc(context, sizeof(int64) * (n + 1));
	*attempts = MemoryContextAlloc(context, sizeof(int) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		(*positions)[i] = replays[i].position;
		(*attempts)[i] = replays[i].attempt;
	}
	SPI_finish();
	return n;
}

/* Delete the rows of the replayed events of a delivery up to a position: they are done. */
void
pges_end_replay(const PgesSubscription *subscription, int64 token, int64 up_to)
{
	Datum		values[] = {subscription->key, Int64GetDatum(token), Int64GetDatum(up_to)};

	(void) run_parked(&end_replay, values, NULL);
}

/*
 * Cancel the replay of an event of a delivery, and of the other parked events of its
 * aggregate.  Return false if the delivery does not have the event.
 */
bool
pges_fail_replay(const PgesSubscription *subscription, int64 token, int64 position, const char *reason)
{
	Datum		values[] = {subscription->key, Int64GetDatum(position), Int64GetDatum(token)};

	if (run_parked(&is_replayed, values, NULL) == 0)
		return false;
	end_replay_of(subscription, position, reason);
	return true;
}

/* The parameters that choose parked events, from the arguments 1 and 2. */
typedef struct Choice
{
	Datum		values[3];
	bool		nulls[3];
} Choice;

/* Return the slot that all chosen events have, or -1 if it is not known, or there are none. */
static int
slot_of_choice(const Choice *choice)
{
	int			slot = -1;

	if (!choice->nulls[1])
		return pges_slot_of(DatumGetTextPP(choice->values[1]));
	if (choice->nulls[2])
		return -1;
	SPI_connect();
	if (pges_run_own_statement(&choose, choice->values, choice->nulls) > 0)
		slot = pges_found_int32(2);
	SPI_finish();
	return slot;
}

/*
 * Lock the partitions of the parked events that the arguments choose: one partition if
 * the events are of one aggregate, otherwise all.  The caller has locked the definition,
 * so the rows of the partitions cannot be replaced.
 */
static void
lock_chosen(const PgesSubscription *subscription, const Choice *choice, PgesPartitions *partitions)
{
	int			slot = slot_of_choice(choice);
	PgesWanted	wanted = {.wait = true,.slot_set = slot >= 0,.slot = slot};

	pges_read_and_lock_partitions(subscription, &wanted, partitions);
}

/* Lock a subscription and the partitions of the chosen parked events; return the choice. */
static Choice
begin_change(FunctionCallInfo fcinfo, const char *function, PgesSubscription **subscription,
			 PgesPartitions *partitions)
{
	Choice		choice = {
		{(Datum) 0, PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)},
		{false, PG_ARGISNULL(1), PG_ARGISNULL(2)}
	};

	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	*subscription = pges_find_subscription(pges_text_argument(fcinfo, 0, "subscription"), true);
	choice.values[0] = (*subscription)->key;
	if ((*subscription)->runner != PGES_CONSUMERS)
		pges_change_projections();
	lock_chosen(*subscription, &choice, partitions);
	return choice;
}

PG_FUNCTION_INFO_V1(pges_replay_parked);

/* SQL: deliver parked events again. */
Datum
pges_replay_parked(PG_FUNCTION_ARGS)
{
	PgesSubscription *subscription;
	PgesPartitions partitions;
	Choice		choice = begin_change(fcinfo, "eventstore.replay_parked()", &subscription, &partitions);

	PG_RETURN_INT64(run_parked(&mark_replay, choice.values, choice.nulls));
}

/*
 * Return the positions of the chosen events that are pending, or of those that are not,
 * as an array.
 */
static Datum
chosen_positions(const Choice *choice, const PgesPartitions *partitions, bool pending)
{
	MemoryContext context = CurrentMemoryContext;
	ArrayBuildState *positions = initArrayResult(INT8OID, context, true);

	SPI_connect();
	(void) pges_run_own_statement(&choose, choice->values, choice->nulls);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		position = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		int			slot = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
		const PgesPartition *partition = pges_partition_of_slot(partitions, slot);

		if (partition && pges_is_done(partition, slot, DatumGetInt64(position)) != pending)
			accumArrayResult(positions, position, false, INT8OID, context);
	}
	SPI_finish();
	return makeArrayResult(positions, context);
}

/* Run a statement on the parked events at some positions; return the number of rows. */
static int64
change_at(PgesOwnStatement *statement, const PgesSubscription *subscription, Datum positions)
{
	Datum		values[] = {subscription->key, positions};

	return run_parked(statement, values, NULL);
}

PG_FUNCTION_INFO_V1(pges_discard_parked);

/* SQL: delete parked events, so that they are not delivered. */
Datum
pges_discard_parked(PG_FUNCTION_ARGS)
{
	PgesSubscription *subscription;
	PgesPartitions partitions;
	Choice		choice = begin_change(fcinfo, "eventstore.discard_parked()", &subscription, &partitions);
	Datum		pending = chosen_positions(&choice, &partitions, true);
	int64		count = change_at(&discard, subscription, chosen_positions(&choice, &partitions, false));

	(void) change_at(&mark_pending, subscription, pending);
	ereport(LOG,
			(errmsg("role \"%s\" discarded " INT64_FORMAT " parked events of subscription \"%s\"",
					GetUserNameFromId(GetUserId(), false), count, subscription->name),
			 PG_ARGISNULL(3) ? 0 : errdetail("Reason: %s", text_to_cstring(PG_GETARG_TEXT_PP(3)))));
	PG_RETURN_INT64(count);
}
