/*
 * export.c
 *		Writes events to a file of JSON Lines, or to the standard output.
 *
 * A file is written under another name, and gets its own when it is whole.
 */
#include "migrate.h"

#include "common/file_utils.h"
#include "common/logging.h"

#define FILE_BUFFER (1024 * 1024)

/* End the program, as the file cannot be written. */
static void
fail_write(const char *name)
{
	pg_fatal("could not write to %s: %m", name);
}

/* Write all events of a source; in a dry run, read them only. */
static void
write_events(Source *source, FILE *file, const char *name)
{
	Line		line;

	while (source->next(source, &line))
	{
		if (file != NULL &&
			(fwrite(line.text, 1, line.length, file) != line.length ||
			 fputc('\n', file) == EOF))
			fail_write(name);
		if (source->events % 1024 == 0)
		{
			stop_if_canceled();
			progress_show(source->events);
		}
	}
	if (file != NULL && fflush(file) != 0)
		fail_write(name);
}

/* Write a file under another name, and rename it when it is whole. */
static void
write_file(Source *source, const char *path)
{
	char	   *partial = psprintf("%s.partial", path);
	FILE	   *file = fopen(partial, PG_BINARY_W);

	if (file == NULL)
		pg_fatal("could not open file \"%s\" for writing: %m", partial);
	(void) setvbuf(file, NULL, _IOFBF, FILE_BUFFER);
	write_events(source, file, partial);
	if (fclose(file) != 0)
		fail_write(partial);
	if (durable_rename(partial, path) != 0)
		exit(1);
}

/* Write the events of a source to the target's file. */
void
export_events(Source *source, const End *target, Counts *counts)
{
	progress_begin(source, options.dry_run ? "read" : "exported", 0);
	if (options.dry_run)
		write_events(source, NULL, NULL);
	else if (strcmp(target->value, "-") == 0)
		write_events(source, stdout, "standard output");
	else
		write_file(source, target->value);
	progress_end();
	counts->imported = source->events;
}
