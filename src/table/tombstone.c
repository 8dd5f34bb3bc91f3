/*
 * tombstone.c
 *		What stands in place of the data and metadata of an event that was erased.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "table/table.h"

/* The tombstone. */
Jsonb *
pges_tombstone(void)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{\"erased\": true}")));
}

/* Whether a JSON value is the tombstone. */
bool
pges_is_tombstone(Jsonb *json)
{
	return compareJsonbContainers(&json->root, &pges_tombstone()->root) == 0;
}
