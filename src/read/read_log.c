/*
 * read_log.c
 *		The SQL functions that read the ordered log.
 *
 * At every isolation level, they read in the order that the head of reader.c describes.
 * So these functions are volatile: they see what other sessions have committed since a
 * REPEATABLE READ transaction began.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/sql_argument.h"
#include "event/event.h"
#include "notify/notify.h"
#include "position/position.h"
#include "read/read.h"
#include "store/store.h"
#include "table/table.h"

#define MAX_WAIT_MS 60000		/* of wait_for_events() */
#define MAX_NAP_MS 20			/* between two reads of the mark */
#define SHORT_RANGE 1000		/* fewer positions are read by position */

/* Reads a range of positions; 1: after, or backwards before, 2: mark, 3: limit */
#define RANGE(operator, filters, order) \
	"SELECT " PGES_COLUMNS " FROM %1$s " \
	"WHERE position OPERATOR(pg_catalog." operator ") $1 " \
	"AND position OPERATOR(pg_catalog.<=) $2 " filters \
	"ORDER BY position " order " LIMIT $3"

/* The filters; 4: event types, 5: aggregate types */
#define FILTERS \
	"AND ($4 IS NULL OR event_type OPERATOR(pg_catalog.=) ANY ($4)) " \
	"AND ($5 IS NULL OR aggregate_type OPERATOR(pg_catalog.=) ANY ($5)) "

#define FORWARDS(filters) RANGE(">", filters, "ASC")
#define BACKWARDS(filters) RANGE("<", filters, "DESC")
#define TYPES {INT8OID, INT8OID, INT8OID, TEXTARRAYOID, TEXTARRAYOID}

const PgesStatement pges_read_forwards = {FORWARDS(""), 3, TYPES};
static const PgesStatement backwards = {BACKWARDS(""), 3, TYPES};

/* With the index on the positions, or with a plan that is made for each call. */
static const PgesStatement forwards_by_position = {FORWARDS(FILTERS), 5, TYPES};
static const PgesStatement backwards_by_position = {BACKWARDS(FILTERS), 5, TYPES};
static const PgesStatement forwards_by_plan = {FORWARDS(FILTERS), 5, TYPES,.custom = true};
static const PgesStatement backwards_by_plan = {BACKWARDS(FILTERS), 5, TYPES,.custom = true};

/* 1: after, 2: mark */
static const PgesStatement any_between = {
	"SELECT 1 FROM %1$s "
	"WHERE position OPERATOR(pg_catalog.>) $1 "
	"AND position OPERATOR(pg_catalog.<=) $2 "
	"ORDER BY position LIMIT 1",
	2, {INT8OID, INT8OID}
};

/*
 * Return whether the planner should choose how to read a number of positions with a
 * filter.  If the table was analyzed, the planner knows which types are rare, but not
 * which events came later.  So a reader that is nearly up to date reads by position.
 */
static bool
is_worth_planning(const PgesStore *store, int64 positions)
{
	HeapTuple	tuple;
	bool		analyzed;

	if (positions < SHORT_RANGE)
		return false;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(store->live.relid));
	analyzed = HeapTupleIsValid(tuple) && ((Form_pg_class) GETSTRUCT(tuple))->reltuples > 0;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return analyzed;
}

/* Return the statement that reads from a position up to the mark, or backwards. */
static const PgesStatement *
choose_statement(const PgesStore *store, bool is_backwards, bool filtered,
				 int64 start, int64 mark)
{
	int64		positions = is_backwards ? Min(start, mark) : mark - Max(start, 0);

	if (!filtered)
		return is_backwards ? &backwards : &pges_read_forwards;
	if (is_worth_planning(store, positions))
		return is_backwards ? &backwards_by_plan : &forwards_by_plan;
	return is_backwards ? &backwards_by_position : &forwards_by_position;
}

PG_FUNCTION_INFO_V1(pges_read_events);

/* SQL: return the events of the ordered log, up to the high-water mark. */
Datum
pges_read_events(PG_FUNCTION_ARGS)
{
	bool		is_backwards = pges_bool_argument(fcinfo, 4, false);
	bool		filtered = !PG_ARGISNULL(2) || !PG_ARGISNULL(3);
	const PgesStore *store = pges_store_argument(fcinfo, 5, AccessShareLock, ACL_SELECT);
	int64		start = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0);
	int64		mark = pges_mark_to_read(store);
	PgesParams	params = {.n = 0};

	if (is_backwards && start == 0)
		start = PG_INT64_MAX;	/* begin at the end */
	pges_add_param(&params, Int64GetDatum(start), false);
	pges_add_param(&params, Int64GetDatum(mark), false);
	pges_add_max_count(&params, fcinfo, 1, pges_batch_size);
	if (filtered)
	{
		pges_add_param(&params, PG_GETARG_DATUM(2), PG_ARGISNULL(2));
		pges_add_param(&params, PG_GETARG_DATUM(3), PG_ARGISNULL(3));
	}
	PushActiveSnapshot(GetLatestSnapshot());
	(void) pges_return_events(fcinfo, store, pges_bool_argument(fcinfo, 6, false),
							  choose_statement(store, is_backwards, filtered, start, mark),
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
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, store->live.qualified_name);
	if (pges_is_subscribed(store->live.relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot advance the watermark of store %s", store->live.qualified_name),
				 errdetail("A subscription fills the store and its watermark.")));
	mark = pges_probe_mark(store->live.relid, store->sequence);
	SPI_connect();
	(void) pges_write_watermark(store->live.relid, store->sequence, mark, PGES_BY_HAND);
	SPI_finish();
	if (store->notifications == PGES_NOTIFY_WORKER)
		pges_nudge_notifier();	/* the mark is not announced yet */
	PG_RETURN_INT64(mark);
}

/* Return whether the user can see an event after a position, up to the mark. */
static bool
has_event(const PgesStore *store, bool include_archived, int64 after, int64 mark)
{
	Datum		values[] = {Int64GetDatum(after), Int64GetDatum(mark)};
	PgesScope	scope;
	bool		found;

	PushActiveSnapshot(GetLatestSnapshot());
	scope = pges_scope_to_read(&store, include_archived);
	SPI_connect();
	(void) pges_run_statement(store, scope, &any_between, values, NULL, true, NULL);
	found = SPI_processed > 0;
	SPI_finish();
	PopActiveSnapshot();
	return found;
}

/* Return the time to wait, in ms, from an interval argument; raise if it is invalid. */
static int64
timeout_argument(FunctionCallInfo fcinfo, int arg)
{
	Interval   *timeout;
	double		days;
	double		seconds;

	pges_require_argument(fcinfo, arg, "timeout");
	timeout = PG_GETARG_INTERVAL_P(arg);
	days = timeout->day + (double) timeout->month * DAYS_PER_MONTH;
	seconds = timeout->time / (double) USECS_PER_SEC + days * SECS_PER_DAY;
	if (seconds < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"timeout\" must not be negative")));
	return Min(seconds * 1000, MAX_WAIT_MS);
}

PG_FUNCTION_INFO_V1(pges_wait_for_events);

/*
 * SQL: wait until there is an event after a position.  Return the mark, or null after
 * the timeout.  The session reads the mark at growing intervals.  No other process has
 * to wake the session, so the function works through any pooler and on a standby.
 */
Datum
pges_wait_for_events(PG_FUNCTION_ARGS)
{
	int64		after = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0);
	int64		timeout = timeout_argument(fcinfo, 1);
	const PgesStore *store = pges_store_argument(fcinfo, 2, AccessShareLock, ACL_SELECT);
	bool		include_archived = pges_bool_argument(fcinfo, 3, false);
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);
	int64		fruitless = -1; /* a mark up to which no event is new */

	for (int nap = 1;; nap = Min(nap * 2, MAX_NAP_MS))
	{
		int64		mark = pges_mark_to_read(store);
		long		left;

		if (mark > after && mark != fruitless)
		{
			if (has_event(store, include_archived, after, mark))
				PG_RETURN_INT64(mark);
			fruitless = mark;
		}
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		if (left <= 0)
			PG_RETURN_NULL();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(nap, left), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}
