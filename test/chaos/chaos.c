/*
 * chaos.c
 *		Shows that a subscriber sees every event exactly once and in order,
 *		whatever the writers do.
 *
 * Writers append in all ways, roll back, prepare, dawdle; connections are
 * ended, the server crashes, old events move to the archive.  Meanwhile subscribers follow the log.  At the
 * end what each has seen is compared with the tables.  Each role is a process;
 * they share a piece of memory and write what they have seen to files without
 * a name.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chaos.h"

#define MAX_CHILDREN (MAX_WRITERS + MAX_SUBSCRIBERS + 8)

static int	seconds = 60;
static int	writers = 12;
static const char *stop_command;
static const char *start_command;

static pid_t children[MAX_CHILDREN];
static int	nchildren;
static FILE *range_logs[MAX_WRITERS + 3];
static int	nrange_logs;
static int	crashes;
static int64_t biggest_lag;
static int64_t started;

static const char usage[] =
"chaos shows that subscribers see every event exactly once and in order.\n\n"
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

/* A number in a range, or the end. */
static int
number_option(const char *name, const char *value, int low, int high)
{
	char	   *end;
	long		number = strtol(value, &end, 10);

	if (end == value || *end != '\0' || number < low || number > high)
	{
		fprintf(stderr, "chaos: --%s needs a number from %d to %d\n", name, low, high);
		exit(1);
	}
	return (int) number;
}

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

/* End the run, as soon as all have noticed. */
static void
interrupted(int signal)
{
	(void) signal;
	shared->phase = END;
}

/* A file without a name. */
static FILE *
new_log(void)
{
	FILE	   *log = tmpfile();

	if (log == NULL)
		die("could not create a temporary file: %s", strerror(errno));
	return log;
}

/* A file for what becomes of events. */
static FILE *
new_range_log(void)
{
	return range_logs[nrange_logs++] = new_log();
}

/* Make the memory that all share. */
static void
make_shared(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("could not map memory: %s", strerror(errno));
	memset(shared, 0, sizeof *shared);
	atomic_flag_clear(&shared->errors_lock);
	shared->main_process = getpid();
}

/* Run a statement that must succeed. */
static void
must_run(Client *client, const char *sql)
{
	if (client_run(client, sql) != OK)
		die("%s: %s", sql, client->result ? PQresultErrorMessage(client->result) : "connection lost");
}

/* Make the stores. */
static void
make_stores(void)
{
	Client		client = {.name = "chaos"};
	Client		quiet = {.name = "chaos",.dbname = "chaos_quiet"};

	if (!client_connect(&client) || !client_connect(&quiet))
		die("could not connect");
	must_run(&client, "CREATE EXTENSION IF NOT EXISTS pg_eventstore");
	must_run(&client, "SELECT eventstore.create_store('chaos.second')");
	must_run(&client, "SELECT eventstore.create_archive('eventstore.events')");
	must_run(&client, "SELECT eventstore.create_archive('chaos.second')");
	must_run(&client, "CREATE TABLE chaos.unrelated (n integer)");
	must_run(&quiet, "CREATE EXTENSION IF NOT EXISTS pg_eventstore");
	client_close(&client);
	client_close(&quiet);
}

/* Start a process; true in it. */
static bool
start(void)
{
	pid_t		pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("could not fork: %s", strerror(errno));
	if (pid > 0)
	{
		children[nchildren++] = pid;
		return false;
	}
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	srandom((unsigned) (getpid() ^ time(NULL)));
	return true;
}

/* End a process with all that it has written. */
static void
leave(void)
{
	exit(fflush(NULL) == 0 ? 0 : 2);
}

/* Start those who read, and others who go on when the writers have ended. */
static void
start_readers(void)
{
	FILE	   *finished = new_range_log();

	for (int i = 0; i < nsubscribers; i++)
	{
		FILE	   *log = subscribers[i].kind == REACTOR ? new_range_log() : NULL;

		subscribers[i].log = new_log();
		if (!start())
			continue;
		if (log != NULL)
			reactor_main(i, writers, log);
		else
			subscriber_main(i);
		leave();
	}
	if (start())
	{
		finisher_main(finished);
		leave();
	}
	if (start())
	{
		bystander_main();
		leave();
	}
	if (start())
	{
		archiver_main();
		leave();
	}
}

/* Start those who append or disturb. */
static void
start_writers(void)
{
	static void (*const mains[]) (void) = {killer_main, quiet_listener_main, quiet_writer_main};
	FILE	   *log;

	for (size_t i = 0; i < sizeof mains / sizeof *mains; i++)
		if (start())
		{
			mains[i] ();
			leave();
		}
	for (int i = 0; i < writers; i++)
	{
		log = new_range_log();
		if (start())
		{
			writer_main(i, writers, log);
			leave();
		}
	}
}

/* How far the slowest real subscriber of the first store is behind a position. */
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

/* Look how far the mark is behind the newest position, and readers behind it. */
static void
look(Client *client)
{
	int64_t		mark,
				lag;

	if (!client_connect(client) ||
		client_run(client, "SELECT eventstore.high_water_mark(), last_value "
				   "FROM eventstore.events_position_seq") != OK)
		return;
	mark = client_number(client, 0, 0);
	lag = client_number(client, 0, 1) - mark;
	if (lag > biggest_lag)
		biggest_lag = lag;
	shared->behind = slowest_lag(mark) > 20000;
}

/* Crash the server and start it again. */
static void
crash(void)
{
	if (system(stop_command) != 0)
		die("the command that stops the server failed");
	sleep_ms(200);
	if (system(start_command) != 0)
		die("the command that starts the server failed");
	crashes++;
}

/* Show how it is going: on a terminal each second in place, else every ten. */
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

/* Watch the run until its time is over. */
static void
watch(void)
{
	Client		client = {.name = "chaos watch"};
	int			planned = stop_command == NULL ? 0 : 1 + seconds / 120;

	started = now_us();
	while (shared->phase == RUN && now_us() - started < (int64_t) seconds * 1000000)
	{
		look(&client);
		show_progress(false);
		if (crashes < planned && now_us() - started > (int64_t) seconds * 1000000 * (crashes + 1) / (planned + 1))
			crash();
		sleep_ms(200);
	}
	show_progress(true);
	client_close(&client);
}

/* Wait for the processes from a number on; those that hang are killed. */
static bool
reap(int from, int limit)
{
	int64_t		since = now_us();
	bool		well = true;

	for (int i = from; i < nchildren; i++)
	{
		int			status = 0;

		while (waitpid(children[i], &status, WNOHANG) == 0)
		{
			if (now_us() - since > (int64_t) limit * 1000000)
			{
				printf("a process hangs, and is killed\n");
				kill(children[i], SIGKILL);
				well = false;
			}
			sleep_ms(20);
		}
		well = well && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	}
	nchildren = from;
	return well;
}

/* Finish all prepared transactions, and wait for other appends to end. */
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
		if (left == 0 && client_run(&client, "SELECT FROM pg_prepared_xacts UNION ALL "
									"SELECT FROM pg_stat_activity WHERE datname = 'chaos' AND "
									"backend_xid IS NOT NULL AND application_name NOT IN ('chaos bystander', 'chaos archiver')") == OK &&
			PQntuples(client.result) == 0)
			break;
	}
	client_close(&client);
	fflush(log);
}

/* Give the subscribers 5 s from the last commit on, and those that page 10 s. */
static void
drain(void)
{
	int64_t		since = now_us();
	bool		done = false;

	shared->behind = false;
	shared->phase = DRAIN;
	while (!done || now_us() - since < 5000000)
	{
		done = true;
		for (int i = 0; i < nsubscribers; i++)
			done = done && (shared->subscribers[i].done ||
							subscribers[i].kind == LISTENER || subscribers[i].kind == WATERMARK);
		if (now_us() - since > 10000000)
			break;
		sleep_ms(20);
	}
	for (int i = 0; i < nsubscribers; i++)
		if (subscribers[i].kind == LISTENER)
			shared->subscribers[i].done = true;
	shared->phase = END;
}

/* The verdict in words, and as an exit status. */
static int
judge(bool well, bool processes_well)
{
	if (shared->events == 0)
		printf("FAILED: there were no events\n");
	else if (!well)
		printf("FAILED: see above\n");
	else if (!processes_well)
		printf("FAILED: a process of this program did not end well\n");
	else if (seconds >= 30 && shared->naive_lost == 0)
		printf("FAILED: the naive reader lost nothing, so this run proves nothing\n");
	else if (seconds >= 30 && shared->archived == 0)
		printf("FAILED: nothing was archived, so this run proves nothing\n");
	else
		return 0;
	return 1;
}

/* Run all roles, then compare. */
int
main(int argc, char **argv)
{
	int			nreaders;
	bool		well;
	bool		ended_well;

	read_options(argc, argv);
	make_shared();
	make_stores();
	start_readers();
	nreaders = nchildren;
	start_writers();
	signal(SIGINT, interrupted);
	signal(SIGTERM, interrupted);
	watch();
	if (shared->phase != RUN)
		die("interrupted");
	shared->phase = STOP;
	ended_well = reap(nreaders, 30);
	finish_all();
	drain();
	ended_well = reap(0, 20) && ended_well;
	printf("%lld s, %ld ended connections, %d crashes; the mark was %lld positions behind at most\n\n",
		   (long long) (now_us() - started) / 1000000, (long) shared->kills, crashes, (long long) biggest_lag);
	well = check(writers + 1, range_logs, nrange_logs);
	return judge(well, ended_well);
}
