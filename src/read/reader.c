/*
 * reader.c
 *		What the functions that read events share: parameters, what is read, and the
 *		result.
 *
 * The order is mark, snapshot, scope, statement: high_water_mark.c tells why the
 * snapshot comes after the mark, pges_scope_to_read() why the scope comes after the
 * snapshot.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

#include "notify/notify.h"
#include "position/position.h"
#include "read/read.h"
#include "store/store.h"
#include "table/table.h"

/*
 * Have the notifier started if a watermark was left behind, as by a crash, or by
 * COMMIT PREPARED when no notifier was there.
 */
static void
catch_up(const PgesStore *store, int64 mark)
{
	PgesWatermark watermark;

	if (store->notifications != PGES_NOTIFY_WORKER)
		return;
	(void) pges_read_watermark(store->relid, false, &watermark);
	if (watermark.announced < mark)
		pges_nudge_notifier();
}

/*
 * The high-water mark of a store for whoever reads it, to be followed by a fresh
 * snapshot.  The first look of a session sees to it that others will know it, too.
 */
int64
pges_mark_to_read(const PgesStore *store)
{
	bool		is_first = pges_is_first_look(store);
	int64		mark = pges_high_water_mark(store);

	if (is_first && mark > 0)
		catch_up(store, mark);
	return mark;
}

/* Add a parameter that is not null. */
void
pges_add_param(PgesParams *params, Datum value)
{
	params->values[params->n] = value;
	params->nulls[params->n++] = false;
}

/* Add the argument max_count as the bound of a LIMIT; 0 for null is no bound. */
void
pges_add_max_count(PgesParams *params, FunctionCallInfo fcinfo, int arg, int32 if_null)
{
	int32		max_count = PG_ARGISNULL(arg) ? if_null : PG_GETARG_INT32(arg);

	if (max_count < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"max_count\" must not be negative"),
				 errdetail("It is %d.", max_count)));
	pges_add_param(params, Int64GetDatum(max_count));
	params->nulls[params->n - 1] = PG_ARGISNULL(arg) && if_null == 0;
}

/*
 * What to read, with or without the archive.  The description of the store is
 * replaced by one that is true now, with the archive locked.
 *
 * Call it when the snapshot that is read with has been taken, not before.  The
 * lock of a reader does not keep an archive from being made.  But nothing is in
 * it before all can know of it, so who takes the snapshot, and looks for news
 * then, knows the archive if the snapshot sees any event there.  Who looks first
 * may miss an archive that is made and filled before the snapshot is taken, and
 * the events in it.
 */
PgesScope
pges_scope_to_read(const PgesStore **store, bool include_archived)
{
	if (!include_archived)
		return PGES_LIVE;
	AcceptInvalidationMessages();
	*store = pges_store_with_archive_locked((*store)->relid);
	return pges_scope_of_all(*store);
}

/*
 * The same for whoever reads what is there now: takes the snapshot, which the
 * caller pops in the end.  If there is to be a high-water mark, it comes before.
 */
PgesScope
pges_begin_latest(const PgesStore **store, bool include_archived)
{
	PushActiveSnapshot(GetLatestSnapshot());
	return pges_scope_to_read(store, include_archived);
}

/* Run a statement, with or without the archive; its rows are the function's result. */
Datum
pges_return_events(FunctionCallInfo fcinfo, const PgesStore *store, bool include_archived,
				   const PgesStatement *statement, const PgesParams *params)
{
	PgesScope	scope = pges_scope_to_read(&store, include_archived);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DestReceiver *receiver = CreateDestReceiver(DestTuplestore);

	InitMaterializedSRF(fcinfo, 0);
	SetTuplestoreDestReceiverParams(receiver, rsinfo->setResult,
									rsinfo->econtext->ecxt_per_query_memory,
									false, NULL, NULL);
	SPI_connect();
	(void) pges_run_statement(store, scope, statement, params->values, params->nulls, true, receiver);
	SPI_finish();
	return (Datum) 0;
}
