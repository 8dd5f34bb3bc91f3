/*
 * event_text.c
 *		Finds keys in the text of an event, and makes event ids.
 *
 * The server parses the JSON and reports its errors.  This file needs only a
 * few keys of the object, to sort the events.  So it skips text that it cannot
 * parse, and reports no error.
 */
#include "migrate.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"

/* A longer aggregate id does not fit into an index. */
#define MAX_NAME 2704

/* Skip white space.  Return whether anything else follows. */
static bool
skip_space(Scan *scan)
{
	while (scan->at < scan->end &&
		   (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\r' || *scan->at == '\n'))
		scan->at++;
	return scan->at < scan->end;
}

/* Skip white space and the wanted character; false if another follows. */
static bool
skip_char(Scan *scan, char wanted)
{
	if (!skip_space(scan) || *scan->at != wanted)
		return false;
	scan->at++;
	return true;
}

/* Skip a string, from its opening quote on; false if it has no end. */
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

/* Skip an array or an object, from its opening bracket on; false if it has no end. */
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

/* Skip a value of any type; false if there is none. */
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

/* Start to read the keys of an event; false if it is no object. */
bool
begin_object(Scan *scan, const Line *line)
{
	scan->at = line->text;
	scan->end = scan->at + line->length;
	scan->begun = scan->broken = false;
	return skip_char(scan, '{');
}

/* Read a key and its value; false if they are not valid JSON. */
static bool
read_pair(Scan *scan, Pair *pair)
{
	if (!skip_space(scan) || *scan->at != '"')
		return false;
	pair->key = scan->at;
	if (!skip_string(scan))
		return false;
	pair->key_end = scan->at;
	pair->escaped = memchr(pair->key, '\\', pair->key_end - pair->key) != NULL;
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

/* Return whether only the end of the object follows. */
bool
at_object_end(Scan *scan)
{
	return !scan->broken && skip_char(scan, '}') && !skip_space(scan);
}

/* Return whether a part of the text equals a string. */
static bool
is_text(const char *begin, const char *end, const char *wanted)
{
	return (size_t) (end - begin) == strlen(wanted) &&
		memcmp(begin, wanted, end - begin) == 0;
}

/* Return the value of four hexadecimal digits; -1 for any other text. */
static int
hex4(const char *at, const char *end)
{
	char		digits[5] = "";

	if (end - at >= 4)
		memcpy(digits, at, 4);
	return strspn(digits, "0123456789abcdefABCDEF") == 4 ? (int) strtol(digits, NULL, 16) : -1;
}

/* Decode a \u escape and move *at behind it; -1 if it encodes no character. */
static int
unicode_escape(const char **at, const char *end)
{
	int			code = hex4(*at + 2, end);

	if (code >= 0)
		*at += 6;
	if (code >= 0xD800 && code < 0xDC00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u')
	{
		int			low = hex4(*at + 2, end);

		if (low < 0xDC00 || low > 0xDFFF)
			return -1;
		*at += 6;
		return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
	}
	return code >= 0xD800 && code < 0xE000 ? -1 : code;
}

/*
 * Decode the text between the quotes of a string into "name", and return its
 * length; -1 if it is not valid JSON or too long for an aggregate id.
 */
static int
unescape(const char *at, const char *end, char name[MAX_NAME])
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	int			length = 0;

	while (at < end)
	{
		const char *letter;
		int			code;

		if (length + 4 >= MAX_NAME)
			return -1;
		if (*at != '\\')
			name[length++] = *at++;
		else if (end - at < 2)
			return -1;
		else if (at[1] == 'u')
		{
			if ((code = unicode_escape(&at, end)) <= 0)
				return -1;
			unicode_to_utf8(code, (unsigned char *) name + length);
			length += pg_utf_mblen((unsigned char *) name + length);
		}
		else
		{
			if (at[1] == '\0' || (letter = strchr(letters, at[1])) == NULL)
				return -1;
			name[length++] = meanings[letter - letters];
			at += 2;
		}
	}
	return length;
}

/* Return whether a pair has a key, given with its quotes. */
bool
is_key(const Pair *pair, const char *quoted)
{
	char		key[MAX_NAME];
	int			length;

	if (!pair->escaped)
		return is_text(pair->key, pair->key_end, quoted);
	length = unescape(pair->key + 1, pair->key_end - 1, key);
	return length == (int) strlen(quoted) - 2 && memcmp(key, quoted + 1, length) == 0;
}

/* Return whether the value of a pair is null. */
bool
is_null(const Pair *pair)
{
	return is_text(pair->value, pair->value_end, "null");
}

/* Return the version in a value; 0 if the value is none.  The server reports that. */
int32
version_of(const Pair *pair)
{
	const char *at = pair->value;
	const char *end = pair->value_end;
	int64		version = 0;

	if (*at == '0')
		return 0;
	for (; at < end && *at >= '0' && *at <= '9' && version <= PG_INT32_MAX; at++)
		version = version * 10 + (*at - '0');
	if (at > pair->value && end - at > 1 && *at == '.')
	{
		at++;
		while (at < end && *at == '0')	/* some programs write 1.0 */
			at++;
	}
	return at == end && version <= PG_INT32_MAX ? (int32) version : 0;
}

/* Decode a value into "name", and return its length; -1 if it is no string or too long. */
static int
decode_string(const Pair *pair, char name[MAX_NAME])
{
	return *pair->value == '"' ? unescape(pair->value + 1, pair->value_end - 1, name) : -1;
}

/* Store the decoded aggregate id; NULL if the value is no string or too long. */
static void
take_aggregate_id(const Pair *pair, EventKeys *keys)
{
	static char name[MAX_NAME]; /* overwritten by the next call */
	int			length = decode_string(pair, name);

	keys->aggregate_id = length < 0 ? NULL : name;
	keys->aggregate_id_length = Max(length, 0);
}

/*
 * Find the keys that determine the order.  If a key is repeated, the last one counts.
 * Return false if the text is not a whole object.
 */
bool
scan_event(const Line *line, EventKeys *keys)
{
	Scan		scan;
	Pair		pair;

	memset(keys, 0, sizeof(*keys));
	if (!begin_object(&scan, line))
		return false;
	while (next_pair(&scan, &pair))
	{
		if (is_key(&pair, "\"event_id\""))
		{
			keys->has_id = !is_null(&pair); /* the server rejects invalid ids */
			keys->event_id = pair;
		}
		else if (is_key(&pair, "\"aggregate_version\""))
			keys->aggregate_version = version_of(&pair);
		else if (is_key(&pair, "\"aggregate_id\""))
			take_aggregate_id(&pair, keys);
	}
	return at_object_end(&scan);
}

bool		made_event_ids;

/* Return the length of a text without the white space at its end. */
static size_t
trimmed_length(const char *text, size_t length)
{
	while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
		length--;
	return length;
}

/*
 * Make an id for an event that has none: a UUID of version 8 (custom), which
 * is a hash of the event's text, its number and the name of the source.  So
 * another run makes the same id.  White space around the event or between
 * events is not included in the hash.
 */
void
make_event_id(const Line *line, char id[EVENT_ID_SIZE])
{
	const char *source = options.source.value ? options.source.value : "";
	const char *name = last_dir_separator(source);
	uint64		seed;
	uint64		high;
	uint64		low;
	Scan		scan = {.at = line->text,.end = line->text +line->length};
	int			length;

	skip_space(&scan);

	length = (int) trimmed_length(scan.at, scan.end - scan.at);
	name = name ? name + 1 : source;
	seed = hash_bytes_extended((const unsigned char *) name, (int) strlen(name), line->ordinal);
	high = hash_bytes_extended((const unsigned char *) scan.at, length, seed);
	low = hash_bytes_extended((const unsigned char *) scan.at, length, ~seed);
	made_event_ids = true;
	snprintf(id, EVENT_ID_SIZE, "%08x-%04x-8%03x-%04x-%012llx",
			 (unsigned) (high >> 32), (unsigned) (high >> 16) & 0xffff,
			 (unsigned) high & 0xfff,
			 (unsigned) (low >> 48 & 0x3fff) | 0x8000,
			 (unsigned long long) low & 0xffffffffffff);
}

/*
 * Return the id that gives the slot of an event: that of its aggregate, or else its own,
 * which may have to be made.  Return NULL if the text is not a whole object.  The next
 * call overwrites the id.
 */
const char *
slot_id(const Line *line, size_t *length)
{
	static char id[MAX_NAME];
	EventKeys	keys;

	if (!scan_event(line, &keys))
		return NULL;
	*length = keys.aggregate_id_length;
	if (keys.aggregate_id != NULL)
		return keys.aggregate_id;
	if (keys.has_id)
	{
		*length = Max(decode_string(&keys.event_id, id), 0);
		return id;
	}
	make_event_id(line, id);
	*length = strlen(id);
	return id;
}

/*
 * Copy the text of an event, and add the id that is made for it.  A text that does
 * not end like an object is copied unchanged; the server reports it.
 */
void
add_event_id(const Line *line, PQExpBuffer event)
{
	size_t		length = trimmed_length(line->text, line->length);
	char		id[EVENT_ID_SIZE];

	resetPQExpBuffer(event);
	if (length < 2 || line->text[length - 1] != '}')
	{
		appendBinaryPQExpBuffer(event, line->text, line->length);
		return;
	}
	make_event_id(line, id);
	length = trimmed_length(line->text, length - 1);
	appendBinaryPQExpBuffer(event, line->text, length);
	appendPQExpBuffer(event, "%s\"event_id\": \"%s\"}",
					  length > 0 && line->text[length - 1] == '{' ? "" : ", ", id);
}
