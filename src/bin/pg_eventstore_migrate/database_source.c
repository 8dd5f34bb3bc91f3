/*
 * database_source.c
 *		Reads events from the tables of a database by COPY TO.
 *
 * A query returns a row for each event: a number, and the event as JSON, in
 * the order of the numbers.  A store of pg_eventstore is read in pages, with
 * its archive, up to the high-water mark that it has at the start.  Foreign
 * tables, which are those of another event store, are read by one query: they
 * have no mark at which a page could end.
 */
#include "migrate.h"

#include <time.h>

#include "common/logging.h"
#include "fe_utils/cancel.h"
#include "fe_utils/string_utils.h"

#define PAGE_EVENTS 50000
#define LONGEST_WAIT 10			/* seconds for open appends */

typedef struct CopyState
{
	const End  *end;
	const char *query;			/* of all events; NULL for a store */
	const char *store;			/* as an SQL literal */
	int64		after;			/* the number of the last event returned */
	int64		mark;			/* the number at which to stop */
	int64		page;			/* events that the running query returned */
	bool		running;
	bool		finished;		/* all events were returned */
	char	   *row;			/* libpq allocates it */
} CopyState;

/* message-db: a stream is an aggregate, its category the type; positions begin with 0. */
#define MESSAGE_DB_QUERY \
	"SELECT m.global_position, pg_catalog.jsonb_build_object(" \
	"'event_id', m.id, 'event_type', m.type," \
	" 'occurred_at', m.time AT TIME ZONE 'UTC'," \
	" 'aggregate_id', m.stream_name," \
	" 'aggregate_type', pg_catalog.split_part(m.stream_name, '-', 1)," \
	" 'aggregate_version', m.position + 1," \
	" 'data', m.data, 'metadata', m.metadata)::pg_catalog.text" \
	" FROM %s m ORDER BY m.global_position"

/*
 * Emmett: its readers read in the order of transactions, then of positions, so
 * events are numbered in that order.  Messages of kind command are left out.
 */
#define EMMETT_QUERY \
	"SELECT pg_catalog.row_number() OVER (ORDER BY m.transaction_id, m.global_position)," \
	" pg_catalog.jsonb_build_object(" \
	"'event_id', m.message_id, 'event_type', m.message_type," \
	" 'occurred_at', m.created, 'aggregate_id', m.stream_id," \
	" 'aggregate_type', s.stream_type, 'aggregate_version', m.stream_position," \
	" 'data', m.message_data, 'metadata', m.message_metadata)::pg_catalog.text" \
	" FROM %s m LEFT JOIN %s s ON s.stream_id = m.stream_id" \
	" AND s.partition = m.partition" \
	" AND s.is_archived = m.is_archived" \
	" WHERE m.message_kind = 'E'" \
	" ORDER BY m.transaction_id, m.global_position"

/* Return a big-endian number of a binary COPY. */
static int64
number_at(const char *from, size_t size)
{
	uint64		value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | (unsigned char) from[i];
	return (int64) value;
}

/* Start the query, or that of the next page. */
static void
begin_rows(CopyState *state)
{
	char	   *query;

	if (state->query != NULL)
		query = psprintf("COPY (%s) TO STDOUT (FORMAT binary)", state->query);
	else
		query = psprintf("COPY (SELECT e.position, e.event::pg_catalog.text"
						 " FROM eventstore.export_events('%lld', %d, %s) e) TO STDOUT (FORMAT binary)",
						 (long long) state->after, PAGE_EVENTS, state->store);
	run_command(state->end, query);
	pg_free(query);
	state->running = true;
	state->page = 0;
}

/*
 * End the running query.  If it failed, end the program.  If the error does not name the
 * event, name the last event that was received: the rows that precede the error were sent.
 */
static void
end_rows(const Source *source, CopyState *state)
{
	PGresult   *result = end_query(state->end);
	End			place = *state->end;

	if (state->after > PG_INT64_MIN && position_in_context(result) == NULL)
		place.name = psprintf("%s: after %s %lld", place.name, source->unit, (long long) state->after);
	PQclear(check_result(&place, result));
	state->running = false;
}

/* Receive the next row of the running query; false if it has returned all its rows. */
static bool
receive_row(const Source *source, CopyState *state, Line *line)
{
	int			length;
	char	   *at;

	if (state->row != NULL)
		PQfreemem(state->row);
	state->row = NULL;
	SetCancelConn(state->end->conn);
	length = PQgetCopyData(state->end->conn, &state->row, 0);
	ResetCancelConn();
	stop_if_canceled();
	if (length < 0)
	{
		end_rows(source, state);
		return false;
	}
	at = state->row;
	Assert(at != NULL);
	if (length >= 19 && memcmp(at, "PGCOPY\n\377\r\n\0", 11) == 0)
		at += 19;				/* the header precedes the first row */
	if (state->row + length - at < 2 || number_at(at, 2) != 2)
		return receive_row(source, state, line);	/* the trailer */
	line->number = number_at(at + 6, 8);
	line->length = number_at(at + 14, 4);
	line->text = at + 18;
	return true;
}

/* Return the next event; false if there is none. */
static bool
next_row(Source *source, Line *line)
{
	CopyState  *state = source->state;

	while (!state->finished)
	{
		if (!state->running)
			begin_rows(state);
		if (receive_row(source, state, line) && line->number <= state->mark)
		{
			state->after = line->number;
			state->page++;
			line->ordinal = ++source->events;
			return true;
		}
		/* rows beyond the mark are received too, so that the query ends */
		state->finished = !state->running &&
			(state->query != NULL || state->page < PAGE_EVENTS);
	}
	return false;
}

/* Return the planner's estimate of the rows of a table, for the progress. */
static int64
estimate_rows(const End *end, const char *table)
{
	return query_number(end, psprintf("SELECT reltuples::pg_catalog.int8 FROM pg_catalog.pg_class"
									  " WHERE oid = pg_catalog.to_regclass(%s)", sql_literal(end, table)));
}

/* Return this estimate for the events of a store and its archive. */
static int64
estimate_events(const End *end)
{
	char	   *archive = query_value(end, psprintf("SELECT archive FROM eventstore.archives"
													" WHERE store = %s::pg_catalog.regclass AND archive IS NOT NULL",
													store_literal(end)));

	return estimate_rows(end, store_name(end)) + (archive ? estimate_rows(end, archive) : 0);
}

/* Return the quoted name of a foreign table, in the given schema or the usual one. */
static char *
foreign_table(const End *end, SourceFormat format, const char *name)
{
	const char *usual = format == FORMAT_EMMETT ? "public" : "message_store";

	return pg_strdup(fmtQualifiedIdEnc(end->schema ? end->schema : usual, name,
									   PQclientEncoding(end->conn)));
}

/* Return whether a table exists. */
static bool
table_exists(const End *end, const char *table)
{
	return query_value(end, psprintf("SELECT pg_catalog.to_regclass(%s)", sql_literal(end, table))) != NULL;
}

/* Return the format whose tables exist, except the target; end the program if several. */
static SourceFormat
detect_format(const End *end)
{
	bool		ours = store_exists(end) && !same_store(end, &options.target);
	bool		message_db = table_exists(end, foreign_table(end, FORMAT_MESSAGE_DB, "messages"));
	bool		emmett = table_exists(end, foreign_table(end, FORMAT_EMMETT, "emt_messages"));

	if (ours + message_db + emmett > 1)
	{
		pg_log_error("%s has the tables of several event stores", end->name);
		pg_log_error_hint("Use the option --source-format to name one.");
		exit(1);
	}
	if (message_db)
		return FORMAT_MESSAGE_DB;
	return emmett ? FORMAT_EMMETT : FORMAT_EVENTSTORE;
}

/* Describe the open append with the lowest position; NULL if there is none. */
static char *
find_open_append(const CopyState *state)
{
	return query_value(state->end, psprintf("SELECT pg_catalog.concat_ws(' ',"
											" CASE WHEN pid IS NULL THEN 'Prepared transaction' ELSE 'Process' END,"
											" COALESCE(gid, pid::text), 'appended and is open since', since)"
											" FROM eventstore.open_appends"
											" WHERE store = %s::pg_catalog.regclass ORDER BY first_position LIMIT 1",
											state->store));
}

/* Report why the log does not show all events, and end the program. */
static void
fail_hidden_events(const CopyState *state, int64 last, const char *open_append)
{
	if (open_append != NULL)
	{
		pg_log_error("store %s of %s has events after an open append",
					 store_name(state->end), state->end->name);
		pg_log_error_detail("%s.", open_append);
		pg_log_error_hint("Retry when the append has ended. View eventstore.open_appends shows open appends.");
	}
	else
	{
		pg_log_error("store %s of %s has events that its log does not show",
					 store_name(state->end), state->end->name);
		pg_log_error_detail("Position %lld was inserted explicitly, and is above the last value of the sequence.",
							(long long) last);
		pg_log_error_hint("Set the sequence, which view eventstore.stores names, to that position with setval().");
	}
	exit(1);
}

/* Return the position of the last event of a store and its archive. */
static int64
last_position(const End *end)
{
	return query_number(end, psprintf("SELECT position FROM eventstore.get_latest_events(1, %s)",
									  store_literal(end)));
}

/*
 * Return the actions of ALTER TABLE that make the columns of a new store as wide
 * as those of the source; NULL if they are wide enough.
 */
static const char *
widening_to_match(const End *end)
{
	return query_value(end, psprintf("SELECT pg_catalog.string_agg(pg_catalog.format('ALTER %%I TYPE %%s COLLATE \"C\"',"
									 " attname, pg_catalog.format_type(atttypid, atttypmod)), ', ')"
									 " FROM pg_catalog.pg_attribute WHERE attrelid = %s::pg_catalog.regclass"
									 " AND attname IN ('event_id', 'event_type', 'correlation_id', 'causation_id',"
									 " 'aggregate_id', 'aggregate_type')"
									 " AND (atttypmod = -1 OR atttypmod - 4 >"
									 " CASE WHEN attname LIKE '%%type' THEN 255 ELSE 36 END)", store_literal(end)));
}

/*
 * Wait until the high-water mark has reached the last event that exists now,
 * and return the mark.  An open append stops the mark.  After LONGEST_WAIT end
 * the program.
 */
static int64
wait_for_mark(const CopyState *state)
{
	int64		last = last_position(state->end);
	char	   *sql = psprintf("SELECT eventstore.high_water_mark(%s)", state->store);
	int64		mark = query_number(state->end, sql);
	time_t		begin = time(NULL);
	bool		told = options.quiet;

	while (mark < last)
	{
		char	   *open_append = find_open_append(state);

		if (open_append != NULL && !told)
			pg_log_info("waiting for an open append");
		told |= open_append != NULL;
		if (time(NULL) - begin > (open_append ? LONGEST_WAIT : 1))
			fail_hidden_events(state, last, open_append);
		pg_free(open_append);
		pg_usleep(100000);
		mark = query_number(state->end, sql);
	}
	pg_free(sql);
	return mark;
}

/* Prepare to read a store of pg_eventstore up to its mark. */
static void
set_up_store(Source *source, CopyState *state)
{
	const End  *end = state->end;

	if (!store_exists(end))
	{
		pg_log_error("%s has no store %s", end->name, store_name(end));
		if (end->schema == NULL || end->table == NULL)
			pg_log_error_hint("Options --schema and --table name the store of both, unless --source-schema and --source-table do.");
		exit(1);
	}
	if (same_store(end, &options.target))
		pg_fatal("the source and the target are the same store");
	state->store = store_literal(end);
	state->mark = wait_for_mark(state);
	source->expected = estimate_events(end);
	source->unit = "position";
	source->widening = widening_to_match(end);
}

/* Prepare to read the tables of another event store. */
static void
set_up_foreign_tables(Source *source, CopyState *state, SourceFormat format)
{
	const End  *end = state->end;
	bool		emmett = format == FORMAT_EMMETT;
	char	   *messages = foreign_table(end, format, emmett ? "emt_messages" : "messages");

	if (!table_exists(end, messages))
		pg_fatal("%s has no table %s", end->name, messages);
	state->query = emmett ?
		psprintf(EMMETT_QUERY, messages, foreign_table(end, format, "emt_streams")) :
		psprintf(MESSAGE_DB_QUERY, messages);
	source->expected = estimate_rows(end, messages);
	source->unit = emmett ? "event" : "global position";
	source->widening = WIDE_AGGREGATE_ID;
}

/* Open an end as a source.  If a database has no store, end the program. */
Source *
open_source(const End *end)
{
	Source	   *source = pg_malloc0(sizeof(Source));
	CopyState  *state = pg_malloc0(sizeof(CopyState));
	SourceFormat format = options.format;

	if (end->is_file)
		return open_file_source(end->value);
	state->end = end;
	state->after = PG_INT64_MIN;
	state->mark = PG_INT64_MAX;
	/* a policy must raise an error instead of hiding events */
	run_command(end, "SET row_security = off");
	if (format == FORMAT_AUTO)
		format = detect_format(end);
	if (format == FORMAT_EVENTSTORE)
		set_up_store(source, state);
	else
		set_up_foreign_tables(source, state, format);
	source->name = end->name;
	source->next = next_row;
	source->state = state;
	return source;
}
