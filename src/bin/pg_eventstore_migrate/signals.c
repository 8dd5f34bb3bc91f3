/*
 * signals.c
 *		Catches the signals that end the program.
 *
 * Until catch_cancel() is called, each signal ends the program at once.  After
 * that, the first SIGINT cancels the query that a server runs, and the program
 * ends when that query has ended.  The second SIGINT, and any other signal, ends
 * the program at once.  In each case the partial file is removed.
 */
#include "migrate.h"

#include <signal.h>

/* Remove the partial file, and end the program by the signal's default action. */
static void
end_at_once(int number)
{
	remove_partial();
	pqsignal(number, SIG_DFL);
	(void) raise(number);
}

/* Let each signal that ends the program remove the partial file; keep ignored ones. */
void
catch_signals(void)
{
	static const int numbers[] = {SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGXFSZ};
	struct sigaction before;

	for (int i = 0; i < lengthof(numbers); i++)
	{
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			pqsignal(numbers[i], end_at_once);
	}
}

/* From now on, let the first SIGINT cancel the query that a server runs. */
void
catch_cancel(void)
{
	cancel_on_sigint(end_at_once);
}
