/*
 * latency.c
 *		Measures how long a listener waits for an event.
 *
 * One process, the appender, appends single events at a steady rate.  The other,
 * the listener, reads the log after each notification, from the last position that
 * it has seen.  An event has two times, by a clock that both processes share: when
 * its append was due, and when it was sent.
 *
 * The due times are fixed in advance.  A slow append delays those after it, and
 * the time since they were due shows the delay.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libpq-fe.h"

#define SECOND INT64_C(1000000000)	/* in nanoseconds, like all times here */
#define PAGE 100				/* events in a page */
#define GRACE_MS 10000			/* the limit for the next notification */

static const char *const usage_text =
"usage: latency [--rate N] [--seconds N] [--commit]\n"
"  --rate N      appends a second (500)\n"
"  --seconds N   how long to append, at least 2; the first second is not counted (20)\n"
"  --commit      append to the store bench.commit, not to eventstore.events\n"
"The environment names the database, which bench/sql/setup/eventstore.sql has prepared.\n"
"Prints milliseconds until the listener has the event in hand.\n";

/* The options of the command line. */
static long rate = 500;
static long seconds = 20;
static const char *store = "eventstore.events";

/* The times of the counted events: since they were due, since they were sent. */
static int64_t *since_due;
static int64_t *since_append;
static long counted;

/* In the listener: the process of the appender. */
static pid_t appender;

static void die(const char *format,...) __attribute__((format(printf, 1, 2), noreturn));

/* Print an error, and end this process and the appender. */
static void
die(const char *format,...)
{
	va_list		args;

	fputs("latency: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (appender > 0)
		kill(appender, SIGTERM);
	exit(1);
}

/* Return the time of the monotonic clock. */
static int64_t
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

/* Sleep until a time is reached. */
static void
sleep_until(int64_t due)
{
	struct timespec time = {due / SECOND, due % SECOND};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0)
		;
}

/* Connect to the database that the environment names. */
static PGconn *
connect_to_server(const char *name)
{
	const char *keys[] = {"application_name", NULL};
	const char *values[] = {name, NULL};
	PGconn	   *conn = PQconnectdbParams(keys, values, 0);

	if (PQstatus(conn) != CONNECTION_OK)
		die("%s", PQerrorMessage(conn));
	return conn;
}

/* Return the result of a statement; if it failed, end the program. */
static PGresult *
checked(PGconn *conn, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		die("%s", PQerrorMessage(conn));
	return result;
}

/* Return a number of a result. */
static int64_t
number(const PGresult *result, int row, int column)
{
	return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

/* Append one event. */
static void
append(PGconn *conn, int64_t due, int64_t start, long i)
{
	char		data[200];
	char		aggregate[37];
	const char *values[] = {data, aggregate, store};

	snprintf(aggregate, sizeof aggregate, "%" PRIx64 "-%ld", start, i);
	snprintf(data, sizeof data,
			 "{\"due\": %" PRId64 ", \"sent\": %" PRId64 ", \"note\": "
			 "\"some text of the length that notes often have\"}", due, now());
	PQclear(checked(conn, PQexecPrepared(conn, "append", 3, values, NULL, NULL, 0)));
}

/* In the appender: append at a steady rate, then report the number of events. */
static void
append_all(int report)
{
	PGconn	   *conn = connect_to_server("bench latency: appender");
	int64_t		start;
	long		total = rate * seconds;

	PQclear(checked(conn, PQprepare(conn, "append",
									"SELECT eventstore.append_event('order_placed', $1::jsonb, $2, "
									"aggregate_type => 'Order', store => $3::regclass)", 0, NULL)));
	start = now() + SECOND / 10;
	for (long i = 0; i < total; i++)
	{
		int64_t		due = start + i * SECOND / rate;

		sleep_until(due);
		append(conn, due, start, i);
	}
	PQfinish(conn);
	if (write(report, &total, sizeof total) != sizeof total)
		die("the listener is gone");
}

/* Start the appender.  Return the pipe that receives its report. */
static int
start_appender(PGconn *listener)
{
	int			ends[2];
	pid_t		child;

	if (pipe(ends) != 0 || (child = fork()) < 0)
		die("cannot start another process");
	if (child == 0)
	{
		close(PQsocket(listener));	/* so that only the listener holds it */
		close(ends[0]);
		append_all(ends[1]);
		exit(0);
	}
	appender = child;
	close(ends[1]);
	return ends[0];
}

/* Listen to the store's channel.  Return the mode of its notifications. */
static char *
listen_to_store(PGconn *conn)
{
	const char *values[] = {store};
	PGresult   *options = checked(conn, PQexecParams(conn,
													 "SELECT notifications, format('LISTEN %I', channel) "
													 "FROM eventstore.store_options($1::regclass)",
													 1, NULL, values, NULL, NULL, 0));
	char	   *mode = strdup(PQgetvalue(options, 0, 0));

	PQclear(checked(conn, PQexec(conn, PQgetvalue(options, 0, 1))));
	PQclear(options);
	return mode;
}

/* Store the times of a page that was just received, except those of the first second. */
static void
note_times(const PGresult *page, int64_t *first_due)
{
	int64_t		at = now();

	for (int row = 0; row < PQntuples(page); row++)
	{
		int64_t		due = number(page, row, 1);

		if (*first_due == 0)
			*first_due = due;
		if (due < *first_due + SECOND)
			continue;
		if (counted == rate * seconds)
			die("somebody else appends");
		since_due[counted] = at - due;
		since_append[counted] = at - number(page, row, 2);
		counted++;
	}
}

/* Read all events after a position, move it, and return their number. */
static long
read_pages(PGconn *conn, int64_t *position, int64_t *first_due)
{
	long		total = 0;
	int			rows;

	do
	{
		char		after[24];
		const char *values[] = {after, store};
		PGresult   *page;

		snprintf(after, sizeof after, "%" PRId64, *position);
		page = checked(conn, PQexecPrepared(conn, "read", 2, values, NULL, NULL, 0));
		rows = PQntuples(page);
		note_times(page, first_due);
		if (rows > 0)
			*position = number(page, rows - 1, 0);
		total += rows;
		PQclear(page);
	} while (rows == PAGE);
	return total;
}

/* Remove all received notifications; false if there were none. */
static bool
take_notifications(PGconn *conn)
{
	PGnotify   *notification;
	bool		any = false;

	if (!PQconsumeInput(conn))
		die("%s", PQerrorMessage(conn));
	while ((notification = PQnotifies(conn)) != NULL)
	{
		PQfreemem(notification);
		any = true;
	}
	return any;
}

/* In the listener: read after each notification until all events have been seen. */
static void
read_all(PGconn *conn, int64_t position, int report)
{
	struct pollfd wait[2] = {{PQsocket(conn), POLLIN, 0}, {report, POLLIN, 0}};
	int64_t		first_due = 0;
	long		seen = 0;
	long		total = 0;		/* 0 until the appender reports it */

	while (total == 0 || seen < total)
	{
		while (take_notifications(conn))
			seen += read_pages(conn, &position, &first_due);
		if (total > 0 && seen >= total)
			break;
		if (poll(wait, 2, GRACE_MS) == 0)
			die("no notification came for %d seconds: %ld events seen, of %ld",
				GRACE_MS / 1000, seen, total);
		if (wait[1].revents != 0)
		{
			if (read(report, &total, sizeof total) != sizeof total)
				die("the appender failed");
			wait[1].fd = -1;
		}
	}
	if (seen != total)
		die("%ld events seen, of %ld: somebody else appends", seen, total);
}

/* Compare two times, for qsort. */
static int
by_length(const void *a, const void *b)
{
	int64_t		left = *(const int64_t *) a;
	int64_t		right = *(const int64_t *) b;

	return (left > right) - (left < right);
}

/* Return the time within which "percent" of the events were read, in ms. */
static double
percentile(const int64_t *times, int percent)
{
	long		rank = (counted * percent + 99) / 100;

	return times[rank - 1] / 1e6;
}

/* Print a row of the table. */
static void
print_times(const char *mode, const char *since, int64_t *times)
{
	qsort(times, counted, sizeof *times, by_length);
	printf("%-13s %-6s %8ld %8.2f %8.2f %8.2f %8.2f\n", mode, since, counted,
		   percentile(times, 50), percentile(times, 90),
		   percentile(times, 99), percentile(times, 100));
}

/* Return the number of an option; outside its range end the program. */
static long
option_number(const char *word, long least, long most)
{
	char	   *end;
	long		value = strtol(word, &end, 10);

	if (end == word || *end != '\0' || value < least || value > most)
		die("\"%s\" is not a number from %ld to %ld", word, least, most);
	return value;
}

/* Read the command line. */
static void
read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"rate", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'},
		{"commit", no_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}
	};
	int			option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
	{
		if (option == 'r')
			rate = option_number(optarg, 1, 100000);
		else if (option == 's')
			seconds = option_number(optarg, 2, 3600);
		else if (option == 'c')
			store = "bench.commit";
		else
		{
			fputs(usage_text, option == 'h' ? stdout : stderr);
			exit(option == 'h' ? 0 : 2);
		}
	}
	if (optind < argc)
	{
		fputs(usage_text, stderr);
		exit(2);
	}
}

/* Prepare the reading statement.  Return the position from which to read. */
static int64_t
prepare_to_read(PGconn *conn)
{
	const char *values[] = {store};
	PGresult   *mark = checked(conn, PQexecParams(conn,
												  "SELECT eventstore.high_water_mark($1::regclass)",
												  1, NULL, values, NULL, NULL, 0));
	int64_t		position = number(mark, 0, 0);
	char		sql[200];

	snprintf(sql, sizeof sql,
			 "SELECT position, data->>'due', data->>'sent' "
			 "FROM eventstore.read_events($1, %d, store => $2::regclass)", PAGE);
	PQclear(checked(conn, PQprepare(conn, "read", sql, 0, NULL)));
	PQclear(mark);
	return position;
}

/* Run listener and appender, and print the times. */
int
main(int argc, char **argv)
{
	PGconn	   *conn;
	char	   *mode;
	int64_t		position;

	read_options(argc, argv);
	since_due = calloc(rate * seconds, sizeof *since_due);
	since_append = calloc(rate * seconds, sizeof *since_append);
	if (since_due == NULL || since_append == NULL)
		die("out of memory");

	conn = connect_to_server("bench latency: listener");
	mode = listen_to_store(conn);
	position = prepare_to_read(conn);
	read_all(conn, position, start_appender(conn));
	PQfinish(conn);
	waitpid(appender, NULL, 0);

	printf("%-13s %-6s %8s %8s %8s %8s %8s\n",
		   "notifications", "since", "events", "p50 ms", "p90 ms", "p99 ms", "max ms");
	print_times(mode, "append", since_append);
	print_times(mode, "due", since_due);
	free(mode);
	free(since_append);
	free(since_due);
	return 0;
}
