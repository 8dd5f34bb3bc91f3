/*
 * columns.c
 *		Brings the events of a batch to the server in columns.
 *
 * This is the fast way: the server need not take the object of an event apart,
 * it reads the JSON of data and metadata only.  It is for events of which
 * everything is plain: ids and types without escapes, keys that are known.
 * Whatever is not so, or not right, sends the batch the other way (stage.c),
 * where the server reads the whole text, and reports what is wrong.
 */
#include "migrate.h"

#include "common/logging.h"

#define PIECE (64 * 1024)

/* the keys that are text, in the order of the columns */
static const char *const text_keys[] = {
	"\"event_id\"", "\"event_type\"", "\"occurred_at\"", "\"correlation_id\"",
	"\"causation_id\"", "\"aggregate_id\"", "\"aggregate_type\"",
};

#define TEXT_KEYS lengthof(text_keys)
#define COLUMN_COUNT (1 + TEXT_KEYS + 3)

/* A value as it stands in the text; NULL is none. */
typedef struct Value
{
	const char *text;
	size_t		length;
} Value;

/* An event taken apart. */
typedef struct Event
{
	Value		texts[TEXT_KEYS];
	int32		version;		/* 0 is none */
	Value		data;
	Value		metadata;
	Pair		position;		/* of an event that was stored; key NULL: none */
	PQExpBuffer others;			/* the keys that are unknown, for the data */
} Event;

/* Make the temporary table for events in columns. */
void
create_columns(const End *end)
{
	PQclear(must(end, run(end, "CREATE TEMPORARY TABLE eventstore_migrate_columns"
						  " (line bigint, event_id text, event_type text, occurred_at text,"
						  " correlation_id text, causation_id text, aggregate_id text,"
						  " aggregate_type text, aggregate_version integer, data jsonb, metadata jsonb)")));
	PQclear(must(end, run(end, "ALTER TABLE " COLUMNS
						  " ALTER data SET STORAGE EXTERNAL, ALTER metadata SET STORAGE EXTERNAL")));
}

/* Take a value that is a string without escapes, or null; false for any other. */
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

/* Take a version, or null. */
static bool
take_version(const Pair *pair, int32 *version)
{
	*version = is_null(pair) ? 0 : version_of(pair);
	return *version > 0 || is_null(pair);
}

/* Keep a position, which the server reads only if it is data; false if it is none. */
static bool
take_position(const Pair *pair, Pair *position)
{
	size_t		digits = strspn(pair->value, "0123456789");

	*position = *pair;
	return digits == (size_t) (pair->value_end - pair->value) && *pair->value != '0';
}

/* Take a value whose JSON the server reads. */
static bool
take_json(const Pair *pair, Value *value)
{
	value->text = pair->value;
	value->length = pair->value_end - pair->value;
	return true;
}

/* Take a key that is unknown. */
static bool
take_other(const Pair *pair, Event *event)
{
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

/* Take an event apart; false if not all of it is plain. */
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
	if (event->data.text == NULL && event->position.key != NULL)
		take_other(&event->position, event);	/* it is data like any other */
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
	appendPQExpBufferChar(rows, 1); /* the version of the format */
	appendBinaryPQExpBuffer(rows, value->text, value->length);
}

/* Append the row of an event. */
static void
put_event(PQExpBuffer rows, const Line *line, Event *event)
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
 * Whether all is plain in a batch.  It is looked through before it is sent, as a
 * COPY that is broken off is an error in the log of the server.
 */
static bool
is_plain(Source *batch, Event *event)
{
	Line		line;
	bool		plain = true;

	while (plain && batch->next(batch, &line))
		plain = take_apart(&line, event);
	read_batch_again(batch);
	return plain;
}

/* Send the events of a batch. */
static void
send_batch(const End *end, Source *batch, Event *event, PQExpBuffer rows)
{
	Line		line;

	while (batch->next(batch, &line))
	{
		take_apart(&line, event);
		put_event(rows, &line, event);
		if (rows->len >= PIECE)
			send_rows(end, rows);
	}
}

/* Bring a batch into the table, instead of what is there; whether that went well. */
bool
fill_columns(const End *end, Source *batch)
{
	Event		event = {.others = createPQExpBuffer()};
	PQExpBuffer rows = createPQExpBuffer();
	PGresult   *error = NULL;
	bool		plain = is_plain(batch, &event);

	if (plain)
	{
		begin_copy(end, rows, COLUMNS, true);
		send_batch(end, batch, &event, rows);
		error = end_copy(end, rows);
	}
	destroyPQExpBuffer(event.others);
	destroyPQExpBuffer(rows);
	if (error != NULL && PQstatus(end->conn) == CONNECTION_BAD)
		fail_query(end, error);
	plain = plain && error == NULL;
	PQclear(error);
	return plain;
}
