/*
 * tombstone.c
 *		The tombstone: the JSON in place of the data and metadata of an erased event.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "table/table.h"

/* Return the tombstone. */
Jsonb *
pges_tombstone(void)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{\"erased\": true}")));
}

/* The number of bytes of the tombstone. */
static Size
tombstone_size(void)
{
	static Size size = 0;		/* lives as long as the backend */

	if (size == 0)
		size = VARSIZE(pges_tombstone());
	return size;
}

/*
 * Return whether a value of type jsonb is the tombstone.  Any other size rules it out
 * without reading the value, which may be long and stored out of line.
 */
bool
pges_is_tombstone(Datum json)
{
	return toast_raw_datum_size(json) == tombstone_size() &&
		compareJsonbContainers(&DatumGetJsonbP(json)->root, &pges_tombstone()->root) == 0;
}

PG_FUNCTION_INFO_V1(pges_is_erased);

/* SQL: return whether the metadata of an event show that it is erased. */
Datum
pges_is_erased(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) && pges_is_tombstone(PG_GETARG_DATUM(0)));
}
