/*
 * shared.c
 *		The memory of all processes, the time, and random numbers.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "chaos.h"

Shared	   *shared;
const char *const stores[STORES] = {"eventstore.events", "chaos.second"};

static pid_t parent;			/* that has started this process */

/* Print an error, and end the process. */
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

/* Return the time of the monotonic clock in microseconds. */
int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Sleep for "ms" milliseconds. */
void
sleep_ms(int ms)
{
	struct timespec time = {ms / 1000, (long) (ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

/* Return a random number from 0 to n - 1. */
int
random_below(int n)
{
	return (int) (random() % n);
}

/* Return true in "percent" of a hundred cases. */
bool
chance(int percent)
{
	return random_below(100) < percent;
}

/* Return true in 5 s of every 10.  In the others, open appends mostly stop the mark. */
bool
is_calm(void)
{
	return now_us() / 5000000 % 2 == 0;
}

/* Prepare a new process: it ends with its parent, and has random numbers of its own. */
void
begin_process(void)
{
	parent = getppid();
	srandom((unsigned) (getpid() ^ time(NULL)));
}

/* Return whether the run is not past a phase, and the parent process still runs. */
bool
running(Phase until)
{
	return shared->phase <= (int) until &&
		(getpid() == shared->main_process || getppid() == parent);
}
