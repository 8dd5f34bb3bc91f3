/*
 * columns.c
 *		The columns of a table of events, the values of an event in these columns, and the
 *		label of an event in error messages.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/text.h"
#include "event/event.h"

const PgesColumnShape pges_columns[PGES_NUM_COLUMNS] = {
	[PGES_POSITION] = {"position", INT8OID, true,
	"number of the event in the store, which ascends with the versions of an aggregate; rolled back appends leave gaps"},
	[PGES_EVENT_ID] = {"event_id", VARCHAROID, true,
	"identity of the event; by default a new UUID version 7", offsetof(PgesEvent, event_id)},
	[PGES_EVENT_TYPE] = {"event_type", VARCHAROID, true,
	"type of the event", offsetof(PgesEvent, event_type)},
	[PGES_OCCURRED_AT] = {"occurred_at", TIMESTAMPTZOID, true,
	"time of the event; by default the start of the transaction"},
	[PGES_CORRELATION_ID] = {"correlation_id", VARCHAROID, false,
	"identifier that all events of one business process share", offsetof(PgesEvent, correlation_id)},
	[PGES_CAUSATION_ID] = {"causation_id", VARCHAROID, false,
	"event or command that caused the event", offsetof(PgesEvent, causation_id)},
	[PGES_AGGREGATE_ID] = {"aggregate_id", VARCHAROID, false,
	"aggregate of the event; null for none", offsetof(PgesEvent, aggregate_id)},
	[PGES_AGGREGATE_TYPE] = {"aggregate_type", VARCHAROID, false,
	"type of the aggregate", offsetof(PgesEvent, aggregate_type)},
	[PGES_AGGREGATE_VERSION] = {"aggregate_version", INT4OID, false,
	"number of the event in the aggregate, from 1, without gaps; null for an event of no aggregate"},
	[PGES_DATA] = {"data", JSONBOID, true,
	"what happened, as any JSON value", offsetof(PgesEvent, data)},
	[PGES_METADATA] = {"metadata", JSONBOID, false,
	"other values that were stored with the event", offsetof(PgesEvent, metadata)},
};

/* Return the name of a store's column. */
const char *
pges_column_name(PgesColumn column)
{
	return pges_columns[column].name;
}

/* Return the column with a name; PGES_NUM_COLUMNS if there is none. */
PgesColumn
pges_column_of_name(const char *name, int length)
{
	PgesColumn	column = 0;

	while (column < PGES_NUM_COLUMNS &&
		   (strlen(pges_columns[column].name) != length ||
			memcmp(pges_columns[column].name, name, length) != 0))
		column++;
	return column;
}

/* Skip the characters that pges_column_like() ignores in names. */
static const char *
skip_separators(const char *at, const char *end)
{
	while (at < end && strchr("_- ", *at) != NULL && *at != '\0')
		at++;
	return at;
}

/* Return whether two names differ only in case, underscores, hyphens and blanks. */
static bool
is_like(const char *a, const char *a_end, const char *b, const char *b_end)
{
	for (;;)
	{
		a = skip_separators(a, a_end);
		b = skip_separators(b, b_end);
		if (a == a_end || b == b_end)
			return a == a_end && b == b_end;
		if (pg_ascii_tolower((unsigned char) *a++) != pg_ascii_tolower((unsigned char) *b++))
			return false;
	}
}

/*
 * Return the column whose name differs from a key only in case, underscores, hyphens and
 * blanks, such as "aggregateId"; PGES_NUM_COLUMNS if there is none.  Column "position" is
 * not searched, because an event has no such key.
 */
PgesColumn
pges_column_like(const char *name, int length)
{
	PgesColumn	column = PGES_EVENT_ID;

	while (column < PGES_NUM_COLUMNS &&
		   !is_like(name, name + length, pges_column_name(column),
					pges_column_name(column) + strlen(pges_column_name(column))))
		column++;
	return column;
}

/* Return the value of a column of an event, and set *isnull. */
Datum
pges_event_value(const PgesEvent *event, PgesColumn column, bool *isnull)
{
	if (pges_columns[column].offset > 0)
	{
		void	   *value = *pges_event_pointer(event, column);

		*isnull = value == NULL;
		return PointerGetDatum(value);
	}
	*isnull = column == PGES_AGGREGATE_VERSION && event->version == 0;
	if (column == PGES_POSITION)
		return Int64GetDatum(event->position);
	if (column == PGES_OCCURRED_AT)
		return TimestampTzGetDatum(event->occurred_at);
	return Int32GetDatum(event->version);
}

/* Return the values of a column of all events, as an array. */
Datum
pges_column_array(const PgesBatch *batch, PgesColumn column)
{
	Oid			type = pges_columns[column].type;
	int			length = pges_columns[column].offset > 0 ? -1 : type == INT4OID ? 4 : 8;
	int			n = batch->nevents;
	Datum	   *values = palloc(sizeof(Datum) * n);
	bool	   *nulls = palloc(sizeof(bool) * n);
	int			lower = 1;
	ArrayType  *array;

	for (int i = 0; i < n; i++)
		values[i] = pges_event_value(&batch->events[i], column, &nulls[i]);
	array = construct_md_array(values, nulls, 1, &n, &lower,
							   type == VARCHAROID ? TEXTOID : type, length,
							   length == 4 || (length == 8 && FLOAT8PASSBYVAL),
							   length == 8 ? TYPALIGN_DOUBLE : TYPALIGN_INT);
	pfree(values);
	pfree(nulls);
	return PointerGetDatum(array);
}

/* Return the label of an event in errors: its number in the call, or its id. */
const char *
pges_event_label(const PgesEvent *event)
{
	return event->ordinal > 0 ? psprintf("event %d", event->ordinal) :
		psprintf("event \"%s\"", pges_shorten(text_to_cstring(event->event_id)));
}
