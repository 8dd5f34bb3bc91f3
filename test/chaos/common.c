/*
 * common.c
 *		Time, chance and connections for all roles of the chaos program.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chaos.h"

Shared	   *shared;
const char *const stores[STORES] = {"eventstore.events", "chaos.second"};

/*
 * Errors that chaos brings about: conflicts, deadlocks, prepared transactions
 * that somebody has finished, ended connections.
 */
static const char *const expected_states[] = {
	"40V01", "23505", "40P01", "40001", "42704",
	"57P01", "57P02", "57P03", "08006", "08001", "lost"
};

/* Say why and end the process. */
void
die(const char *format,...)
{
	va_list		args;

	fputs("chaos: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

/* Microseconds of a clock that never jumps. */
int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Sleep for some milliseconds. */
void
sleep_ms(int ms)
{
	struct timespec time = {ms / 1000, (long) (ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

/* A random number from 0 to n - 1. */
int
below(int n)
{
	return (int) (random() % n);
}

/* True in so many of a hundred cases. */
bool
chance(int percent)
{
	return below(100) < percent;
}

/*
 * Five seconds of every ten are calm: the mark then moves all the time,
 * otherwise somebody mostly holds it back.
 */
bool
calm(void)
{
	return now_us() / 5000000 % 2 == 0;
}

/* Whether the run is not past a phase, and its main process still there. */
bool
running(Phase until)
{
	return shared->phase <= (int) until &&
		(getpid() == shared->main_process || getppid() == shared->main_process);
}

/* Ignore what the server remarks. */
static void
ignore_notice(void *arg, const PGresult *result)
{
	(void) arg;
	(void) result;
}

/* Connect, waiting for the server to come back; false at the end of the run. */
bool
client_connect(Client *client)
{
	const char *keys[] = {"dbname", "application_name", NULL};
	const char *values[] = {client->dbname ? client->dbname : "chaos", client->name, NULL};

	while (client->conn == NULL)
	{
		client->conn = PQconnectdbParams(keys, values, 0);
		if (PQstatus(client->conn) == CONNECTION_OK)
		{
			PQsetNoticeReceiver(client->conn, ignore_notice, NULL);
			break;
		}
		count_error("lost", PQerrorMessage(client->conn));
		client_close(client);
		if (!running(DRAIN))
			return false;
		sleep_ms(50 + below(50));
	}
	return true;
}

/* Give the connection up. */
void
client_close(Client *client)
{
	PQclear(client->result);
	client->result = NULL;
	PQfinish(client->conn);
	client->conn = NULL;
}

/*
 * Count the error of a statement that failed and tell whether all is lost.
 * libpq may not have noticed yet that a connection is broken, but only the
 * server's own errors have an SQLSTATE.
 */
Outcome
client_failed(Client *client, const PGresult *result)
{
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	bool		lost = state == NULL || strncmp(state, "57P", 3) == 0;

	count_error(state ? state : "lost",
				state ? PQresultErrorMessage(result) : PQerrorMessage(client->conn));
	if (!lost && PQstatus(client->conn) == CONNECTION_OK)
		return REFUSED;
	client_close(client);
	return LOST;
}

/* Run a statement with text parameters. */
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

/* A number of the last result; null is 0. */
int64_t
client_number(const Client *client, int row, int column)
{
	return strtoll(PQgetvalue(client->result, row, column), NULL, 10);
}

/* Whether the last statement failed with this SQLSTATE. */
bool
client_state_is(const Client *client, const char *state)
{
	const char *field = client->result ? PQresultErrorField(client->result, PG_DIAG_SQLSTATE) : NULL;

	return field != NULL && strcmp(field, state) == 0;
}

/* Count an error by its SQLSTATE and keep its first message. */
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

/* Whether chaos explains an error. */
bool
error_expected(const char *state)
{
	for (size_t i = 0; i < sizeof expected_states / sizeof *expected_states; i++)
		if (strcmp(expected_states[i], state) == 0)
			return true;
	return false;
}
