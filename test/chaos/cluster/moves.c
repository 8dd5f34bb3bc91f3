/*
 * moves.c
 *		Moves of slots by pg_eventstore_cluster, which is killed at random moments, crashes
 *		of the nodes, preferably of those that take part in a move, and ended connections.
 *		A move that has failed is called again until it has succeeded.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster.h"

#define MOVE_LIMIT 120			/* s, for one run of the program */

/*
 * Run pg_eventstore_cluster, and kill it after some milliseconds; -1: not.  Its output goes
 * to a file in the current folder.  Return the exit status; -1 if it was killed.
 */
int
run_program(const char *const *arguments, int kill_after_ms)
{
	int64_t		since = now_us();
	int64_t		limit = kill_after_ms < 0 ? MOVE_LIMIT * 1000 : kill_after_ms;
	int			status;
	pid_t		pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("could not fork: %s", strerror(errno));
	if (pid == 0)
	{
		int			out = open("cluster.log", O_WRONLY | O_CREAT | O_APPEND, 0600);

		if (out >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0)
			execvp(arguments[0], (char *const *) arguments);
		_exit(127);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
	{
		if (now_us() - since > limit * 1000)
			kill(pid, SIGKILL);
		sleep_ms(5);
	}
	if (kill_after_ms < 0 && WIFSIGNALED(status))
		cluster->broken_programs++;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Move a slot; try again until the program says that the slot has moved. */
static void
move_slot(RunningMove *move, int slot, int from, int to)
{
	char		number[12];
	const char *arguments[] = {cluster_options.program, "move", cluster_options.fronts[slot % cluster_options.nfronts],
	number, cluster_options.nodes[to], "--store=" STORE, "--quiet", NULL};

	snprintf(number, sizeof number, "%d", slot);
	move->from = from;
	move->to = to;
	move->slot = slot;
	for (int tries = 0; shared->phase < DRAIN; tries++)
	{
		bool		is_killed = tries < 3 && running(RUN) && (cluster->killed_moves == 0 || chance(40));
		int			status = run_program(arguments, is_killed ? random_below(900) : -1);

		if (status == 0)
		{
			cluster->moves++;
			break;
		}
		if (status == -1)
			cluster->killed_moves++;
		else
			cluster->failed_moves++;
		sleep_ms(100 + random_below(300));
	}
	move->slot = -1;
}

/* Move random slots.  Each mover has slots of its own. */
void
mover_main(int number)
{
	static Router router;

	name_router(&router, "mover", number);
	while (running(RUN))
	{
		int			slot = random_below(cluster_options.slots / MOVERS) * MOVERS + number;
		int			from,
					to;

		sleep_ms(random_below(400));
		router.has_map = false;
		if (route(&router, slot) == NULL)
			break;
		from = router.node_of[slot];
		to = (from + 1 + random_below(cluster_options.nnodes - 1)) % cluster_options.nnodes;
		close_router(&router);
		if (running(RUN))
			move_slot(&cluster->running[number], slot, from, to);
	}
	close_router(&router);
}

/* Run a command of the command line for a server, which it finds in the variable NODE. */
static void
run_for_server(const char *command, const char *server)
{
	setenv("NODE", server, 1);
	if (system(command) != 0)
		die("the command failed for %s: %s", server, command);
}

/* Return a move that runs; NULL if there is none for a second. */
static const RunningMove *
wait_for_move(void)
{
	for (int tries = 0; tries < 100 && running(RUN); tries++)
	{
		const RunningMove *move = &cluster->running[random_below(MOVERS)];

		if (move->slot >= 0)
			return move;
		sleep_ms(10);
	}
	return NULL;
}

/* Crash a server at a random moment of a move, and start it again. */
static void
crash_server(void)
{
	const RunningMove *move = wait_for_move();
	int			node = move == NULL || chance(10) ? random_below(cluster_options.nnodes) : chance(50) ? move->from : move->to;
	bool		fronts = chance(15);
	const char *server = fronts ? FRONTS : cluster_options.nodes[node];

	sleep_ms(random_below(500));
	if (!running(RUN))
		return;
	cluster->crashes_in_moves += !fronts && move != NULL && move->slot >= 0 && (move->from == node || move->to == node);
	run_for_server(cluster_options.stop_command, server);
	cluster->crashes++;
	sleep_ms(random_below(800));
	run_for_server(cluster_options.start_command, server);
}

/* Crash the servers, one after the other. */
void
crasher_main(void)
{
	int			pause = cluster_options.seconds < 60 ? 3000 : 5000;

	while (running(RUN))
	{
		int64_t		until = now_us() + (pause + random_below(pause)) * 1000LL;

		while (now_us() < until && running(RUN))
			sleep_ms(20);
		crash_server();
	}
}

/* End connections of the clients on the nodes and the fronts. */
void
connection_killer_main(void)
{
	Client		clients[MAX_NODES + MAX_FRONTS] = {0};
	int			servers = cluster_options.nnodes + cluster_options.nfronts;

	for (int i = 0; i < servers; i++)
		name_client(&clients[i], i < cluster_options.nnodes ? cluster_options.conninfos[i] :
					cluster_options.fronts[i - cluster_options.nnodes], "killer", i);
	while (running(RUN))
	{
		Client	   *client = &clients[random_below(servers)];

		sleep_ms(200 + random_below(400));
		if (!running(RUN) || !client_connect(client))
			break;
		if (client_run(client, "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity "
					   "WHERE datname = current_database() AND backend_type = 'client backend' "
					   "AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) AS victim") == OK)
			shared->kills += client_number(client, 0, 0);
	}
	for (int i = 0; i < servers; i++)
		client_close(&clients[i]);
}
