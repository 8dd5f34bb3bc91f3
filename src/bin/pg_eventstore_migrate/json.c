/*
 * json.c
 *		Looks into the text of an event.
 *
 * The server reads the JSON and reports what is wrong with it.  All that is
 * wanted here are a few keys of the object, to put the events in order, so what
 * cannot be understood is passed over.
 */
#include "migrate.h"

#include "common/hashfn.h"

/* What is left of the text of an event. */
typedef struct Scan
{
	const char *at;
	const char *end;
} Scan;

/* Skip white space; whether something else follows. */
static bool
skip_space(Scan *scan)
{
	while (scan->at < scan->end &&
		   (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\r' || *scan->at == '\n'))
		scan->at++;
	return scan->at < scan->end;
}

/* Skip white space and then this character; whether it was there. */
static bool
skip_char(Scan *scan, char wanted)
{
	if (!skip_space(scan) || *scan->at != wanted)
		return false;
	scan->at++;
	return true;
}

/* Skip a string, from its opening quote on; whether it is closed. */
static bool
skip_string(Scan *scan)
{
	scan->at++;
	while (scan->at < scan->end)
	{
		char		c = *scan->at++;

		if (c == '"')
			return true;
		if (c == '\\')
			scan->at++;
	}
	return false;
}

/* Skip an array or an object, from its opening bracket on. */
static bool
skip_container(Scan *scan)
{
	int			depth = 0;

	while (scan->at < scan->end)
	{
		char		c = *scan->at;

		if (c == '"')
		{
			if (!skip_string(scan))
				return false;
			continue;
		}
		scan->at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return true;
	}
	return false;
}

/* Skip any value; whether one was there. */
static bool
skip_value(Scan *scan)
{
	const char *begin;

	if (!skip_space(scan))
		return false;
	if (*scan->at == '"')
		return skip_string(scan);
	if (*scan->at == '{' || *scan->at == '[')
		return skip_container(scan);
	begin = scan->at;
	while (scan->at < scan->end && strchr(",}] \t\r\n", *scan->at) == NULL)
		scan->at++;
	return scan->at > begin;
}

/* Whether a part of the text is this string, with its quotes. */
static bool
is_string(const char *begin, const char *end, const char *quoted)
{
	return (size_t) (end - begin) == strlen(quoted) &&
		memcmp(begin, quoted, end - begin) == 0;
}

/* A version; 0 if it is none, which the server reports. */
static int32
version_of(const char *begin, const char *end)
{
	int64		version = 0;

	for (; begin < end && *begin >= '0' && *begin <= '9' && version <= PG_INT32_MAX; begin++)
		version = version * 10 + (*begin - '0');
	return begin == end && version <= PG_INT32_MAX ? (int32) version : 0;
}

/* Keep the value of a key, if it is one of those that are wanted. */
static void
keep_value(EventKeys *keys, const char *key, const char *key_end,
		   const char *value, const char *value_end)
{
	if (is_string(key, key_end, "\"event_id\""))
		keys->has_id = *value == '"';
	else if (is_string(key, key_end, "\"aggregate_version\""))
		keys->aggregate_version = version_of(value, value_end);
	else if (is_string(key, key_end, "\"aggregate_id\""))
	{
		bool		is_null = *value != '"';

		keys->aggregate_id = is_null ? NULL : value + 1;
		keys->aggregate_id_length = is_null ? 0 : value_end - value - 2;
	}
}

/* Find the keys that are wanted.  Of a key that comes twice, the last counts. */
void
scan_event(const Line *line, EventKeys *keys)
{
	Scan		scan = {line->text, line->text +line->length};

	memset(keys, 0, sizeof(*keys));
	if (!skip_char(&scan, '{'))
		return;
	do
	{
		const char *key;
		const char *key_end;
		const char *value;

		if (!skip_space(&scan) || *scan.at != '"')
			return;
		key = scan.at;
		if (!skip_string(&scan))
			return;
		key_end = scan.at;
		if (!skip_char(&scan, ':') || !skip_space(&scan))
			return;
		value = scan.at;
		if (!skip_value(&scan))
			return;
		keep_value(keys, key, key_end, value, scan.at);
	} while (skip_char(&scan, ','));
}

/*
 * Give an event that has no id one that is made of its text and its number, so
 * that a further run recognises it.  What does not end as an object does is
 * left as it is, for the server to report.
 */
void
add_event_id(const Line *line, PQExpBuffer event)
{
	size_t		length = line->length;
	uint64		high;
	uint64		low;

	resetPQExpBuffer(event);
	while (length > 0 && strchr(" \t\r\n", line->text[length - 1]) != NULL)
		length--;
	if (length < 2 || length > PG_INT32_MAX || line->text[length - 1] != '}')
	{
		appendBinaryPQExpBuffer(event, line->text, line->length);
		return;
	}
	high = hash_bytes_extended((const unsigned char *) line->text, (int) length, line->number);
	low = hash_bytes_extended((const unsigned char *) line->text, (int) length, ~line->number);
	appendBinaryPQExpBuffer(event, line->text, length - 1);
	/* a UUID of version 8, that of own making */
	appendPQExpBuffer(event, ", \"event_id\": \"%08x-%04x-8%03x-%04x-%012llx\"}",
					  (unsigned) (high >> 32), (unsigned) (high >> 16) & 0xffff,
					  (unsigned) high & 0xfff,
					  (unsigned) (low >> 48 & 0x3fff) | 0x8000,
					  (unsigned long long) low & 0xffffffffffff);
}
