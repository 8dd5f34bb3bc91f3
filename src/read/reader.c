/*
 * reader.c
 *		What the functions that read events share: parameters, scope and result.
 *
 * A read has four steps, in this order: mark, snapshot, scope, statement.  The head of
 * high_water_mark.c explains why the snapshot follows the mark; pges_scope_to_read()
 * explains why the scope follows the snapshot.  A read without a mark begins with the
 * snapshot.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/inval.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "base/act_as.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "notify/notify.h"
#include "position/position.h"
#include "read/read.h"
#include "store/store.h"
#include "table/table.h"

/*
 * Start the notifier if a store has unannounced events below the mark.  A crash leaves
 * such events, and so does COMMIT PREPARED while no notifier runs.
 */
void
pges_catch_up(const PgesStore *store, int64 mark)
{
	PgesWatermark watermark;

	if (store->notifications != PGES_NOTIFY_WORKER)
		return;
	(void) pges_read_watermark(store->live.relid, false, &watermark);
	if (watermark.announced < mark)
		pges_nudge_notifier();
}

/*
 * Flush the WAL as far as it has been generated.  If the insert position is just after
 * the header of a page, that page is not generated yet.
 */
void
pges_flush_wal(void)
{
	XLogRecPtr	end;

	if (RecoveryInProgress())
		return;
	end = GetXLogInsertRecPtr();
	if (XLogSegmentOffset(end, wal_segment_size) == SizeOfXLogLongPHD)
		end -= SizeOfXLogLongPHD;
	else if (end % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		end -= SizeOfXLogShortPHD;
	XLogFlush(end);
}

/*
 * Return the high-water mark of a store to a reader.  The caller takes a fresh snapshot
 * afterwards.  The first call of a session for a store also starts the notifier, if the
 * notifier has events to announce.
 *
 * An asynchronous commit ends the transaction before its commit record is flushed.
 * With durable_reads, the WAL is flushed here.  All transactions with events at or
 * below the mark have ended, so the flush includes their commit records.
 */
int64
pges_mark_to_read(const PgesStore *store)
{
	bool		is_first = pges_is_first_look(store);
	int64		mark = pges_high_water_mark(store);

	if (pges_durable_reads)
		pges_flush_wal();
	if (is_first && mark > 0)
		pges_catch_up(store, mark);
	return mark;
}

static const PgesStatement greatest_position = {
	"SELECT position FROM %1$s ORDER BY position DESC LIMIT 1",
	0, {0}
};

/*
 * Return the greatest position of an event in a store and its archive; 0 for none.  The
 * query runs as the owner of the store, because row-level security may hide events from
 * the user.
 */
static int64
find_greatest_position(const PgesStore *store)
{
	PgesScope	scope;
	PgesIdentity caller;
	int64		greatest;

	PushActiveSnapshot(GetLatestSnapshot());
	scope = pges_scope_to_read(&store, true);
	pges_become(&caller, store->live.owner);
	SPI_connect();
	(void) pges_run_statement(store, scope, &greatest_position, NULL, NULL, true, NULL);
	greatest = SPI_processed > 0 ? pges_found_int64(1, 0) : 0;
	SPI_finish();
	pges_become_again(&caller);
	PopActiveSnapshot();
	return greatest;
}

/*
 * Raise an error if a store has never assigned a position.  A reader with a checkpoint
 * there would miss all events up to the checkpoint.
 *
 * The sequence is above each assigned position, including those of open and rolled-back
 * transactions.  Events and watermarks that were restored can have higher positions.
 * On a standby or a logical subscriber, the position may still arrive, so it is not
 * checked.
 */
void
pges_check_given(const PgesStore *store, int64 position)
{
	int64		last;
	PgesWatermark watermark;

	if (pges_is_subscribed(store->live.relid) || RecoveryInProgress())
		return;
	last = pges_next_of_sequence(store->sequence) - 1;
	if (position <= last)
		return;
	(void) pges_read_watermark(store->live.relid, true, &watermark);
	last = Max(last, watermark.position);
	last = Max(last, find_greatest_position(store));
	if (position > last)
		ereport(ERROR,
				(errcode(ERRCODE_PGES_BEYOND_LOG),
				 errmsg("position " INT64_FORMAT " is beyond the log of store %s",
						position, store->live.qualified_name),
				 errdetail("The store has given positions up to " INT64_FORMAT ".", last),
				 errhint("Check whether the position belongs to another store. If this store was restored, or a standby without its last events was promoted, rebuild all projections from position 0; see column \"history\" of view eventstore.stores.")));
}

/* Return the mark to a reader; raise an error if its checkpoint is beyond the log. */
int64
pges_mark_after(const PgesStore *store, int64 after)
{
	int64		mark = pges_mark_to_read(store);

	if (after > mark)
		pges_check_given(store, after);
	return mark;
}

/* Add a parameter. */
void
pges_add_param(PgesParams *params, Datum value, bool isnull)
{
	params->values[params->n] = value;
	params->nulls[params->n++] = isnull;
}

/*
 * Add the argument max_count as the bound of a LIMIT.  Null is no bound, in every reader.
 * Raise an error if the argument is negative.
 */
void
pges_add_max_count(PgesParams *params, FunctionCallInfo fcinfo, int arg)
{
	int32		max_count = PG_ARGISNULL(arg) ? 0 : PG_GETARG_INT32(arg);

	if (max_count < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"max_count\" must not be negative"),
				 errdetail("It is %d.", max_count)));
	pges_add_param(params, Int64GetDatum(max_count), PG_ARGISNULL(arg));
}

/*
 * Raise an error if row security hides events of a store from the user.  The archive has
 * no row security, so it would show the user what the policies of the store hide.
 */
static void
check_row_security(const PgesStore *store)
{
	if (check_enable_rls(store->live.relid, InvalidOid, true) != RLS_ENABLED)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("row security of store %s does not cover its archive", store->live.qualified_name),
			 errdetail("The policies of the store would not hide events in archive %s.",
					   store->archive.qualified_name),
			 errhint("Use row security only on stores without an archive. To read the store alone, set include_archived to false.")));
}

/*
 * Return what to read: the store, or the store and its archive.  If the archive is
 * included, lock the archive and replace *store by the current description.
 *
 * Call this function after the snapshot of the read was taken.  The lock of a reader
 * does not block create_archive().  But events move to a new archive only after the
 * invalidation message that announces the archive was sent.  So if the snapshot sees an
 * event in the archive, the message has been sent, and is accepted here.  A call before
 * the snapshot could miss an archive that is created and filled between the call and
 * the snapshot.
 */
PgesScope
pges_scope_to_read(const PgesStore **store, bool include_archived)
{
	if (!include_archived)
		return PGES_LIVE;
	AcceptInvalidationMessages();
	*store = pges_store_with_archive_locked((*store)->live.relid);
	if (OidIsValid((*store)->archive.relid))
		check_row_security(*store);
	return pges_scope_of_all(*store);
}

/*
 * The oldest transaction that was running when this transaction first read events, and the
 * transaction that this holds for.  The number of the transaction is kept with the value,
 * so it needs no reset.
 */
static TransactionId first_read_xmin = InvalidTransactionId;
static LocalTransactionId first_read_in = InvalidLocalTransactionId;

/* Remember that this transaction has read events under the active snapshot. */
void
pges_note_read(void)
{
	if (first_read_in == pges_current_lxid_compat())
		return;
	first_read_in = pges_current_lxid_compat();
	first_read_xmin = GetActiveSnapshot()->xmin;
}

/*
 * Return the oldest transaction that was running when this transaction first read events;
 * InvalidTransactionId if it has read none.  All that ended before is in what it has read.
 */
TransactionId
pges_first_read_xmin(void)
{
	return first_read_in == pges_current_lxid_compat() ? first_read_xmin : InvalidTransactionId;
}

/* Return the rows of a statement, with or without the archive, as the SQL result. */
Datum
pges_return_events(FunctionCallInfo fcinfo, const PgesStore *store, bool include_archived,
				   const PgesStatement *statement, const PgesParams *params)
{
	PgesScope	scope = pges_scope_to_read(&store, include_archived);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DestReceiver *receiver = CreateDestReceiver(DestTuplestore);

	pges_note_read();
	InitMaterializedSRF(fcinfo, 0);
	SetTuplestoreDestReceiverParams(receiver, rsinfo->setResult,
									rsinfo->econtext->ecxt_per_query_memory,
									false, NULL, NULL);
	SPI_connect();
	(void) pges_run_statement(store, scope, statement, params->values, params->nulls, true, receiver);
	SPI_finish();
	return (Datum) 0;
}
