/*
 * relay.c
 *		Copies rows from one server to another.
 *
 * The rows pass through this program, so the servers need not reach each other.
 */
#include "cluster.h"

#include "common/logging.h"
#include "fe_utils/cancel.h"

/* The progress of all copies of a move. */
static int64 expected;
static int64 copied;

/* Start to show the progress; this many events are expected. */
void
relay_begin(int64 events)
{
	expected = events;
	copied = 0;
	bar_begin("copied", 0, events > 0 ? 0 : -1);
}

/* Stop showing the progress. */
void
relay_end(void)
{
	bar_end();
}

/* Count an event, and show the progress. */
static void
count_event(void)
{
	copied++;
	if (!options.quiet && copied % 100 == 0)
		bar_show(copied, expected > 0 ? Min(1.0, (double) copied / (double) expected) : -1);
}

/* Return the number of rows of a COPY that has ended; if it has failed, end the program. */
static int64
end_of_copy(Server *server)
{
	PGresult   *result;
	PGresult   *next;
	int64		rows;

	SetCancelConn(server->conn);
	result = PQgetResult(server->conn);
	while (result != NULL && (next = PQgetResult(server->conn)) != NULL)
		PQclear(next);
	ResetCancelConn();
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail_query(server, result);
	rows = strtoll(PQcmdTuples(result), NULL, 10);
	PQclear(result);
	return rows;
}

/* Send a row.  If the server has ended the COPY, report its error. */
static void
send_row(Server *to, const char *row, int length)
{
	if (PQputCopyData(to->conn, row, length) == 1)
		return;
	pg_log_error("%s: %s", to->label, result_message(to, NULL));
	exit(1);
}

/* Copy the rows of one COPY into another.  Return how many there were. */
int64
relay_rows(Server *from, const char *copy_out, Server *to, const char *copy_in, bool events)
{
	char	   *row;
	int			length;
	int64		sent;
	int64		received;

	PQclear(run_query(from, copy_out));
	PQclear(run_query(to, copy_in));
	SetCancelConn(from->conn);
	while ((length = PQgetCopyData(from->conn, &row, 0)) > 0)
	{
		send_row(to, row, length);
		PQfreemem(row);
		stop_if_canceled();
		if (events)
			count_event();
	}
	sent = end_of_copy(from);
	if (PQputCopyEnd(to->conn, NULL) != 1)
		fail_query(to, NULL);
	received = end_of_copy(to);
	if (sent != received)
		pg_fatal("%lld rows were copied from %s, but %lld to %s", (long long) sent, from->label,
				 (long long) received, to->label);
	return sent;
}
