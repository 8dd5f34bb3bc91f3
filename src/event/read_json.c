/*
 * read_json.c
 *		Reads a batch of events from JSON, without access to the database.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "base/text.h"
#include "event/event.h"

/* Return the column of a key of an event; PGES_NUM_COLUMNS for none or "position". */
static PgesColumn
column_of_key(const JsonbValue *key)
{
	PgesColumn	column = pges_column_of_name(key->val.string.val, key->val.string.len);

	return column == PGES_POSITION ? PGES_NUM_COLUMNS : column;
}

/* Return the kind of a JSON value, for error messages. */
static const char *
kind_of(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvString:
			return "a string";
		case jbvNumeric:
			return "a number";
		case jbvBool:
			return "a boolean";
		case jbvArray:
			return "an array";
		case jbvBinary:
			return JsonContainerIsArray(value->val.binary.data) ? "an array" : "an object";
		default:
			return "something else";
	}
}

/* Raise the error that an event's key has a value of the wrong kind. */
static void
report_kind(int ordinal, PgesColumn key, const JsonbValue *value,
			const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("key \"%s\" of an event must be %s", pges_column_name(key), wanted),
			 errdetail("Key \"%s\" of event %d is %s.", pges_column_name(key),
					   ordinal, kind_of(value))));
}

/* Return the string of a key, or NULL for JSON null; raise an error for other values. */
static text *
string_of(int ordinal, PgesColumn key, const JsonbValue *value)
{
	if (value->type == jbvNull)
		return NULL;
	if (value->type != jbvString)
		report_kind(ordinal, key, value, "a string");
	return cstring_to_text_with_len(value->val.string.val, value->val.string.len);
}

/* Return the version of a key, from 1, or 0 for JSON null; raise an error for others. */
static int32
version_of(int ordinal, const JsonbValue *value)
{
	int32		version;

	if (value->type == jbvNull)
		return 0;
	if (value->type != jbvNumeric)
		report_kind(ordinal, PGES_AGGREGATE_VERSION, value, "a number");
	if (!pges_whole_number(value, &version) || version < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key \"aggregate_version\" of an event must be a whole number from 1 to %d", PG_INT32_MAX),
				 errdetail("Key \"aggregate_version\" of event %d is %s.", ordinal,
						   pges_shorten(numeric_normalize(value->val.numeric)))));
	return version;
}

/* Return the time of a key; raise an error if the value is not a time. */
static TimestampTz
time_of(int ordinal, const JsonbValue *value)
{
	if (value->type != jbvString)
		report_kind(ordinal, PGES_OCCURRED_AT, value, "a string");
	return pges_read_time(ordinal, value->val.string.val, value->val.string.len);
}

/* Store the value of a key in its event; ignore a key that is no column. */
static void
set_key(PgesEvent *event, PgesColumn key, JsonbValue *value)
{
	switch (key)
	{
		case PGES_POSITION:
		case PGES_NUM_COLUMNS:
			break;
		case PGES_OCCURRED_AT:
			event->occurred_at_given = value->type != jbvNull;
			if (event->occurred_at_given)
				event->occurred_at = time_of(event->ordinal, value);
			break;
		case PGES_AGGREGATE_VERSION:
			event->given_version = version_of(event->ordinal, value);
			break;
		case PGES_DATA:
		case PGES_METADATA:
			*pges_event_pointer(event, key) = JsonbValueToJsonb(value);
			break;
		default:
			*pges_event_pointer(event, key) = string_of(event->ordinal, key, value);
			break;
	}
}

/*
 * Raise an error if an unknown key resembles a known one.  Otherwise the value would
 * become a part of the data, and an event cannot be changed later.
 */
static void
check_unknown_key(int ordinal, const JsonbValue *key)
{
	PgesColumn	column = pges_column_like(key->val.string.val, key->val.string.len);
	char	   *name;

	if (column == PGES_NUM_COLUMNS)
		return;
	name = pges_shorten(pnstrdup(key->val.string.val, key->val.string.len));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("key \"%s\" of an event resembles key \"%s\"", name, pges_column_name(column)),
			 errdetail("Key \"%s\" of event %d differs from \"%s\" only in case, underscores, hyphens or blanks.",
					   name, ordinal, pges_column_name(column)),
			 errhint("Write it \"%s\". If it is part of the data, put it inside \"data\".",
					 pges_column_name(column))));
}

/* Return an object of all unknown keys of an event. */
static Jsonb *
flat_data(JsonbContainer *object)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	PgesJsonBuilder builder = {0};
	JsonbValue	key;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &key, true);	/* WJB_BEGIN_OBJECT */
	pges_json_push_compat(&builder, WJB_BEGIN_OBJECT, NULL);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		if (column_of_key(&key) != PGES_NUM_COLUMNS)
			continue;
		pges_json_push_compat(&builder, WJB_KEY, &key);
		pges_json_push_compat(&builder, WJB_VALUE, &value);
	}
	pges_json_push_compat(&builder, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(builder.result);
}

/*
 * Read one event.  Without a key "data", the unknown keys become the data.  With a key
 * "data", an unknown key raises an error; if was_stored, "position" is ignored instead.
 * An unknown key that resembles a known one always raises an error.
 */
static void
read_event(PgesEvent *event, JsonbContainer *object, bool was_stored)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;
	JsonbValue	stranger = {.type = jbvNull};
	bool		has_type = false;

	(void) JsonbIteratorNext(&it, &key, true);	/* WJB_BEGIN_OBJECT */
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		PgesColumn	column = column_of_key(&key);

		(void) JsonbIteratorNext(&it, &value, true);
		set_key(event, column, &value);
		has_type |= column == PGES_EVENT_TYPE;
		if (column == PGES_NUM_COLUMNS)
			check_unknown_key(event->ordinal, &key);
		if (column == PGES_NUM_COLUMNS && stranger.type == jbvNull &&
			!(was_stored && pges_column_of_name(key.val.string.val, key.val.string.len) == PGES_POSITION))
			stranger = key;
	}
	if (!has_type)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an event needs the key \"%s\"", pges_column_name(PGES_EVENT_TYPE)),
				 errdetail("Event %d does not have this key.", event->ordinal)));
	if (event->data == NULL)
		event->data = flat_data(object);
	else if (stranger.type != jbvNull)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an event with key \"data\" cannot have unknown keys"),
				 errdetail("Event %d has the unknown key \"%s\".", event->ordinal,
						   pges_shorten(pnstrdup(stranger.val.string.val, stranger.val.string.len))),
				 errhint("Correct its spelling, or put it inside \"data\" or \"metadata\".")));
}

/* Raise the error that an event is not a JSON object. */
static void
report_no_object(int ordinal, const JsonbValue *value)
{
	bool		is_null = value->type == jbvNull;

	ereport(ERROR,
			(errcode(is_null ? ERRCODE_NULL_VALUE_NOT_ALLOWED : ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("an event must be a JSON object"),
			 errdetail("Event %d is %s.", ordinal, kind_of(value))));
}

/* Read an array of events; raise an error if an element is not an object. */
static void
read_array(PgesBatch *batch, JsonbContainer *array)
{
	JsonbIterator *it = JsonbIteratorInit(array);
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &value, true);	/* WJB_BEGIN_ARRAY */
	while (JsonbIteratorNext(&it, &value, true) == WJB_ELEM)
	{
		CHECK_FOR_INTERRUPTS();
		batch->current++;
		if (value.type != jbvBinary ||
			!JsonContainerIsObject(value.val.binary.data))
			report_no_object(batch->current, &value);
		read_event(&batch->events[batch->current - 1], value.val.binary.data, false);
	}
	batch->current = 0;
}

/* Return the number of events in a JSON array or object; raise an error for a scalar. */
int
pges_batch_json_count(Jsonb *events)
{
	if (JB_ROOT_IS_SCALAR(events))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("events must be a JSON array of objects"),
				 errdetail("A JSON array of event objects, or one event object, is needed; this is a scalar.")));
	return JB_ROOT_IS_ARRAY(events) ? JB_ROOT_COUNT(events) : 1;
}

/* Read all events of JSON into a batch that has room for them. */
void
pges_batch_read_json(PgesBatch *batch, Jsonb *events)
{
	if (JB_ROOT_IS_ARRAY(events))
	{
		read_array(batch, &events->root);
		return;
	}
	batch->current = 1;
	read_event(&batch->events[0], &events->root, false);
	batch->current = 0;
}

/* Read one event to import from JSON; raise an error if "json" is not an object. */
void
pges_event_from_json(PgesEvent *event, Jsonb *json)
{
	JsonbValue	value = {.type = jbvNull};

	if (json && JB_ROOT_IS_OBJECT(json))
	{
		read_event(event, &json->root, true);
		return;
	}
	if (json)
		(void) JsonbExtractScalar(&json->root, &value); /* jbvArray if no scalar */
	report_no_object(event->ordinal, &value);
}
