/*
 * export_events.c
 *		Writes events as JSON Lines.
 */
#include "migrate.h"

/* Write all events of a source to the output file; a dry run only reads them. */
void
export_events(Source *source, Counts *counts)
{
	Line		line;

	progress_begin(source, options.dry_run ? "read" : "exported", 0);
	while (source->next(source, &line))
	{
		if (!options.dry_run)
			write_line(&line);
		if (source->events % 1024 == 0)
		{
			stop_if_canceled();
			progress_show(source->events);
		}
	}
	if (!options.dry_run)
		close_output();
	progress_end();
	counts->imported = source->events;
}
