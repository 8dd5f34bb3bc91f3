/*
 * stage.c
 *		Brings events to the stage, a temporary table, and puts them in order there.
 *
 * The stage has the text of each event, and the keys that determine the order.
 * The program finds these keys, so the server parses the JSON only once, when it
 * stores or compares the events.
 */
#include "migrate.h"

/* Create the stage. */
void
create_stage(const End *end)
{
	run_command(end, "SET temp_buffers = '16MB'");
	run_command(end, "CREATE TEMPORARY TABLE eventstore_migrate_events"
				" (line bigint, aggregate_id text COLLATE \"C\","
				" aggregate_version integer, event text)");
	run_command(end, "ALTER TABLE " STAGE
				" ALTER aggregate_id SET STORAGE PLAIN,"
				" ALTER event SET STORAGE EXTERNAL");
}

/* Append the row of an event; an event without an id gets one. */
static void
put_stage_row(PQExpBuffer rows, const Line *line)
{
	static PQExpBuffer with_id; /* reused for the next event */
	Line		sent = *line;
	EventKeys	keys;

	scan_event(line, &keys);
	if (!keys.has_id)
	{
		if (with_id == NULL)
			with_id = createPQExpBuffer();
		add_event_id(line, with_id);
		sent.text = with_id->data;
		sent.length = with_id->len;
	}
	put_number(rows, 4, 2);
	put_number(rows, 8, 4);
	put_number(rows, line->number, 8);
	put_text(rows, keys.aggregate_id, keys.aggregate_id_length);
	put_number(rows, 4, 4);
	put_number(rows, keys.aggregate_version, 4);
	put_text(rows, sent.text, sent.length);
}

/* Copy all events of a source to the stage; on failure end the program. */
void
fill_stage(const End *end, Source *source, bool truncate, bool show)
{
	PQExpBuffer rows = begin_copy(end, STAGE, truncate);
	Line		line;
	PGresult   *error;

	while (source->next(source, &line))
	{
		stop_if_canceled();
		put_stage_row(rows, &line);
		if (rows->len >= COPY_PIECE)
			send_rows(end, rows);
		if (show && source->events % 1024 == 0)
			progress_show(source->events);
	}
	error = end_copy(end, rows);
	if (error != NULL)
		fail_query(end, error);
}

/* Give events without a version that of the last one before them in the aggregate. */
static void
fill_versions(const End *end)
{
	if (query_value(end, "SELECT 1 FROM " STAGE
					" WHERE aggregate_id IS NOT NULL AND aggregate_version = 0 LIMIT 1") == NULL)
		return;
	run_command(end, "BEGIN; SET LOCAL work_mem = '64MB';"
				" CREATE TEMPORARY TABLE eventstore_migrate_filled AS"
				" SELECT line, aggregate_id, COALESCE(pg_catalog.max(NULLIF(aggregate_version, 0))"
				" OVER (PARTITION BY aggregate_id, given), 0) AS aggregate_version, event"
				" FROM (SELECT *, pg_catalog.count(NULLIF(aggregate_version, 0))"
				" OVER (PARTITION BY aggregate_id ORDER BY line) AS given FROM " STAGE ") counted;"
				" DROP TABLE " STAGE ";"
				" ALTER TABLE pg_temp.eventstore_migrate_filled RENAME TO eventstore_migrate_events; COMMIT");
}

/*
 * Replace the stage by the ordered stage.  There each event follows its
 * predecessors in the aggregate, and the order is otherwise that of the source: the
 * place of an event is the last line of itself and its predecessors.  An event
 * without a version follows the one before it, in the source, in its aggregate.
 * Events without an aggregate keep their order.
 */
void
order_stage(const End *end)
{
	fill_versions(end);
	run_command(end, "BEGIN; SET LOCAL work_mem = '64MB'; SET LOCAL maintenance_work_mem = '64MB';"
				" CREATE TEMPORARY TABLE eventstore_migrate_ordered AS"
				" SELECT pg_catalog.row_number() OVER (ORDER BY place, aggregate_version, line) AS n,"
				" line, event"
				" FROM (SELECT *, CASE WHEN aggregate_id IS NULL THEN line ELSE"
				" pg_catalog.max(line) OVER (PARTITION BY aggregate_id"
				" ORDER BY aggregate_version, line) END AS place FROM " STAGE ") placed;"
				" CREATE INDEX ON " ORDERED_STAGE " (n);"
				" DROP TABLE " STAGE "; COMMIT");
}
