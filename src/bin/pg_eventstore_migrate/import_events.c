/*
 * import_events.c
 *		Imports events into a store, or into the slots of a sliced store.
 *
 * 1	Each batch is sent to the column stage of a session, and imported from there
 *		in a transaction of its own.  Two sessions alternate: while one imports its
 *		batch, the other receives the next batch.  Only one imports at any time.
 *		A batch that the column stage rejects is sent to the stage instead.
 * 2	Step 1 ends at the first event that does not follow its predecessors in its
 *		aggregate.  The rest of the source is then sent to the stage, sorted there,
 *		and imported in batches.  The order in the store is the same as if all
 *		events had been sorted before.
 *
 * A batch has events of one slot, so its import is the same as that into an ordinary
 * store.
 */
#include "migrate.h"

#include "common/logging.h"

/* A session that imports every other batch. */
typedef struct Session
{
	End			end;
	Source	   *batch;			/* NULL if there is none */
	bool		in_columns;		/* the column stage has its events */
} Session;

typedef struct Import
{
	Source	   *source;
	Batches    *batches;		/* of the source */
	const End  *target;			/* the session that imports */
	Session		sessions[2];
	Counts	   *counts;
} Import;

static Import *current_import;	/* its batches remain; or NULL */
static const Session *importing;	/* it imports its batch now; or NULL */

static PGresult *end_import(const Import *import, const End *target);

/*
 * Report the number of imported events when an error ends the program.  First
 * cancel a running import; its events are counted if it has already committed.
 */
static void
report_imported(void)
{
	if (importing != NULL)
	{
		cancel_query();
		PQclear(end_import(current_import, &importing->end));
	}
	if (current_import != NULL && current_import->counts->imported > 0)
		pg_log_info("%lld events were imported before, and remain",
					(long long) current_import->counts->imported);
}

/*
 * Return whether the stage has an event that precedes its predecessor: an
 * event whose version is not the next one of its aggregate, after the store
 * and the events before it.
 */
static bool
is_batch_out_of_order(const Import *import, int slot)
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

	return query_value(import->target, psprintf(query, slot_literal(import->target, slot))) != NULL;
}

/* Return whether the stage was not imported because its events are not in order. */
static bool
is_order_error(const Import *import, int slot, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);

	if (state == NULL)
		return false;
	if (strcmp(state, "22023") == 0)
		return column != NULL && strcmp(column, "aggregate_version") == 0;
	/* events out of order can cause these errors */
	return (strcmp(state, "23505") == 0 || strcmp(state, "40V01") == 0) && is_batch_out_of_order(import, slot);
}

/* Return the line in an error's context, "importing event 3, line 17, to", or NULL. */
static const char *
number_in_context(const PGresult *result)
{
	static const char words[] = ", line ";
	const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
	const char *event = context ? strstr(context, "importing event ") : NULL;
	const char *at = event ? strstr(event, words) : NULL;
	size_t		digits = at ? strspn(at + strlen(words), "0123456789") : 0;

	return digits > 0 ? pnstrdup(at + strlen(words), digits) : NULL;
}

/*
 * Return the key that an error of a staged event is about, for messages; "" if
 * unknown.
 */
static const char *
key_at_fault(const End *target, const PGresult *result, const char *stage, const char *number)
{
	Line		line;

	if (!lacks_character(result))
		return "";
	if (PQtransactionStatus(target->conn) != PQTRANS_IDLE)
		run_command(target, "ROLLBACK");
	line.text = query_value(target, psprintf("SELECT event FROM %s WHERE line = %s", stage, number));
	if (line.text == NULL)
		return "";
	line.length = strlen(line.text);
	return key_with_character(target, &line, ": key ");
}

/* Report why the events of a stage were not imported, and end the program. */
static void
fail_batch(const Import *import, const PGresult *result, const char *stage)
{
	End			place = *import->target;
	const char *number = number_in_context(result);

	if (number != NULL)
		place.name = psprintf("%s: %s %s%s", import->source->name, import->source->unit, number,
							  key_at_fault(import->target, result, stage, number));
	fail_query(&place, result);
}

/* Begin to import the events that a query returns into a slot. */
static void
begin_import(const End *target, const char *query, int slot)
{
	char	   *store = slot_literal(target, slot);
	char	   *sql = psprintf("SELECT imported, present FROM eventstore.import_events('%s', %s)",
							   query, store);

	begin_query(target, sql);
	pg_free(sql);
	pg_free(store);
}

/* Wait for the end of an import, and count its events.  Return its error, or NULL. */
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

/* Import the events that a query returns into a slot.  Return the error, or NULL. */
static PGresult *
import_query(const Import *import, const char *query, int slot)
{
	begin_import(import->target, query, slot);
	return end_import(import, import->target);
}

/* Import a batch by the stage; false if its events are not in order. */
static bool
import_batch_as_text(const Import *import, Source *batch)
{
	PGresult   *error;

	fill_stage(import->target, batch, true);
	error = import_query(import, "SELECT line, event FROM " STAGE, batch->slot);
	if (error == NULL)
		return true;
	if (!is_order_error(import, batch->slot, error))
		fail_batch(import, error, STAGE);
	PQclear(error);
	return false;
}

/* Replace a session's batch by the next one, if there is one, and send it to the column stage. */
static void
load_batch(const Import *import, Session *session)
{
	destroy_batch(session->batch);
	session->batch = next_batch(import->batches);
	session->in_columns = session->batch != NULL && fill_column_stage(&session->end, session->batch);
}

/*
 * Begin to import the column stage of a session.  A scan returns the events in the
 * order in which they were sent, so no sort is needed.
 */
static void
begin_batch_import(const Session *session)
{
	if (!session->in_columns)
		return;
	begin_import(&session->end, COLUMN_STAGE_QUERY, session->batch->slot);
	importing = session;
}

/* End a session's import; after an error import by the stage.  False if not in order. */
static bool
end_batch_import(Import *import, const Session *session)
{
	PGresult   *error;

	import->target = &session->end;
	if (session->in_columns)
	{
		importing = NULL;
		error = end_import(import, &session->end);
		if (error == NULL)
			return true;
		if (PQstatus(session->end.conn) == CONNECTION_BAD)
			fail_query(import->target, error);
		PQclear(error);
	}
	return import_batch_as_text(import, session->batch);
}

/* Import batches while their events are in order.  Return whether all were. */
static bool
import_in_order(Import *import)
{
	Session    *session = &import->sessions[0];
	Session    *next = import->sessions[1].end.conn ? &import->sessions[1] : session;

	load_batch(import, session);
	while (session->batch != NULL)
	{
		Session    *done = session;

		begin_batch_import(session);
		if (next != session)
			load_batch(import, next);
		if (!end_batch_import(import, session))
			return false;
		progress_show(import->counts->imported + import->counts->present);
		if (next == session)
			load_batch(import, next);
		session = next;
		next = done;
	}
	return true;
}

/* Import the events of a slot from the ordered stage; "before" events are done already. */
static int64
import_ordered_slot(const Import *import, int slot, int64 before)
{
	int64		last = query_number(import->target, psprintf("SELECT pg_catalog.max(n) FROM " ORDERED_STAGE
															 " WHERE slot = %d", slot));

	for (int64 done = 0; done < last; done += options.batch_size)
	{
		char	   *query = psprintf("SELECT line, event FROM " ORDERED_STAGE
									 " WHERE slot = %d AND n > %lld"
									 " AND n <= %lld ORDER BY n", slot,
									 (long long) done, (long long) done + options.batch_size);
		PGresult   *error = import_query(import, query, slot);

		if (error != NULL)
			fail_batch(import, error, ORDERED_STAGE);
		pg_free(query);
		progress_show(before + Min(done + options.batch_size, last));
	}
	return last;
}

/* Import the events of the ordered stage, slot by slot. */
static void
import_ordered(const Import *import, const char *verb)
{
	int64		done = import->source->events -
		query_number(import->target, "SELECT pg_catalog.count(*) FROM " ORDERED_STAGE);

	progress_begin(import->source, verb, done);
	for (int slot = 0; slot < MAX_SLOTS; slot++)
	{
		if (has_slot(import->target, slot))
			done += import_ordered_slot(import, slot, done);
	}
	progress_end();
}

/* Send the rest of the source to the stage of the importing session, and order it. */
static void
stage_rest(const Import *import)
{
	for (int i = 0; i < (int) lengthof(import->sessions); i++)
	{
		const Session *session = &import->sessions[i];

		if (session->batch == NULL || &session->end == import->target)
			continue;			/* the stage has that batch already */
		fill_stage(import->target, session->batch, false);
	}
	fill_stage_with_all(import->target, import->batches, import->source, "brought to the server");
	if (!options.quiet)
		pg_log_info("putting the events in order");
	order_stage(import->target);
	import->source->expected = import->source->events;
	import->source->size = 0;
}

/* Import all events in one transaction, and roll it back. */
static void
import_and_roll_back(const Import *import)
{
	stage_rest(import);
	run_command(import->target, "BEGIN");
	create_target_if_missing(import->target, import->source->widening);
	import_ordered(import, "checked");
	run_command(import->target, "ROLLBACK");
}

/* Open two sessions, or one if the server rejects the second connection. */
static void
open_sessions(Import *import)
{
	Session    *first = &import->sessions[0];
	Session    *second = &import->sessions[1];

	first->end = *import->target;
	create_column_stage(&first->end);
	if (!connect_again(import->target, &second->end))
		return;
	create_stage(&second->end);
	create_column_stage(&second->end);
}

/* Import all batches, each in a transaction. */
static void
import_batches(Import *import)
{
	bool		in_order;

	create_target_if_missing(import->target, import->source->widening);
	current_import = import;
	atexit(report_imported);
	open_sessions(import);
	progress_begin(import->source, "imported", 0);
	in_order = import_in_order(import);
	progress_end();
	if (!in_order)
	{
		stage_rest(import);
		import_ordered(import, "imported");
	}
	current_import = NULL;
	PQfinish(import->sessions[1].end.conn);
	if (made_event_ids && import->counts->present > 0)
		pg_log_warning("events without an id were regarded as present in the store"
					   " if an earlier version of %s had the same text at the same place",
					   import->source->name);
}

/* Import the events of a source into a store; a dry run rolls everything back. */
void
import_events(Source *source, const End *target, Counts *counts)
{
	Import		import = {.source = source,.target = target,.counts = counts};

	if (target->slots != NULL)
	{
		(void) find_target_slots(target);	/* report what is wrong early */
		import.source = create_slot_source(source, target->slots);
	}
	import.batches = create_batches(import.source, target->slots ? target->slots->count : 1);
	create_stage(target);
	if (options.dry_run)
		import_and_roll_back(&import);
	else
		import_batches(&import);
	counts->skipped = import.source->skipped;
}
