/*
 * import.c
 *		Imports events into a store.
 *
 * Each batch comes to the server by COPY and is imported from there in a
 * transaction of its own.  Two sessions take turns: while one imports its
 * batch, the next one comes to the other.  Only one imports at any time.  As
 * long as events come in order, each behind its predecessors in its aggregate,
 * that is all.  At the first one that does not, all that is left of the source
 * is brought to the server, put in order there, and imported in batches from
 * that.  The events end up in the same order as if all of them had been put in
 * order before.
 */
#include "migrate.h"

#include "common/logging.h"
#include "fe_utils/cancel.h"

/* A session that imports every other batch. */
typedef struct Lane
{
	End			end;
	Source	   *batch;
	bool		full;			/* there is a batch */
	bool		in_columns;		/* and it is there in columns */
} Lane;

typedef struct Import
{
	Source	   *source;
	const End  *target;			/* the session that is at work */
	Lane		lanes[2];
	char	   *store;			/* as a literal of SQL */
	Counts	   *counts;
} Import;

static Import *current;			/* the one of which every batch stays, or NULL */
static const Lane *begun;		/* imports its batch now, or NULL */

static PGresult *end_import(const Import *import, const End *target);

/*
 * When the program ends by an error, tell what was imported and stays.  A batch
 * that is being imported then is canceled, unless it has ended already.
 */
static void
report_kept(void)
{
	if (begun != NULL)
	{
		cancel_query();
		PQclear(end_import(current, &begun->end));
	}
	if (current != NULL && current->counts->imported > 0)
		pg_log_info("%lld events were imported before, and stay",
					(long long) current->counts->imported);
}

/* Whether an error is that a version does not follow. */
static bool
is_version(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);

	return state != NULL && strcmp(state, "22023") == 0 &&
		column != NULL && strcmp(column, "aggregate_version") == 0;
}

/* Whether an error may come from events that are not in order, too. */
static bool
may_be_order(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state != NULL && (strcmp(state, "23505") == 0 || strcmp(state, "40V01") == 0);
}

/*
 * Whether an event of the batch comes before its predecessor: one that has a
 * version, while its aggregate, with the events that come before it, is not so
 * far, or further.
 */
static bool
out_of_order(const Import *import)
{
	static const char query[] =
		"SELECT 1 FROM (SELECT aggregate_id, aggregate_version, place,"
		" CASE WHEN given > 1"
		" THEN pg_catalog.lag(version) OVER (PARTITION BY aggregate_id ORDER BY line) END AS before"
		" FROM (SELECT *, CASE WHEN given > 0 THEN"
		" pg_catalog.max(aggregate_version) OVER (PARTITION BY aggregate_id, given)"
		" + pg_catalog.row_number() OVER (PARTITION BY aggregate_id, given ORDER BY line) - 1 END AS version"
		" FROM (SELECT *, pg_catalog.row_number() OVER (PARTITION BY aggregate_id ORDER BY line) AS place,"
		" pg_catalog.count(NULLIF(aggregate_version, 0)) OVER (PARTITION BY aggregate_id ORDER BY line) AS given"
		" FROM " STAGE " WHERE aggregate_id IS NOT NULL) counted) numbered) placed"
		" WHERE aggregate_version > 0 AND CASE WHEN before IS NULL"
		" THEN aggregate_version > eventstore.get_aggregate_version(aggregate_id, %s) + place"
		" ELSE aggregate_version <> before + 1 END LIMIT 1";

	return ask(import->target, psprintf(query, import->store)) != NULL;
}

/* The number that the context of an error names: "importing event 3, line 17, to". */
static const char *
number_in_context(const PGresult *result)
{
	static const char words[] = ", line ";
	const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
	const char *event = context ? strstr(context, "importing event ") : NULL;
	const char *at = event ? strstr(event, words) : NULL;
	size_t		digits;

	if (at == NULL)
		return NULL;
	at += strlen(words);
	digits = strspn(at, "0123456789");
	return digits > 0 ? pnstrdup(at, digits) : NULL;
}

/* Report why a batch was not imported, and end the program. */
static void
fail_batch(const Import *import, const PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *number = number_in_context(result);

	if (message != NULL && number != NULL)
	{
		const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
		const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

		pg_log_error("%s: %s %s: %s", import->source->name, import->source->unit, number, message);
		if (detail != NULL)
			pg_log_error_detail("%s", detail);
		if (hint != NULL)
			pg_log_error_hint("%s", hint);
		exit(1);
	}
	fail_query(import->target, result);
}

/* Begin to import what a query returns. */
static void
begin_import(const Import *import, const End *target, const char *query)
{
	char	   *sql = psprintf("SELECT imported, present FROM eventstore.import_events('%s', %s)",
							   query, import->store);

	begin_query(target, sql);
	pg_free(sql);
}

/* Wait for the end of an import; the error, if there is one. */
static PGresult *
end_import(const Import *import, const End *target)
{
	PGresult   *result = end_query(target);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return result;
	import->counts->imported += strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	import->counts->present += strtoll(PQgetvalue(result, 0, 1), NULL, 10);
	PQclear(result);
	return NULL;
}

/* Import what a query returns; the error, if there is one. */
static PGresult *
import_query(const Import *import, const char *query)
{
	begin_import(import, import->target, query);
	return end_import(import, import->target);
}

/* Import a batch as text; false if its events do not come in order. */
static bool
import_text(const Import *import, Source *batch)
{
	PGresult   *error;

	read_batch_again(batch);
	fill_stage(import->target, batch, true, false);
	error = import_query(import, "SELECT line, event FROM " STAGE);
	if (error != NULL && (is_version(error) || (may_be_order(error) && out_of_order(import))))
	{
		PQclear(error);
		return false;
	}
	if (error != NULL)
		fail_batch(import, error);
	return true;
}

/* Bring the next batch to a session, if there is one: in columns, if that is possible. */
static void
load_lane(Lane *lane)
{
	lane->full = read_batch(lane->batch);
	lane->in_columns = lane->full && fill_columns(&lane->end, lane->batch);
}

/*
 * Begin to import the batch of a session.  A scan of the table gives the events
 * as they came, so that no sort is needed.
 */
static void
begin_lane(const Import *import, const Lane *lane)
{
	if (!lane->in_columns)
		return;
	begin_import(import, &lane->end, COLUMNS_QUERY);
	begun = lane;
}

/* End that, if need be as text; false if the events do not come in order. */
static bool
end_lane(Import *import, const Lane *lane)
{
	PGresult   *error;

	import->target = &lane->end;
	if (lane->in_columns)
	{
		begun = NULL;
		error = end_import(import, &lane->end);
		if (error == NULL)
			return true;
		if (PQstatus(lane->end.conn) == CONNECTION_BAD)
			fail_batch(import, error);
		PQclear(error);
	}
	return import_text(import, lane->batch);
}

/* Import batch after batch, as long as events come in order; whether all did. */
static bool
import_in_order(Import *import)
{
	Lane	   *lane = &import->lanes[0];
	Lane	   *other = &import->lanes[1];

	load_lane(lane);
	while (lane->full)
	{
		Lane	   *done = lane;

		begin_lane(import, lane);
		if (other->end.conn != NULL)
			load_lane(other);
		if (!end_lane(import, lane))
			return false;
		progress_show(import->counts->imported + import->counts->present);
		if (other->end.conn == NULL)
			load_lane(lane);
		else
		{
			lane = other;
			other = done;
		}
	}
	return true;
}

/* Import the events that were put in order on the server. */
static void
import_ordered(const Import *import, const char *verb)
{
	int64		total = import->source->events;
	int64		last = ask_number(import->target, "SELECT pg_catalog.count(*) FROM " ORDERED_STAGE);

	progress_begin(import->source, verb, total - last);
	for (int64 done = 0; done < last; done += options.batch_size)
	{
		char	   *query = psprintf("SELECT line, event FROM " ORDERED_STAGE
									 " WHERE n > %lld"
									 " AND n <= %lld ORDER BY n",
									 (long long) done, (long long) done + options.batch_size);
		PGresult   *error = import_query(import, query);

		if (error != NULL)
			fail_batch(import, error);
		pg_free(query);
		progress_show(total - last + Min(done + options.batch_size, last));
	}
	progress_end();
}

/*
 * Bring all that is left of the source to the session at work, and put it in
 * order.
 */
static void
stage_rest(const Import *import)
{
	for (int i = 0; i < (int) lengthof(import->lanes); i++)
	{
		const Lane *lane = &import->lanes[i];

		if (!lane->full || &lane->end == import->target)
			continue;			/* that batch is there already */
		read_batch_again(lane->batch);
		fill_stage(import->target, lane->batch, false, false);
	}
	progress_begin(import->source, "brought to the server", import->source->events);
	fill_stage(import->target, import->source, false, true);
	progress_end();
	if (!options.quiet)
		pg_log_info("putting the events in order");
	order_stage(import->target);
	import->source->expected = import->source->events;
	import->source->size = 0;
}

/* Import everything in one transaction and roll it back. */
static void
try_import(const Import *import)
{
	stage_rest(import);
	PQclear(must(import->target, run(import->target, "BEGIN")));
	prepare_store(import->target, import->source->widening);
	import_ordered(import, "checked");
	PQclear(must(import->target, run(import->target, "ROLLBACK")));
}

/* Set up a session to import in. */
static void
open_lane(Import *import, Lane *lane)
{
	create_columns(&lane->end);
	lane->batch = make_batch(import->source);
}

/* Set up two sessions, or one if there cannot be two. */
static void
open_lanes(Import *import)
{
	import->lanes[0].end = *import->target;
	open_lane(import, &import->lanes[0]);
	if (!open_again(import->target, &import->lanes[1].end))
		return;
	create_stage(&import->lanes[1].end);
	open_lane(import, &import->lanes[1]);
}

/* Import the events of a source into a store. */
void
import_events(Source *source, const End *target, Counts *counts)
{
	Import		import = {.source = source,.target = target,.counts = counts};
	bool		in_order;

	import.store = store_literal(target);
	create_stage(target);
	if (options.dry_run)
	{
		try_import(&import);
		return;
	}
	prepare_store(target, source->widening);
	current = &import;
	atexit(report_kept);
	open_lanes(&import);
	progress_begin(source, "imported", 0);
	in_order = import_in_order(&import);
	progress_end();
	if (!in_order)
	{
		stage_rest(&import);
		import_ordered(&import, "imported");
	}
	current = NULL;
	PQfinish(import.lanes[1].end.conn);
	if (made_event_ids() && counts->present > 0)
		pg_log_warning("events without an id were taken for ones that are there already"
					   " if %s had the same text at the same place before", source->name);
}
