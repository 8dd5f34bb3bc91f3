/*
 * chaos_cluster.c
 *		Shows that a sliced store on several servers loses, doubles and inverts no event,
 *		while slots move, nodes crash and connections end.
 *
 * Writers append through fronts and directly, consumers share a subscription through the
 * fronts, readers follow all slots.  pg_eventstore_cluster moves slots, and is killed in
 * the middle.  At the end, what each of them has noted is compared with the tables.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cluster.h"

#define CONSUMERS 4
#define DRAIN_SECONDS 60		/* for the readers and consumers to reach the end */

ClusterOptions cluster_options = {.seconds = 60,.writers = 9,.slots = 16,.program = "pg_eventstore_cluster"};
ClusterShared *cluster;

static FILE *fates[MAX_WRITERS];
static FILE *consumed[CONSUMERS];
static int64_t started;
static bool is_drained;

static const char usage[] =
"chaos_cluster shows that a store on several servers loses no event while slots move.\n\n"
"Usage:\n"
"  chaos_cluster --node=NAME=CONNECTION... --front=CONNECTION... [OPTION]...\n\n"
"Options:\n"
"      --node=NAME=CONNECTION  a node, 2 to 8\n"
"      --front=CONNECTION      a front, up to 4\n"
"      --program=PATH          pg_eventstore_cluster\n"
"      --stop-command=CMD      shell command that crashes the server in the variable NODE:\n"
"                          a node, or \"fronts\"\n"
"      --start-command=CMD     shell command that starts this server again\n"
"  -s, --seconds=N             how long writers append (default 60)\n"
"  -w, --writers=N             number of writers, up to 64 (default 9)\n"
"      --slots=N               number of slots, up to 64 (default 16)\n"
"  -?, --help                  show this help, then exit\n\n"
"The databases are empty, and of servers of their own.  script/chaos --cluster makes them.\n";

enum
{
	NODE = 1000, FRONT, PROGRAM, STOP_COMMAND, START_COMMAND, SLOTS_OPTION, HELP
};

/* Store a node, which is given as NAME=CONNECTION. */
static void
add_node(char *value)
{
	char	   *equals = strchr(value, '=');

	if (equals == NULL || cluster_options.nnodes == MAX_NODES)
		die("--node needs NAME=CONNECTION, up to %d times", MAX_NODES);
	*equals = '\0';
	cluster_options.nodes[cluster_options.nnodes] = value;
	cluster_options.conninfos[cluster_options.nnodes++] = equals + 1;
}

/* Store an option. */
static void
set_option(int option)
{
	if (option == 's')
		cluster_options.seconds = number_option("seconds", optarg, 1, 1000000);
	else if (option == 'w')
		cluster_options.writers = number_option("writers", optarg, 1, MAX_WRITERS);
	else if (option == SLOTS_OPTION)
		cluster_options.slots = number_option("slots", optarg, 2, MAX_CLUSTER_SLOTS);
	else if (option == NODE)
		add_node(optarg);
	else if (option == FRONT && cluster_options.nfronts < MAX_FRONTS)
		cluster_options.fronts[cluster_options.nfronts++] = optarg;
	else if (option == PROGRAM)
		cluster_options.program = optarg;
	else if (option == STOP_COMMAND)
		cluster_options.stop_command = optarg;
	else if (option == START_COMMAND)
		cluster_options.start_command = optarg;
	else
	{
		fputs("Try \"chaos_cluster --help\" for more information.\n", stderr);
		exit(1);
	}
}

/* Read the command line. */
static void
read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"node", required_argument, NULL, NODE},
		{"front", required_argument, NULL, FRONT},
		{"program", required_argument, NULL, PROGRAM},
		{"stop-command", required_argument, NULL, STOP_COMMAND},
		{"start-command", required_argument, NULL, START_COMMAND},
		{"seconds", required_argument, NULL, 's'},
		{"writers", required_argument, NULL, 'w'},
		{"slots", required_argument, NULL, SLOTS_OPTION},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0}
	};
	int			option;

	while ((option = getopt_long(argc, argv, "s:w:", options, NULL)) != -1)
		if (option == HELP || (option == '?' && strcmp(argv[optind - 1], "-?") == 0))
		{
			fputs(usage, stdout);
			exit(0);
		}
		else
			set_option(option);
	if (optind < argc || cluster_options.nnodes < 2 || cluster_options.nfronts == 0 ||
		cluster_options.stop_command == NULL || cluster_options.start_command == NULL)
		die(optind < argc ? "too many arguments" : "nodes, fronts, --stop-command and --start-command are needed");
}

/* Signal handler: let all processes end. */
static void
interrupt(int signal)
{
	(void) signal;
	shared->phase = END;
}

/* Map memory that all processes share. */
static void *
map_memory(size_t size)
{
	void	   *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("could not map memory: %s", strerror(errno));
	memset(memory, 0, size);
	return memory;
}

/* Create the memory of all processes. */
static void
create_memory(void)
{
	shared = map_memory(sizeof *shared);
	cluster = map_memory(sizeof *cluster);
	atomic_flag_clear(&shared->errors_lock);
	shared->main_process = getpid();
	for (int i = 0; i < MOVERS; i++)
		cluster->running[i].slot = -1;
}

/* Make the cluster by pg_eventstore_cluster init, and the subscription. */
static void
create_cluster(void)
{
	const char *arguments[6 + MAX_NODES + MAX_FRONTS] = {cluster_options.program, "init", "--store=" STORE, "--quiet"};
	char		texts[1 + MAX_NODES + MAX_FRONTS][500];
	Client		front = {0};
	int			n = 0;

	snprintf(texts[n], sizeof texts[n], "--slots=%d", cluster_options.slots);
	arguments[4 + n] = texts[n];
	for (int i = 0; i < cluster_options.nnodes; i++)
	{
		n++;
		snprintf(texts[n], sizeof texts[n], "--node=%s=%s", cluster_options.nodes[i], cluster_options.conninfos[i]);
		arguments[4 + n] = texts[n];
	}
	for (int i = 0; i < cluster_options.nfronts; i++)
	{
		n++;
		snprintf(texts[n], sizeof texts[n], "--front=%s", cluster_options.fronts[i]);
		arguments[4 + n] = texts[n];
	}
	if (run_program(arguments, -1) != 0)
		die("pg_eventstore_cluster init failed, see cluster.log");
	name_client(&front, cluster_options.fronts[0], "main", 0);
	if (!client_connect(&front))
		die("could not connect");
	run_or_die(&front, "SELECT eventstore.create_subscription('" SUBSCRIPTION "', '" STORE "', partitions => 2, lease => '3 s', "
			   "max_attempts => 1000)");
	client_close(&front);
}

/* Start the readers and the consumers, which outlast the writers. */
static void
start_readers(void)
{
	for (int i = 0; i < nseers; i++)
	{
		seers[i].log = new_log();
		if (start_process())
		{
			seer_main(i);
			end_process();
		}
	}
	for (int i = 0; i < CONSUMERS; i++)
	{
		consumed[i] = new_log();
		if (start_process())
		{
			cluster_consumer_main(i, consumed[i]);
			end_process();
		}
	}
}

/* Start the writers, and the roles that end with them. */
static void
start_writers(void)
{
	for (int i = 0; i < cluster_options.writers; i++)
	{
		fates[i] = new_log();
		if (start_process())
		{
			cluster_writer_main(i, fates[i]);
			end_process();
		}
	}
	for (int i = 0; i < MOVERS; i++)
		if (start_process())
		{
			mover_main(i);
			end_process();
		}
	if (start_process())
	{
		crasher_main();
		end_process();
	}
	if (start_process())
	{
		connection_killer_main();
		end_process();
	}
}

/* Print the progress, every ten seconds. */
static void
watch_run(void)
{
	int64_t		shown = now_us();

	started = shown;
	while (shared->phase == RUN && now_us() - started < (int64_t) cluster_options.seconds * 1000000)
	{
		sleep_ms(100);
		if (now_us() - shown < 10000000)
			continue;
		shown = now_us();
		printf("%4lld s: %ld events acknowledged, %ld moves, %ld killed, %ld failed; %ld crashes, %ld ended connections\n",
			   (long long) (shown - started) / 1000000, (long) shared->events, (long) cluster->moves,
			   (long) cluster->killed_moves, (long) cluster->failed_moves, (long) cluster->crashes, (long) shared->kills);
		fflush(stdout);
	}
	if (shared->phase != RUN)
		die("interrupted");
}

/* Return whether a query has the answer 0 on all nodes. */
static bool
is_zero_on_nodes(Client *nodes, const char *sql)
{
	for (int i = 0; i < cluster_options.nnodes; i++)
		if (!client_connect(&nodes[i]) || client_run(&nodes[i], sql) != OK || client_number(&nodes[i], 0, 0) != 0)
			return false;
	return true;
}

/* Return whether all readers have reached the end. */
static bool
are_seers_done(void)
{
	for (int i = 0; i < nseers; i++)
		if (!cluster->done[i])
			return false;
	return true;
}

/*
 * Wait until no append runs any more: a node may still run one whose front is gone.  Then
 * wait until the readers and the consumers have reached the end.
 */
static void
drain(void)
{
	Client		nodes[MAX_NODES] = {0};
	int64_t		since = now_us();

	for (int i = 0; i < cluster_options.nnodes; i++)
		name_client(&nodes[i], cluster_options.conninfos[i], "drain", i);
	while (!is_zero_on_nodes(nodes, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
							 "query LIKE '%eventstore.append%' AND (state <> 'idle' OR backend_xid IS NOT NULL) AND pid <> pg_backend_pid()") &&
		   now_us() - since < (int64_t) DRAIN_SECONDS * 1000000)
		sleep_ms(50);
	shared->phase = DRAIN;
	since = now_us();
	while (!is_drained && now_us() - since < (int64_t) DRAIN_SECONDS * 1000000)
	{
		is_drained = are_seers_done() &&
			is_zero_on_nodes(nodes, "SELECT COALESCE(sum(lag), 0) FROM eventstore.subscriptions");
		sleep_ms(50);
	}
	shared->phase = END;
	for (int i = 0; i < cluster_options.nnodes; i++)
		client_close(&nodes[i]);
}

/* Print the verdict if it is a failure.  Return the exit status. */
static int
print_verdict(bool well, bool ended_well, long naive_lost, long renamed_lost, long dropped_lost)
{
	bool		is_long = cluster_options.seconds >= 15;

	if (!well)
		printf("FAILED: see above\n");
	else if (!is_drained)
		printf("FAILED: a reader or consumer did not reach the end\n");
	else if (cluster->broken_programs > 0)
		printf("FAILED: pg_eventstore_cluster has crashed, or did not end in time\n");
	else if (!ended_well)
		printf("FAILED: a process of this program did not end well\n");
	else if (dropped_lost != 0)
		printf("FAILED: the move that drops the slot has lost events\n");
	else if (renamed_lost == 0)
		printf("FAILED: the move by rename lost nothing, so this run proves nothing\n");
	else if (is_long && naive_lost == 0)
		printf("FAILED: the naive reader lost nothing, so this run proves nothing\n");
	else if (is_long && (cluster->moves == 0 || cluster->killed_moves == 0 || cluster->crashes_in_moves == 0))
		printf("FAILED: no move, no killed move, or no crash during a move, so this run proves nothing\n");
	else
		return 0;
	return 1;
}

/* Run all roles, then check the results. */
int
main(int argc, char **argv)
{
	const char *check[] = {NULL, "check", NULL, NULL};
	long		renamed_lost,
				dropped_lost,
				naive_lost = 0;
	int			nreaders;
	bool		ended_well,
				well;

	read_options(argc, argv);
	create_memory();
	create_cluster();
	renamed_lost = lost_by_rename(false);
	dropped_lost = lost_by_rename(true);
	start_readers();
	nreaders = nchildren;
	start_writers();
	signal(SIGINT, interrupt);
	signal(SIGTERM, interrupt);
	watch_run();
	shared->phase = STOP;
	ended_well = wait_for_processes(nreaders, 180);
	drain();
	ended_well = wait_for_processes(0, 20) && ended_well;
	printf("%lld s; %ld moves: the program was killed %ld times, and failed %ld times; %ld crashes, %ld of them of a node "
		   "in a move; %ld ended connections\n%ld calls were routed by clients, %ld repeated after a lost answer, "
		   "%ld met a slot that had moved\n",
		   (long long) (now_us() - started) / 1000000, (long) cluster->moves, (long) cluster->killed_moves,
		   (long) cluster->failed_moves, (long) cluster->crashes, (long) cluster->crashes_in_moves, (long) shared->kills,
		   (long) cluster->routed, (long) cluster->repeated, (long) cluster->moved);
	check[0] = cluster_options.program;
	check[2] = cluster_options.fronts[0];
	well = run_program(check, -1) == 0;
	printf("pg_eventstore_cluster check: %s\n", well ? "ok" : "FAILED, see cluster.log");
	well = check_cluster(fates, cluster_options.writers, consumed, CONSUMERS, &naive_lost) && well;
	printf("controls: the naive reader lost %ld events; of appends that waited for a move, %ld were lost by a rename, "
		   "%ld by a drop\n", naive_lost, renamed_lost, dropped_lost);
	return print_verdict(well, ended_well, naive_lost, renamed_lost, dropped_lost);
}
