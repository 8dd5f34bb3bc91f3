/*
 * processes.c
 *		Starts the processes of a chaos program, and waits for them.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chaos.h"

#define MAX_CHILDREN (MAX_WRITERS + MAX_SUBSCRIBERS + MAX_CONSUMERS + 12)

int			nchildren;

static pid_t children[MAX_CHILDREN];

/* Return the number of an option; outside its range end the program. */
int
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

/* Create a temporary file without a name. */
FILE *
new_log(void)
{
	FILE	   *log = tmpfile();

	if (log == NULL)
		die("could not create a temporary file: %s", strerror(errno));
	return log;
}

/* Start a process; true in the new process. */
bool
start_process(void)
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
	begin_process();
	return true;
}

/* Write out all logs, and end the process. */
void
end_process(void)
{
	exit(fflush(NULL) == 0 ? 0 : 2);
}

/* Wait for the processes from a number on, kill those that hang; false if any failed. */
bool
wait_for_processes(int from, int limit)
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

/* Run a statement; on failure end the program. */
void
run_or_die(Client *client, const char *sql)
{
	if (client_run(client, sql) != OK)
		die("%s: %s", sql, client->result ? PQresultErrorMessage(client->result) : "connection lost");
}
