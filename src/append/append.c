/*
 * append.c
 *		Appends a batch of events to a store.
 *
 * Every way to append comes here, and the order of work is always the same:
 *
 *	1	Lock the aggregates, each by a heavyweight lock on the hash of store
 *		and aggregate id, in the order of the hashes.  Appenders to one
 *		aggregate queue here, so one that expects no version never fails
 *		because of another, and two calls with the same aggregates in another
 *		order do not deadlock.  Aggregates whose version is expected but that
 *		get no event are locked in a mode that only excludes appenders, unless
 *		the call has no events at all: then an append to them may follow.
 *	2	Look up the aggregates' versions, under a snapshot taken after the
 *		locks: whoever held them before has ended, and what it did is visible
 *		to this snapshot even in REPEATABLE READ.
 *	3	Compare with what is expected.  A call that repeats an earlier one,
 *		event ids and content, is answered as the earlier one was (retry.c).
 *	4	Allocate the positions (position.c).  Since 3 comes first, a loser
 *		burns no position and leaves no dead row.
 *	5	Insert (insert.c).
 *
 * The unique indexes stay the arbiters.  A transaction may have locked as
 * many aggregates as the shared lock table should bear (a setting), and
 * somebody may insert without these functions; then 5 meets a duplicate key.
 * That error is replaced by a clearer one, never swallowed, so that no
 * subtransaction is needed.
 *
 * What was moved to the archive is out of these indexes.  So versions and ids
 * are looked up there too, in both tables under one snapshot.  What only the
 * indexes would have found is looked for in the archive after 5, see
 * archived.c: an event with the same key that was in the store when ours was
 * inserted made that fail, or was waited for; one that had been moved before
 * that is visible in the archive to a snapshot taken after it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "append/append.h"
#include "append/append_steps.h"
#include "base/identity.h"
#include "base/text.h"
#include "event/event.h"
#include "position/position.h"
#include "store/store.h"
#include "table/table.h"

/* Raise when a text is longer than its column. */
static void
check_length(const PgesStore *store, PgesColumn column, const text *value,
			 int ordinal)
{
	int			max_chars = store->max_chars[column];
	int			chars;

	if (value == NULL || max_chars == 0 || VARSIZE_ANY_EXHDR(value) <= max_chars)
		return;
	chars = pg_mbstrlen_with_len(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (chars > max_chars)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("key \"%s\" of an event is too long",
						pges_column_name(column)),
				 errdetail("Key \"%s\" of event %d has %d characters; store %s takes at most %d.",
						   pges_column_name(column), ordinal, chars,
						   store->qualified_name, max_chars),
				 errhint("The owner of the store can widen it: ALTER TABLE %s ALTER %s TYPE varchar(%d) COLLATE \"C\".",
						 store->qualified_name, pges_column_name(column), Max(chars, 255))));
}

/* Check that all texts fit the columns of the store. */
static void
check_lengths(const PgesStore *store, PgesBatch *batch)
{
	for (int i = 0; i < batch->nevents; i++)
	{
		const PgesEvent *event = &batch->events[i];

		batch->current = event->ordinal;
		check_length(store, PGES_EVENT_ID, event->event_id, event->ordinal);
		check_length(store, PGES_EVENT_TYPE, event->event_type, event->ordinal);
		check_length(store, PGES_CORRELATION_ID, event->correlation_id, event->ordinal);
		check_length(store, PGES_CAUSATION_ID, event->causation_id, event->ordinal);
		check_length(store, PGES_AGGREGATE_ID, event->aggregate_id, event->ordinal);
		check_length(store, PGES_AGGREGATE_TYPE, event->aggregate_type, event->ordinal);
	}
	batch->current = 0;
}

/* Whether an aggregate's version is another than the expected one. */
static bool
has_conflict(const PgesAggregate *aggregate)
{
	return aggregate->expected_given && aggregate->expected != aggregate->version;
}

/*
 * Whether a call's events may stand in the store already, by the first event
 * of an aggregate.  With an expected version that holds they cannot stand at
 * the versions it would give, and the unique index sees to other duplicates.
 */
static bool
may_be_retry(const PgesStore *store, const PgesBatch *batch,
			 const PgesAggregate *aggregate)
{
	const PgesEvent *first = &batch->events[aggregate->first_event];

	return aggregate->nevents > 0 && !aggregate->expected_given &&
		first->event_id_given && pges_event_exists(store, first->event_id);
}

/* Check the versions; true when the events stand there already. */
static bool
check_versions(const PgesStore *store, PgesBatch *batch)
{
	const PgesAggregate *conflict = NULL;
	const PgesAggregate *suspect = NULL;

	for (int i = 0; i < batch->naggregates; i++)
	{
		PgesAggregate *aggregate = &batch->aggregates[i];

		if (conflict == NULL && has_conflict(aggregate))
			conflict = aggregate;
		if (suspect == NULL && may_be_retry(store, batch, aggregate))
			suspect = aggregate;
	}
	if ((conflict || suspect) && pges_is_retry(store, batch))
		return true;
	if (conflict)
		pges_report_conflict(store, conflict);
	if (suspect)
		pges_report_duplicate(store, &batch->events[suspect->first_event],
							  "The event is stored, but not all events of this call are, one after another.");
	return false;
}

/* Give an event its aggregate's type, or raise if it has another one. */
static void
check_type(PgesEvent *event, PgesAggregate *aggregate)
{
	if (event->aggregate_type == NULL)
		event->aggregate_type = aggregate->type;
	else if (aggregate->type == NULL)
		aggregate->type = event->aggregate_type;
	else if (!pges_text_equal(event->aggregate_type, aggregate->type))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("aggregate \"%s\" is of type \"%s\"",
						text_to_cstring(aggregate->id),
						text_to_cstring(aggregate->type)),
				 errdetail("Key \"aggregate_type\" of event %d is \"%s\".", event->ordinal,
						   text_to_cstring(event->aggregate_type)),
				 errhint("Aggregate ids are unique in a store, whatever the type.")));
}

/* Give an event the next version of its aggregate. */
static void
assign_version(PgesEvent *event, PgesAggregate *aggregate)
{
	if (aggregate->version == PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("aggregate \"%s\" cannot have more events",
						text_to_cstring(aggregate->id)),
				 errdetail("Event %d would exceed version %d.", event->ordinal, PG_INT32_MAX)));
	event->version = ++aggregate->version;
	if (event->given_version > 0 && event->given_version != event->version)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 err_generic_string(PG_DIAG_COLUMN_NAME, pges_column_name(PGES_AGGREGATE_VERSION)),
				 errmsg("aggregate version of an event does not fit"),
				 errdetail("Key \"aggregate_version\" of event %d is %d, but the event would get version %d of aggregate \"%s\".",
						   event->ordinal, event->given_version, event->version,
						   text_to_cstring(aggregate->id))));
}

/* Fill in what the events were not given: types, versions, ids, times. */
static void
complete_events(PgesBatch *batch)
{
	for (int i = 0; i < batch->nevents; i++)
	{
		PgesEvent  *event = &batch->events[i];

		CHECK_FOR_INTERRUPTS();
		batch->current = event->ordinal;
		if (event->aggregate_id)
		{
			PgesAggregate *aggregate = &batch->aggregates[event->aggregate];

			check_type(event, aggregate);
			assign_version(event, aggregate);
		}
		if (!event->event_id_given)
			event->event_id = pges_make_event_id();
		if (!event->occurred_at_given)
			event->occurred_at = GetCurrentTransactionStartTimestamp();
	}
	batch->current = 0;
}

/* Take the positions of all events. */
static void
allocate_positions(const PgesStore *store, PgesBatch *batch)
{
	int64	   *positions = palloc(sizeof(int64) * batch->nevents);

	pges_allocate_positions(store, positions, batch->nevents);
	for (int i = 0; i < batch->nevents; i++)
		batch->events[i].position = positions[i];
	pfree(positions);
}

/* Lock the aggregates of a batch and find out where they are: 1 and 2. */
static void
begin_batch(const PgesStore *store, PgesBatch *batch)
{
	check_lengths(store, batch);
	pges_lock_aggregates(store, batch);
	batch->direct = pges_direct_is_possible(store);

	/* what this transaction did before is to be seen too */
	CommandCounterIncrement();
	SPI_connect();
	pges_look_up_aggregates(store, batch);
}

/* Store the events of a batch, if any: 4 and 5. */
static void
finish_batch(const PgesStore *store, PgesBatch *batch)
{
	if (batch->nevents > 0)
	{
		MemoryContext spi = MemoryContextSwitchTo(batch->context);

		complete_events(batch);
		MemoryContextSwitchTo(spi);
		allocate_positions(store, batch);
		pges_insert_events(store, batch);
		pges_check_not_archived(store, batch);
	}
	SPI_finish();
}

/*
 * Append a batch, and fill in what its events got: ids, versions, positions.
 * Nothing is stored unless all of it is.  All of it is done with the same rights,
 * see pges_act_as_owner().
 */
void
pges_append_batch(const PgesStore *store, PgesBatch *batch)
{
	PgesIdentity caller;
	bool		as_owner = pges_act_as_owner(&caller, store);

	begin_batch(store, batch);
	batch->deduplicated = check_versions(store, batch);
	if (batch->deduplicated)
		SPI_finish();
	else
		finish_batch(store, batch);
	if (as_owner)
		pges_become_again(&caller);
}

/*
 * Append those events of a batch that are not stored already, and return how
 * many are.  They leave the batch.
 */
int
pges_import_batch(const PgesStore *store, PgesBatch *batch)
{
	PgesIdentity caller;
	bool		as_owner = pges_act_as_owner(&caller, store);
	int			stored;

	begin_batch(store, batch);
	stored = pges_leave_out_stored(store, batch);
	finish_batch(store, batch);
	if (as_owner)
		pges_become_again(&caller);
	return stored;
}
