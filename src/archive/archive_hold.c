/*
 * archive_hold.c
 *		Keeps the holds of stores: table eventstore.archive_holds.
 *
 * A hold is a name and a position.  Events up to the position may be archived, events
 * after it may not.  A role that may read a store may set a hold, for example for a
 * reader of the log that has not read the later events yet.
 *
 * Column "store" is of type regstore.  A dump may contain holds without their stores, and
 * an unknown store must not abort the restore of all holds.  A trigger skips such a row.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "archive/archive.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "read/read.h"
#include "store/store.h"

#define HOLDS_STORE 1
#define HOLDS_NAME 2
#define HOLDS_POSITION 3

static const PgesOwnTable archive_holds = {
	"archive_holds", 3, {{"store", InvalidOid}, {"name", TEXTOID}, {"position", INT8OID}}
};

/* Return the lowest position of the holds of a store, or PG_INT64_MAX for none. */
int64
pges_lowest_hold(Oid store)
{
	Relation	rel = pges_open_own_table(&archive_holds, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	int64		lowest = PG_INT64_MAX;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, HOLDS_STORE, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(store));
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		position = heap_getattr(tuple, HOLDS_POSITION, RelationGetDescr(rel), &isnull);

		if (!isnull)
			lowest = Min(lowest, DatumGetInt64(position));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return lowest;
}

/* Write the holds of a store by a statement, with its first "nargs" of the parameters. */
static void
write_holds(const char *statement, int nargs, Oid store, Datum name, Datum position)
{
	Oid			types[] = {REGCLASSOID, TEXTOID, INT8OID};
	Datum		values[] = {ObjectIdGetDatum(store), name, position};

	(void) pges_write_own_table(&archive_holds, statement, nargs, types, values, NULL);
}

/* Delete the holds of a store that is being created or dropped. */
void
pges_forget_holds(Oid store)
{
	write_holds("DELETE FROM eventstore.archive_holds WHERE store OPERATOR(pg_catalog.=) $1",
				1, store, (Datum) 0, (Datum) 0);
}

PG_FUNCTION_INFO_V1(pges_skip_lost_hold);

/* Trigger, before INSERT, for each row: skip a hold whose store does not exist. */
Datum
pges_skip_lost_hold(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	bool		isnull;
	Datum		store;
	Datum		name;

	pges_require_trigger(fcinfo, "skip_lost_hold",
						 CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BEFORE(trigdata->tg_event) &&
						 TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) &&
						 TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
						 RelationGetRelid(trigdata->tg_relation) == pges_own_table_oid(&archive_holds, true),
						 "table eventstore.archive_holds", NULL);
	desc = RelationGetDescr(trigdata->tg_relation);
	store = heap_getattr(trigdata->tg_trigtuple, HOLDS_STORE, desc, &isnull);
	if (isnull || OidIsValid(DatumGetObjectId(store)))
		return PointerGetDatum(trigdata->tg_trigtuple);
	name = heap_getattr(trigdata->tg_trigtuple, HOLDS_NAME, desc, &isnull);
	ereport(WARNING,
			(errmsg("skipping archive hold \"%s\" of a store that does not exist",
					isnull ? "" : TextDatumGetCString(name))));
	return PointerGetDatum(NULL);
}

PG_FUNCTION_INFO_V1(pges_set_archive_hold);

/* SQL: write a hold of a store, or delete the hold if the position is null. */
Datum
pges_set_archive_hold(PG_FUNCTION_ARGS)
{
	const PgesStore *store;

	PreventCommandIfReadOnly("eventstore.set_archive_hold()");
	pges_require_argument(fcinfo, 0, "name");
	store = pges_readable_store_argument(fcinfo, 2);
	if (PG_ARGISNULL(1))
		write_holds("DELETE FROM eventstore.archive_holds WHERE store OPERATOR(pg_catalog.=) $1 "
					"AND name OPERATOR(pg_catalog.=) $2",
					2, store->live.relid, PG_GETARG_DATUM(0), (Datum) 0);
	else
	{
		pges_check_given(store, PG_GETARG_INT64(1));
		write_holds("INSERT INTO eventstore.archive_holds AS h (store, name, position) VALUES ($1, $2, $3) "
					"ON CONFLICT (store, name) DO UPDATE SET position = EXCLUDED.position",
					3, store->live.relid, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
	}
	PG_RETURN_VOID();
}
