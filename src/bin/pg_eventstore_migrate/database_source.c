/*
 * database_source.c
 *		Reads events from the tables of a database by COPY TO.
 *
 * A query returns a row for each event: a number, and the event as JSON, in
 * the order of the numbers.  A store of pg_eventstore is read in pages, with
 * its archive, up to the high-water mark that it has at the start.  The slots
 * of a sliced store are merged (merge_source.c).  Foreign tables, which are
 * those of another event store, are read by one query: they have no mark at
 * which a page could end.
 */
#include "migrate.h"

#include "common/logging.h"
#include "fe_utils/string_utils.h"

typedef struct CopyState
{
	CopyOut		copy;
	const char *query;			/* of all events; NULL for a store */
	const char *store;			/* as an SQL literal */
	int64		after;			/* the number of the last event returned */
	int64		mark;			/* the number at which to stop */
	int64		page;			/* events that the running query returned */
	bool		finished;		/* all events were returned */
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

/* Start the query, or that of the next page. */
static void
begin_rows(CopyState *state)
{
	char	   *page;

	state->page = 0;
	if (state->query != NULL)
	{
		begin_copy_out(&state->copy, state->query);
		return;
	}
	page = psprintf("SELECT e.position, e.event::pg_catalog.text"
					" FROM eventstore.export_events('%lld', %d, %s) e",
					(long long) state->after, PAGE_EVENTS, state->store);
	begin_copy_out(&state->copy, page);
	pg_free(page);
}

/* Return the next event; false if there is none. */
static bool
next_row(Source *source, Line *line)
{
	CopyState  *state = source->state;
	CopyValue	values[2];

	while (!state->finished)
	{
		if (!state->copy.running)
			begin_rows(state);
		if (!receive_row(&state->copy, values, lengthof(values)))
		{
			end_copy_out(&state->copy, source->name, source->unit, state->after);
			state->finished = state->query != NULL || state->page < PAGE_EVENTS;
			continue;
		}
		/* rows beyond the mark are received too, so that the query ends */
		line->number = number_at(values[0].at, 8);
		if (line->number > state->mark)
			continue;
		line->text = values[1].at;
		line->length = values[1].length;
		line->ordinal = ++source->events;
		state->after = line->number;
		state->page++;
		return true;
	}
	return false;
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
	bool		ours = store_exists(end) && common_store(end, &options.target) == NULL;
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

/* Report that a database lacks the store to read, and end the program. */
static void
fail_no_store(const End *end)
{
	int64		slots = extension_exists(end) ?
		query_number(end, psprintf("SELECT slots FROM eventstore.slots(%s) LIMIT 1", store_literal(end))) : 0;

	pg_log_error("%s has no store %s", end->name, store_name(end));
	if (slots > 0)
		pg_log_error_hint("It has slots of that store: option --source-slots=%d reads them.", (int) slots);
	else if (end->schema == NULL || end->table == NULL)
		pg_log_error_hint("Options --schema and --table name the store of both, unless --source-schema and --source-table do.");
	exit(1);
}

/* End the program if the source and the target are the same store, or have a slot in common. */
static void
check_stores_differ(const End *end)
{
	const char *store = common_store(end, &options.target);

	if (store == NULL)
		return;
	if ((end->slots == NULL) == (options.target.slots == NULL))
		pg_fatal("the source and the target are the same store");
	pg_fatal("the source and the target both have store %s", store);
}

/* Prepare to read a store of pg_eventstore, or its slots, up to the marks. */
static void
set_up_store(Source *source, CopyState *state)
{
	const End  *end = state->copy.end;
	int			found = 1;

	if (end->slots != NULL)
		found = require_slots(end);
	else if (!store_exists(end))
		fail_no_store(end);
	check_stores_differ(end);
	source->expected = estimate_events(end);
	source->widening = widening_to_match(end);
	if (end->slots != NULL)
	{
		source->expected = source->expected * count_chosen(end->slots) / found;
		set_up_merge(source, end);
		return;
	}
	state->store = store_literal(end);
	state->mark = wait_for_mark(end, store_name(end));
	source->unit = "position";
}

/* Prepare to read the tables of another event store. */
static void
set_up_foreign_tables(Source *source, CopyState *state, SourceFormat format)
{
	const End  *end = state->copy.end;
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
	state->copy.end = end;
	state->after = PG_INT64_MIN;
	state->mark = PG_INT64_MAX;
	/* a policy must raise an error instead of hiding events */
	run_command(end, "SET row_security = off");
	source->name = end->name;
	source->next = next_row;
	source->state = state;
	if (format == FORMAT_AUTO)
		format = end->slots ? FORMAT_EVENTSTORE : detect_format(end);
	if (format == FORMAT_EVENTSTORE)
		set_up_store(source, state);
	else
		set_up_foreign_tables(source, state, format);
	return source;
}
