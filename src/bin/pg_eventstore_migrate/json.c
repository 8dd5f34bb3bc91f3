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

/* Begin to look at the keys of an event; false if it is no object. */
bool
begin_object(Scan *scan, const Line *line)
{
	scan->at = line->text;
	scan->end = scan->at + line->length;
	scan->begun = scan->broken = false;
	return skip_char(scan, '{');
}

/* Read a key and its value; false if there is no sense in it. */
static bool
read_pair(Scan *scan, Pair *pair)
{
	if (!skip_space(scan) || *scan->at != '"')
		return false;
	pair->key = scan->at;
	if (!skip_string(scan))
		return false;
	pair->key_end = scan->at;
	if (!skip_char(scan, ':') || !skip_space(scan))
		return false;
	pair->value = scan->at;
	if (!skip_value(scan))
		return false;
	pair->value_end = scan->at;
	return true;
}

/* Find the next key and its value; false if there is none. */
bool
next_pair(Scan *scan, Pair *pair)
{
	bool		more;

	if (scan->begun)
		more = skip_char(scan, ',');
	else
		more = skip_space(scan) && *scan->at != '}';
	scan->begun = true;
	scan->broken = more && !read_pair(scan, pair);
	return more && !scan->broken;
}

/* Whether nothing follows but the end of the object. */
bool
at_object_end(Scan *scan)
{
	return !scan->broken && skip_char(scan, '}') && !skip_space(scan);
}

/* Whether a part of the text is this. */
static bool
is_text(const char *begin, const char *end, const char *wanted)
{
	return (size_t) (end - begin) == strlen(wanted) &&
		memcmp(begin, wanted, end - begin) == 0;
}

/* Whether the key of a pair is this one, given with its quotes. */
bool
is_key(const Pair *pair, const char *quoted)
{
	return is_text(pair->key, pair->key_end, quoted);
}

/* Whether the value of a pair is null. */
bool
is_null(const Pair *pair)
{
	return is_text(pair->value, pair->value_end, "null");
}

/* The version that a value is; 0 if it is none, which the server reports. */
int32
version_of(const Pair *pair)
{
	const char *at = pair->value;
	int64		version = 0;

	for (; at < pair->value_end && *at >= '0' && *at <= '9' && version <= PG_INT32_MAX; at++)
		version = version * 10 + (*at - '0');
	return at == pair->value_end && version <= PG_INT32_MAX ? (int32) version : 0;
}

/* Find the keys that put an event in order.  Of one that comes twice, the last counts. */
void
scan_event(const Line *line, EventKeys *keys)
{
	Scan		scan;
	Pair		pair;

	memset(keys, 0, sizeof(*keys));
	if (!begin_object(&scan, line))
		return;
	while (next_pair(&scan, &pair))
	{
		bool		is_string = *pair.value == '"';

		if (is_key(&pair, "\"event_id\""))
			keys->has_id = is_string;
		else if (is_key(&pair, "\"aggregate_version\""))
			keys->aggregate_version = version_of(&pair);
		else if (is_key(&pair, "\"aggregate_id\""))
		{
			keys->aggregate_id = is_string ? pair.value + 1 : NULL;
			keys->aggregate_id_length = is_string ? pair.value_end - pair.value - 2 : 0;
		}
	}
}

/*
 * Make an id for an event that has none, of its text and its number, so that a
 * further run recognises it: a UUID of version 8, that of own making.
 */
void
make_event_id(const Line *line, char id[EVENT_ID_SIZE])
{
	const unsigned char *text = (const unsigned char *) line->text;
	int			length = (int) line->length;
	uint64		high = hash_bytes_extended(text, length, line->number);
	uint64		low = hash_bytes_extended(text, length, ~line->number);

	snprintf(id, EVENT_ID_SIZE, "%08x-%04x-8%03x-%04x-%012llx",
			 (unsigned) (high >> 32), (unsigned) (high >> 16) & 0xffff,
			 (unsigned) high & 0xfff,
			 (unsigned) (low >> 48 & 0x3fff) | 0x8000,
			 (unsigned long long) low & 0xffffffffffff);
}

/*
 * Put the id that was made for an event into its text.  What does not end as an
 * object does is left as it is, for the server to report.
 */
void
add_event_id(const Line *line, PQExpBuffer event)
{
	size_t		length = line->length;
	char		id[EVENT_ID_SIZE];

	resetPQExpBuffer(event);
	while (length > 0 && strchr(" \t\r\n", line->text[length - 1]) != NULL)
		length--;
	if (length < 2 || line->text[length - 1] != '}')
	{
		appendBinaryPQExpBuffer(event, line->text, line->length);
		return;
	}
	make_event_id(line, id);
	appendBinaryPQExpBuffer(event, line->text, length - 1);
	appendPQExpBuffer(event, ", \"event_id\": \"%s\"}", id);
}
