/*
 * signals.c
 *		What ends the program before its time.
 *
 * The first SIGINT cancels what a server does, and the program ends as soon as
 * that has ended.  The second one ends it at once, as all signals do while it
 * connects.  No part of a file stays.
 */
#include "migrate.h"

#include <signal.h>

#include "common/logging.h"
#include "fe_utils/cancel.h"

/* End the program as the signal does that nobody catches, and leave no part of a file. */
static void
end_at_once(int number)
{
	struct sigaction action = {.sa_handler = SIG_DFL};

	remove_partial();
	(void) sigaction(number, &action, NULL);
	(void) raise(number);
}

/* Catch a signal that is to end the program at once. */
static void
catch_signal(int number)
{
	struct sigaction action = {.sa_handler = end_at_once,.sa_flags = SA_RESTART};

	(void) sigaction(number, &action, NULL);
}

/* Remove what was written of a file when a signal ends the program. */
void
catch_signals(void)
{
	static const int numbers[] = {SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGXFSZ};
	struct sigaction before;

	for (int i = 0; i < lengthof(numbers); i++)
	{
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			catch_signal(numbers[i]);
	}
}

/*
 * At the first SIGINT: the second one ends the program, even while the first
 * one is still at work, as to cancel may take as long as the server likes.
 */
static void
expect_second_sigint(void)
{
	sigset_t	set;

	catch_signal(SIGINT);
	(void) sigemptyset(&set);
	(void) sigaddset(&set, SIGINT);
	(void) sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Let a SIGINT cancel what a server does from now on. */
void
catch_cancel(void)
{
	setup_cancel_handler(expect_second_sigint);
}

/* End the program, if a SIGINT asks for that. */
void
stop_if_canceled(void)
{
	if (!CancelRequested)
		return;
	cancel_query();
	pg_fatal("canceled");
}
