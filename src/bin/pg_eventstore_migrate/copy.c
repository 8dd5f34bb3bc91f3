/*
 * copy.c
 *		Reads events from the tables of a database by COPY TO.
 *
 * A query gives a row for each event, a number and the event as JSON, in the
 * order of the numbers.  A store of ours is read in pages, with its archive, up
 * to the high-water mark that it has at the begin.  The tables of others are read by
 * one query, as they have no mark that would tell where a page may end.
 */
#include "migrate.h"

#include <time.h>

#include "common/logging.h"
#include "fe_utils/cancel.h"
#include "fe_utils/string_utils.h"
#include "port/pg_bswap.h"

#define PAGE_EVENTS 50000
#define LONGEST_WAIT 10			/* seconds for appends that are open */

typedef struct CopyState
{
	const End  *end;
	const char *query;			/* of all events; NULL if it is our store */
	const char *store;			/* as a literal of SQL */
	int64		after;			/* the last number that was given */
	int64		mark;			/* no event beyond this is wanted */
	int64		page;			/* events that the running query has given */
	bool		running;
	bool		finished;		/* all events were given */
	char	   *row;			/* of libpq */
} CopyState;

/*
 * message-db: a stream is an aggregate, its category is the type.  Positions in
 * a stream begin with 0.
 */
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
 * Emmett: its readers go by transaction, then by position.  So events are
 * numbered in that order.  Its commands are none.
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

/* A big-endian number of a binary COPY. */
static int64
number_at(const char *from, size_t size)
{
	uint64		value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | (unsigned char) from[i];
	return (int64) value;
}

/* Begin a query, or the next page. */
static void
begin_rows(CopyState *state)
{
	char	   *query;

	if (state->query != NULL)
		query = psprintf("COPY (%s) TO STDOUT (FORMAT binary)", state->query);
	else
		query = psprintf("COPY (SELECT e.position, e.event::pg_catalog.text"
						 " FROM eventstore.export_events('%lld', %d, %s, include_archived => true) e) TO STDOUT (FORMAT binary)",
						 (long long) state->after, PAGE_EVENTS, state->store);
	PQclear(must(state->end, run(state->end, query)));
	pg_free(query);
	state->running = true;
	state->page = 0;
}

/* End a query that has given all of its rows, and see that it went well. */
static void
end_rows(CopyState *state)
{
	PGresult   *result;

	while ((result = PQgetResult(state->end->conn)) != NULL)
		PQclear(must(state->end, result));
	state->running = false;
}

/* Receive the next row of the running query; false when there is none. */
static bool
receive_row(CopyState *state, Line *line)
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
		end_rows(state);
		return false;
	}
	at = state->row;
	Assert(at != NULL);
	if (length >= 19 && memcmp(at, "PGCOPY\n\377\r\n\0", 11) == 0)
		at += 19;				/* the header comes with the first row */
	if (state->row + length - at < 2 || number_at(at, 2) != 2)
		return receive_row(state, line);	/* the end's mark */
	line->number = number_at(at + 6, 8);
	line->length = number_at(at + 14, 4);
	line->text = at + 18;
	return true;
}

/* Give the next event. */
static bool
next_row(Source *source, Line *line)
{
	CopyState  *state = source->state;

	while (!state->finished)
	{
		if (!state->running)
			begin_rows(state);
		if (receive_row(state, line) && line->number <= state->mark)
		{
			state->after = line->number;
			state->page++;
			line->ordinal = ++source->events;
			return true;
		}
		/* rows beyond the mark are received, too, to end the query */
		state->finished = !state->running &&
			(state->query != NULL || state->page < PAGE_EVENTS);
	}
	return false;
}

/* What the planner believes to be the number of rows of a table, for progress. */
static int64
estimate(const End *end, const char *table)
{
	PQExpBufferData sql;
	int64		rows;

	initPQExpBuffer(&sql);
	appendPQExpBufferStr(&sql, "SELECT reltuples::pg_catalog.int8 FROM pg_catalog.pg_class"
						 " WHERE oid = pg_catalog.to_regclass(");
	appendStringLiteralConn(&sql, table, end->conn);
	appendPQExpBufferStr(&sql, ")");
	rows = ask_number(end, sql.data);
	termPQExpBuffer(&sql);
	return rows;
}

/* A table of another event store, in the schema that was given or its usual one. */
static char *
foreign_table(const End *end, SourceFormat format, const char *name)
{
	const char *usual = format == FORMAT_EMMETT ? "public" : "message_store";

	return pg_strdup(fmtQualifiedIdEnc(end->schema ? end->schema : usual, name,
									   PQclientEncoding(end->conn)));
}

/* Whether there is a table. */
static bool
table_exists(const End *end, const char *table)
{
	PQExpBufferData sql;
	bool		exists;

	initPQExpBuffer(&sql);
	appendPQExpBufferStr(&sql, "SELECT pg_catalog.to_regclass(");
	appendStringLiteralConn(&sql, table, end->conn);
	appendPQExpBufferStr(&sql, ")");
	exists = ask(end, sql.data) != NULL;
	termPQExpBuffer(&sql);
	return exists;
}

/*
 * Look at the tables to see what kind of event store there is.  If the target
 * is a store in the same database, it is not meant.
 */
static SourceFormat
find_format(const End *end)
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

/* Who appended first of those whose transactions are open, or NULL if there is none. */
static char *
find_open_append(const CopyState *state)
{
	return ask(state->end, psprintf("SELECT pg_catalog.concat_ws(' ',"
									" CASE WHEN pid IS NULL THEN 'Prepared transaction' ELSE 'Process' END,"
									" COALESCE(gid, pid::text), 'appended and is open since', since)"
									" FROM eventstore.open_appends"
									" WHERE store = %s::pg_catalog.regclass ORDER BY first_position LIMIT 1",
									state->store));
}

/* Report why the log does not show all events, and end the program. */
static void
fail_mark(const CopyState *state, int64 last, const char *open_append)
{
	if (open_append != NULL)
	{
		pg_log_error("store %s of %s has events behind an append that is open",
					 store_name(state->end), state->end->name);
		pg_log_error_detail("%s.", open_append);
		pg_log_error_hint("Their order is known when it has ended. View eventstore.open_appends shows such appends.");
	}
	else
	{
		pg_log_error("store %s of %s has events that its log does not show",
					 store_name(state->end), state->end->name);
		pg_log_error_detail("Position %lld was given by hand, and is above those that the sequence has given.",
							(long long) last);
		pg_log_error_hint("Set the sequence, which view eventstore.stores names, to that position with setval().");
	}
	exit(1);
}

/* The position of the last event that is there, archived or not. */
static int64
last_position(const End *end)
{
	char	   *archive = archive_name(end);
	int64		last = ask_number(end, psprintf("SELECT pg_catalog.max(position) FROM %s", store_name(end)));

	if (archive == NULL)
		return last;
	return Max(last, ask_number(end, psprintf("SELECT pg_catalog.max(position) FROM %s", archive)));
}

/*
 * What makes the columns of a new store as wide as those of the source; NULL if
 * they are.
 */
static const char *
widening_like(const End *end)
{
	return ask(end, psprintf("SELECT pg_catalog.string_agg(pg_catalog.format('ALTER %%I TYPE %%s COLLATE \"C\"',"
							 " attname, pg_catalog.format_type(atttypid, atttypmod)), ', ')"
							 " FROM pg_catalog.pg_attribute WHERE attrelid = %s::pg_catalog.regclass"
							 " AND attname IN ('event_id', 'event_type', 'correlation_id', 'causation_id',"
							 " 'aggregate_id', 'aggregate_type')"
							 " AND (atttypmod = -1 OR atttypmod - 4 >"
							 " CASE WHEN attname LIKE '%%type' THEN 255 ELSE 36 END)", store_literal(end)));
}

/*
 * The high-water mark, once no event that is there now is above it.  An append
 * that is open holds it back.
 */
static int64
wait_for_mark(const CopyState *state)
{
	int64		last = last_position(state->end);
	char	   *sql = psprintf("SELECT eventstore.high_water_mark(%s)", state->store);
	int64		mark = ask_number(state->end, sql);
	time_t		begin = time(NULL);
	bool		told = options.quiet;

	while (mark < last)
	{
		char	   *open_append = find_open_append(state);

		if (open_append != NULL && !told)
			pg_log_info("waiting for an append that is open");
		told |= open_append != NULL;
		if (time(NULL) - begin > (open_append ? LONGEST_WAIT : 1))
			fail_mark(state, last, open_append);
		pg_free(open_append);
		pg_usleep(100000);
		mark = ask_number(state->end, sql);
	}
	pg_free(sql);
	return mark;
}

/* Set up to read a store of ours, up to its mark. */
static void
use_store(Source *source, CopyState *state)
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
	source->expected = estimate(end, store_name(end));
	source->unit = "position";
	source->widening = widening_like(end);
}

/* Set up to read the tables of another event store. */
static void
use_foreign_tables(Source *source, CopyState *state, SourceFormat format)
{
	const End  *end = state->end;
	bool		emmett = format == FORMAT_EMMETT;
	char	   *messages = foreign_table(end, format, emmett ? "emt_messages" : "messages");

	if (!table_exists(end, messages))
		pg_fatal("%s has no table %s", end->name, messages);
	state->query = emmett ?
		psprintf(EMMETT_QUERY, messages, foreign_table(end, format, "emt_streams")) :
		psprintf(MESSAGE_DB_QUERY, messages);
	source->expected = estimate(end, messages);
	source->unit = emmett ? "event" : "global position";
	source->widening = "ALTER aggregate_id TYPE varchar(255) COLLATE \"C\"";
}

/* Begin to read the events of a database. */
Source *
open_database_source(const End *end)
{
	Source	   *source = pg_malloc0(sizeof(Source));
	CopyState  *state = pg_malloc0(sizeof(CopyState));
	SourceFormat format = options.format;

	state->end = end;
	state->after = PG_INT64_MIN;
	state->mark = PG_INT64_MAX;
	/* part of the events would be taken for all of them */
	PQclear(must(end, run(end, "SET row_security = off")));
	if (format == FORMAT_AUTO)
		format = find_format(end);
	if (format == FORMAT_EVENTSTORE)
		use_store(source, state);
	else
		use_foreign_tables(source, state, format);
	source->name = end->name;
	source->next = next_row;
	source->state = state;
	return source;
}

/* Begin to read an end. */
Source *
open_source(const End *end)
{
	return end->is_file ? open_file_source(end->value) : open_database_source(end);
}
