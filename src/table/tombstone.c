/*
 * tombstone.c
 *		The tombstone: the JSON in place of the data and metadata of an erased event.
 */
#include "postgres.h"

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

/* Return whether a JSON value is the tombstone. */
bool
pges_is_tombstone(Jsonb *json)
{
	return compareJsonbContainers(&json->root, &pges_tombstone()->root) == 0;
}
