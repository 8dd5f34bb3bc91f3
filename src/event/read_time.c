/*
 * read_time.c
 *		Reads the time of an event from text.
 *
 * PostgreSQL's own parser accepts words such as "now" and "tomorrow", zones whose meaning
 * is configured, and dates in which a setting decides the order of day and month.  So the
 * same text could mean another time when a call or an import is repeated.  This file
 * checks the form of the text first, and passes a text to the parser that has the same
 * meaning under all settings.  ISO 8601 and the output of PostgreSQL in style ISO are
 * accepted:
 *
 *	date	2026-01-31 or 20260131.  A year has 4 to 6 digits.
 *	clock	after "T" or a blank: 12:00, 12:00:00, 1200 or 120000.  After the seconds, "."
 *			or "," and any number of digits.
 *	zone	"Z", or "+" or "-" and 02, 02:00, 02:00:00, 0200 or 020000
 *	era		" BC" at the end
 *
 * Without a clock, the time is midnight.  Without a zone, it is in UTC.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/text.h"
#include "event/event.h"

/* No valid time is longer.  The limit of the parser is higher. */
#define MAX_LENGTH 64

/* A text that is being read, and the text for PostgreSQL's parser. */
typedef struct Reader
{
	const char *at;				/* ends with a zero byte */
	StringInfoData out;
} Reader;

/* Return how many digits come next. */
static int
count_digits(const Reader *reader)
{
	return strspn(reader->at, "0123456789");
}

/* Copy n digits after a prefix; false if fewer come next. */
static bool
take_digits(Reader *reader, const char *prefix, int n)
{
	if (count_digits(reader) < n)
		return false;
	appendStringInfo(&reader->out, "%s%.*s", prefix, n, reader->at);
	reader->at += n;
	return true;
}

/* Skip a character if it is one of these; false if another comes next. */
static bool
take_char(Reader *reader, const char *characters)
{
	if (*reader->at == '\0' || strchr(characters, *reader->at) == NULL)
		return false;
	reader->at++;
	return true;
}

/* Read a date. */
static bool
take_date(Reader *reader)
{
	int			n = count_digits(reader);

	if (n == 8)
		return take_digits(reader, "", 4) && take_digits(reader, "-", 2) && take_digits(reader, "-", 2);
	return n >= 4 && n <= 6 && take_digits(reader, "", n) &&
		take_char(reader, "-") && take_digits(reader, "-", 2) &&
		take_char(reader, "-") && take_digits(reader, "-", 2);
}

/*
 * Read hours, minutes and seconds, with colons or without.  The first "least" of the three
 * are required.  Set *n to the number of parts that were read.
 */
static bool
take_parts(Reader *reader, const char *prefix, int least, int *n)
{
	bool		colons = reader->at[0] != '\0' && reader->at[1] != '\0' && reader->at[2] == ':';

	for (*n = 0; *n < 3; ++*n)
	{
		if (*n > 0 && (colons ? *reader->at != ':' : count_digits(reader) == 0))
			break;
		if (*n > 0 && colons)
			reader->at++;
		if (!take_digits(reader, *n > 0 ? ":" : prefix, 2))
			return false;
	}
	return *n >= least && count_digits(reader) == 0;
}

/* Read the time of day; if there is none, use midnight. */
static bool
take_clock(Reader *reader)
{
	int			n;

	if (*reader->at == '\0' || strcmp(reader->at, " BC") == 0)
	{
		appendStringInfoString(&reader->out, " 00:00:00");
		return true;
	}
	if (!take_char(reader, "Tt ") || !take_parts(reader, " ", 2, &n))
		return false;
	if (n < 3 || !take_char(reader, ".,"))
		return true;
	return count_digits(reader) > 0 && take_digits(reader, ".", count_digits(reader));
}

/* Read the time zone; if there is none, use UTC. */
static bool
take_zone(Reader *reader)
{
	const char *sign = *reader->at == '-' ? "-" : "+";
	int			n;

	if (take_char(reader, "+-"))
		return take_parts(reader, sign, 1, &n);
	(void) take_char(reader, "Zz");
	appendStringInfoString(&reader->out, "+00");
	return true;
}

/* Read the era, and the end of the text. */
static bool
take_end(Reader *reader)
{
	appendStringInfoString(&reader->out, reader->at);
	return *reader->at == '\0' || strcmp(reader->at, " BC") == 0;
}

/* Raise the error that the value of a key is not a time. */
static void
report_time(int ordinal, const char *given, bool has_form)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("key \"%s\" of an event must be a time", pges_column_name(PGES_OCCURRED_AT)),
			 errdetail("Key \"%s\" of event %d is \"%s\"%s.", pges_column_name(PGES_OCCURRED_AT),
					   ordinal, given, has_form ? ", which is out of range" : ""),
			 has_form ? 0 : errhint("Use ISO 8601, for example \"2026-01-31T12:00:00Z\".")));
}

/*
 * Return the time of a text that has the right form.  Raise an error if the time does not
 * exist or is out of range.  The error of the parser is replaced, never suppressed, so no
 * subtransaction is needed.
 */
static TimestampTz
parse_time(int ordinal, const char *given, char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile TimestampTz result = 0;

	PG_TRY();
	{
		result = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
														 CStringGetDatum(text),
														 ObjectIdGetDatum(InvalidOid),
														 Int32GetDatum(-1)));
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		report_time(ordinal, given, true);
	}
	PG_END_TRY();
	return result;
}

/* Return the time in the text of an event's key; raise an error if it is none. */
TimestampTz
pges_read_time(int ordinal, const char *value, int length)
{
	char	   *given = pges_shorten(pnstrdup(value, length));
	Reader		reader = {.at = given};

	initStringInfo(&reader.out);
	if (length > MAX_LENGTH || !take_date(&reader) || !take_clock(&reader) ||
		!take_zone(&reader) || !take_end(&reader))
		report_time(ordinal, given, false);
	return parse_time(ordinal, given, reader.out.data);
}
