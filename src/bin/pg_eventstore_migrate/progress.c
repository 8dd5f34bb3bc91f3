/*
 * progress.c
 *		Shows the progress of a source, and the total.
 */
#include "migrate.h"

#include "common/logging.h"

/* The source whose progress is shown; NULL while nothing is shown. */
static const Source *shown;

static double program_start;

/*
 * Return the fraction of the source that is done; negative if its size is unknown.  Of a
 * file, bytes are read that belong to events which are not done yet.
 */
static double
fraction_of(const Source *source, int64 done)
{
	if (source->size > 0)
		return Min(1.0, (double) source->bytes / (double) source->size *
				   (double) done / (double) Max(source->events, 1));
	if (source->expected > 0)
		return Min(1.0, (double) done / (double) source->expected);
	return -1;
}

/* Start to show the progress of a part of the work; "done" events are done already. */
void
progress_begin(const Source *source, const char *verb, int64 done)
{
	shown = source;
	if (program_start == 0)
		program_start = seconds_now();
	bar_begin(verb, done, fraction_of(source, done));
}

/* Show that "done" events are done, unless the last output is too recent. */
void
progress_show(int64 done)
{
	if (!options.quiet && shown != NULL)
		bar_show(done, fraction_of(shown, done));
}

/* Stop showing the progress of this part of the work. */
void
progress_end(void)
{
	bar_end();
	shown = NULL;
}

/* Return the words for events of slots that are not chosen; "" if there are none. */
const char *
in_other_slots(int64 skipped)
{
	return skipped > 0 ? psprintf(", %lld belong to other slots", (long long) skipped) : "";
}

/* Report the total. */
void
progress_report_total(const Counts *counts)
{
	double		seconds = seconds_now() - program_start;

	if (options.quiet)
		return;
	if (options.target.is_file)
		pg_log_info("%lld events %s to \"%s\", in %.1f s", (long long) counts->imported,
					options.dry_run ? "would be exported" : "exported", options.target.name, seconds);
	else
		pg_log_info("%lld events %s, %lld %s already%s, in %.1f s", (long long) counts->imported,
					options.dry_run ? "would be imported" : "imported",
					(long long) counts->present,
					options.dry_run ? "are there" : "were there",
					in_other_slots(counts->skipped), seconds);
}
