/*
 * stage.c
 *		Brings events to the server, into temporary tables.
 *
 * COPY in binary form needs no escapes, and neither side has to look for them.
 * The keys that put events in order are found here, not by the server, which
 * reads the JSON once only, when it stores the events or compares them.
 */
#include "migrate.h"

#include "common/logging.h"
#include "fe_utils/cancel.h"
#include "port/pg_bswap.h"

#define PIECE (64 * 1024)

/* Make the temporary table for events. */
void
create_stage(const End *end)
{
	PQclear(must(end, run(end, "SET temp_buffers = '16MB'")));
	PQclear(must(end, run(end, "CREATE TEMPORARY TABLE eventstore_migrate_events"
						  " (line bigint, aggregate_id text COLLATE \"C\","
						  " aggregate_version integer, event text)")));
	PQclear(must(end, run(end, "ALTER TABLE " STAGE
						  " ALTER aggregate_id SET STORAGE PLAIN,"
						  " ALTER event SET STORAGE EXTERNAL")));
}

/* Append a number of so many bytes, big end first. */
void
put_number(PQExpBuffer rows, int64 value, int size)
{
	uint64		bytes = pg_hton64((uint64) value);

	appendBinaryPQExpBuffer(rows, (char *) &bytes + sizeof(bytes) - size, size);
}

/* Append a value with its length; NULL is a null. */
void
put_text(PQExpBuffer rows, const char *value, size_t length)
{
	put_number(rows, value ? (int64) length : -1, 4);
	if (value != NULL)
		appendBinaryPQExpBuffer(rows, value, length);
}

/* Append the row of an event. */
static void
put_event(PQExpBuffer rows, const Line *line)
{
	static PQExpBuffer with_id; /* kept for the next event */
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

/* Send what has gathered. */
void
send_rows(const End *end, PQExpBuffer rows)
{
	if (PQExpBufferBroken(rows))
		pg_fatal("out of memory");
	if (PQputCopyData(end->conn, rows->data, (int) rows->len) != 1)
		pg_fatal("%s: %s", end->name, PQerrorMessage(end->conn));
	resetPQExpBuffer(rows);
}

/* Begin to copy; the table is emptied in the same transaction if wanted. */
void
begin_copy(const End *end, PQExpBuffer rows, const char *table, bool truncate)
{
	char	   *sql = psprintf("%s%s; COPY %s FROM STDIN (FORMAT binary)",
							   truncate ? "TRUNCATE " : "", truncate ? table : "", table);

	PQclear(must(end, run(end, sql)));
	pg_free(sql);
	appendBinaryPQExpBuffer(rows, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
}

/* End the copy; the error, if the server did not take it. */
PGresult *
end_copy(const End *end, PQExpBuffer rows)
{
	PGresult   *result;
	PGresult   *error = NULL;

	put_number(rows, -1, 2);
	send_rows(end, rows);
	if (PQputCopyEnd(end->conn, NULL) != 1)
		pg_fatal("%s: %s", end->name, PQerrorMessage(end->conn));
	SetCancelConn(end->conn);
	while ((result = PQgetResult(end->conn)) != NULL)
	{
		if (PQresultStatus(result) == PGRES_FATAL_ERROR && error == NULL)
			error = result;
		else
			PQclear(result);
	}
	ResetCancelConn();
	return error;
}

/* Bring all events of the source into the table. */
void
fill_stage(const End *end, Source *source, bool truncate, bool show)
{
	PQExpBuffer rows = createPQExpBuffer();
	Line		line;
	PGresult   *error;

	begin_copy(end, rows, STAGE, truncate);
	while (source->next(source, &line))
	{
		stop_if_canceled();
		put_event(rows, &line);
		if (rows->len >= PIECE)
			send_rows(end, rows);
		if (show && source->events % 1024 == 0)
			progress_show(source->events);
	}
	error = end_copy(end, rows);
	if (error != NULL)
		fail_query(end, error);
	destroyPQExpBuffer(rows);
}

/* Give each event without a version that of the last one before it in its aggregate. */
static void
fill_versions(const End *end)
{
	if (ask(end, "SELECT 1 FROM " STAGE
			" WHERE aggregate_id IS NOT NULL AND aggregate_version = 0 LIMIT 1") == NULL)
		return;
	PQclear(must(end, run(end, "BEGIN; SET LOCAL work_mem = '64MB';"
						  " CREATE TEMPORARY TABLE eventstore_migrate_filled AS"
						  " SELECT line, aggregate_id, COALESCE(pg_catalog.max(NULLIF(aggregate_version, 0))"
						  " OVER (PARTITION BY aggregate_id, given), 0) AS aggregate_version, event"
						  " FROM (SELECT *, pg_catalog.count(NULLIF(aggregate_version, 0))"
						  " OVER (PARTITION BY aggregate_id ORDER BY line) AS given FROM " STAGE ") counted;"
						  " DROP TABLE " STAGE ";"
						  " ALTER TABLE pg_temp.eventstore_migrate_filled RENAME TO eventstore_migrate_events; COMMIT")));
}

/*
 * Put the events of the table in an order in which each comes behind its
 * predecessors in the aggregate, and else as in the source: an event takes the
 * place of the last of itself and its predecessors.  Those without a version
 * come behind the one that they follow in the source, and the events of no
 * aggregate keep their order.
 */
void
order_stage(const End *end)
{
	fill_versions(end);
	PQclear(must(end, run(end, "BEGIN; SET LOCAL work_mem = '64MB'; SET LOCAL maintenance_work_mem = '64MB';"
						  " CREATE TEMPORARY TABLE eventstore_migrate_ordered AS"
						  " SELECT pg_catalog.row_number() OVER (ORDER BY place, aggregate_version, line) AS n,"
						  " line, event"
						  " FROM (SELECT *, CASE WHEN aggregate_id IS NULL THEN line ELSE"
						  " pg_catalog.max(line) OVER (PARTITION BY aggregate_id"
						  " ORDER BY aggregate_version, line) END AS place FROM " STAGE ") placed;"
						  " CREATE INDEX ON " ORDERED_STAGE " (n);"
						  " DROP TABLE " STAGE "; COMMIT")));
}
