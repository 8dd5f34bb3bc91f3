/*
 * copy_in.c
 *		Sends rows to the server by COPY in binary format.
 *
 * The binary format needs no escapes, so neither side has to look for them.
 */
#include "migrate.h"

#include "common/logging.h"
#include "port/pg_bswap.h"

/* Append a big-endian number of "size" bytes. */
void
put_number(PQExpBuffer rows, int64 value, int size)
{
	uint64		bytes = pg_hton64((uint64) value);

	appendBinaryPQExpBuffer(rows, (char *) &bytes + sizeof(bytes) - size, size);
}

/* Append a value with its length; NULL becomes a null. */
void
put_text(PQExpBuffer rows, const char *value, size_t length)
{
	put_number(rows, value ? (int64) length : -1, 4);
	if (value != NULL)
		appendBinaryPQExpBuffer(rows, value, length);
}

/* Send the collected rows, and empty the buffer. */
void
send_rows(const End *end, PQExpBuffer rows)
{
	if (PQExpBufferBroken(rows))
		pg_fatal("out of memory");
	if (PQputCopyData(end->conn, rows->data, (int) rows->len) != 1)
		fail_query(end, NULL);
	resetPQExpBuffer(rows);
}

/*
 * Begin a COPY, which truncates the table in the same transaction if requested.
 * Return the buffer for the rows, which end_copy() destroys.
 */
PQExpBuffer
begin_copy(const End *end, const char *table, bool truncate)
{
	PQExpBuffer rows = createPQExpBuffer();
	char	   *sql = psprintf("%s%s; COPY %s FROM STDIN (FORMAT binary)",
							   truncate ? "TRUNCATE " : "", truncate ? table : "", table);

	run_command(end, sql);
	pg_free(sql);
	appendBinaryPQExpBuffer(rows, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
	return rows;
}

/* End the COPY.  Return the server's error, or NULL. */
PGresult *
end_copy(const End *end, PQExpBuffer rows)
{
	PGresult   *result;

	put_number(rows, -1, 2);
	send_rows(end, rows);
	destroyPQExpBuffer(rows);
	if (PQputCopyEnd(end->conn, NULL) != 1)
		fail_query(end, NULL);
	result = end_query(end);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		return result;
	PQclear(result);
	return NULL;
}
