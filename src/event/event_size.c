/*
 * event_size.c
 *		Limits the size of an event, so that every event can be exported, read and dumped.
 *
 * An export makes one jsonb object of an event, and jsonb has 28 bits for the size of an
 * object.  The text of an event must fit into one string of the server, which has less
 * than 1 GB.  COPY, and so pg_dump, writes a backslash twice, so the text may have half of
 * that.  The text can be much longer than the jsonb: in the text, a control character has
 * six bytes, and a number such as 1e131071 has all its digits.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "event/event.h"

#define MEGABYTE ((Size) 1024 * 1024)
#define MAX_BYTES (255 * MEGABYTE)	/* leaves 1 MB for the keys of the object */
#define MAX_TEXT (500 * MEGABYTE)

/*
 * The text of an event of this size cannot be too long: a number has at least 12 bytes in
 * jsonb, and at most 131072 digits before and 16383 after the decimal point.
 */
#define SMALL ((Size) 32 * 1024)

/* Return the length of a string as JSON text, with its quotes. */
static Size
string_length(const char *string, Size bytes)
{
	Size		length = bytes + 2;

	for (Size i = 0; i < bytes; i++)
	{
		unsigned char c = string[i];

		if (c == '"' || c == '\\' || (c < ' ' && strchr("\b\f\n\r\t", c) && c != '\0'))
			length += 1;
		else if (c < ' ')
			length += 5;
	}
	return length;
}

/*
 * Return the length of a number as text, computed from its binary form.  The form has the
 * number of digits, the weight of the first, the sign, the number of digits after the
 * decimal point, and the digits, of base 10000.  Each of these has 16 bits.
 */
static Size
number_length(Numeric number)
{
	bytea	   *binary = DatumGetByteaP(DirectFunctionCall1(numeric_send, NumericGetDatum(number)));
	uint16		parts[5] = {0};
	int16		weight;
	Size		length = 1;

	memcpy(parts, VARDATA(binary), Min(sizeof(parts), VARSIZE(binary) - VARHDRSZ));
	weight = (int16) pg_ntoh16(parts[1]);
	if (weight >= 0)
		length = 4 * weight + snprintf(NULL, 0, "%d", pg_ntoh16(parts[4]));
	if (parts[2] != 0)
		length += 1;			/* minus */
	if (parts[3] != 0)
		length += 1 + pg_ntoh16(parts[3]);
	pfree(binary);
	return length;
}

/* Return the length of a JSON scalar as text. */
static Size
scalar_length(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return string_length(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return number_length(value->val.numeric);
		default:
			return strlen("false");
	}
}

/* Return the length of a JSON value as text, or more than MAX_TEXT if it is longer. */
static Size
json_length(Jsonb *json)
{
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	Size		length = 0;

	while (length <= MAX_TEXT && (token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM)
			length += scalar_length(&value) + strlen(", ");
		else
			length += 1;		/* a bracket or brace */
	}
	return length;
}

/* Return the size of the value of a column; 0 for null. */
static Size
value_size(const PgesEvent *event, PgesColumn column)
{
	void	   *value = *pges_event_pointer(event, column);

	return value ? VARSIZE_ANY_EXHDR(value) : 0;
}

/* Return the length of an event as JSON text, or more than MAX_TEXT if it is longer. */
static Size
text_length(const PgesEvent *event)
{
	Size		length = 0;

	for (PgesColumn column = PGES_EVENT_ID; column <= PGES_AGGREGATE_TYPE; column++)
	{
		if (pges_columns[column].offset > 0 && value_size(event, column) > 0)
			length += string_length(VARDATA_ANY(*pges_event_pointer(event, column)),
									value_size(event, column));
	}
	if (event->data && length <= MAX_TEXT)
		length += json_length(event->data);
	if (event->metadata && length <= MAX_TEXT)
		length += json_length(event->metadata);
	return length;
}

/* Raise an error if an event is too large to be exported. */
void
pges_check_size(const PgesEvent *event)
{
	Size		size = 0;

	for (PgesColumn column = PGES_EVENT_ID; column < PGES_NUM_COLUMNS; column++)
	{
		if (pges_columns[column].offset > 0)
			size += value_size(event, column);
	}
	if (size <= SMALL || (size <= MAX_BYTES && text_length(event) <= MAX_TEXT))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("an event must not be larger than %zu MB, or %zu MB as JSON text",
					MAX_BYTES / MEGABYTE, MAX_TEXT / MEGABYTE),
			 size <= MAX_BYTES ?
			 errdetail("Keys \"data\" and \"metadata\" of %s have %zu and %zu bytes, but more than %zu MB as JSON text.",
					   pges_event_label(event), value_size(event, PGES_DATA),
					   value_size(event, PGES_METADATA), MAX_TEXT / MEGABYTE) :
			 errdetail("Keys \"data\" and \"metadata\" of %s have %zu and %zu bytes.",
					   pges_event_label(event), value_size(event, PGES_DATA),
					   value_size(event, PGES_METADATA)),
			 errhint("Split the event, or store the data elsewhere and refer to it in the event.")));
}
