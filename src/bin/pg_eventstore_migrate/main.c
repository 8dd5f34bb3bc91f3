/*
 * main.c
 *		pg_eventstore_migrate: moves events between files and databases.
 */
#include "migrate.h"

#include "common/logging.h"

/* Import or export the events, and report how many. */
static void
move_events(void)
{
	Counts		counts = {0, 0};
	Source	   *source = open_source(&options.source);

	if (options.target.is_file)
		export_events(source, &counts);
	else
		import_events(source, &options.target, &counts);
	progress_report_total(&counts);
}

/* Run the program; exit status 1 if --verify finds a difference, or after an error. */
int
main(int argc, char **argv)
{
	int			status = 0;

	open_closed_descriptors();
	pg_logging_init(argv[0]);
	set_pglocale_pgservice(argv[0], PG_TEXTDOMAIN("pgscripts"));
	read_command_line(argc, argv);
	check_descriptor(&options.source);
	check_descriptor(&options.target);
	catch_signals();

	if (options.target.is_file && !options.verify)
		open_output(&options.target);
	protect_standard_input();
	connect_end(&options.source);
	connect_end(&options.target);
	catch_cancel();
	if (options.verify)
		status = verify_events() > 0;
	else
		move_events();
	PQfinish(options.source.conn);
	PQfinish(options.target.conn);
	return status;
}
