/*
 * file_source.c
 *		Reads events from a file of JSON Lines, or from the standard input.
 *
 * The file is read in large pieces.  Memory holds one piece, and the line that
 * begins in this piece and ends in a later one.
 */
#include "migrate.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/logging.h"
#include "mb/pg_wchar.h"

#define PIECE (1024 * 1024)
#define MAX_LINE (512 * 1024 * 1024)

typedef struct FileState
{
	int			fd;
	char	   *buffer;
	size_t		capacity;
	size_t		begin;			/* of the data not yet returned */
	size_t		end;			/* of the data read */
	bool		at_end;			/* of the file */
	int64		line;
} FileState;

/* Make room for another piece after the data that was not returned yet. */
static void
make_room(Source *source, FileState *state)
{
	size_t		length = state->end - state->begin;

	if (length > MAX_LINE)
		pg_fatal("%s: line %lld: longer than %d bytes", source->name,
				 (long long) state->line + 1, MAX_LINE);
	memmove(state->buffer, state->buffer + state->begin, length);
	state->begin = 0;
	state->end = length;
	if (state->capacity - length < PIECE)
	{
		state->capacity = Max(state->capacity * 2, length + PIECE);
		state->buffer = pg_realloc(state->buffer, state->capacity);
	}
}

/* Read another piece of the file.  SIGINT ends the program while it waits for input. */
static void
read_piece(Source *source, FileState *state)
{
	struct pollfd input = {.fd = state->fd,.events = POLLIN};
	ssize_t		length;

	make_room(source, state);
	do
	{
		length = poll(&input, 1, -1);
		stop_if_canceled();
		if (length >= 0)
			length = read(state->fd, state->buffer + state->end, PIECE);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		pg_fatal("could not read from %s: %m", source->name);
	state->end += length;
	source->bytes += length;
	state->at_end = length == 0;
}

/* Find the next line, without its newline; false at the end of the file. */
static bool
find_line(Source *source, FileState *state, Line *line)
{
	size_t		searched = 0;
	char	   *newline;

	for (;;)
	{
		newline = memchr(state->buffer + state->begin + searched, '\n',
						 state->end - state->begin - searched);
		if (newline != NULL || state->at_end)
			break;
		searched = state->end - state->begin;
		read_piece(source, state);
	}
	if (state->begin == state->end)
		return false;
	line->text = state->buffer + state->begin;
	line->length = (newline ? newline : state->buffer + state->end) - line->text;
	line->number = ++state->line;
	state->begin = Min(state->begin + line->length + 1, state->end);
	return true;
}

/* Skip the byte order mark with which some programs begin a text file. */
static void
skip_byte_order_mark(Line *line)
{
	if (line->length >= 3 && memcmp(line->text, "\xEF\xBB\xBF", 3) == 0)
	{
		line->text +=3;
		line->length -= 3;
	}
}

/* Return whether a line has nothing but white space. */
static bool
is_blank(const Line *line)
{
	for (size_t i = 0; i < line->length; i++)
	{
		if (strchr(" \t\r", line->text[i]) == NULL || line->text[i] == '\0')
			return false;
	}
	return true;
}

/* End the program at a line that the server cannot receive, or that is an array. */
static void
check_line(const Source *source, const Line *line)
{
	int			length = (int) line->length;

	if (memchr(line->text, '\0', line->length) != NULL)
		pg_fatal("%s: line %lld: contains a zero byte", source->name,
				 (long long) line->number);
	if (pg_encoding_verifymbstr(PG_UTF8, line->text, length) != length)
		pg_fatal("%s: line %lld: is not valid UTF-8", source->name,
				 (long long) line->number);
	if (line->text[strspn(line->text, " \t\r")] != '[')
		return;
	pg_log_error("%s: line %lld: is an array, not an event", source->name,
				 (long long) line->number);
	pg_log_error_hint("Each line must be a JSON object. \"jq -c '.[]'\" makes such lines of an array.");
	exit(1);
}

/* Return the next line that is not blank; false at the end of the file. */
static bool
next_line(Source *source, Line *line)
{
	FileState  *state = source->state;

	do
	{
		if (!find_line(source, state, line))
			return false;
		if (line->number == 1)
			skip_byte_order_mark(line);
	} while (is_blank(line));
	check_line(source, line);
	line->ordinal = ++source->events;
	return true;
}

/*
 * Open a path, or return the descriptor that it names; -1 with errno on failure.
 * Set the size of a regular file.
 */
static int
open_input(const char *path, int64 *size)
{
	struct stat found;
	int			fd = descriptor_of(path, STDIN_FILENO);

	if (fd < 0)
		fd = open(path, O_RDONLY | PG_BINARY, 0);
	if (fd < 0 || fstat(fd, &found) != 0)
		return fd;
	if (S_ISDIR(found.st_mode))
	{
		errno = EISDIR;
		return -1;
	}
	if (S_ISREG(found.st_mode))
		*size = (int64) found.st_size;
	return fd;
}

/* Open a file, or the standard input for "-"; on failure end the program. */
Source *
open_file_source(const char *path)
{
	Source	   *source = pg_malloc0(sizeof(Source));
	FileState  *state = pg_malloc0(sizeof(FileState));

	source->name = strcmp(path, "-") == 0 ? "standard input" : without_password(path);
	state->fd = open_input(path, &source->size);
	if (state->fd < 0)
	{
		pg_log_error("could not open file \"%s\" for reading: %m", source->name);
		pg_log_error_hint("To name a database, use a connection string, such as \"dbname=shop\" or \"postgresql://host/shop\".");
		exit(1);
	}
	state->capacity = 2 * PIECE;
	state->buffer = pg_malloc(state->capacity);
	source->unit = "line";
	source->widening = WIDE_AGGREGATE_ID;
	source->next = next_line;
	source->state = state;
	return source;
}
