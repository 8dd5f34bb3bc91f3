/*
 * tombstone.c
 *		The tombstone: the JSON in place of the data and metadata of an erased event.
 *
 * An application may store such JSON itself.  An event with the tombstone in both columns
 * counts as erased.  If redact_event() was called with new data, only the metadata is the
 * tombstone.  Such an event counts as erased if the call was recorded.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/own_object.h"
#include "table/table.h"

#define ERASURES_STORE 5
#define ERASURES_AGGREGATE_ID 7
#define ERASURES_EVENT_ID 8

static const PgesOwnTable erasures = {
	"erasures", 8,
	{
		{"erasure_id", VARCHAROID},
		{"erased_at", TIMESTAMPTZOID},
		{"erased_by", NAMEOID},
		{"session_role", NAMEOID},
		{"store", InvalidOid},
		{"store_name", TEXTOID},
		{"aggregate_id", TEXTOID},
		{"event_id", TEXTOID}
	}
};

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
 * Return whether a value of type jsonb is the tombstone.  A value of another size is not
 * read: it may be long and stored out of line.
 */
bool
pges_is_tombstone(Datum json)
{
	return toast_raw_datum_size(json) == tombstone_size() &&
		compareJsonbContainers(&DatumGetJsonbP(json)->root, &pges_tombstone()->root) == 0;
}

/* Return whether there is a record that an event of a store was redacted. */
bool
pges_was_redacted(Oid store, const text *event_id)
{
	Relation	rel = pges_open_own_table(&erasures, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&keys[0], ERASURES_STORE, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(store));
	ScanKeyInit(&keys[1], ERASURES_EVENT_ID, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(event_id));
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, lengthof(keys), keys);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return found;
}

/* Return the index of the records on the aggregate, or InvalidOid; a scan needs none. */
static Oid
index_on_aggregate(Relation rel)
{
	return get_relname_relid("erasures_aggregate", RelationGetNamespace(rel));
}

/*
 * Return when an aggregate was erased, compared with the time at which "xmin" was the
 * oldest transaction that was running; without a valid xmin, every erasure counts as since.
 * An erasure that ended while an older transaction was running counts as since, too.
 */
PgesErased
pges_when_erased(Oid store, const text *aggregate_id, TransactionId xmin)
{
	Relation	rel = pges_open_own_table(&erasures, AccessShareLock);
	Oid			index = index_on_aggregate(rel);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PgesErased	result = PGES_NEVER_ERASED;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;
	bool		isnull;

	ScanKeyEntryInitialize(&key, 0, ERASURES_AGGREGATE_ID, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID,
						   F_TEXTEQ, PointerGetDatum(aggregate_id));
	scan = systable_beginscan(rel, index, OidIsValid(index), snapshot, 1, &key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		if (DatumGetObjectId(heap_getattr(row, ERASURES_STORE, RelationGetDescr(rel), &isnull)) != store)
			continue;
		if (!TransactionIdIsValid(xmin) ||
			(!HeapTupleHeaderXminFrozen(row->t_data) &&
			 !TransactionIdPrecedes(HeapTupleHeaderGetXmin(row->t_data), xmin)))
			result = PGES_ERASED_SINCE;
		else if (result == PGES_NEVER_ERASED)
			result = PGES_ERASED_BEFORE;
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return result;
}

PG_FUNCTION_INFO_V1(pges_is_erased);

/* SQL: return whether the metadata of an event show that it is erased. */
Datum
pges_is_erased(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) && pges_is_tombstone(PG_GETARG_DATUM(0)));
}
