/*
 * append.c
 *		Appends a batch of events to a store.
 *
 * Every append function and every import runs these steps, in this order:
 *
 *	1	Lock the aggregates, each by a heavyweight lock on the store and a hash of
 *		the aggregate id, in the order of the hashes (aggregate_lock.c).  Appends to
 *		one aggregate wait for each other here.  So an append that expects no version
 *		never fails because of another append.  Two calls with the same aggregates in
 *		a different order do not deadlock.  If an aggregate gets no event but its
 *		version is expected, the mode of its lock conflicts only with appends.  If
 *		the call has no events at all, that mode is the mode of an append, because
 *		an append to the aggregate may follow.
 *	2	Look up the versions of the aggregates (look_up.c), under a snapshot taken
 *		after the locks.  Every transaction that held a lock before has ended, and
 *		this snapshot sees its changes, even in REPEATABLE READ.
 *	3	Compare the versions with the expected versions.  If a call repeats an
 *		earlier call, with the same event ids and content, it returns what the
 *		earlier call returned (repeated_call.c).
 *	4	Allocate the positions (position.c).  Because step 3 comes first, a call
 *		with a conflict uses up no position and leaves no dead row.
 *	5	Insert the events (insert.c).
 *
 * The unique indexes make the final decision.  To protect the shared lock table, a setting
 * limits how many aggregates a transaction may lock to append to them.  So step 5 can fail
 * with a duplicate key.  append_error.c replaces this error by a clearer one.  The error
 * is never suppressed, so no subtransaction is needed.
 *
 * The unique indexes of the store do not cover the archive.  So steps 2 and 3 look up
 * versions and ids in both tables, under one snapshot.  For keys that only an index would
 * find, check_archive.c searches the archive after step 5.  If an event with the same key was
 * in the store at the insert, the insert failed, or waited for the transaction that moved
 * the event.  If the event was moved before the insert, a snapshot taken after the insert
 * sees the event in the archive.
 *
 * The rows of plain INSERT and COPY go through these steps, too (check_insert.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "append/append.h"
#include "append/append_steps.h"
#include "base/act_as.h"
#include "base/text.h"
#include "event/event.h"
#include "position/position.h"
#include "slot/slot.h"
#include "store/store.h"
#include "table/table.h"

/* Raise an error if a text of an event is longer than its column permits. */
static void
check_length(const PgesStore *store, const PgesEvent *event, PgesColumn column)
{
	int			max_chars = store->live.max_chars[column];
	const text *value = max_chars == 0 ? NULL : *pges_event_pointer(event, column);
	int			chars;

	if (value == NULL || VARSIZE_ANY_EXHDR(value) <= max_chars)
		return;
	chars = pg_mbstrlen_with_len(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (chars > max_chars)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("key \"%s\" of an event is too long",
						pges_column_name(column)),
				 errdetail("Key \"%s\" of event %d has %d characters; store %s takes at most %d.",
						   pges_column_name(column), event->ordinal, chars,
						   store->live.qualified_name, max_chars),
				 errhint("The owner of the store can widen it: ALTER TABLE %s ALTER %s TYPE varchar(%d) COLLATE \"C\".",
						 store->live.qualified_name, pges_column_name(column), Max(chars, 255))));
}

/* Raise an error if a text of a batch is too long for its column in the store. */
static void
check_lengths(const PgesStore *store, PgesBatch *batch)
{
	for (int i = 0; i < batch->nevents; i++)
	{
		batch->current = batch->events[i].ordinal;
		for (PgesColumn column = PGES_EVENT_ID; column <= PGES_AGGREGATE_TYPE; column++)
			check_length(store, &batch->events[i], column);
	}
	batch->current = 0;
}

/* Return whether an aggregate is not at the expected version; false if none is given. */
static bool
has_conflict(const PgesAggregate *aggregate)
{
	return aggregate->expected_given && aggregate->expected != aggregate->version;
}

/*
 * Return whether the events of a call may already be stored: true if the first event of an
 * aggregate is stored and no version was expected.  If an expected version matches, no
 * events are stored at later versions, and the unique index finds other duplicates.
 */
static bool
may_be_retry(const PgesStore *store, const PgesBatch *batch,
			 const PgesAggregate *aggregate)
{
	const PgesEvent *first = &batch->events[aggregate->first_event];

	return aggregate->nevents > 0 && !aggregate->expected_given &&
		first->event_id_given && pges_event_exists(store, first->event_id);
}

/*
 * Check the expected versions.  Return true if the call is a retry whose events are
 * already stored.  Raise an error on a version conflict or a duplicate event id.
 */
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
							  "The event is already stored, but not all events of the call are stored, one after another.");
	return false;
}

/* Copy the type of an aggregate to its event, or vice versa; raise if the types differ. */
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
				 errdetail("Key \"aggregate_type\" of %s is \"%s\".", pges_event_label(event),
						   text_to_cstring(event->aggregate_type)),
				 errhint("Aggregate ids are unique in a store, whatever the type.")));
}

/*
 * Assign the next version of its aggregate to an event.  Raise an error if no version is
 * left, or if the call gives the event another version.
 */
static void
assign_version(PgesEvent *event, PgesAggregate *aggregate)
{
	if (aggregate->version == PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("aggregate \"%s\" cannot have more events",
						text_to_cstring(aggregate->id)),
				 errdetail("The version of %s would exceed %d.", pges_event_label(event), PG_INT32_MAX)));
	event->version = ++aggregate->version;
	if (event->given_version > 0 && event->given_version != event->version)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 err_generic_string(PG_DIAG_COLUMN_NAME, pges_column_name(PGES_AGGREGATE_VERSION)),
				 errmsg("aggregate version of an event is not the next version"),
				 errdetail("Key \"aggregate_version\" of %s is %d, but the event would get version %d of aggregate \"%s\".",
						   pges_event_label(event), event->given_version, event->version,
						   text_to_cstring(aggregate->id)),
				 event->ordinal == 0 ? errhint("Leave out the version, and the store assigns it.") : 0));
}

/* Assign the next version and the type of an aggregate to an event, or raise an error. */
void
pges_add_to_aggregate(PgesEvent *event, PgesAggregate *aggregate)
{
	check_type(event, aggregate);
	assign_version(event, aggregate);
}

/* Set the types, versions, ids and times that the call leaves out. */
static void
complete_events(PgesBatch *batch)
{
	for (int i = 0; i < batch->nevents; i++)
	{
		PgesEvent  *event = &batch->events[i];

		CHECK_FOR_INTERRUPTS();
		batch->current = event->ordinal;
		if (event->aggregate_id)
			pges_add_to_aggregate(event, &batch->aggregates[event->aggregate]);
		if (!event->event_id_given)
			event->event_id = pges_make_event_id();
		if (!event->occurred_at_given)
			event->occurred_at = GetCurrentTransactionStartTimestamp();
	}
	batch->current = 0;
}

/* Allocate the positions of all events. */
static void
allocate_positions(const PgesStore *store, PgesBatch *batch)
{
	int64	   *positions = palloc(sizeof(int64) * batch->nevents);

	pges_allocate_positions(store, positions, batch->nevents);
	for (int i = 0; i < batch->nevents; i++)
		batch->events[i].position = positions[i];
	pfree(positions);
}

/* Store the events of a batch: steps 4 and 5, and the search of the archive. */
static void
store_events(const PgesStore *store, PgesBatch *batch)
{
	MemoryContext spi = MemoryContextSwitchTo(batch->context);

	complete_events(batch);
	MemoryContextSwitchTo(spi);
	allocate_positions(store, batch);
	pges_insert_events(store, batch);
	pges_check_not_archived(store, batch);
}

/*
 * Append a batch, and set the ids, versions and positions of its events.  Either all
 * events are stored or none.  An import first removes the events that are already stored
 * from the batch.  All steps run with the rights of one role; see pges_act_as_owner().
 */
void
pges_append_batch(const PgesStore *store, PgesBatch *batch, bool is_import)
{
	PgesIdentity caller;
	bool		as_owner = pges_act_as_owner(&caller, store);

	check_lengths(store, batch);
	for (int i = 0; i < batch->naggregates; i++)
		pges_check_slot(store, batch->aggregates[i].id);
	pges_lock_aggregates(store, batch);
	batch->direct = pges_direct_is_possible(store);

	/* make earlier changes of this transaction visible */
	CommandCounterIncrement();
	SPI_connect();
	pges_look_up_aggregates(store, batch);
	if (is_import)
		pges_leave_out_stored(store, batch);
	else
		batch->deduplicated = check_versions(store, batch);
	if (batch->nevents > 0 && !batch->deduplicated)
		store_events(store, batch);
	SPI_finish();
	if (as_owner)
		pges_become_again(&caller);
}
