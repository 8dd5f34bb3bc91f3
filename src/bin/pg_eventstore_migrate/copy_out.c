/*
 * copy_out.c
 *		Receives the rows of a query by COPY in binary format.
 */
#include "migrate.h"

#include "fe_utils/cancel.h"

/* Start a query. */
void
begin_copy_out(CopyOut *copy, const char *query)
{
	char	   *sql = psprintf("COPY (%s) TO STDOUT (FORMAT binary)", query);

	run_command(copy->end, sql);
	pg_free(sql);
	copy->running = true;
}

/* Return a big-endian number of a binary COPY. */
int64
number_at(const char *from, size_t size)
{
	uint64		value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | (unsigned char) from[i];
	return (int64) value;
}

/*
 * Receive the next row, whose values are not null; false if the query has returned all
 * its rows.  Then end_copy_out() must be called.  The values are valid until the next
 * call.
 */
bool
receive_row(CopyOut *copy, CopyValue *values, int count)
{
	int			length;
	const char *at;

	if (copy->row != NULL)
		PQfreemem(copy->row);
	copy->row = NULL;
	SetCancelConn(copy->end->conn);
	length = PQgetCopyData(copy->end->conn, &copy->row, 0);
	ResetCancelConn();
	stop_if_canceled();
	if (length < 0)
		return false;
	at = copy->row;
	Assert(at != NULL);
	if (length >= 19 && memcmp(at, "PGCOPY\n\377\r\n\0", 11) == 0)
		at += 19;				/* the header precedes the first row */
	if (copy->row + length - at < 2 || number_at(at, 2) != count)
		return receive_row(copy, values, count);	/* the trailer */
	at += 2;
	for (int i = 0; i < count; i++)
	{
		values[i].length = number_at(at, 4);
		values[i].at = at + 4;
		at = values[i].at + values[i].length;
	}
	return true;
}

/*
 * End a query.  If it failed, end the program.  If the error does not name the event,
 * name the last event that was received, of number "after": the rows that precede the
 * error were sent.
 */
void
end_copy_out(CopyOut *copy, const char *name, const char *unit, int64 after)
{
	PGresult   *result = end_query(copy->end);
	End			place = *copy->end;

	place.name = name;
	if (after > PG_INT64_MIN && position_in_context(result) == NULL)
		place.name = psprintf("%s: after %s %lld", name, unit, (long long) after);
	PQclear(check_result(&place, result));
	copy->running = false;
}
