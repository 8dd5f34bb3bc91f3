/*
 * commit.c
 *		Commits a transaction, and finds out what became of it if the answer is lost.
 */
#include "cluster.h"

#include "common/logging.h"

#define MOST_SECONDS 60			/* for which a server may be unreachable */

/*
 * Return whether the connection was lost, by the result of a query.  If a server has sent
 * a last warning, PQstatus() may not show it yet: then the error has no severity.  After a
 * fatal error, the server closes the connection.
 */
bool
connection_lost(const Server *server, const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	return PQstatus(server->conn) != CONNECTION_OK || severity == NULL || strcmp(severity, "ERROR") != 0;
}

/* Connect again to a server whose connection is lost.  Return false if that fails. */
bool
reconnect(Server *server)
{
	disconnect_server(server);
	for (int n = 0; n < MOST_SECONDS; n++)
	{
		if (connect_server(server))
			return true;
		pg_usleep(1000000L);
	}
	return false;
}

/*
 * Wait until a transaction has ended: the server may still run a COMMIT whose client is
 * gone.  A server that does not know the number, such as a promoted standby, has not
 * committed it.  Return false if the connection is lost once more, or after a while.
 */
static bool
wait_for_end(Server *server, const char *xid)
{
	for (int n = 0; n < MOST_SECONDS; n++)
	{
		PGresult   *result = try_query(server, psprintf("SELECT 1 WHERE pg_catalog.pg_xact_status('%s') = 'in progress'", xid));
		bool		ended = PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) == 0;

		PQclear(result);
		if (ended)
			return PQstatus(server->conn) == CONNECTION_OK;
		pg_usleep(1000000L);
	}
	return false;
}

/* Return the number of the current transaction. */
char *
transaction_id(Server *server)
{
	return query_value(server, "SELECT pg_catalog.pg_current_xact_id()");
}

/* Whether the last COMMIT brought a warning. */
bool		commit_warned;

/* Note a warning, and print it. */
static void
note_warning(void *arg, const PGresult *result)
{
	Server	   *server = arg;

	commit_warned = true;
	pg_log_warning("%s: %s", server->label, result_message(server, result));
}

/*
 * Commit.  A timeout must not cancel the wait for a standby: the server would only warn,
 * and the transaction could be lost in a failover.  Return the answer of the server.  If the answer is lost, connect again, and
 * wait for the end of the transaction.
 */
Answer
commit(Server *server, const char *xid)
{
	PQnoticeReceiver before = PQsetNoticeReceiver(server->conn, note_warning, server);
	PGresult   *result;
	bool		answered;
	Answer		answer = ANSWER_NO;

	commit_warned = false;
	PQclear(PQexec(server->conn, "SET LOCAL statement_timeout = 0"));
	result = PQexec(server->conn, "COMMIT");
	answered = PQresultStatus(result) == PGRES_COMMAND_OK;
	(void) PQsetNoticeReceiver(server->conn, before, NULL);
	if (answered && strcmp(PQcmdStatus(result), "COMMIT") == 0)
		answer = ANSWER_YES;
	else if (answered || !connection_lost(server, result))
		pg_log_error("%s: %s", server->label, answered ? "the transaction was rolled back" :
					 result_message(server, result));
	else
	{
		pg_log_warning("%s: the connection was lost during COMMIT: %s", server->label,
					   result_message(server, result));
		answer = reconnect(server) && wait_for_end(server, xid) ? ANSWER_LOOK : ANSWER_LOST;
	}
	PQclear(result);
	return answer;
}
