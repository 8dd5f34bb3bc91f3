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
 * check_archive(): an event with the same key that was in the store when ours was
 * inserted made that fail, or was waited for; one that had been moved before
 * that is visible in the archive to a snapshot taken after it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "append/append.h"
#include "append/insert.h"
#include "append/insert_direct.h"
#include "base/compat.h"
#include "base/guc.h"
#include "event/event_id.h"
#include "position/position.h"
#include "table/statement.h"

static const PgesStatement version_statement = {
	"SELECT aggregate_version, aggregate_type FROM %1$s "
	"WHERE aggregate_id OPERATOR(pg_catalog.=) $1 "
	"ORDER BY aggregate_version DESC LIMIT 1",
	1, {TEXTOID}
};

static const PgesStatement type_statement = {
	"SELECT aggregate_type FROM %1$s "
	"WHERE aggregate_id OPERATOR(pg_catalog.=) $1 AND aggregate_type IS NOT NULL "
	"ORDER BY aggregate_version DESC LIMIT 1",
	1, {TEXTOID}
};

static const PgesStatement archived_id_statement = {
	"SELECT event_id FROM %1$s "
	"WHERE event_id OPERATOR(pg_catalog.=) ANY ($1) LIMIT 1",
	1, {TEXTARRAYOID}
};

/* A lock on an aggregate that is to be taken. */
typedef struct AggregateLock
{
	uint64		hash;
	LOCKMODE	mode;
	bool		written;		/* the aggregate gets events */
} AggregateLock;

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
check_lengths(const PgesStore *store, const PgesBatch *batch)
{
	for (int i = 0; i < batch->nevents; i++)
	{
		const PgesEvent *event = &batch->events[i];

		pges_current_event = event->ordinal;
		check_length(store, PGES_EVENT_ID, event->event_id, event->ordinal);
		check_length(store, PGES_EVENT_TYPE, event->event_type, event->ordinal);
		check_length(store, PGES_CORRELATION_ID, event->correlation_id, event->ordinal);
		check_length(store, PGES_CAUSATION_ID, event->causation_id, event->ordinal);
		check_length(store, PGES_AGGREGATE_ID, event->aggregate_id, event->ordinal);
		check_length(store, PGES_AGGREGATE_TYPE, event->aggregate_type, event->ordinal);
	}
	pges_current_event = 0;
}

/* qsort comparator: locks by hash, the stronger mode first. */
static int
compare_locks(const void *a, const void *b)
{
	const AggregateLock *x = a;
	const AggregateLock *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return y->mode - x->mode;
}

/*
 * Count the locks this transaction has taken on aggregates.  The count belongs
 * to the transaction whose number it carries, so it needs no reset; locks that
 * a rollback to a savepoint released stay counted.
 */
static int *
aggregate_lock_count(void)
{
	static LocalTransactionId counted_in = InvalidLocalTransactionId;
	static int	count = 0;

	if (counted_in != pges_current_lxid_compat())
	{
		counted_in = pges_current_lxid_compat();
		count = 0;
	}
	return &count;
}

/*
 * Take one lock on an aggregate.  Past the limit, an aggregate that is written
 * is left to the unique index; nothing else would protect one that is only
 * checked.  Whether it is locked.
 */
static bool
take_lock(const AggregateLock *lock)
{
	int		   *count = aggregate_lock_count();
	LOCKTAG		tag;

	if (lock->written && *count >= pges_max_aggregate_locks)
		return false;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (lock->hash >> 32),
						 (uint32) lock->hash, PGES_LOCK_AGGREGATE);
	if (LockAcquire(&tag, lock->mode, false, false) == LOCKACQUIRE_OK)
		(*count)++;
	return true;
}

/*
 * What an aggregate's lock is on.  Events of no aggregate need one only to
 * make a retry wait for the original, and their first id serves for that.
 */
static const text *
lock_subject(const PgesBatch *batch, const PgesAggregate *aggregate)
{
	return aggregate->id ? aggregate->id :
		batch->events[aggregate->first_event].event_id;
}

/*
 * What stands for the subject of a lock, an aggregate or an event of none: the store,
 * and a hash.  The store is not hashed, so that nobody can lock an aggregate of a store
 * to which they may not append, by an id that has the same hash.
 */
static uint64
lock_hash(const PgesStore *store, const text *subject, bool is_aggregate)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(subject),
										   VARSIZE_ANY_EXHDR(subject), !is_aggregate);

	return ((uint64) store->relid << 32) | (uint32) hash;
}

/*
 * Lock an aggregate, or an event of none, as an append does: appends to it that
 * are open have ended then, and others wait.
 */
void
pges_lock_aggregate(const PgesStore *store, const text *aggregate_id, const text *event_id)
{
	AggregateLock lock;

	lock.hash = lock_hash(store, aggregate_id ? aggregate_id : event_id, aggregate_id != NULL);
	lock.mode = ExclusiveLock;
	lock.written = false;		/* the unique index is no help */
	take_lock(&lock);
}

/* Lock all aggregates of a batch, in the order of their hashes. */
static void
lock_aggregates(const PgesStore *store, PgesBatch *batch)
{
	AggregateLock *locks = palloc(sizeof(AggregateLock) * Max(batch->naggregates, 1));
	int			n = 0;

	for (int i = 0; i < batch->naggregates; i++)
	{
		const PgesAggregate *aggregate = &batch->aggregates[i];
		const text *subject = lock_subject(batch, aggregate);

		if (subject == NULL)
			continue;
		locks[n].hash = lock_hash(store, subject, aggregate->id != NULL);
		locks[n].written = aggregate->nevents > 0;
		locks[n].mode = locks[n].written || batch->nevents == 0 ?
			ExclusiveLock : ShareLock;
		n++;
	}
	qsort(locks, n, sizeof(AggregateLock), compare_locks);
	for (int i = 0; i < n; i++)
		batch->unlocked |= !take_lock(&locks[i]);
	pfree(locks);
}

/* The text in a column of the row that SPI found, in the batch's memory. */
static text *
found_text(const PgesBatch *batch, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
									  column, &isnull);
	MemoryContext caller = MemoryContextSwitchTo(batch->context);
	text	   *result = isnull ? NULL : DatumGetTextPCopy(value);

	MemoryContextSwitchTo(caller);
	return result;
}

/* Look up the version and type of an aggregate by a statement. */
static void
look_up_version(const PgesStore *store, const PgesBatch *batch,
				PgesAggregate *aggregate)
{
	Datum		id = PointerGetDatum(aggregate->id);
	bool		isnull;

	if (pges_find_row(store, pges_whole(store), &version_statement, &id))
	{
		aggregate->version = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0],
														 SPI_tuptable->tupdesc,
														 1, &isnull));
		aggregate->type = found_text(batch, 2);
		SPI_freetuptable(SPI_tuptable);
	}
}

/*
 * Look up the type of an aggregate whose last event has none.  The append
 * functions leave no such event after one with a type, but INSERT may.  Where no
 * event has a type this reads all of them, so it is done only for an append that
 * brings one, the first of its kind.
 */
static void
look_up_type(const PgesStore *store, const PgesBatch *batch,
			 PgesAggregate *aggregate)
{
	Datum		id = PointerGetDatum(aggregate->id);

	if (!pges_find_row(store, pges_whole(store), &type_statement, &id))
		return;
	aggregate->type = found_text(batch, 1);
	SPI_freetuptable(SPI_tuptable);
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

/* Look up the versions and types of all aggregates of a batch. */
static void
look_up_aggregates(const PgesStore *store, PgesBatch *batch)
{
	if (batch->direct)
		pges_direct_versions(store, batch);
	for (int i = 0; i < batch->naggregates; i++)
	{
		PgesAggregate *aggregate = &batch->aggregates[i];

		if (aggregate->id && !batch->direct)
			look_up_version(store, batch, aggregate);
		if (aggregate->version > 0 && aggregate->type == NULL && aggregate->brings_type)
			look_up_type(store, batch, aggregate);
	}
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
		pges_current_event = event->ordinal;
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
	pges_current_event = 0;
}

/* The ids that the events of a batch were given, as an array; NULL for none. */
static ArrayType *
given_ids(const PgesBatch *batch)
{
	Datum	   *ids = palloc(sizeof(Datum) * batch->nevents);
	int			n = 0;

	for (int i = 0; i < batch->nevents; i++)
	{
		if (batch->events[i].event_id_given)
			ids[n++] = PointerGetDatum(batch->events[i].event_id);
	}
	return n > 0 ? construct_array(ids, n, TEXTOID, -1, false, TYPALIGN_INT) : NULL;
}

/* Raise when an event in the archive has the id of one in the batch. */
static void
check_archived_ids(const PgesStore *store, const PgesBatch *batch)
{
	ArrayType  *ids = given_ids(batch);
	Datum		value = PointerGetDatum(ids);
	text	   *id;

	if (ids == NULL || !pges_find_row(store, PGES_ARCHIVED, &archived_id_statement, &value))
		return;
	id = found_text(batch, 1);
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < batch->nevents; i++)
	{
		if (pges_text_equal(batch->events[i].event_id, id))
		{
			pges_current_event = batch->events[i].ordinal;
			pges_report_duplicate(store, &batch->events[i],
								  "An event with this id is in the archive.");
		}
	}
}

/* Raise when an event in the archive has a version that a new one was given. */
static void
check_archived_versions(const PgesStore *store, const PgesBatch *batch)
{
	for (int i = 0; i < batch->naggregates; i++)
	{
		PgesAggregate *aggregate = &batch->aggregates[i];
		Datum		id = PointerGetDatum(aggregate->id);
		bool		isnull;

		if (aggregate->id == NULL || aggregate->nevents == 0)
			continue;
		if (pges_find_row(store, PGES_ARCHIVED, &version_statement, &id))
		{
			int32		version = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0],
															  SPI_tuptable->tupdesc, 1, &isnull));

			if (version >= batch->events[aggregate->first_event].version)
				pges_report_archived(store, aggregate, version);
			SPI_freetuptable(SPI_tuptable);
		}
	}
}

/*
 * Check that what was inserted is not in the archive: ids, and the versions of
 * aggregates that were not locked.
 */
static void
check_archive(const PgesStore *store, const PgesBatch *batch)
{
	if (!OidIsValid(store->archive.relid))
		return;
	check_archived_ids(store, batch);
	if (batch->unlocked)
		check_archived_versions(store, batch);
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
	lock_aggregates(store, batch);
	batch->direct = pges_direct_is_possible(store);

	/* what this transaction did before is to be seen too */
	CommandCounterIncrement();
	SPI_connect();
	look_up_aggregates(store, batch);
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
		check_archive(store, batch);
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
	stored = pges_drop_stored(store, batch);
	finish_batch(store, batch);
	if (as_owner)
		pges_become_again(&caller);
	return stored;
}
