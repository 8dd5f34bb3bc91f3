/*
 * signals.c
 *		Catches the signals that end the program, and lets tests stop it after a step.
 *
 * The first SIGINT or SIGTERM cancels the query that a server runs, and the program ends
 * when that query has ended.  The second ends the program at once.  Both are safe at any
 * time, see move.c.
 */
#include "cluster.h"

#include <signal.h>

#include "common/logging.h"
#include "fe_utils/cancel.h"

/* End the program by the signal's default action. */
static void
end_at_once(int number)
{
	pqsignal(number, SIG_DFL);
	(void) raise(number);
}

/* Treat SIGTERM like SIGINT.  The second one ends the program. */
static void
cancel_on_sigterm(int number)
{
	pqsignal(number, SIG_DFL);
	(void) raise(SIGINT);
}

/* Let the first SIGINT and SIGTERM cancel the query that a server runs. */
void
catch_signals(void)
{
	cancel_on_sigint(end_at_once);
	pqsignal(SIGTERM, cancel_on_sigterm);
}

/* If SIGINT or SIGTERM was received, end the program. */
void
stop_if_canceled(void)
{
	if (CancelRequested)
		pg_fatal("canceled");
}

/*
 * Ignore the signals from now on: a few short steps are left, and without them the slot
 * could not be used.
 */
void
hold_signals(void)
{
	stop_if_canceled();
	pqsignal(SIGINT, SIG_IGN);
	pqsignal(SIGTERM, SIG_IGN);
}

/*
 * For tests: if the environment names this step, kill the program, or stop it until a
 * SIGCONT.
 */
void
test_point(const char *step)
{
	const char *kill_after = getenv("PGES_CLUSTER_KILL_AFTER");
	const char *stop_after = getenv("PGES_CLUSTER_STOP_AFTER");

	if (kill_after != NULL && strcmp(kill_after, step) == 0)
		(void) raise(SIGKILL);
	if (stop_after != NULL && strcmp(stop_after, step) == 0)
		(void) raise(SIGSTOP);
}
