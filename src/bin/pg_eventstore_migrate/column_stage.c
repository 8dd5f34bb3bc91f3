/*
 * column_stage.c
 *		Loads a batch into the column stage, a temporary table of events in
 *		columns.
 *
 * This is the fast way: the server parses only the JSON of data and metadata,
 * not the object of the event.  All events of the batch must be plain: ids and
 * types have no escapes.  If an event has unknown keys, it has no key "data",
 * and these keys have no escapes and do not resemble known ones.  A batch with
 * any other event, or with an error, is loaded into the stage instead
 * (stage.c).  There the server parses the whole text, and reports the error.
 */
#include "migrate.h"

/* The keys with a text value, in the order of the columns. */
static const char *const text_keys[] = {
	"\"event_id\"", "\"event_type\"", "\"occurred_at\"", "\"correlation_id\"",
	"\"causation_id\"", "\"aggregate_id\"", "\"aggregate_type\"",
};

#define TEXT_KEYS lengthof(text_keys)

/*
 * All known keys, in lower case and without the characters that the server
 * ignores when it looks for similar keys.
 */
static const char *const squeezed_keys[] = {
	"eventid", "eventtype", "occurredat", "correlationid", "causationid", "aggregateid",
	"aggregatetype", "aggregateversion", "data", "metadata",
};

#define COLUMN_COUNT (1 + TEXT_KEYS + 3)

/* A value in the text of an event; NULL is none. */
typedef struct Value
{
	const char *text;
	size_t		length;
} Value;

/* An event, split into its values. */
typedef struct Event
{
	Value		texts[TEXT_KEYS];
	int32		version;		/* 0 is none */
	Value		data;
	Value		metadata;
	Pair		position;		/* of an exported event; key NULL: none */
	PQExpBuffer others;			/* the unknown keys, which become data */
} Event;

/* Create the column stage. */
void
create_column_stage(const End *end)
{
	run_command(end, "CREATE TEMPORARY TABLE eventstore_migrate_columns"
				" (line bigint, event_id text, event_type text, occurred_at text,"
				" correlation_id text, causation_id text, aggregate_id text,"
				" aggregate_type text, aggregate_version integer, data jsonb, metadata jsonb)");
	run_command(end, "ALTER TABLE " COLUMN_STAGE
				" ALTER data SET STORAGE EXTERNAL, ALTER metadata SET STORAGE EXTERNAL");
}

/* Take a string without escapes, or null; false for any other value. */
static bool
take_text(const Pair *pair, Value *value)
{
	value->text = NULL;
	value->length = 0;
	if (is_null(pair))
		return true;
	if (*pair->value != '"')
		return false;
	for (const char *at = pair->value + 1; at < pair->value_end - 1; at++)
	{
		if (*at == '\\' || (unsigned char) *at < ' ')
			return false;
	}
	value->text = pair->value + 1;
	value->length = pair->value_end - pair->value - 2;
	return true;
}

/* Take a version, or null; false for any other value. */
static bool
take_version(const Pair *pair, int32 *version)
{
	*version = is_null(pair) ? 0 : version_of(pair);
	return *version > 0 || is_null(pair);
}

/* Take a position, which the server reads only as data; false for any other value. */
static bool
take_position(const Pair *pair, Pair *position)
{
	size_t		digits = strspn(pair->value, "0123456789");

	*position = *pair;
	return digits == (size_t) (pair->value_end - pair->value) && *pair->value != '0';
}

/* Take a value that the server parses as JSON. */
static bool
take_json(const Pair *pair, Value *value)
{
	value->text = pair->value;
	value->length = pair->value_end - pair->value;
	return true;
}

/*
 * Return whether an unknown key is a variant of a known one, such as
 * "aggregateId".  The server rejects such an event.
 */
static bool
resembles_key(const Pair *pair)
{
	char		squeezed[sizeof("aggregateversion")];
	size_t		length = 0;

	for (const char *at = pair->key + 1; at < pair->key_end - 1; at++)
	{
		if (strchr("_- ", *at) != NULL)
			continue;
		if (length == sizeof(squeezed) - 1)
			return false;
		squeezed[length++] = pg_ascii_tolower((unsigned char) *at);
	}
	squeezed[length] = '\0';
	for (int i = 0; i < (int) lengthof(squeezed_keys); i++)
	{
		if (strcmp(squeezed, squeezed_keys[i]) == 0)
			return true;
	}
	return false;
}

/* Take an unknown key and its value; false if the server may reject the key. */
static bool
take_other(const Pair *pair, Event *event)
{
	if (pair->escaped || resembles_key(pair))
		return false;
	appendPQExpBufferChar(event->others, event->others->len > 0 ? ',' : '{');
	appendBinaryPQExpBuffer(event->others, pair->key, pair->value_end - pair->key);
	return true;
}

/* Take a key and its value; false if they are not plain. */
static bool
take_pair(const Pair *pair, Event *event)
{
	for (int i = 0; i < (int) TEXT_KEYS; i++)
	{
		if (is_key(pair, text_keys[i]))
			return take_text(pair, &event->texts[i]);
	}
	if (is_key(pair, "\"aggregate_version\""))
		return take_version(pair, &event->version);
	if (is_key(pair, "\"data\""))
		return take_json(pair, &event->data);
	if (is_key(pair, "\"metadata\""))
		return take_json(pair, &event->metadata);
	if (is_key(pair, "\"position\""))
		return take_position(pair, &event->position);
	return take_other(pair, event);
}

/* Split an event into its values; false if it is not plain. */
static bool
take_apart(const Line *line, Event *event)
{
	PQExpBuffer others = event->others;
	Scan		scan;
	Pair		pair;

	memset(event, 0, sizeof(*event));
	event->others = others;
	resetPQExpBuffer(others);
	if (!begin_object(&scan, line))
		return false;
	while (next_pair(&scan, &pair))
	{
		if (!take_pair(&pair, event))
			return false;
	}
	if (!at_object_end(&scan) || (event->data.text !=NULL && others->len > 0))
		return false;
	if (event->data.text == NULL && event->position.key != NULL &&
		!take_other(&event->position, event))	/* is an unknown key, too */
		return false;
	if (event->metadata.length == strlen("null") && memcmp(event->metadata.text, "null", 4) == 0)
		event->metadata.text = NULL;
	if (event->data.text == NULL)
	{
		appendPQExpBufferStr(others, others->len > 0 ? "}" : "{}");
		event->data.text = others->data;
		event->data.length = others->len;
	}
	return true;
}

/* Append a value of type jsonb. */
static void
put_json(PQExpBuffer rows, const Value *value)
{
	put_number(rows, value->text ? (int64) value->length + 1 : -1, 4);
	if (value->text == NULL)
		return;
	appendPQExpBufferChar(rows, 1); /* format version */
	appendBinaryPQExpBuffer(rows, value->text, value->length);
}

/* Append the row of an event; an event without an id gets one. */
static void
put_column_row(PQExpBuffer rows, const Line *line, Event *event)
{
	char		id[EVENT_ID_SIZE];

	if (event->texts[0].text == NULL)
	{
		make_event_id(line, id);
		event->texts[0].text = id;
		event->texts[0].length = strlen(id);
	}
	put_number(rows, COLUMN_COUNT, 2);
	put_number(rows, 8, 4);
	put_number(rows, line->number, 8);
	for (int i = 0; i < (int) TEXT_KEYS; i++)
		put_text(rows, event->texts[i].text, event->texts[i].length);
	put_number(rows, event->version > 0 ? 4 : -1, 4);
	if (event->version > 0)
		put_number(rows, event->version, 4);
	put_json(rows, &event->data);
	put_json(rows, &event->metadata);
}

/*
 * Return whether all events of a batch are plain.  They are checked before any is
 * sent, because the server logs an interrupted COPY as an error.
 */
static bool
is_batch_plain(Source *batch, Event *event)
{
	Line		line;
	bool		plain = true;

	while (plain && batch->next(batch, &line))
		plain = take_apart(&line, event);
	rewind_batch(batch);
	return plain;
}

/* Send the events of a batch.  Return the server's error, or NULL. */
static PGresult *
send_batch(const End *end, Source *batch, Event *event)
{
	PQExpBuffer rows = begin_copy(end, COLUMN_STAGE, true);
	Line		line;

	while (batch->next(batch, &line))
	{
		take_apart(&line, event);
		put_column_row(rows, &line, event);
		if (rows->len >= COPY_PIECE)
			send_rows(end, rows);
	}
	return end_copy(end, rows);
}

/* Replace the rows of the column stage by a batch; false if not plain or rejected. */
bool
fill_column_stage(const End *end, Source *batch)
{
	Event		event = {.others = createPQExpBuffer()};
	PGresult   *error = NULL;
	bool		plain = is_batch_plain(batch, &event);

	if (plain)
		error = send_batch(end, batch, &event);
	destroyPQExpBuffer(event.others);
	if (error != NULL && PQstatus(end->conn) == CONNECTION_BAD)
		fail_query(end, error);
	plain = plain && error == NULL;
	PQclear(error);
	return plain;
}
