/*
 * cancel.c
 *		Lets the first SIGINT cancel the query that a server runs.
 *
 * The query is that of the connection of SetCancelConn().  The handler also sets
 * CancelRequested.
 */
#include "client.h"

#include <signal.h>

#include "fe_utils/cancel.h"

/* The handler of the second SIGINT. */
static void (*second_handler) (int number);

/*
 * Let the next SIGINT call the handler of the program.  The handler of the first SIGINT
 * calls this, and unblocks SIGINT, because its cancel request may take long.
 */
static void
expect_second_sigint(void)
{
	sigset_t	set;

	pqsignal(SIGINT, second_handler);
	(void) sigemptyset(&set);
	(void) sigaddset(&set, SIGINT);
	(void) sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* From now on, let the first SIGINT cancel a query, and the second call a handler. */
void
cancel_on_sigint(void (*at_second) (int number))
{
	second_handler = at_second;
	setup_cancel_handler(expect_second_sigint);
}
