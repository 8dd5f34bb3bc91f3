/*
 * progress.c
 *		Shows how far the work has come, on the standard error: a bar on a
 *		terminal, a line now and then elsewhere.
 */
#include "migrate.h"

#include <unistd.h>

#include "common/logging.h"
#include "portability/instr_time.h"

#define BAR_WIDTH 24
#define BAR_INTERVAL 0.25		/* seconds */
#define LINE_INTERVAL 5.0

/* What is shown. */
typedef struct Progress
{
	const Source *source;		/* NULL while nothing is shown */
	const char *verb;
	bool		is_terminal;
	double		start;
	double		shown;			/* when it was shown last */
	int64		done_before;	/* events, at the start */
	double		fraction_before;
	size_t		width;			/* of what stands on the terminal's line */
} Progress;

static Progress progress;

static double program_start;

/* Seconds since some moment. */
static double
now(void)
{
	instr_time	time;

	INSTR_TIME_SET_CURRENT(time);
	return INSTR_TIME_GET_DOUBLE(time);
}

/* Which part of the source so many events are; negative if that is not known. */
static double
fraction_of(const Source *source, int64 done)
{
	if (source->size > 0)
		return Min(1.0, (double) source->bytes / (double) source->size);
	if (source->expected > 0)
		return Min(1.0, (double) done / (double) source->expected);
	return -1;
}

/* Clear the terminal's line, as a message is about to come. */
static void
progress_clear(void)
{
	if (progress.width > 0)
		fprintf(stderr, "\r%*s\r", (int) progress.width, "");
	progress.width = 0;
}

/* Begin to show the progress of a part of the work, when so much is done. */
void
progress_begin(const Source *source, const char *verb, int64 done)
{
	progress.source = source;
	progress.verb = verb;
	progress.is_terminal = isatty(STDERR_FILENO);
	progress.start = progress.shown = now();

	if (program_start == 0)
		program_start = progress.start;
	progress.done_before = done;
	progress.fraction_before = Max(fraction_of(source, done), 0);
	progress.width = 0;

	pg_logging_set_pre_callback(progress_clear);
}

/* Append the bar and the percentage. */
static void
append_bar(PQExpBuffer text, double fraction)
{
	int			filled = (int) (fraction * BAR_WIDTH);

	if (progress.is_terminal)
	{
		appendPQExpBufferChar(text, '[');
		for (int i = 0; i < BAR_WIDTH; i++)
			appendPQExpBufferChar(text, i < filled ? '#' : ' ');
		appendPQExpBufferStr(text, "] ");
	}
	appendPQExpBuffer(text, "%3.0f %%, ", fraction * 100);
}

/* Describe the progress: how much is done, how fast, how long it will take. */
static void
describe(PQExpBuffer text, int64 done, double fraction)
{
	double		seconds = now() - progress.start;
	double		rate = seconds > 0 ? (double) (done - progress.done_before) / seconds : 0;
	double		gained = fraction - progress.fraction_before;

	if (fraction >= 0)
		append_bar(text, fraction);
	appendPQExpBuffer(text, "%lld events %s, %.0f a second", (long long) done,
					  progress.verb, rate);
	if (gained > 0)
	{
		int			left = (int) (seconds * (1 - fraction) / gained);

		appendPQExpBuffer(text, ", %d:%02d:%02d left", left / 3600, left / 60 % 60, left % 60);
	}
}

/* Draw the line of the terminal anew, over what stood there. */
static void
draw(PQExpBuffer text)
{
	size_t		width = text->len;

	while (text->len < progress.width)
		appendPQExpBufferChar(text, ' ');
	progress.width = width;

	fprintf(stderr, "\r%s", text->data);
	fflush(stderr);
}

/* Show that so many events are done, if it is time to. */
void
progress_show(int64 done)
{
	PQExpBuffer text;

	if (options.quiet || progress.source == NULL)
		return;
	if (now() - progress.shown < (progress.is_terminal ? BAR_INTERVAL : LINE_INTERVAL))
		return;
	progress.shown = now();
	text = createPQExpBuffer();

	describe(text, done, fraction_of(progress.source, done));
	if (progress.is_terminal)
		draw(text);
	else
		pg_log_info("%s", text->data);
	destroyPQExpBuffer(text);
}

/* The work has ended, or its next part begins. */
void
progress_end(void)
{
	progress_clear();
	progress.source = NULL;
}

/* Tell what was done in all. */
void
progress_sum(const Counts *counts)
{
	double		seconds = now() - program_start;

	if (options.quiet)
		return;
	if (options.target.is_file)
		pg_log_info("%lld events %s in %.1f s", (long long) counts->imported,
					options.dry_run ? "read" : "exported", seconds);
	else
		pg_log_info("%lld events %s, %lld %s already, in %.1f s", (long long) counts->imported,
					options.dry_run ? "would be imported" : "imported",
					(long long) counts->present,
					options.dry_run ? "are there" : "were there", seconds);
}
