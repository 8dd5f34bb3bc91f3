/*
 * progress.c
 *		Shows the progress on the standard error: a bar on a terminal, otherwise
 *		a line every LINE_INTERVAL seconds.
 */
#include "migrate.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/logging.h"
#include "portability/instr_time.h"

#define FULL_BAR "########################"
#define BAR_WIDTH ((int64) strlen(FULL_BAR))
#define LEAST_BAR_WIDTH 5
#define DEFAULT_COLUMNS 80
#define BAR_INTERVAL 0.25		/* seconds */
#define LINE_INTERVAL 5.0

/* The part of the work whose progress is shown. */
typedef struct Progress
{
	const Source *source;		/* NULL while nothing is shown */
	const char *verb;
	double		start;
	double		shown;			/* the time of the last output */
	int64		done_before;	/* events, at the start */
	double		fraction_before;
	size_t		width;			/* of the text on the terminal's line */
} Progress;

static Progress progress;

static double program_start;

/* Return the time in seconds, from an arbitrary start. */
static double
seconds_now(void)
{
	instr_time	time;

	INSTR_TIME_SET_CURRENT(time);
	return INSTR_TIME_GET_DOUBLE(time);
}

/* Return the fraction of the source that is done; negative if its size is unknown. */
static double
fraction_of(const Source *source, int64 done)
{
	if (source->size > 0)
		return Min(1.0, (double) source->bytes / (double) source->size);
	if (source->expected > 0)
		return Min(1.0, (double) done / (double) source->expected);
	return -1;
}

/* Clear the terminal's line.  The logging functions call this before a message. */
static void
progress_clear(void)
{
	if (progress.width > 0)
		fprintf(stderr, "\r%*s\r", (int) progress.width, "");
	progress.width = 0;
}

/* Start to show the progress of a part of the work; "done" events are done already. */
void
progress_begin(const Source *source, const char *verb, int64 done)
{
	progress.source = source;
	progress.verb = verb;
	progress.start = progress.shown = seconds_now();
	if (program_start == 0)
		program_start = progress.start;
	progress.done_before = done;
	progress.fraction_before = Max(fraction_of(source, done), 0);
	progress.width = 0;

	pg_logging_set_pre_callback(progress_clear);
}

/* Return the width of the terminal in characters. */
static size_t
terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	long		width = columns ? strtol(columns, NULL, 10) : 0;
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return width > 0 && width <= PG_UINT16_MAX ? width : DEFAULT_COLUMNS;
}

/* The parts of the description. */
typedef enum Detail
{
	TIME,
	TIME_AND_EVENTS,
	ALL
} Detail;

/* Describe the progress: the part that is done, the rate, the remaining time. */
static void
describe_progress(PQExpBuffer text, int64 done, double fraction, Detail detail)
{
	double		seconds = seconds_now() - progress.start;
	double		rate = seconds > 0 ? (double) (done - progress.done_before) / seconds : 0;
	double		gained = fraction - progress.fraction_before;

	resetPQExpBuffer(text);
	if (fraction >= 0)
		appendPQExpBuffer(text, "%3.0f %%, ", fraction * 100);
	if (detail > TIME || gained <= 0)
		appendPQExpBuffer(text, "%lld events", (long long) done);
	if (detail == ALL)
		appendPQExpBuffer(text, " %s, %.0f a second", progress.verb, rate);
	if (gained > 0)
	{
		int			left = (int) (seconds * (1 - fraction) / gained);

		appendPQExpBuffer(text, "%s%d:%02d:%02d left", detail > TIME ? ", " : "",
						  left / 3600, left / 60 % 60, left % 60);
	}
}

/* Insert a bar before the description, if there is room for one. */
static void
prepend_bar(PQExpBuffer text, double fraction, size_t columns)
{
	char	   *told = pg_strdup(text->data);
	int			width = (int) Min(BAR_WIDTH, (int64) columns - (int64) text->len - 3);

	if (fraction >= 0 && width >= LEAST_BAR_WIDTH)
		printfPQExpBuffer(text, "[%-*.*s] %s", width, (int) (fraction * width), FULL_BAR, told);
	pg_free(told);
}

/*
 * Describe the progress in at most "columns" characters.  If there is not enough
 * room, leave out the bar, then the rate, then the events.
 */
static void
describe_in_width(PQExpBuffer told, int64 done, double fraction, size_t columns)
{
	int			detail = ALL;

	describe_progress(told, done, fraction, detail);
	while (told->len > columns && detail > TIME)
		describe_progress(told, done, fraction, --detail);
	if (told->len > columns)
	{
		told->len = columns;
		told->data[columns] = '\0';
	}
	if (detail == ALL)
		prepend_bar(told, fraction, columns);
}

/* Write the terminal's line over the previous one. */
static void
draw_line(PQExpBuffer text)
{
	fprintf(stderr, "\r%-*s", (int) progress.width, text->data);
	fflush(stderr);
	progress.width = text->len;
}

/* Show that "done" events are done, unless the last output is too recent. */
void
progress_show(int64 done)
{
	bool		is_terminal = isatty(STDERR_FILENO);
	PQExpBuffer text;
	double		fraction;

	if (options.quiet || progress.source == NULL)
		return;
	if (seconds_now() - progress.shown < (is_terminal ? BAR_INTERVAL : LINE_INTERVAL))
		return;
	progress.shown = seconds_now();
	text = createPQExpBuffer();

	fraction = fraction_of(progress.source, done);
	if (is_terminal)
	{
		/* some terminals move to the next line after the last column */
		describe_in_width(text, done, fraction, terminal_width() - 1);
		draw_line(text);
	}
	else
	{
		describe_progress(text, done, fraction, ALL);
		pg_log_info("%s", text->data);
	}
	destroyPQExpBuffer(text);
}

/* Stop showing the progress of this part of the work. */
void
progress_end(void)
{
	progress_clear();
	progress.source = NULL;
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
		pg_log_info("%lld events %s, %lld %s already, in %.1f s", (long long) counts->imported,
					options.dry_run ? "would be imported" : "imported",
					(long long) counts->present,
					options.dry_run ? "are there" : "were there", seconds);
}
