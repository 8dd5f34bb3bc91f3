/*
 * import_row.c
 *		Reads events from the rows of an import.
 *
 * The columns of a row have the names of an event's columns, or one column holds a whole
 * event as JSON.  A value is converted only if the conversion is lossless and depends on
 * no setting of the session.  Other types are rejected; the query can cast them
 * explicitly.
 *
 *	ids, types		text of any kind, enums, uuid, exact numbers
 *	occurred_at		timestamptz; text of any kind, as in JSON (read_time.c)
 *	versions, lines	numbers, and text of any kind, if it is a whole number
 *	data, metadata	json, jsonb, exact numbers; text of any kind, which is parsed as JSON
 *
 * "Text of any kind" means the types of PostgreSQL's string category.  The padding of
 * type character(n) is removed.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/text.h"
#include "event/event.h"
#include "transfer/import_row.h"

/* The column with a whole event as JSON, and the column with the origin of a row. */
#define EVENT_COLUMN "event"
#define LINE_COLUMN "line"

/* Return the column of an event with a name.  Raise an error if there is none. */
static PgesColumn
column_of(const char *name)
{
	PgesColumn	column = pges_column_of_name(name, strlen(name));
	PgesColumn	meant = pges_column_like(name, strlen(name));

	if (column != PGES_NUM_COLUMNS)
		return column;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" is not a column of an event", name),
			 errdetail("The columns of the rows to import are those of an event, or \"%s\" with a whole event as JSON, and \"%s\".",
					   EVENT_COLUMN, LINE_COLUMN),
			 meant < PGES_NUM_COLUMNS ? errhint("Name it \"%s\".", pges_column_name(meant)) :
			 errhint("Name the columns of the query, or leave some out.")));
}

/*
 * Record which value of an event a column has.  Raise an error if the column is unknown
 * or a duplicate.
 */
static void
note_column(PgesImportRow *row, int number)
{
	const char *name = NameStr(TupleDescAttr(row->desc, number - 1)->attname);
	int		   *place;

	if (strcmp(name, EVENT_COLUMN) == 0)
		place = &row->event_column;
	else if (strcmp(name, LINE_COLUMN) == 0)
		place = &row->line_column;
	else
		place = &row->columns[column_of(name)];
	if (*place > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column \"%s\" occurs twice in the rows to import", name)));
	*place = number;
}

/* Raise an error if a column is missing that rows without a column "event" need. */
static void
require_column(const PgesImportRow *row, PgesColumn column)
{
	if (row->event_column == 0 && row->columns[column] == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("rows to import need a column \"%s\" or \"%s\"",
						pges_column_name(column), EVENT_COLUMN)));
}

/* Raise an error if the rows have events as JSON, and keys of events as columns. */
static void
check_event_column(const PgesImportRow *row)
{
	for (PgesColumn column = PGES_EVENT_ID; column < PGES_NUM_COLUMNS; column++)
	{
		if (row->event_column > 0 && row->columns[column] > 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" cannot be combined with column \"%s\" in the rows to import",
							pges_column_name(column), EVENT_COLUMN),
					 errdetail("Column \"%s\" holds whole events.", EVENT_COLUMN)));
	}
}

/* Record the columns of the rows.  Raise an error if they do not make an event. */
void
pges_note_columns(PgesImportRow *row, TupleDesc desc)
{
	row->desc = desc;
	row->types = palloc0(sizeof(Oid) * desc->natts);
	row->values = palloc(sizeof(Datum) * desc->natts);
	row->nulls = palloc(sizeof(bool) * desc->natts);
	for (int i = 1; i <= desc->natts; i++)
	{
		if (TupleDescAttr(desc, i - 1)->attisdropped)
			continue;
		row->types[i - 1] = getBaseType(SPI_gettypeid(desc, i));
		note_column(row, i);
	}
	check_event_column(row);
	require_column(row, PGES_EVENT_TYPE);
	require_column(row, PGES_DATA);
}

/* Return whether a type is text of any kind. */
static bool
is_string(Oid type)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_STRING || type == UNKNOWNOID;
}

/* Return whether a type is a number whose text is exact under all settings. */
static bool
is_exact_number(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID || type == NUMERICOID;
}

/* Return what to do about a column of a type that cannot be imported. */
static const char *
hint_for_type(const char *column, Oid type, Oid wanted)
{
	if (wanted == JSONBOID)
		return "Make it JSON: to_jsonb(...).";
	if (wanted == TEXTOID && (type == JSONOID || type == JSONBOID))
		return "Take its text by the operator ->> instead of ->.";
	if (wanted == TIMESTAMPTZOID && type == TIMESTAMPOID)
		return psprintf("Name its time zone: %s AT TIME ZONE 'UTC'.", column);
	if (wanted == TIMESTAMPTZOID && type == DATEOID)
		return psprintf("Name its time zone: %s::timestamp AT TIME ZONE 'UTC'.", column);
	return psprintf("Cast it to %s.", format_type_be(wanted));
}

/* Raise the error that a column of this type cannot be imported. */
static void
report_type(const PgesImportRow *row, int number, Oid wanted)
{
	const char *column = NameStr(TupleDescAttr(row->desc, number - 1)->attname);
	Oid			type = row->types[number - 1];
	bool		has_no_zone = wanted == TIMESTAMPTZOID && (type == TIMESTAMPOID || type == DATEOID);

	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of the rows to import cannot be of type %s",
					column, format_type_be(SPI_gettypeid(row->desc, number))),
			 has_no_zone ? errdetail("The time would depend on the time zone of the session.") : 0,
			 errhint("%s", hint_for_type(column, type, wanted))));
}

/*
 * Get a value of the current row, to be converted.  Return false if it is null or there is
 * no such column.  Until end_value(), the CONTEXT of errors names the column.
 */
static bool
begin_value(PgesImportRow *row, int number, Datum *value)
{
	if (number == 0 || row->nulls[number - 1])
		return false;
	row->reading = number;
	*value = row->values[number - 1];
	return true;
}

/* End the conversion of a value. */
static void
end_value(PgesImportRow *row)
{
	row->reading = 0;
}

/* Return a value as text. */
static text *
as_text(Oid type, Datum value)
{
	Oid			function;
	bool		isvarlena;

	if (type == TEXTOID || type == VARCHAROID)
		return DatumGetTextPP(value);
	if (type == BPCHAROID)
		return DatumGetTextPP(DirectFunctionCall1(rtrim1, value));
	getTypeOutputInfo(type, &function, &isvarlena);
	return cstring_to_text(OidOutputFunctionCall(function, value));
}

/* Return a column of the current row as text; NULL if it is null or missing. */
static text *
row_text(PgesImportRow *row, int number)
{
	Datum		value;
	Oid			type;
	text	   *result;

	if (!begin_value(row, number, &value))
		return NULL;
	type = row->types[number - 1];
	if (!is_string(type) && !is_exact_number(type) && type != UUIDOID && !type_is_enum(type))
		report_type(row, number, TEXTOID);
	result = as_text(type, value);
	end_value(row);
	return result;
}

/* Return a column of the current row as JSON; NULL if it is null or missing. */
static Jsonb *
row_json(PgesImportRow *row, int number)
{
	Datum		value;
	Oid			type;

	if (!begin_value(row, number, &value))
		return NULL;
	type = row->types[number - 1];
	if (type != JSONBOID && type != JSONOID && !is_string(type) && !is_exact_number(type))
		report_type(row, number, JSONBOID);
	if (type != JSONBOID)
		value = DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(as_text(type, value))));
	end_value(row);
	return DatumGetJsonbP(value);
}

/* Set the time of an event to that in the current row, if it has one. */
static void
read_time(PgesImportRow *row, PgesEvent *event)
{
	int			number = row->columns[PGES_OCCURRED_AT];
	Datum		value;
	Oid			type;

	event->occurred_at_given = begin_value(row, number, &value);
	if (!event->occurred_at_given)
		return;
	type = row->types[number - 1];
	if (is_string(type))
	{
		text	   *given = as_text(type, value);

		event->occurred_at = pges_read_time(event->ordinal, VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given));
	}
	else if (type == TIMESTAMPTZOID)
		event->occurred_at = DatumGetTimestampTz(value);
	else
		report_type(row, number, TIMESTAMPTZOID);
	end_value(row);
}

/* Raise the error that the value of a column is not a whole number. */
static void
report_fraction(const PgesImportRow *row, const PgesEvent *event, int number)
{
	text	   *value = as_text(row->types[number - 1], row->values[number - 1]);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" of the rows to import must be a whole number",
					NameStr(TupleDescAttr(row->desc, number - 1)->attname)),
			 errdetail("In the row of event %d it is %s.", event->ordinal,
					   pges_shorten(text_to_cstring(value)))));
}

/*
 * Return a floating point number as an integer; raise an error if it is not whole.  A
 * conversion to numeric would round it to 6 or 15 digits.
 */
static int64
whole_float(const PgesImportRow *row, const PgesEvent *event, int number, double value)
{
	if (isnan(value) || isinf(value) || rint(value) != value)
		report_fraction(row, event, number);
	return DatumGetInt64(DirectFunctionCall1(dtoi8, Float8GetDatum(value)));
}

/* Return a number of any precision as an integer; raise an error if it is not whole. */
static int64
whole_numeric(const PgesImportRow *row, const PgesEvent *event, int number, Numeric value)
{
	bool		finite = !numeric_is_nan(value) && !numeric_is_inf(value);
	int64		result = finite ? DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value))) : 0;

	if (!finite || !DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(value),
													 NumericGetDatum(int64_to_numeric(result)))))
		report_fraction(row, event, number);
	return result;
}

/* Return the number in a text. */
static Numeric
numeric_of_text(text *value)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text_to_cstring(value)),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* Return a column of the current row as an integer; if_null if it is null or missing. */
static int64
row_integer(PgesImportRow *row, const PgesEvent *event, int number, Oid wanted, int64 if_null)
{
	Datum		value;
	Oid			type;
	int64		result;

	if (!begin_value(row, number, &value))
		return if_null;
	type = row->types[number - 1];
	switch (type)
	{
		case INT2OID:
			result = DatumGetInt16(value);
			break;
		case INT4OID:
			result = DatumGetInt32(value);
			break;
		case INT8OID:
			result = DatumGetInt64(value);
			break;
		case FLOAT4OID:
			result = whole_float(row, event, number, DatumGetFloat4(value));
			break;
		case FLOAT8OID:
			result = whole_float(row, event, number, DatumGetFloat8(value));
			break;
		case NUMERICOID:
			result = whole_numeric(row, event, number, DatumGetNumeric(value));
			break;
		default:
			if (!is_string(type))
				report_type(row, number, wanted);
			result = whole_numeric(row, event, number, numeric_of_text(as_text(type, value)));
			break;
	}
	end_value(row);
	return result;
}

/* Set the version of an event to that in the current row, if it has one. */
static void
read_version(PgesImportRow *row, PgesEvent *event)
{
	int			number = row->columns[PGES_AGGREGATE_VERSION];
	bool		given = number > 0 && !row->nulls[number - 1];
	int64		version = row_integer(row, event, number, INT4OID, 0);

	if (given && (version < 1 || version > PG_INT32_MAX))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key \"aggregate_version\" of an event must be a whole number from 1 to %d", PG_INT32_MAX),
				 errdetail("Key \"aggregate_version\" of event %d is " INT64_FORMAT ".",
						   event->ordinal, version)));
	event->given_version = (int32) version;
}

/* Read an event from the columns of the current row. */
static void
read_columns(PgesImportRow *row, PgesEvent *event)
{
	for (PgesColumn column = PGES_EVENT_ID; column < PGES_NUM_COLUMNS; column++)
	{
		int			number = row->columns[column];

		if (pges_columns[column].type == JSONBOID)
			*pges_event_pointer(event, column) = row_json(row, number);
		else if (pges_columns[column].offset > 0)
			*pges_event_pointer(event, column) = row_text(row, number);
	}
	read_version(row, event);
	read_time(row, event);
}

/* Read one row into an event, and set *line to its line, or 0 for none. */
void
pges_read_row(PgesImportRow *row, HeapTuple tuple, PgesEvent *event, int64 *line)
{
	heap_deform_tuple(tuple, row->desc, row->values, row->nulls);
	*line = row_integer(row, event, row->line_column, INT8OID, 0);
	if (row->event_column > 0)
		pges_event_from_json(event, row_json(row, row->event_column));
	else
		read_columns(row, event);
}
