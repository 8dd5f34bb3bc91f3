/*
 * main.c
 *		pg_eventstore_cluster: spreads the slots of a sliced store over servers.
 */
#include "cluster.h"

#include "common/logging.h"

/* Run the command. */
static int
run(void)
{
	switch (options.command)
	{
		case COMMAND_INIT:
			return run_init();
		case COMMAND_STATUS:
			return run_status();
		case COMMAND_CHECK:
			return run_check();
		case COMMAND_MOVE:
			return run_move();
	}
	return 2;
}

/* Run the program; exit status 1 after an error or a problem, 2 after wrong usage. */
int
main(int argc, char **argv)
{
	open_closed_descriptors();
	pg_logging_init(argv[0]);
	set_pglocale_pgservice(argv[0], PG_TEXTDOMAIN("pgscripts"));
	read_command_line(argc, argv);
	find_pg_dump(argv[0]);
	catch_signals();
	return run();
}
