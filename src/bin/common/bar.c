/*
 * bar.c
 *		Shows the progress of a part of the work on the standard error: a bar on a
 *		terminal, otherwise a line every LINE_INTERVAL seconds.
 */
#include "client.h"

#include <sys/ioctl.h>
#include <termios.h>

#include "common/logging.h"
#include "portability/instr_time.h"

#define FULL_BAR "########################"
#define BAR_WIDTH ((int64) strlen(FULL_BAR))
#define LEAST_BAR_WIDTH 5
#define DEFAULT_COLUMNS 80
#define BAR_INTERVAL 0.25		/* seconds */
#define LINE_INTERVAL 5.0

/* The part of the work whose progress is shown. */
typedef struct Bar
{
	const char *verb;			/* what is done with events; NULL while
								 * nothing is shown */
	double		start;
	double		shown;			/* the time of the last output */
	int64		done_before;	/* events, at the start */
	double		fraction_before;
	size_t		width;			/* of the text on the terminal's line */
} Bar;

static Bar	bar;

/* Return the time in seconds, from an arbitrary start. */
double
seconds_now(void)
{
	instr_time	time;

	INSTR_TIME_SET_CURRENT(time);
	return INSTR_TIME_GET_DOUBLE(time);
}

/* Clear the terminal's line.  The logging functions call this before a message. */
static void
bar_clear(void)
{
	if (bar.width > 0)
		fprintf(stderr, "\r%*s\r", (int) bar.width, "");
	bar.width = 0;
}

/*
 * Start to show the progress of a part of the work.  "done" events are done already, and
 * this fraction of the work; a negative fraction is unknown.
 */
void
bar_begin(const char *verb, int64 done, double fraction)
{
	bar.verb = verb;
	bar.start = bar.shown = seconds_now();
	bar.done_before = done;
	bar.fraction_before = Max(fraction, 0);
	bar.width = 0;

	pg_logging_set_pre_callback(bar_clear);
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
	double		seconds = seconds_now() - bar.start;
	double		rate = seconds > 0 ? (double) (done - bar.done_before) / seconds : 0;
	double		gained = fraction - bar.fraction_before;

	resetPQExpBuffer(text);
	if (fraction >= 0)
		appendPQExpBuffer(text, "%3.0f %%, ", fraction * 100);
	if (detail > TIME || gained <= 0)
		appendPQExpBuffer(text, "%lld events", (long long) done);
	if (detail == ALL)
		appendPQExpBuffer(text, " %s, %.0f a second", bar.verb, rate);
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
	fprintf(stderr, "\r%-*s", (int) bar.width, text->data);
	fflush(stderr);
	bar.width = text->len;
}

/* Show that "done" events are done, unless the last output is too recent. */
void
bar_show(int64 done, double fraction)
{
	bool		is_terminal = isatty(STDERR_FILENO);
	PQExpBuffer text;

	if (bar.verb == NULL || seconds_now() - bar.shown < (is_terminal ? BAR_INTERVAL : LINE_INTERVAL))
		return;
	bar.shown = seconds_now();
	text = createPQExpBuffer();

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
bar_end(void)
{
	bar_clear();
	bar.verb = NULL;
}
