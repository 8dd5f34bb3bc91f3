/*
 * write_json.c
 *		Makes JSON of an event, in the shape that read_json.c reads.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "event/event.h"

/* Add the name of a column as a key to an event object. */
static void
add_key(PgesJsonBuilder *builder, PgesColumn column)
{
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = unconstify(char *, pges_column_name(column));
	key.val.string.len = strlen(key.val.string.val);
	pges_json_push_compat(builder, WJB_KEY, &key);
}

/* Set *json to the value of a column of an event. */
static void
make_value(PgesColumn column, Datum value, JsonbValue *json)
{
	json->type = jbvString;
	switch (column)
	{
		case PGES_AGGREGATE_VERSION:
			json->type = jbvNumeric;
			json->val.numeric = int64_to_numeric(DatumGetInt32(value));
			return;
		case PGES_DATA:
		case PGES_METADATA:
			JsonbToJsonbValue(DatumGetJsonbP(value), json);
			return;
		case PGES_OCCURRED_AT:
			json->val.string.val = JsonEncodeDateTime(palloc(MAXDATELEN + 1), value,
													  TIMESTAMPTZOID, NULL);
			json->val.string.len = strlen(json->val.string.val);
			return;
		default:
			json->val.string.val = VARDATA_ANY(DatumGetTextPP(value));
			json->val.string.len = VARSIZE_ANY_EXHDR(DatumGetTextPP(value));
			return;
	}
}

/*
 * Return an event as a JSON object, without its position and without null keys.  Raise an
 * error if the event is too large for one JSON object (event_size.c).
 */
Jsonb *
pges_event_json(HeapTuple row, TupleDesc desc)
{
	PgesJsonBuilder builder = {0};
	PgesEvent	event = {0};
	Datum		values[PGES_NUM_COLUMNS];
	bool		nulls[PGES_NUM_COLUMNS];

	for (PgesColumn column = PGES_EVENT_ID; column < PGES_NUM_COLUMNS; column++)
	{
		values[column] = SPI_getbinval(row, desc, column + 1, &nulls[column]);
		if (nulls[column] || pges_columns[column].offset == 0)
			continue;
		values[column] = PointerGetDatum(PG_DETOAST_DATUM(values[column]));
		*pges_event_pointer(&event, column) = DatumGetPointer(values[column]);
	}
	pges_check_size(&event);
	pges_json_push_compat(&builder, WJB_BEGIN_OBJECT, NULL);
	for (PgesColumn column = PGES_EVENT_ID; column < PGES_NUM_COLUMNS; column++)
	{
		JsonbValue	json;

		if (nulls[column])
			continue;
		add_key(&builder, column);
		make_value(column, values[column], &json);
		pges_json_push_compat(&builder, WJB_VALUE, &json);
	}
	pges_json_push_compat(&builder, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(builder.result);
}
