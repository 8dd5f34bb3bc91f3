/*
 * chaos.c
 *		Shows that a subscriber sees every event exactly once and in order, and that the
 *		consumers of a subscription skip none, in spite of concurrent failures.
 *
 * Writers append in all ways, roll back, prepare, and sleep in transactions.  Connections
 * are ended, the server crashes, old events move to the archive.  Meanwhile subscribers
 * follow the log.  Consumers of subscriptions process it, hang and die, and an
 * administrator changes the subscriptions.  At the end, the events that each of them has
 * seen are compared with the tables.  Each role is a process.  The processes share
 * memory, and log to temporary files without a name.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "chaos.h"

#define MAX_LAG 20000			/* positions; writers wait for readers then */
#define DRAIN_LIMIT 60			/* s, for the consumers to reach the end */

static int	seconds = 60;
static int	writers = 12;
static const char *stop_command;
static const char *start_command;

static FILE *range_logs[MAX_WRITERS + 3];
static int	nrange_logs;
static int	crashes;
static bool caught_up;			/* the consumers, at the end */
static int64_t biggest_lag;
static int	held_back[SUBSCRIPTIONS + 2];	/* how often writers waited */
static int64_t started;

static const char usage[] =
"chaos shows that subscribers see every event exactly once and in order, and that\n"
"consumers of subscriptions skip none.\n\n"
"Usage:\n"
"  chaos [OPTION]...\n\n"
"Options:\n"
"  -s, --seconds=N          how long writers append (default 60)\n"
"  -w, --writers=N          number of writers, up to 64 (default 12)\n"
"      --stop-command=CMD   shell command that crashes the server\n"
"      --start-command=CMD  shell command that starts it again\n"
"  -?, --help               show this help, then exit\n\n"
"It needs a server of its own, found as libpq finds it, with the databases\n"
"\"chaos\" and \"chaos_quiet\" and max_prepared_transactions of 10 or more.\n"
"script/chaos makes one.\n";

/* Read the command line. */
static void
read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"seconds", required_argument, NULL, 's'},
		{"writers", required_argument, NULL, 'w'},
		{"stop-command", required_argument, NULL, 1},
		{"start-command", required_argument, NULL, 2},
		{"help", no_argument, NULL, 3},
		{NULL, 0, NULL, 0}
	};
	int			option;

	if (argc > 1 && strcmp(argv[1], "-?") == 0)
	{
		fputs(usage, stdout);
		exit(0);
	}
	while ((option = getopt_long(argc, argv, "s:w:", options, NULL)) != -1)
		if (option == 's')
			seconds = number_option("seconds", optarg, 1, 1000000);
		else if (option == 'w')
			writers = number_option("writers", optarg, 1, MAX_WRITERS);
		else if (option == 1)
			stop_command = optarg;
		else if (option == 2)
			start_command = optarg;
		else if (option == 3)
		{
			fputs(usage, stdout);
			exit(0);
		}
		else
		{
			fputs("Try \"chaos --help\" for more information.\n", stderr);
			exit(1);
		}
	if (optind < argc || (stop_command == NULL) != (start_command == NULL))
		die(optind < argc ? "too many arguments" :
			"--stop-command and --start-command belong together");
}

/* Signal handler: let all processes end. */
static void
interrupt(int signal)
{
	(void) signal;
	shared->phase = END;
}

/* Create a log for the fates of events. */
static FILE *
new_range_log(void)
{
	return range_logs[nrange_logs++] = new_log();
}

/* Create the memory of all processes. */
static void
create_shared_memory(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("could not map memory: %s", strerror(errno));
	memset(shared, 0, sizeof *shared);
	atomic_flag_clear(&shared->errors_lock);
	shared->main_process = getpid();
	create_marks();
}

/* Create the stores. */
static void
create_stores(void)
{
	Client		client = {.name = "chaos"};
	Client		quiet = {.name = "chaos",.dbname = "chaos_quiet"};

	if (!client_connect(&client) || !client_connect(&quiet))
		die("could not connect");
	run_or_die(&client, "CREATE EXTENSION IF NOT EXISTS pg_eventstore");
	run_or_die(&client, "SELECT eventstore.create_store('chaos.second')");
	run_or_die(&client, "SELECT eventstore.create_archive('eventstore.events')");
	run_or_die(&client, "SELECT eventstore.create_archive('chaos.second')");
	run_or_die(&client, "CREATE TABLE chaos.unrelated (n integer)");
	if (!create_subscriptions(&client))
		die("could not create the subscriptions");
	if (!create_projections(&client))
		die("could not create the projections: %s", PQerrorMessage(client.conn));
	run_or_die(&quiet, "CREATE EXTENSION IF NOT EXISTS pg_eventstore");
	client_close(&client);
	client_close(&quiet);
}

/* Start the subscribers, the consumers, and the other roles that outlast the writers. */
static void
start_readers(void)
{
	static void (*const mains[]) (void) = {
		bystander_main, archiver_main, projection_admin_main, subscription_admin_main, dead_letter_main, idle_monitor_main
	};
	FILE	   *finished = new_range_log();

	for (int i = 0; i < nsubscribers; i++)
	{
		FILE	   *log = subscribers[i].kind == REACTOR ? new_range_log() : NULL;

		subscribers[i].log = new_log();
		if (!start_process())
			continue;
		if (log != NULL)
			reactor_main(i, writers, log);
		else
			subscriber_main(i);
		end_process();
	}
	if (start_process())
	{
		finisher_main(finished);
		end_process();
	}
	for (size_t i = 0; i < sizeof mains / sizeof *mains; i++)
		if (start_process())
		{
			mains[i] ();
			end_process();
		}
	for (int i = 0; i < nconsumers; i++)
		if (start_process())
		{
			consumer_keeper_main(i);
			end_process();
		}
}

/* Start the writers, and the roles that end with them. */
static void
start_writers(void)
{
	static void (*const mains[]) (void) = {killer_main, quiet_listener_main, quiet_writer_main};
	FILE	   *log;

	for (size_t i = 0; i < sizeof mains / sizeof *mains; i++)
		if (start_process())
		{
			mains[i] ();
			end_process();
		}
	for (int i = 0; i < writers; i++)
	{
		log = new_range_log();
		if (start_process())
		{
			writer_main(i, writers, log);
			end_process();
		}
	}
}

/* Return the lag of the slowest subscriber of the first store, except the naive one. */
static int64_t
slowest_lag(int64_t mark)
{
	int64_t		lag = 0;

	for (int i = 0; i < nsubscribers; i++)
	{
		int64_t		position = shared->subscribers[i].position;

		if (subscribers[i].store == 0 && subscribers[i].kind != NAIVE &&
			subscribers[i].pause == 0 && mark - position > lag)
			lag = mark - position;
	}
	return lag;
}

/* Return whether a subscription lags by too much, except those that stop or are reset. */
static bool
are_consumers_behind(Client *client, int64_t mark)
{
	bool		behind = false;

	for (int i = 0; i < STOPPING; i++)
	{
		char		sql[200];

		snprintf(sql, sizeof sql, "SELECT min(checkpoint) FROM eventstore.subscription_partitions "
				 "WHERE subscription = '%s'", subscriptions[i].name);
		if (client_run(client, sql) != OK || mark - client_number(client, 0, 0) <= MAX_LAG)
			continue;
		held_back[i]++;
		behind = true;
	}
	return behind;
}

/* Measure how far the mark lags behind the newest position, and readers behind it. */
static void
measure_lag(Client *client)
{
	int64_t		mark,
				lag;
	bool		behind;
	bool		behind_projections;

	if (!client_connect(client) ||
		client_run(client, "SELECT eventstore.high_water_mark(), last_value "
				   "FROM eventstore.events_position_seq") != OK)
		return;
	mark = client_number(client, 0, 0);
	lag = client_number(client, 0, 1) - mark;
	if (lag > biggest_lag)
		biggest_lag = lag;
	behind = slowest_lag(mark) > MAX_LAG;
	held_back[SUBSCRIPTIONS] += behind;
	behind_projections = are_projections_behind(client, mark, MAX_LAG);
	held_back[SUBSCRIPTIONS + 1] += behind_projections;
	shared->behind = are_consumers_behind(client, mark) || behind_projections || behind;
}

/* Crash the server, and start it again. */
static void
crash_server(void)
{
	shared->server_is_down = true;
	if (system(stop_command) != 0)
		die("the command that stops the server failed");
	sleep_ms(200);
	if (system(start_command) != 0)
		die("the command that starts the server failed");
	shared->server_up_since = now_us();
	shared->server_is_down = false;
	crashes++;
}

/* Print the progress: every second on a terminal, otherwise every ten seconds. */
static void
show_progress(bool last)
{
	static int64_t shown = 0;
	static long events = 0;
	int64_t		now = now_us();
	bool		terminal = isatty(STDOUT_FILENO);

	if (!last && now - shown < (terminal ? 1000000 : 10000000) && shown > 0)
		return;
	if (shown > 0)
		printf("%s%4lld s: %ld events, %ld a second; %ld commits, %ld rollbacks, "
			   "%ld prepared, %ld ended connections, %d crashes%s",
			   terminal ? "\r" : "", (long long) (now - started) / 1000000, (long) shared->events,
			   (long) ((shared->events - events) * 1000000 / (now - shown)),
			   (long) shared->commits, (long) shared->rollbacks, (long) shared->prepared,
			   (long) shared->kills, crashes, terminal && !last ? "\033[K" : "\n");
	fflush(stdout);
	shown = now;
	events = shared->events;
}

/* Watch the run until its time is over, and crash the server as planned. */
static void
watch_run(void)
{
	Client		client = {.name = "chaos watch"};
	int			planned = stop_command == NULL ? 0 : 1 + seconds / 120;

	started = now_us();
	while (shared->phase == RUN && now_us() - started < (int64_t) seconds * 1000000)
	{
		measure_lag(&client);
		show_progress(false);
		if (crashes < planned && now_us() - started > (int64_t) seconds * 1000000 * (crashes + 1) / (planned + 1))
			crash_server();
		sleep_ms(200);
	}
	show_progress(true);
	client_close(&client);
}

/* Finish all prepared transactions, and wait until other appends have ended. */
static void
finish_all(void)
{
	Client		client = {.name = "chaos"};
	FILE	   *log = new_range_log();

	for (int i = 0; i < 50; i++)
	{
		int			left = 0;

		sleep_ms(100);
		if (!client_connect(&client))
			break;
		finish_prepared(&client, log, true);
		for (int slot = 0; slot < MAX_PREPARED; slot++)
			left += shared->slots[slot].state != FREE;
		if (left == 0 && client_run(&client, "SELECT FROM pg_prepared_xacts WHERE gid NOT LIKE 'consumer%' UNION ALL "
									"SELECT FROM pg_stat_activity WHERE datname = 'chaos' AND "
									"backend_xid IS NOT NULL AND application_name !~ "
									"'^chaos (bystander|archiver|consumer|subscription admin|dead letters)'") == OK &&
			PQntuples(client.result) == 0)
			break;
	}
	client_close(&client);
	fflush(log);
}

/* Return whether all subscribers that can know the end of the log have reached it. */
static bool
are_subscribers_done(void)
{
	for (int i = 0; i < nsubscribers; i++)
		if (!shared->subscribers[i].done && subscribers[i].kind != LISTENER && subscribers[i].kind != WATERMARK)
			return false;
	return true;
}

/* Wait until the subscriptions have no event left, and no healed event is parked. */
static void
drain_consumers(void)
{
	Client		client = {.name = "chaos"};
	int64_t		since = now_us();

	while (!caught_up && now_us() - since < (int64_t) DRAIN_LIMIT * 1000000 && client_connect(&client))
	{
		caught_up = !are_projections_busy(&client) &&
			client_run(&client, "SELECT name, lag, in_flight FROM eventstore.subscriptions WHERE lag > 0 AND name <> 'never' UNION ALL "
							   "SELECT subscription || ' (parked)', count(*), 0 FROM eventstore.parked_events "
							   "WHERE subscription = 'poison' GROUP BY subscription") == OK &&
			PQntuples(client.result) == 0;
		sleep_ms(100);
	}
	for (int i = 0; !caught_up && i < PQntuples(client.result); i++)
		printf("subscription %s did not reach the end of the log: %s left, %s in flight\n", PQgetvalue(client.result, i, 0),
			   PQgetvalue(client.result, i, 1), PQgetvalue(client.result, i, 2));
	client_close(&client);
}

/*
 * Wait 5 s after the last commit for the subscribers, and up to 10 s for those that read
 * pages.  The consumers have more time.
 */
static void
drain_subscribers(void)
{
	int64_t		since = now_us();

	shared->behind = false;
	shared->phase = DRAIN;
	drain_consumers();
	while (now_us() - since < 5000000 ||
		   (!are_subscribers_done() && now_us() - since < 10000000))
		sleep_ms(20);
	for (int i = 0; i < nsubscribers; i++)
		if (subscribers[i].kind == LISTENER)
			shared->subscribers[i].done = true;
	shared->phase = END;
}

/* Print the verdict if it is a failure.  Return the exit status. */
static int
print_verdict(bool well, bool processes_well)
{
	if (shared->events == 0)
		printf("FAILED: there were no events\n");
	else if (!well)
		printf("FAILED: see above\n");
	else if (!caught_up)
		printf("FAILED: a subscription did not reach the end of the log\n");
	else if (!processes_well)
		printf("FAILED: a process of this program did not end well\n");
	else if (seconds >= 30 && shared->naive_lost == 0)
		printf("FAILED: the naive reader lost nothing, so this run proves nothing\n");
	else if (seconds >= 30 && shared->archived == 0)
		printf("FAILED: nothing was archived, so this run proves nothing\n");
	else if (seconds >= 30 && missing_in_consumers() != NULL)
		printf("FAILED: %s, so this run proves nothing\n", missing_in_consumers());
	else
		return 0;
	return 1;
}

/* Run all roles, then check the results. */
int
main(int argc, char **argv)
{
	int			nreaders;
	bool		well;
	bool		ended_well;

	read_options(argc, argv);
	create_shared_memory();
	create_stores();
	start_readers();
	nreaders = nchildren;
	start_writers();
	signal(SIGINT, interrupt);
	signal(SIGTERM, interrupt);
	watch_run();
	if (shared->phase != RUN)
		die("interrupted");
	shared->phase = STOP;
	ended_well = wait_for_processes(nreaders, 30);
	finish_all();
	drain_subscribers();
	ended_well = wait_for_processes(0, 20) && ended_well;
	printf("%lld s, %ld ended connections, %d crashes; the mark was %lld positions behind at most\n"
		   "writers waited for subscribers %d s, for consumers of work %d s, exact %d s, poison %d s, skip %d s, "
		   "for projections %d s\n\n",
		   (long long) (now_us() - started) / 1000000, (long) shared->kills, crashes, (long long) biggest_lag,
		   held_back[SUBSCRIPTIONS] / 5, held_back[WORK] / 5, held_back[EXACT] / 5, held_back[POISON] / 5,
		   held_back[SKIPPING] / 5, held_back[SUBSCRIPTIONS + 1] / 5);
	well = check_results(writers + 1, range_logs, nrange_logs);
	return print_verdict(well, ended_well);
}
