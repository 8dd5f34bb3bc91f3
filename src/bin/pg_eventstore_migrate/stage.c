/*
 * stage.c
 *		Loads events into the stage, a temporary table, and sorts them there.
 *
 * The stage has the text of each event, and the keys that determine the order.
 * The program finds these keys, so the server parses the JSON only once, when
 * it stores or compares the events.
 */
#include "migrate.h"

/* Create the stage. */
void
create_stage(const End *end)
{
	run_command(end, "SET temp_buffers = '16MB'");
	run_command(end, "CREATE TEMPORARY TABLE eventstore_migrate_events"
				" (line bigint, slot integer, aggregate_id text COLLATE \"C\","
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

	(void) scan_event(line, &keys);
	if (!keys.has_id)
	{
		if (with_id == NULL)
			with_id = createPQExpBuffer();
		add_event_id(line, with_id);
		sent.text = with_id->data;
		sent.length = with_id->len;
	}
	put_number(rows, 5, 2);
	put_number(rows, 8, 4);
	put_number(rows, line->number, 8);
	put_number(rows, 4, 4);
	put_number(rows, line->slot, 4);
	put_text(rows, keys.aggregate_id, keys.aggregate_id_length);
	put_number(rows, 4, 4);
	put_number(rows, keys.aggregate_version, 4);
	put_text(rows, sent.text, sent.length);
}

/*
 * Return whether an error may mean that the encoding of the database lacks a
 * character.  With SQL_ASCII, an escaped character raises the error "not
 * supported".
 */
bool
lacks_character(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state != NULL && (strcmp(state, "22P05") == 0 || strcmp(state, "0A000") == 0);
}

/* Return whether a database can store all characters of some JSON, also escaped ones. */
static bool
can_store(const End *end, const char *json, size_t length)
{
	const Oid	type = 25;		/* text */
	const int	bytes = (int) length;
	const int	binary = 1;
	size_t		plain = 0;
	PGresult   *result;
	bool		can;

	while (plain < length && !IS_HIGHBIT_SET(json[plain]) && json[plain] != '\\')
		plain++;
	if (plain == length)
		return true;
	result = PQexecParams(end->conn, "SELECT 1 WHERE $1::pg_catalog.jsonb IS NULL", 1,
						  &type, &json, &bytes, &binary, 0);
	can = !lacks_character(result);
	PQclear(result);
	return can;
}

/* Return the first key with a character that a database cannot store, with a prefix. */
const char *
key_with_character(const End *end, const Line *line, const char *prefix)
{
	Scan		scan;
	Pair		pair;

	if (!begin_object(&scan, line))
		return "";
	while (next_pair(&scan, &pair))
	{
		if (!can_store(end, pair.key, pair.key_end - pair.key) ||
			!can_store(end, pair.value, pair.value_end - pair.value))
			return psprintf("%s%.*s", prefix, (int) (pair.key_end - pair.key), pair.key);
	}
	return "";
}

/*
 * Report why a batch was not copied to the stage, and end the program.  If the
 * database lacks a character, name the first event with such a character,
 * because the error of a COPY names none.
 */
static void
fail_copy(const End *end, Source *batch, const PGresult *error)
{
	End			place = *end;
	Line		line;

	rewind_batch(batch);
	while (lacks_character(error) && batch->next(batch, &line))
	{
		if (can_store(end, line.text, line.length))
			continue;
		place.name = psprintf("%s: %s %lld%s", batch->name, batch->unit, (long long) line.number,
							  key_with_character(end, &line, ": key "));
		break;
	}
	fail_query(&place, error);
}

/*
 * Copy a batch to the stage, after a TRUNCATE if requested; on failure end the
 * program.
 */
void
fill_stage(const End *end, Source *batch, bool truncate)
{
	PQExpBuffer rows = begin_copy(end, STAGE, truncate);
	Line		line;
	PGresult   *error;

	rewind_batch(batch);
	while (batch->next(batch, &line))
	{
		stop_if_canceled();
		put_stage_row(rows, &line);
		if (rows->len >= COPY_PIECE)
			send_rows(end, rows);
	}
	error = end_copy(end, rows);
	if (error != NULL)
		fail_copy(end, batch, error);
}

/* Copy all batches of a source that remain to the stage, and show the progress. */
void
fill_stage_with_all(const End *end, Batches *batches, const Source *source, const char *verb)
{
	Source	   *batch;

	progress_begin(source, verb, source->events);
	while ((batch = next_batch(batches)) != NULL)
	{
		fill_stage(end, batch, false);
		destroy_batch(batch);
		progress_show(source->events);
	}
	progress_end();
}

/* Set a missing version to that of the last event before it in the aggregate. */
static void
fill_versions(const End *end)
{
	if (query_value(end, "SELECT 1 FROM " STAGE
					" WHERE aggregate_id IS NOT NULL AND aggregate_version = 0 LIMIT 1") == NULL)
		return;
	run_command(end, "BEGIN; SET LOCAL work_mem = '64MB';"
				" CREATE TEMPORARY TABLE eventstore_migrate_filled AS"
				" SELECT line, slot, aggregate_id, COALESCE(pg_catalog.max(NULLIF(aggregate_version, 0))"
				" OVER (PARTITION BY aggregate_id, given), 0) AS aggregate_version, event"
				" FROM (SELECT *, pg_catalog.count(NULLIF(aggregate_version, 0))"
				" OVER (PARTITION BY aggregate_id ORDER BY line) AS given FROM " STAGE ") counted;"
				" DROP TABLE " STAGE ";"
				" ALTER TABLE pg_temp.eventstore_migrate_filled RENAME TO eventstore_migrate_events; COMMIT");
}

/*
 * Replace the stage by the ordered stage, with the numbers of the events in their slots.
 * There each event follows its predecessors in the aggregate, and the order is otherwise
 * that of the source: the place of an event is the last line of itself and its
 * predecessors.  An event
 * without a version follows the one before it, in the source, in its aggregate.
 * Events without an aggregate keep their order.
 */
void
order_stage(const End *end)
{
	fill_versions(end);
	run_command(end, "BEGIN; SET LOCAL work_mem = '64MB'; SET LOCAL maintenance_work_mem = '64MB';"
				" CREATE TEMPORARY TABLE eventstore_migrate_ordered AS"
				" SELECT pg_catalog.row_number() OVER"
				" (PARTITION BY slot ORDER BY place, aggregate_version, line) AS n,"
				" slot, line, event"
				" FROM (SELECT *, CASE WHEN aggregate_id IS NULL THEN line ELSE"
				" pg_catalog.max(line) OVER (PARTITION BY aggregate_id"
				" ORDER BY aggregate_version, line) END AS place FROM " STAGE ") placed;"
				" CREATE INDEX ON " ORDERED_STAGE " (slot, n);"
				" DROP TABLE " STAGE "; COMMIT");
}
