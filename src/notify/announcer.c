/*
 * announcer.c
 *		Announces the events of stores, and writes their watermarks, for the notifier.
 *
 * Events are announced in one transaction, and watermarks are written in a second one,
 * so that writing never delays an announcement.
 *
 * A look is one pass over all stores, because a wake does not name the store with new
 * events.  A look skips a store whose sequence has not advanced since the last look, if
 * that look left nothing to do for the store.
 *
 * The announcer must run no code of a user.  So it reads catalogs, sequences and an index
 * directly, not by a query.  It writes the watermarks as the owner of their table
 * (watermark.c).  Any user may create a table that looks like a store.  So each store is
 * checked, and an error about one store does not prevent the announcement of the others.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/backend_status.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "notify/notifier.h"
#include "notify/notify.h"
#include "position/position.h"

#define WATERMARK_MS 100		/* minimum between two writes of a watermark */
#define PAUSE_MS 10000			/* first pause after an error */
#define MAX_STORE_FAILURES 5	/* in a row, then a store is skipped */
#define MAX_FAILURES 10			/* in a row, before the notifier gives up */

/* The store that is being announced, or NULL.  The error handler resets it. */
static PgesAnnouncedStore *current_store = NULL;

/* After an error, no watermark is written before this time. */
static TimestampTz no_records_until = 0;

/* The number of looks in a row that have failed for another reason than a store. */
static int	failures = 0;

/*
 * Still to be written to the status of the notifier: the last error (empty for none), and
 * whether this notifier has to report its start.
 */
static char last_error[PGES_MAX_ERROR] = "";
static bool reports_start = true;

/* Whether there is an event to announce. */
typedef enum Found
{
	NO_EVENT,
	AN_EVENT,
	NOT_KNOWN					/* another session has locked the index */
} Found;

/*
 * Return whether there is an event above the last announced mark.  A higher mark does not
 * imply an event, because positions that were rolled back also move the mark.  The index
 * is read under the latest snapshot.  Without an index, return AN_EVENT, because there may
 * be an event.  If the index is locked, return NOT_KNOWN instead of waiting.
 */
static Found
look_for_event(const PgesAnnouncedStore *store, int64 mark)
{
	Relation	rel = table_open(store->relid, AccessShareLock);
	Oid			indexid = pges_position_index(rel);
	Relation	index;
	Snapshot	snapshot;
	AttrNumber	column;
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool		found;

	if (!OidIsValid(indexid) || !ConditionalLockRelationOid(indexid, AccessShareLock))
	{
		table_close(rel, AccessShareLock);
		return OidIsValid(indexid) ? NOT_KNOWN : AN_EVENT;
	}
	index = index_open(indexid, NoLock);
	column = index->rd_index->indkey.values[0];
	snapshot = RegisterSnapshot(GetLatestSnapshot());

	ScanKeyInit(&keys[0], column, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(store->announced));
	ScanKeyInit(&keys[1], column, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(mark));
	scan = systable_beginscan_ordered(rel, index, snapshot, 2, keys);
	found = HeapTupleIsValid(systable_getnext_ordered(scan, ForwardScanDirection));
	systable_endscan_ordered(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return found ? AN_EVENT : NO_EVENT;
}

/*
 * Lock a store and its sequence.  Set *is_proper to whether the store still owns the
 * sequence and is in no subscription.  Return false if another session has locked one of
 * the two.
 */
static bool
lock_store(const PgesAnnouncedStore *store, bool *is_proper)
{
	if (!ConditionalLockRelationOid(store->relid, AccessShareLock))
		return false;
	if (!ConditionalLockRelationOid(store->sequence, AccessShareLock))
	{
		UnlockRelationOid(store->relid, AccessShareLock);
		return false;
	}
	*is_proper = pges_is_sequence_of(store->sequence, store->relid) &&
		!pges_is_subscribed(store->relid);
	return true;
}

/* Release the locks of lock_store(), so that many stores do not fill the lock table. */
static void
unlock_store(const PgesAnnouncedStore *store)
{
	UnlockRelationOid(store->sequence, AccessShareLock);
	UnlockRelationOid(store->relid, AccessShareLock);
}

/* Return whether nothing has happened to a store since the last look. */
static bool
is_idle(const PgesAnnouncedStore *store)
{
	int64		next;

	return !store->owed && pges_try_next_of_sequence(store->sequence, &next) &&
		next - 1 == store->last;
}

/*
 * Return whether a store is given up because of MAX_STORE_FAILURES failures in a row.
 * Otherwise a store that cannot be announced would keep the notifier running for ever.
 */
static bool
is_given_up(const PgesAnnouncedStore *store)
{
	return store->failures >= MAX_STORE_FAILURES;
}

/* Announce the new events of a store that is locked. */
static void
announce_new(PgesAnnouncedStore *store, PgesWorkLeft *left)
{
	int64		mark = pges_probe_mark(store->relid, store->sequence);
	int64		last = pges_next_of_sequence(store->sequence) - 1;

	if (mark < last)
		left->open_appends = true;
	left->taken += last - store->last;
	store->last = last;
	switch (mark > store->announced ? look_for_event(store, mark) : NO_EVENT)
	{
		case NOT_KNOWN:
			left->open_appends = true;
			return;
		case AN_EVENT:
			pges_notify(store->channel, store->name, mark);
			left->announced = true;
			break;
		case NO_EVENT:
			break;
	}
	store->announcing = mark;	/* lower when the sequence was set back */
}

/*
 * Look at a store that may have new events.  If another session has locked the table or
 * the sequence, leave the store for the next look.  If they were dropped, the list of
 * stores is read again.
 */
static void
announce_store(PgesAnnouncedStore *store, PgesWorkLeft *left)
{
	bool		is_proper;
	int64		next;

	store->owed = true;
	if (!lock_store(store, &is_proper))
	{
		left->open_appends = true;
		return;
	}
	if (is_proper)
		announce_new(store, left);
	else
	{
		store->owed = false;
		if (pges_try_next_of_sequence(store->sequence, &next))
			store->last = next - 1;
	}
	unlock_store(store);
	store->failures = 0;
}

/* Look at all stores, except those that are paused or given up. */
static void
announce_stores(PgesWorkLeft *left)
{
	TimestampTz start = GetCurrentTimestamp();
	HASH_SEQ_STATUS status;
	PgesAnnouncedStore *store;

	hash_seq_init(&status, pges_announced_stores);
	while ((store = hash_seq_search(&status)) != NULL)
	{
		store->announcing = store->announced;
		store->recording = store->recorded;
		if (is_given_up(store))
			continue;
		if (start < store->paused_until)
		{
			left->unrecorded = true;
			continue;
		}
		current_store = store;
		if (!is_idle(store))
			announce_store(store, left);
		current_store = NULL;
	}
	left->look_us = GetCurrentTimestamp() - start;
}

/* After a commit, set the marks that the transaction has announced or written. */
static void
keep_marks(void)
{
	HASH_SEQ_STATUS status;
	PgesAnnouncedStore *store;

	hash_seq_init(&status, pges_announced_stores);
	while ((store = hash_seq_search(&status)) != NULL)
	{
		store->announced = store->announcing;
		store->recorded = store->recording;
		if (store->announced == store->last)
			store->owed = false;
	}
}

/* Announce the new events of all stores, in a transaction. */
static void
announce_in_transaction(PgesWorkLeft *left)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	left->unrecorded |= !pges_refresh_announced_stores();
	if (OidIsValid(pges_watermarks_table(true)))
		announce_stores(left);
	CommitTransactionCommand();
	keep_marks();
}

/* Return whether the watermark of a store is to be written. */
static bool
is_unrecorded(const PgesAnnouncedStore *store)
{
	return store->permanent && store->announced != store->recorded && !is_given_up(store);
}

/* Return whether the watermark of a store is to be written now. */
static bool
is_due(const PgesAnnouncedStore *store, TimestampTz now)
{
	return is_unrecorded(store) && now >= no_records_until && now >= store->paused_until &&
		TimestampDifferenceExceeds(store->recorded_at, now, WATERMARK_MS);
}

/* Write the watermark of a store; return false if the write has to be tried again. */
static bool
write_watermark(PgesAnnouncedStore *store)
{
	bool		is_proper;
	bool		done;

	store->recorded_at = GetCurrentTimestamp();
	if (!lock_store(store, &is_proper))
		return false;
	done = !is_proper || pges_write_watermark(store->relid, store->sequence, store->announced,
											  PGES_BY_NOTIFIER);
	unlock_store(store);
	return done;
}

/* Write the watermarks that are due, in a transaction that begins with the first one. */
static void
record_stores(PgesWorkLeft *left)
{
	TimestampTz now = GetCurrentTimestamp();
	HASH_SEQ_STATUS status;
	PgesAnnouncedStore *store;
	bool		any_due = false;

	hash_seq_init(&status, pges_announced_stores);
	while ((store = hash_seq_search(&status)) != NULL)
	{
		bool		due = is_due(store, now);

		if (due && !any_due)
		{
			any_due = true;
			StartTransactionCommand();
			SPI_connect();
			PushActiveSnapshot(GetTransactionSnapshot());
		}
		if (due && write_watermark(store))
			store->recording = store->announced;
		else
			left->unrecorded |= is_unrecorded(store);
	}
	if (!any_due)
		return;
	PopActiveSnapshot();
	SPI_finish();
	CommitTransactionCommand();
	keep_marks();
}

/*
 * Write the status: the last error, and for a notifier that gives up, when the next one
 * may start.  Return false if the write has to be tried again.
 */
static bool
write_status(bool gives_up)
{
	PgesWorkerStatus status;

	if (!pges_lock_start(&pges_notifier, false) ||
		!pges_read_status(pges_notifier.status, &status))
		return false;
	if (last_error[0] == '\0' && status.failed_starts == 0)
		return true;
	if (last_error[0] != '\0')
		pges_set_error(&status, last_error);
	status.failed_starts = gives_up ? Min(status.failed_starts, PG_INT32_MAX - 1) + 1 : 0;
	status.next_start_at = gives_up ?
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pges_pause_ms(status.failed_starts)) : 0;
	return pges_write_status(pges_notifier.status, &status);
}

/* Write the status in a transaction, if there is something to write. */
static void
report(PgesWorkLeft *left)
{
	bool		done;

	if (!reports_start && last_error[0] == '\0')
		return;
	StartTransactionCommand();
	done = write_status(left->gives_up);
	CommitTransactionCommand();
	if (done)
	{
		reports_start = false;
		last_error[0] = '\0';
	}
	left->unrecorded |= !done;
}

/*
 * After an error about a store, pause the store, twice as long after each failure.  After
 * any other error, pause the writing of watermarks.  The notifier keeps running meanwhile.
 * A lock timeout is not written to the status, and does not count as a failure of the
 * notifier.
 */
static void
pause_after_error(const ErrorData *error)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		is_failure = error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE;

	if (current_store)
	{
		if (is_failure)
			snprintf(last_error, sizeof(last_error), "store %s: %s", current_store->name, error->message);
		current_store->paused_until =
			TimestampTzPlusMilliseconds(now, PAUSE_MS << current_store->failures++);
		current_store = NULL;
	}
	else
	{
		if (is_failure)
		{
			strlcpy(last_error, error->message, sizeof(last_error));
			failures++;
		}
		no_records_until = TimestampTzPlusMilliseconds(now, PAUSE_MS);
	}
	pges_list_stores_anew();
}

/* Handle a caught error: log the error, roll back, and pause what caused the error. */
static void
recover(MemoryContext context, PgesWorkLeft *left)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	pause_after_error(error);
	FreeErrorData(error);
	left->unrecorded = true;
	left->failures = failures;
	left->gives_up = failures >= MAX_FAILURES;
}

/*
 * Announce the new events of all stores, write the watermarks that are due, and set *left
 * to what is left to do.  An error is logged.  An error about a store pauses only that
 * store.  After any other error, the next look is delayed.  After MAX_FAILURES such errors
 * in a row, the notifier gives up.  A store that another session has locked is tried again
 * at the next look.
 */
void
pges_announce_all(PgesWorkLeft *left)
{
	MemoryContext context = CurrentMemoryContext;

	memset(left, 0, sizeof(PgesWorkLeft));
	pgstat_report_activity(STATE_RUNNING, "announcing events");
	PG_TRY();
	{
		announce_in_transaction(left);
		pges_coordinator.look(left);
		record_stores(left);
		failures = 0;
	}
	PG_CATCH();
	{
		recover(context, left);
	}
	PG_END_TRY();
	PG_TRY();
	{
		report(left);
	}
	PG_CATCH();
	{
		recover(context, left);
	}
	PG_END_TRY();
	pgstat_report_stat(false);
}

/*
 * Return whether there is something to announce or to write.  A store that is paused after
 * an error counts.  A store that is given up does not.
 */
bool
pges_is_anything_owed(void)
{
	TimestampTz now = GetCurrentTimestamp();
	HASH_SEQ_STATUS status;
	PgesAnnouncedStore *store;
	bool		found;

	pges_announced_stores_init();
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	found = !pges_refresh_announced_stores();
	hash_seq_init(&status, pges_announced_stores);
	while ((store = hash_seq_search(&status)) != NULL)
	{
		if (!is_given_up(store))
			found = found || now < store->paused_until || is_unrecorded(store) || !is_idle(store);
	}
	found = found && OidIsValid(pges_watermarks_table(true));
	CommitTransactionCommand();
	return found || pges_coordinator.has_work();
}
