/*
 * progress.c
 *		Shows how far the work has come, on the standard error: a bar on a
 *		terminal, a line now and then elsewhere.
 */
#include "migrate.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/logging.h"
#include "portability/instr_time.h"

#define BAR_WIDTH 24
#define LEAST_BAR_WIDTH 5
#define DEFAULT_COLUMNS 80
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

/* How many characters the terminal shows on a line. */
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

/* How much of the progress is told. */
typedef enum Detail
{
	TIME,
	TIME_AND_EVENTS,
	ALL
} Detail;

/* Describe the progress: how much is done, how fast, how long it will take. */
static void
describe(PQExpBuffer text, int64 done, double fraction, Detail detail)
{
	double		seconds = now() - progress.start;
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

/* Put a bar before what is told, if there is room for one. */
static void
prepend_bar(PQExpBuffer text, double fraction, size_t columns)
{
	char	   *told = pg_strdup(text->data);
	int			width = (int) Min(BAR_WIDTH, (int64) columns - (int64) text->len - 3);

	if (fraction >= 0 && width >= LEAST_BAR_WIDTH)
	{
		resetPQExpBuffer(text);
		appendPQExpBufferChar(text, '[');
		for (int i = 0; i < width; i++)
			appendPQExpBufferChar(text, i < (int) (fraction * width) ? '#' : ' ');
		appendPQExpBuffer(text, "] %s", told);
	}
	pg_free(told);
}

/*
 * Describe the progress in so many characters.  What matters least is left out
 * first: the bar, then how fast it goes, then the events.
 */
static void
describe_in(PQExpBuffer told, int64 done, double fraction, size_t columns)
{
	int			detail = ALL;

	describe(told, done, fraction, detail);
	while (told->len > columns && detail > TIME)
		describe(told, done, fraction, --detail);
	if (told->len > columns)
	{
		told->len = columns;
		told->data[columns] = '\0';
	}
	if (detail == ALL)
		prepend_bar(told, fraction, columns);
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

	if (progress.is_terminal)
	{
		/* the last column is left free, as some terminals go on below */
		describe_in(text, done, fraction_of(progress.source, done), terminal_width() - 1);
		draw(text);
	}
	else
	{
		describe(text, done, fraction_of(progress.source, done), ALL);
		pg_log_info("%s", text->data);
	}
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
