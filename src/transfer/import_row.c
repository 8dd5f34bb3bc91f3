/*
 * import_row.c
 *		Reads events from the rows of an import.
 *
 * The columns of a row have the names of an event's columns, or one column holds a
 * whole event as JSON.  Values are converted as a cast in SQL does, but only by casts
 * that PostgreSQL itself provides.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

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

	if (column != PGES_NUM_COLUMNS)
		return column;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" is not a column of an event", name),
			 errdetail("The columns of the rows to import are those of an event, or \"%s\" with a whole event as JSON, and \"%s\".",
					   EVENT_COLUMN, LINE_COLUMN),
			 errhint("Name the columns of the query, or leave some out.")));
}

/* Note what a column of the rows is.  Raise an error if it is unknown or a duplicate. */
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

/* Note the columns of the rows.  Raise an error if they do not make an event. */
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
	if (row->event_column == 0 && row->columns[PGES_EVENT_TYPE] == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("rows to import need a column \"%s\" or \"%s\"",
						pges_column_name(PGES_EVENT_TYPE), EVENT_COLUMN)));
}

/* Raise the error that a column of this type cannot be imported. */
static void
report_type(const PgesImportRow *row, int number, Oid wanted)
{
	bool		json = wanted == JSONBOID;

	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of the rows to import cannot be of type %s",
					NameStr(TupleDescAttr(row->desc, number - 1)->attname),
					format_type_be(SPI_gettypeid(row->desc, number))),
			 json ? errhint("Make it JSON: to_jsonb(...).") :
			 errhint("Cast it to %s.", format_type_be(wanted))));
}

/* Return a value of the wanted type, converted by way of its text. */
static Datum
by_text(Datum value, Oid type, Oid wanted)
{
	Oid			function;
	Oid			ioparam;
	bool		isvarlena;
	char	   *string;

	getTypeOutputInfo(type, &function, &isvarlena);
	string = OidOutputFunctionCall(function, value);
	getTypeInputInfo(wanted, &function, &ioparam);
	return OidInputFunctionCall(function, string, ioparam, -1);
}

/*
 * Apply the function of a cast to a value, as an explicit cast in SQL does.  The second
 * argument of the function is a typmod, here none.  The third argument says that the
 * cast is explicit.  Return false if the result is null.
 */
static bool
by_function(Oid function, Datum *value)
{
	LOCAL_FCINFO(fcinfo, 3);
	FmgrInfo	flinfo;

	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, flinfo.fn_nargs, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = *value;
	fcinfo->args[1].value = Int32GetDatum(-1);
	fcinfo->args[2].value = BoolGetDatum(true);
	for (int i = 0; i < flinfo.fn_nargs; i++)
		fcinfo->args[i].isnull = false;
	*value = FunctionCallInvoke(fcinfo);
	return !fcinfo->isnull;
}

/*
 * Convert a value to the wanted type, as a cast in SQL does, but parse the text of the
 * value to get JSON.  Return false if the result is null.  Raise an error if the type
 * is not allowed.
 *
 * A cast that a user has created is rejected.  Its function may do anything with the
 * rights of the caller, and the caller knows of the cast only if the query names it.
 */
static bool
convert(const PgesImportRow *row, int number, Datum *value, Oid type, Oid wanted)
{
	char		category;
	bool		preferred;
	Oid			function = InvalidOid;
	CoercionPathType path = COERCION_PATH_COERCEVIAIO;

	get_type_category_preferred(type, &category, &preferred);
	if (wanted == TEXTOID && type == BPCHAROID)
	{
		*value = DirectFunctionCall1(rtrim1, *value);
		return true;
	}
	if (wanted == JSONBOID && type != UNKNOWNOID && type != JSONOID &&
		category != TYPCATEGORY_STRING && category != TYPCATEGORY_NUMERIC)
		report_type(row, number, wanted);
	if (wanted != TEXTOID && wanted != JSONBOID && type != UNKNOWNOID)
		path = find_coercion_pathway(wanted, type, COERCION_EXPLICIT, &function);
	if (path == COERCION_PATH_FUNC && function < FirstNormalObjectId)
		return by_function(function, value);
	if (path == COERCION_PATH_COERCEVIAIO)
		*value = by_text(*value, type, wanted);
	else if (path != COERCION_PATH_RELABELTYPE)
		report_type(row, number, wanted);
	return true;
}

/*
 * Convert the value of a column of the current row to the wanted type.  Return false if
 * the value is null or there is no such column.
 */
static bool
row_value(PgesImportRow *row, int number, Oid wanted, Datum *value)
{
	Oid			type;
	bool		found;

	if (number == 0 || row->nulls[number - 1])
		return false;
	*value = row->values[number - 1];
	type = row->types[number - 1];
	if (type == wanted || (wanted == TEXTOID && type == VARCHAROID))
		return true;
	row->reading = number;
	found = convert(row, number, value, type, wanted);
	row->reading = 0;
	return found;
}

/* Return the version in the current row, or 0 for none; raise an error if below 1. */
static int32
row_version(PgesImportRow *row, const PgesEvent *event)
{
	Datum		value;

	if (!row_value(row, row->columns[PGES_AGGREGATE_VERSION], INT4OID, &value))
		return 0;
	if (DatumGetInt32(value) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key \"aggregate_version\" of an event must be a whole number from 1 to %d", PG_INT32_MAX),
				 errdetail("Key \"aggregate_version\" of event %d is %d.",
						   event->ordinal, DatumGetInt32(value))));
	return DatumGetInt32(value);
}

/* Return a column of the current row as text or jsonb; NULL if it is null or missing. */
static void *
row_pointer(PgesImportRow *row, int number, Oid wanted)
{
	Datum		value;

	if (!row_value(row, number, wanted, &value))
		return NULL;
	return wanted == JSONBOID ? (void *) DatumGetJsonbP(value) : (void *) DatumGetTextPP(value);
}

/* Read an event from the columns of the current row. */
static void
read_columns(PgesImportRow *row, PgesEvent *event)
{
	Datum		value;

	for (PgesColumn column = PGES_EVENT_ID; column < PGES_NUM_COLUMNS; column++)
	{
		Oid			type = pges_columns[column].type == JSONBOID ? JSONBOID : TEXTOID;

		if (pges_columns[column].offset > 0)
			*pges_event_pointer(event, column) = row_pointer(row, row->columns[column], type);
	}
	event->given_version = row_version(row, event);
	event->occurred_at_given = row_value(row, row->columns[PGES_OCCURRED_AT],
										 TIMESTAMPTZOID, &value);
	if (event->occurred_at_given)
		event->occurred_at = DatumGetTimestampTz(value);
}

/* Read one row into an event, and set *line to its line, or 0 for none. */
void
pges_read_row(PgesImportRow *row, HeapTuple tuple, PgesEvent *event, int64 *line)
{
	Datum		value;

	heap_deform_tuple(tuple, row->desc, row->values, row->nulls);
	*line = row_value(row, row->line_column, INT8OID, &value) ? DatumGetInt64(value) : 0;
	if (row->event_column > 0)
		pges_event_from_json(event, row_pointer(row, row->event_column, JSONBOID));
	else
		read_columns(row, event);
}
