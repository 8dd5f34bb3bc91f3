/*
 * client.c
 *		Connections that are reopened after a loss, and counts of errors.
 */
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

/*
 * The SQLSTATEs that chaos causes: of conflicts, deadlocks, prepared transactions
 * that another process has finished, lost leases, ended connections.  "lost" and "proxy"
 * stand for a connection that this program, or PL/Proxy, has lost, and "level" for an
 * append in an isolation level in which no inline projection runs.
 */
static const char *const expected_states[] = {
	"40V01", "23505", "40P01", "40001", "42704", "22V02",
	"57P01", "57P02", "57P03", "08006", "08001", "lost", "proxy", "level"
};

/* Ignore a notice of the server. */
static void
ignore_notice(void *arg, const PGresult *result)
{
	(void) arg;
	(void) result;
}

/* Connect, and wait while the server is down; false at the end of the run. */
bool
client_connect(Client *client)
{
	const char *keys[] = {"dbname", "application_name", NULL};
	const char *values[] = {client->dbname ? client->dbname : "chaos", client->name, NULL};

	while (client->conn == NULL)
	{
		client->conn = PQconnectdbParams(keys, values, 1);
		if (PQstatus(client->conn) == CONNECTION_OK)
		{
			PQsetNoticeReceiver(client->conn, ignore_notice, NULL);
			break;
		}
		count_error("lost", PQerrorMessage(client->conn));
		client_close(client);
		if (!running(DRAIN))
			return false;
		sleep_ms(50 + random_below(50));
	}
	return true;
}

/* Close the connection. */
void
client_close(Client *client)
{
	PQclear(client->result);
	client->result = NULL;
	PQfinish(client->conn);
	client->conn = NULL;
}

/* Return whether an error has an SQLSTATE, and a message that begins with a text. */
static bool
is_error(const PGresult *result, const char *state, const char *message)
{
	return strcmp(PQresultErrorField(result, PG_DIAG_SQLSTATE), state) == 0 &&
		strncmp(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), message, strlen(message)) == 0;
}

/*
 * Return the SQLSTATE of an error; NULL if the connection was lost.  PL/Proxy reports that
 * it has lost a node, or cannot reach it, by the SQLSTATE of internal errors.
 */
static const char *
state_of(const PGresult *result)
{
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

	if (state && is_error(result, "XX000", "PL/Proxy function "))
		return "proxy";
	if (state && is_error(result, "0A000", "cannot run projection "))
		return "level";
	return state;
}

/*
 * Count the error of a statement that failed.  Return REFUSED, or LOST if the
 * connection is lost.  libpq may not have noticed the loss yet, but only an error
 * of the server has an SQLSTATE.
 */
Outcome
client_failed(Client *client, const PGresult *result)
{
	const char *state = state_of(result);
	bool		lost = state == NULL || strncmp(state, "57P", 3) == 0 || strcmp(state, "proxy") == 0;

	if (!(state && client->tolerated && strcmp(state, client->tolerated) == 0))
		count_error(state ? state : "lost",
					state ? PQresultErrorMessage(result) : PQerrorMessage(client->conn));
	if (!lost && PQstatus(client->conn) == CONNECTION_OK)
		return REFUSED;
	client_close(client);
	return LOST;
}

/* Run a statement with text parameters; client->result is its result. */
Outcome
client_call(Client *client, const char *sql, int nvalues,
			const Oid *types, const char *const *values)
{
	ExecStatusType status;

	PQclear(client->result);
	client->result = NULL;
	if (client->conn == NULL)
		return LOST;
	client->result = PQexecParams(client->conn, sql, nvalues, types, values, NULL, NULL, 0);
	status = PQresultStatus(client->result);
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN)
		return OK;
	return client_failed(client, client->result);
}

/* Run a statement without parameters. */
Outcome
client_run(Client *client, const char *sql)
{
	return client_call(client, sql, 0, NULL, NULL);
}

/* Return a number of the last result; 0 for null. */
int64_t
client_number(const Client *client, int row, int column)
{
	return strtoll(PQgetvalue(client->result, row, column), NULL, 10);
}

/* Return whether the last statement failed with an SQLSTATE. */
bool
client_sqlstate_is(const Client *client, const char *state)
{
	const char *field = client->result ? PQresultErrorField(client->result, PG_DIAG_SQLSTATE) : NULL;

	return field != NULL && strcmp(field, state) == 0;
}

/* Count an error by its SQLSTATE, and keep the first message. */
void
count_error(const char *state, const char *message)
{
	int			i;

	while (atomic_flag_test_and_set(&shared->errors_lock))
		sleep_ms(1);
	for (i = 0; i < shared->nerrors; i++)
		if (strcmp(shared->errors[i].state, state) == 0)
			break;
	if (i == shared->nerrors && i < MAX_ERRORS)
	{
		snprintf(shared->errors[i].state, sizeof shared->errors[i].state, "%s", state);
		snprintf(shared->errors[i].message, sizeof shared->errors[i].message, "%s", message);
		shared->nerrors++;
	}
	if (i < MAX_ERRORS)
		shared->errors[i].count++;
	atomic_flag_clear(&shared->errors_lock);
}

/* Return whether chaos causes errors with an SQLSTATE; "also" is another one, or NULL. */
static bool
is_error_expected(const char *state, const char *also)
{
	for (size_t i = 0; i < sizeof expected_states / sizeof *expected_states; i++)
		if (strcmp(expected_states[i], state) == 0)
			return true;
	return also != NULL && strcmp(also, state) == 0;
}

/*
 * Print the errors by SQLSTATE.  Return the number of those that chaos does not
 * cause; "also" is another SQLSTATE that it causes, or NULL.
 */
int64_t
print_errors(const char *also)
{
	int64_t		unexpected = 0;

	printf("errors:");
	for (int i = 0; i < shared->nerrors; i++)
		if (is_error_expected(shared->errors[i].state, also))
			printf(" %s %d", shared->errors[i].state, shared->errors[i].count);
	printf("\n");
	for (int i = 0; i < shared->nerrors; i++)
		if (!is_error_expected(shared->errors[i].state, also))
		{
			unexpected += shared->errors[i].count;
			printf("unexpected: %s, %d times: %s\n", shared->errors[i].state,
				   shared->errors[i].count, shared->errors[i].message);
		}
	return unexpected;
}
