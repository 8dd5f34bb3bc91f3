/*
 * read.c
 *		The SQL functions that read events, except the ordered log (read_log.c).
 *
 * Each function runs one statement on the store.  The rows go straight from the executor
 * into the tuplestore of a set-returning function.  Every bound is a parameter, so LIMIT
 * stops the scan.  The functions are stable: they read under the snapshot of the query
 * that calls them.
 *
 * Unless the caller excludes the archive, the same statement reads the store and its
 * archive as one table, under one snapshot.  An event is in exactly one of the two.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/sql_argument.h"
#include "event/event.h"
#include "read/read.h"
#include "slot/slot.h"
#include "store/store.h"
#include "table/table.h"

/* A statement that reads some versions of an aggregate in one order. */
#define BY_AGGREGATE(order) { \
	"SELECT " PGES_COLUMNS " FROM %1$s " \
	"WHERE aggregate_id OPERATOR(pg_catalog.=) $1 " \
	"AND aggregate_version OPERATOR(pg_catalog.>=) $2 " \
	"AND aggregate_version OPERATOR(pg_catalog.<=) $3 " \
	"ORDER BY aggregate_version " order " LIMIT $4", \
	4, {TEXTOID, INT4OID, INT4OID, INT8OID} \
}

static const PgesStatement by_aggregate = BY_AGGREGATE("ASC");
static const PgesStatement by_aggregate_backwards = BY_AGGREGATE("DESC");

/*
 * A statement that reads the events with one value in one column, ordered by time, from
 * $3 on, or after the event of that time at position $4.
 */
#define BY_COLUMN(column, bound) { \
	"SELECT " PGES_COLUMNS " FROM %1$s " \
	"WHERE " column " OPERATOR(pg_catalog.=) $1 AND " bound \
	"ORDER BY occurred_at, position LIMIT $2", \
	4, {TEXTOID, INT8OID, TIMESTAMPTZOID, INT8OID} \
}
#define FROM_TIME "occurred_at OPERATOR(pg_catalog.>=) $3 "
#define AFTER_EVENT "(occurred_at, position) OPERATOR(pg_catalog.>) ($3, $4) "
#define BY_TIME(column) {BY_COLUMN(column, FROM_TIME), BY_COLUMN(column, AFTER_EVENT)}

static const PgesStatement by_type[] = BY_TIME("event_type");
static const PgesStatement by_aggregate_type[] = BY_TIME("aggregate_type");
static const PgesStatement by_correlation_id[] = BY_TIME("correlation_id");
static const PgesStatement by_causation_id[] = BY_TIME("causation_id");

static const PgesStatement time_of_position = {
	"SELECT occurred_at FROM %1$s WHERE position OPERATOR(pg_catalog.=) $1",
	1, {INT8OID}
};

static const PgesStatement all = {
	"SELECT " PGES_COLUMNS " FROM %1$s ORDER BY position",
	0
};

static const PgesStatement latest = {
	"SELECT " PGES_COLUMNS " FROM "
	"(SELECT " PGES_COLUMNS " FROM %1$s ORDER BY position DESC LIMIT $1) e "
	"ORDER BY position",
	1, {INT8OID}
};

static const PgesStatement by_event_id = {
	"SELECT " PGES_COLUMNS " FROM %1$s "
	"WHERE event_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static const PgesStatement aggregate_version = {
	"SELECT aggregate_version FROM %1$s "
	"WHERE aggregate_id OPERATOR(pg_catalog.=) $1 "
	"ORDER BY aggregate_version DESC LIMIT 1",
	1, {TEXTOID}
};

/* Add a text argument of the function.  Raise an error if the argument is null. */
static void
add_text(PgesParams *params, FunctionCallInfo fcinfo, int arg, const char *name)
{
	pges_require_argument(fcinfo, arg, name);
	pges_add_param(params, PG_GETARG_DATUM(arg), false);
}

/* Add an integer argument of the function, or "if_null" if the argument is null. */
static void
add_int4(PgesParams *params, FunctionCallInfo fcinfo, int arg, int32 if_null)
{
	pges_add_param(params, Int32GetDatum(PG_ARGISNULL(arg) ? if_null : PG_GETARG_INT32(arg)),
				   false);
}

/*
 * Return the rows of a statement on the store that an argument names.  The next argument
 * says whether to include the archive.
 */
static Datum
return_events(FunctionCallInfo fcinfo, int store_arg, const PgesStatement *statement,
			  const PgesParams *params)
{
	const PgesStore *store = pges_store_argument(fcinfo, store_arg, AccessShareLock, ACL_SELECT);

	return pges_return_events(fcinfo, store, pges_bool_argument(fcinfo, store_arg + 1, true),
							  statement, params);
}

PG_FUNCTION_INFO_V1(pges_get_events_by_aggregate);

/* SQL: return the events of one aggregate, ordered by version. */
Datum
pges_get_events_by_aggregate(PG_FUNCTION_ARGS)
{
	bool		backwards = pges_bool_argument(fcinfo, 4, false);
	PgesParams	params = {.n = 0};
	const PgesStore *store;

	add_text(&params, fcinfo, 0, "aggregate_id");
	add_int4(&params, fcinfo, 1, 0);
	add_int4(&params, fcinfo, 2, PG_INT32_MAX);
	pges_add_max_count(&params, fcinfo, 3);
	store = pges_store_argument(fcinfo, 5, AccessShareLock, ACL_SELECT);
	pges_check_slot(store, DatumGetTextPP(params.values[0]));
	return pges_return_events(fcinfo, store, pges_bool_argument(fcinfo, 6, true),
							  backwards ? &by_aggregate_backwards : &by_aggregate, &params);
}

/*
 * Return the time of the event at a position; raise an error if there is none.  If the
 * caller excludes the archive, the archive is searched as well, because the event may
 * have been archived since the caller has read it.
 */
static TimestampTz
find_time(const PgesStore *store, int64 position, bool include_archived)
{
	PgesScope	scope = pges_scope_to_read(&store, include_archived);
	Datum		value = Int64GetDatum(position);
	TimestampTz time = 0;
	bool		found;

	SPI_connect();
	(void) pges_run_statement(store, scope, &time_of_position, &value, NULL, true, NULL);
	found = SPI_processed > 0;
	if (found)
		time = pges_found_int64(1, 0);
	SPI_finish();
	if (!found && !include_archived)
		return find_time(store, position, true);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"after_position\" must be the position of an event"),
				 errdetail("There is no event at position " INT64_FORMAT " of store %s.",
						   position, store->live.qualified_name),
				 errhint("Pass the position of the last event received, or null to read from the start.")));
	return time;
}

/*
 * Add parameters $3 and $4 of BY_COLUMN: the later of the start date and the time of
 * the event at a position, and that position.  Return whether to read from that event
 * on.  The time is looked up by position, because some client libraries round times.
 */
static bool
add_place(PgesParams *params, const PgesStore *store, bool include_archived,
		  TimestampTz start, int64 after)
{
	TimestampTz time = after == 0 ? DT_NOBEGIN : find_time(store, after, include_archived);

	pges_add_param(params, TimestampTzGetDatum(Max(start, time)), false);
	pges_add_param(params, Int64GetDatum(after), false);
	return after != 0 && time >= start;
}

/*
 * Return the events with one value in a text column.  The arguments are value,
 * start_date, after_position, max_count, store, include_archived.
 */
static Datum
get_events_by(FunctionCallInfo fcinfo, const PgesStatement *statements,
			  const char *column)
{
	TimestampTz start = PG_ARGISNULL(1) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(1);
	int64		after = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT64(2);
	bool		include_archived = pges_bool_argument(fcinfo, 5, true);
	PgesParams	params = {.n = 0};
	const PgesStore *store;
	bool		after_event;

	add_text(&params, fcinfo, 0, column);
	pges_add_max_count(&params, fcinfo, 3);
	store = pges_store_argument(fcinfo, 4, AccessShareLock, ACL_SELECT);
	after_event = add_place(&params, store, include_archived, start, after);
	return pges_return_events(fcinfo, store, include_archived,
							  &statements[after_event ? 1 : 0], &params);
}

PG_FUNCTION_INFO_V1(pges_get_events_by_type);

/* SQL: return the events of one type, ordered by time. */
Datum
pges_get_events_by_type(PG_FUNCTION_ARGS)
{
	return get_events_by(fcinfo, by_type, "event_type");
}

PG_FUNCTION_INFO_V1(pges_get_events_by_aggregate_type);

/* SQL: return the events of all aggregates of one type, ordered by time. */
Datum
pges_get_events_by_aggregate_type(PG_FUNCTION_ARGS)
{
	return get_events_by(fcinfo, by_aggregate_type, "aggregate_type");
}

PG_FUNCTION_INFO_V1(pges_get_events_by_correlation_id);

/* SQL: return the events with one correlation id, ordered by time. */
Datum
pges_get_events_by_correlation_id(PG_FUNCTION_ARGS)
{
	return get_events_by(fcinfo, by_correlation_id, "correlation_id");
}

PG_FUNCTION_INFO_V1(pges_get_events_by_causation_id);

/* SQL: return the events that one event or command caused, ordered by time. */
Datum
pges_get_events_by_causation_id(PG_FUNCTION_ARGS)
{
	return get_events_by(fcinfo, by_causation_id, "causation_id");
}

PG_FUNCTION_INFO_V1(pges_get_latest_events);

/* SQL: return the newest events, in ascending order of position. */
Datum
pges_get_latest_events(PG_FUNCTION_ARGS)
{
	PgesParams	params = {.n = 0};

	pges_add_max_count(&params, fcinfo, 0);
	return return_events(fcinfo, 1, PG_ARGISNULL(0) ? &all : &latest, &params);
}

PG_FUNCTION_INFO_V1(pges_get_event);

/* SQL: return the event with an id, or no row. */
Datum
pges_get_event(PG_FUNCTION_ARGS)
{
	PgesParams	params = {.n = 0};

	add_text(&params, fcinfo, 0, "event_id");
	return return_events(fcinfo, 1, &by_event_id, &params);
}

PG_FUNCTION_INFO_V1(pges_get_aggregate_version);

/* SQL: return the version of an aggregate, archived or not; 0 if it has no events. */
Datum
pges_get_aggregate_version(PG_FUNCTION_ARGS)
{
	PgesParams	params = {.n = 0};
	const PgesStore *store = pges_store_argument(fcinfo, 1, AccessShareLock, ACL_SELECT);
	PgesScope	scope = pges_scope_to_read(&store, true);
	int32		version = 0;

	add_text(&params, fcinfo, 0, "aggregate_id");
	pges_check_slot(store, DatumGetTextPP(params.values[0]));
	SPI_connect();
	(void) pges_run_statement(store, scope, &aggregate_version, params.values, params.nulls, true, NULL);
	if (SPI_processed > 0)
		version = pges_found_int32(1);
	SPI_finish();
	PG_RETURN_INT32(version);
}
