/*
 * store_log.c
 *		How far the log of a store can be read, how many events it has, and how wide its
 *		columns are.
 */
#include "migrate.h"

#include <time.h>

#include "common/logging.h"

#define LONGEST_WAIT 10			/* seconds for open appends */

/* Return the planner's estimate of the rows of a table, for the progress. */
int64
estimate_rows(const End *end, const char *table)
{
	return query_number(end, psprintf("SELECT reltuples::pg_catalog.int8 FROM pg_catalog.pg_class"
									  " WHERE oid = pg_catalog.to_regclass(%s)", sql_literal(end, table)));
}

/* Return this estimate for the events of the stores of an end, and of their archives. */
int64
estimate_events(const End *end)
{
	char	   *stores = stores_query(end);

	return query_number(end, psprintf("SELECT pg_catalog.sum(reltuples)::pg_catalog.int8 FROM pg_catalog.pg_class"
									  " WHERE reltuples > 0 AND oid IN (%s UNION ALL"
									  " SELECT archive FROM eventstore.archives WHERE store IN (%s))", stores, stores));
}

/*
 * Return the actions of ALTER TABLE that make the columns of a new store as wide
 * as the widest of the source; NULL if they are wide enough.
 */
const char *
widening_to_match(const End *end)
{
	return query_value(end, psprintf("SELECT pg_catalog.string_agg(pg_catalog.format('ALTER %%I TYPE %%s COLLATE \"C\"',"
									 " attname, pg_catalog.format_type(atttypid, atttypmod)), ', ')"
									 " FROM (SELECT DISTINCT ON (attname) attname, atttypid, atttypmod"
									 " FROM pg_catalog.pg_attribute WHERE attrelid IN (%s)"
									 " AND attname IN ('event_id', 'event_type', 'correlation_id', 'causation_id',"
									 " 'aggregate_id', 'aggregate_type')"
									 " ORDER BY attname, NULLIF(atttypmod, -1) DESC NULLS FIRST) widest"
									 " WHERE atttypmod = -1 OR atttypmod - 4 >"
									 " CASE WHEN attname LIKE '%%type' THEN 255 ELSE 36 END", stores_query(end)));
}

/* Describe the open append with the lowest position; NULL if there is none. */
static char *
find_open_append(const End *end, const char *literal)
{
	return query_value(end, psprintf("SELECT pg_catalog.concat_ws(' ',"
									 " CASE WHEN pid IS NULL THEN 'Prepared transaction' ELSE 'Process' END,"
									 " COALESCE(gid, pid::text), 'appended and is open since', since)"
									 " FROM eventstore.open_appends"
									 " WHERE store = %s::pg_catalog.regclass ORDER BY first_position LIMIT 1",
									 literal));
}

/* Report why the log does not show all events, and end the program. */
static void
fail_hidden_events(const End *end, const char *store, int64 last, const char *open_append)
{
	if (open_append != NULL)
	{
		pg_log_error("store %s of %s has events after an open append", store, end->name);
		pg_log_error_detail("%s.", open_append);
		pg_log_error_hint("Retry when the append has ended. View eventstore.open_appends shows open appends.");
	}
	else
	{
		pg_log_error("store %s of %s has events that its log does not show", store, end->name);
		pg_log_error_detail("Position %lld was inserted explicitly, and is above the last value of the sequence.",
							(long long) last);
		pg_log_error_hint("Set the sequence, which view eventstore.stores names, to that position with setval().");
	}
	exit(1);
}

/*
 * Wait until the high-water mark of a store has reached the last event that exists
 * now, and return the mark.  An open append stops the mark.  After LONGEST_WAIT end
 * the program.
 */
int64
wait_for_mark(const End *end, const char *store)
{
	char	   *literal = sql_literal(end, store);
	int64		last = query_number(end, psprintf("SELECT position FROM eventstore.get_latest_events(1, %s)", literal));
	char	   *sql = psprintf("SELECT eventstore.high_water_mark(%s)", literal);
	int64		mark = query_number(end, sql);
	time_t		begin = time(NULL);
	bool		told = options.quiet;

	while (mark < last)
	{
		char	   *open_append = find_open_append(end, literal);

		if (open_append != NULL && !told)
			pg_log_info("waiting for an open append");
		told |= open_append != NULL;
		if (time(NULL) - begin > (open_append ? LONGEST_WAIT : 1))
			fail_hidden_events(end, store, last, open_append);
		pg_free(open_append);
		pg_usleep(100000);
		mark = query_number(end, sql);
	}
	pg_free(sql);
	pg_free(literal);
	return mark;
}
