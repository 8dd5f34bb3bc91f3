/*
 * read_log.c
 *		The SQL functions that read the ordered log.
 *
 * At every isolation level, these functions read the high-water mark first and then
 * take a fresh snapshot (reader.c).  In REPEATABLE READ, they therefore return events
 * that other sessions have committed since the transaction began.  So the functions are
 * volatile.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/sql_argument.h"
#include "event/event.h"
#include "position/position.h"
#include "read/read.h"
#include "store/store.h"
#include "table/table.h"

#define SHORT_RANGE 1000		/* shorter ranges are read by the index on
								 * position */

/* Reads a range of positions.  $1: after, or before if backwards; $2: mark; $3: limit */
#define RANGE(columns, operator, filters, order) \
	"SELECT " columns " FROM %1$s " \
	"WHERE position OPERATOR(pg_catalog." operator ") $1 " \
	"AND position OPERATOR(pg_catalog.<=) $2 " filters \
	"ORDER BY position " order " LIMIT $3"

/* The filters.  $4: event types; $5: aggregate types */
#define FILTERS \
	"AND ($4 IS NULL OR event_type OPERATOR(pg_catalog.=) ANY ($4)) " \
	"AND ($5 IS NULL OR aggregate_type OPERATOR(pg_catalog.=) ANY ($5)) "

#define TYPES {INT8OID, INT8OID, INT8OID, TEXTARRAYOID, TEXTARRAYOID}

/* The statements that read a range of positions, in one direction. */
typedef struct RangeStatements
{
	PgesStatement unfiltered;
	PgesStatement by_position;	/* filtered, with the index on the positions */
	PgesStatement by_plan;		/* filtered, planned for each execution */
} RangeStatements;

#define RANGE_STATEMENTS(columns, operator, order) { \
	{RANGE(columns, operator, "", order), 3, TYPES}, \
	{RANGE(columns, operator, FILTERS, order), 5, TYPES}, \
	{RANGE(columns, operator, FILTERS, order), 5, TYPES, .custom = true} \
}

static const RangeStatements forwards = RANGE_STATEMENTS(PGES_COLUMNS, ">", "ASC");
static const RangeStatements backwards = RANGE_STATEMENTS(PGES_COLUMNS, "<", "DESC");
static const RangeStatements first_position = RANGE_STATEMENTS("position", ">", "ASC");

const PgesStatement *const pges_read_forwards = &forwards.unfiltered;

/* Return a checkpoint; null or less than 0 is the start of the log. */
static int64
checkpoint_argument(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? 0 : Max(PG_GETARG_INT64(arg), 0);
}

/* Return the position before which to read backwards; null or 0 is the end. */
static int64
bound_argument(FunctionCallInfo fcinfo, int arg)
{
	int64		position = PG_ARGISNULL(arg) ? 0 : PG_GETARG_INT64(arg);

	return position == 0 ? PG_INT64_MAX : position;
}

/* Add the arguments event_types and aggregate_types, unless both are null. */
static void
add_filters(PgesParams *params, FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg) && PG_ARGISNULL(arg + 1))
		return;
	pges_add_param(params, PG_GETARG_DATUM(arg), PG_ARGISNULL(arg));
	pges_add_param(params, PG_GETARG_DATUM(arg + 1), PG_ARGISNULL(arg + 1));
}

/*
 * Return whether a filtered statement on this many positions is to be planned for each
 * execution.  After ANALYZE, the planner knows which types are rare, but not the types
 * of the newest events.  So a reader near the end of the log uses the index on
 * position.
 */
static bool
is_worth_planning(const PgesStore *store, int64 positions)
{
	return positions >= SHORT_RANGE &&
		(pges_rows_of_table(store->live.relid) > 0 || pges_rows_of_table(store->archive.relid) > 0);
}

/* Return the statement for these parameters, which reads up to a number of positions. */
static const PgesStatement *
choose_statement(const PgesStore *store, const RangeStatements *statements,
				 const PgesParams *params, int64 positions)
{
	if (params->n == statements->unfiltered.nparams)
		return &statements->unfiltered;
	return is_worth_planning(store, positions) ? &statements->by_plan : &statements->by_position;
}

/* Return the statement that reads the log forwards with these parameters. */
const PgesStatement *
pges_statement_forwards(const PgesStore *store, const PgesParams *params, int64 positions)
{
	return choose_statement(store, &forwards, params, positions);
}

PG_FUNCTION_INFO_V1(pges_read_events);

/* SQL: return the events of the ordered log, up to the high-water mark. */
Datum
pges_read_events(PG_FUNCTION_ARGS)
{
	bool		is_backwards = pges_bool_argument(fcinfo, 4, false);
	const PgesStore *store = pges_store_argument(fcinfo, 5, AccessShareLock, ACL_SELECT);
	int64		start = is_backwards ? bound_argument(fcinfo, 0) : checkpoint_argument(fcinfo, 0);
	int64		mark = is_backwards ? pges_mark_to_read(store) : pges_mark_after(store, start);
	PgesParams	params = {.n = 0};

	pges_add_param(&params, Int64GetDatum(start), false);
	pges_add_param(&params, Int64GetDatum(mark), false);
	pges_add_max_count(&params, fcinfo, 1);
	add_filters(&params, fcinfo, 2);
	PushActiveSnapshot(GetLatestSnapshot());
	(void) pges_return_events(fcinfo, store, pges_bool_argument(fcinfo, 6, true),
							  is_backwards ? choose_statement(store, &backwards, &params, Min(start, mark)) :
							  choose_statement(store, &forwards, &params, mark - start),
							  &params);
	PopActiveSnapshot();
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(pges_sql_high_water_mark);

/* SQL: return the high-water mark of a store. */
Datum
pges_sql_high_water_mark(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(pges_mark_to_read(pges_readable_store_argument(fcinfo, 0)));
}

PG_FUNCTION_INFO_V1(pges_advance_watermark);

/* SQL: write and return the watermark of a store.  The user must be allowed to append. */
Datum
pges_advance_watermark(PG_FUNCTION_ARGS)
{
	const PgesStore *store;
	int64		mark;

	PreventCommandIfReadOnly("eventstore.advance_watermark()");
	store = pges_store_argument(fcinfo, 0, AccessShareLock, ACL_INSERT);
	if (!pges_may_insert(store->live.relid))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, store->live.table);
	if (pges_is_subscribed(store->live.relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot advance the watermark of store %s", store->live.qualified_name),
				 errdetail("A subscription of logical replication fills the store and its watermark.")));
	mark = pges_probe_mark(store->live.relid, store->sequence);
	SPI_connect();
	(void) pges_write_watermark(store->live.relid, store->sequence, mark, PGES_BY_HAND);
	SPI_finish();
	pges_catch_up(store, mark);
	PG_RETURN_INT64(mark);
}

/* Make the parameters of first_event(); the filters are arguments from "arg" on. */
static PgesParams
first_event_params(FunctionCallInfo fcinfo, int arg)
{
	PgesParams	params = {.values = {0, 0, Int64GetDatum(1)},.n = 3};

	add_filters(&params, fcinfo, arg);
	return params;
}

/*
 * Return the position of the first event after a position, up to the mark, that the user
 * can see and that passes the filters; 0 if there is none.
 */
static int64
first_event(const PgesStore *store, bool include_archived, PgesParams *params,
			int64 after, int64 mark)
{
	PgesScope	scope;
	int64		found;

	params->values[0] = Int64GetDatum(after);
	params->values[1] = Int64GetDatum(mark);
	PushActiveSnapshot(GetLatestSnapshot());
	scope = pges_scope_to_read(&store, include_archived);
	SPI_connect();
	(void) pges_run_statement(store, scope, choose_statement(store, &first_position, params, mark - after),
							  params->values, params->nulls, true, NULL);
	found = SPI_processed > 0 ? pges_found_int64(1, 0) : 0;
	SPI_finish();
	PopActiveSnapshot();
	return found;
}

PG_FUNCTION_INFO_V1(pges_next_checkpoint);

/*
 * SQL: return the greatest position to which a filtered reader may move its checkpoint.
 * The WAL is flushed first, because it contains the advance of the sequence.  Otherwise
 * a crash could let the store assign a position again that the reader has passed.
 */
Datum
pges_next_checkpoint(PG_FUNCTION_ARGS)
{
	int64		after = checkpoint_argument(fcinfo, 0);
	const PgesStore *store = pges_store_argument(fcinfo, 3, AccessShareLock, ACL_SELECT);
	int64		mark = pges_mark_after(store, after);
	PgesParams	params = first_event_params(fcinfo, 1);
	int64		found;

	if (mark <= after)
		PG_RETURN_INT64(after);
	pges_flush_wal();
	found = first_event(store, pges_bool_argument(fcinfo, 4, true), &params, after, mark);
	PG_RETURN_INT64(found > 0 ? found - 1 : mark);
}

/* Return the time to wait, in ms, from an interval argument; raise if it is invalid. */
int64
pges_timeout_argument(FunctionCallInfo fcinfo, int arg)
{
	double		seconds;

	pges_require_argument(fcinfo, arg, "timeout");
	seconds = pges_interval_seconds(PG_GETARG_INTERVAL_P(arg));
	if (seconds < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"timeout\" must not be negative")));
	return Min(seconds * 1000, PGES_MAX_WAIT_MS);
}

/* Sleep for "ms" milliseconds; raise an error if the query is canceled. */
void
pges_nap(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

PG_FUNCTION_INFO_V1(pges_wait_for_events);

/*
 * SQL: wait until there is an event after a position that passes the filters.  Return
 * the mark, or null after the timeout.  The session reads the mark at growing
 * intervals, and checks each new event once.  No other process has to wake the session,
 * so the function works through any pooler and on a standby.
 */
Datum
pges_wait_for_events(PG_FUNCTION_ARGS)
{
	int64		after = checkpoint_argument(fcinfo, 0);
	int64		timeout = pges_timeout_argument(fcinfo, 1);
	const PgesStore *store = pges_store_argument(fcinfo, 4, AccessShareLock, ACL_SELECT);
	bool		include_archived = pges_bool_argument(fcinfo, 5, true);
	PgesParams	params = first_event_params(fcinfo, 2);
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);
	int64		mark = pges_mark_after(store, after);

	for (int nap = 1;; nap = Min(nap * 2, PGES_MAX_NAP_MS))
	{
		long		left;

		if (mark > after)
		{
			if (first_event(store, include_archived, &params, after, mark) > 0)
				PG_RETURN_INT64(mark);
			after = mark;
		}
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		if (left <= 0)
			PG_RETURN_NULL();
		pges_nap(Min(nap, left));
		mark = pges_high_water_mark(store);
		if (mark > after)
			mark = pges_mark_to_read(store);
	}
}
