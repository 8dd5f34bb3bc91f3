/*
 * fence.c
 *		The short lock at the end of a move: nothing can use the slot on the source.
 *
 * While the lock is waited for, appends and reads wait behind it.  So each attempt has a
 * timeout, and between two attempts there is a pause in which they go on.
 *
 * A poll locks rows of the progress of a subscription, and then reads the store.  So the
 * rows are locked before the table.  The opposite order would deadlock.
 */
#include "cluster.h"

#include "common/logging.h"

#define WAIT_SECONDS 90			/* longer than one call of wait_for_events() */
#define LONGEST_PAUSE 1000		/* milliseconds */
#define MOST_SECONDS 60			/* of a statement or pause under the lock */

/* Lock the rows and the tables once.  Return the error, or NULL. */
static PGresult *
attempt(Move *move)
{
	const char *where = psprintf("store = %s::pg_catalog.regclass", move->literal);
	const char *const steps[] = {
		"SAVEPOINT fence",
		psprintf("SET LOCAL lock_timeout = %d", options.lock_timeout),
		psprintf("SELECT FROM eventstore.subscription_definitions WHERE %s"
				 " ORDER BY subscription FOR UPDATE", where),
		psprintf("SELECT FROM eventstore.subscription_progress WHERE subscription IN"
				 " (SELECT subscription FROM eventstore.subscription_definitions WHERE %s)"
				 " ORDER BY subscription, partition FOR UPDATE", where),
		psprintf("LOCK TABLE %s%s%s IN ACCESS EXCLUSIVE MODE", move->table,
				 move->archive ? ", " : "", move->archive ? move->archive : ""),
		"SET LOCAL lock_timeout = 0",
		"RELEASE SAVEPOINT fence"
	};

	for (int i = 0; i < lengthof(steps); i++)
	{
		PGresult   *result = try_query(move->source, steps[i]);

		if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
			return result;
		PQclear(result);
	}
	return NULL;
}

/* Return how long the lock is tried, in seconds.  Tests can shorten it. */
static double
longest_wait(void)
{
	const char *shorter = getenv("PGES_CLUSTER_WAIT_SECONDS");

	return shorter != NULL ? strtod(shorter, NULL) : WAIT_SECONDS;
}

/* Report an error of an attempt and end the program, unless it is worth another attempt. */
static void
check_attempt(Move *move, const PGresult *error, double seconds)
{
	const char *state = PQresultErrorField(error, PG_DIAG_SQLSTATE);

	if (state == NULL || (strcmp(state, "55P03") != 0 && strcmp(state, "40P01") != 0))
		fail_query(move->source, error);
	if (seconds < longest_wait())
		return;
	pg_log_error("%s: could not lock %s in %.0f s: %s", move->source->label, move->table, seconds,
				 result_message(move->source, error));
	pg_log_error_detail("Nothing was moved.");
	pg_log_error_hint("View eventstore.open_appends shows appends that stay open, and pg_stat_activity other transactions. A call of wait_for_events() keeps its lock while it waits, at most 60 s. A longer --lock-timeout makes appends wait longer.");
	exit(1);
}

/*
 * Lock the slot on the source until its transaction ends.  If this program disappears
 * under the lock, the server ends the transaction after a while.
 */
void
raise_fence(Move *move)
{
	double		start = seconds_now();

	for (int n = 1;; n++)
	{
		PGresult   *error;

		move->fenced = seconds_now();
		error = attempt(move);
		if (error == NULL)
			break;
		move->blocked = Max(move->blocked, seconds_now() - move->fenced);
		check_attempt(move, error, seconds_now() - start);
		PQclear(error);
		run_command(move->source, "ROLLBACK TO SAVEPOINT fence");
		pg_usleep(Min(50 * n, LONGEST_PAUSE) * 1000L);
	}
	run_command(move->source, "SET LOCAL idle_in_transaction_session_timeout = '%ds';"
				" SET LOCAL statement_timeout = '%ds'", MOST_SECONDS, MOST_SECONDS);
	run_command(move->target, "SET LOCAL statement_timeout = '%ds'", MOST_SECONDS);
}
