/*
 * look_up.c
 *		Looks up the last events of the aggregates of a batch: step 2 of an append.
 *
 * For a plain store (insert_direct.c), a version is read from the index on aggregate and
 * version.  For any other store, a statement reads it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "append/append_steps.h"
#include "event/event.h"
#include "store/store.h"
#include "table/table.h"

const PgesStatement pges_version_statement = {
	"SELECT aggregate_version, aggregate_type FROM %1$s "
	"WHERE aggregate_id OPERATOR(pg_catalog.=) $1 "
	"ORDER BY aggregate_version DESC LIMIT 1",
	1, {TEXTOID}
};

/* A table in which versions are looked up. */
typedef struct Lookup
{
	Relation	rel;
	Relation	index;			/* on aggregate and version */
	const AttrNumber *attnums;
	Snapshot	snapshot;
	SysScanDesc scan;			/* NULL before the first look-up */
} Lookup;

/* Look up an aggregate's last event by a statement; keep 0 and NULL if it has none. */
static void
look_up_by_statement(const PgesStore *store, const PgesBatch *batch, PgesAggregate *aggregate)
{
	Datum		id = PointerGetDatum(aggregate->id);

	if (!pges_fetch_one_now(store, pges_scope_of_all(store), &pges_version_statement, &id))
		return;
	aggregate->version = pges_found_int32(1);
	aggregate->type = pges_found_text(batch->context, 2);
	aggregate->position = PG_INT64_MAX; /* the user may not be allowed to read
										 * it */
	SPI_freetuptable(SPI_tuptable);
}

/* Copy the version, type and position of an aggregate from the row of its last event. */
static void
copy_version(const Lookup *lookup, const PgesBatch *batch, PgesAggregate *aggregate,
			 HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(lookup->rel);
	MemoryContext caller = MemoryContextSwitchTo(batch->context);
	bool		isnull;
	Datum		type = heap_getattr(tuple, lookup->attnums[PGES_AGGREGATE_TYPE], desc, &isnull);

	aggregate->type = isnull ? NULL : DatumGetTextPCopy(type);
	aggregate->version = DatumGetInt32(heap_getattr(tuple, lookup->attnums[PGES_AGGREGATE_VERSION],
													desc, &isnull));
	aggregate->position = DatumGetInt64(heap_getattr(tuple, lookup->attnums[PGES_POSITION],
													 desc, &isnull));
	MemoryContextSwitchTo(caller);
}

/*
 * Return the lowest version of an aggregate for which the batch has no conflict, or
 * PG_INT32_MIN if that version is unknown.
 */
static int32
least_version(const PgesBatch *batch, const PgesAggregate *aggregate)
{
	int32		given = aggregate->nevents == 0 ? 0 :
		batch->events[aggregate->first_event].given_version;

	if (aggregate->expected_given)
		return aggregate->expected;
	return given > 0 ? given - 1 : PG_INT32_MIN;
}

/*
 * Return the last event of an aggregate, or NULL if no event has version "least" or a
 * later version: the index is not read below "least".  The first call begins the scan.
 * The index may have another collation and order than create_store() gives it.
 */
static HeapTuple
find_last(Lookup *lookup, const PgesAggregate *aggregate, int32 least)
{
	bool		descending = (lookup->index->rd_indoption[1] & INDOPTION_DESC) != 0;
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], lookup->attnums[PGES_AGGREGATE_ID], BTEqualStrategyNumber,
				F_TEXTEQ, PointerGetDatum(aggregate->id));
	keys[0].sk_collation = lookup->index->rd_indcollation[0];
	ScanKeyInit(&keys[1], lookup->attnums[PGES_AGGREGATE_VERSION], BTGreaterEqualStrategyNumber,
				F_INT4GE, Int32GetDatum(least));
	if (lookup->scan == NULL)
		lookup->scan = systable_beginscan_ordered(lookup->rel, lookup->index, lookup->snapshot,
												  2, keys);
	else
	{
		keys[0].sk_attno = 1;	/* of the index */
		keys[1].sk_attno = 2;
		index_rescan(lookup->scan->iscan, keys, 2, NULL, 0);
	}
	return systable_getnext_ordered(lookup->scan,
									descending ? ForwardScanDirection : BackwardScanDirection);
}

/*
 * Look up the version and type of an aggregate in one table.  If the aggregate was found
 * in another table, search only for a later version.
 */
static void
look_up(Lookup *lookup, const PgesBatch *batch, PgesAggregate *aggregate)
{
	bool		known = aggregate->version > 0;
	int32		least = known ? aggregate->version : least_version(batch, aggregate);
	HeapTuple	tuple = find_last(lookup, aggregate, least);

	if (!HeapTupleIsValid(tuple) && least > 0 && !known)
		tuple = find_last(lookup, aggregate, PG_INT32_MIN);
	if (HeapTupleIsValid(tuple))
		copy_version(lookup, batch, aggregate, tuple);
}

/*
 * Look up the versions and types of a batch's aggregates in one table, by its
 * index on aggregate and version.
 */
static void
look_up_in(const PgesTable *table, LOCKMODE table_lock, LOCKMODE index_lock,
		   Snapshot snapshot, const PgesBatch *batch)
{
	Lookup		lookup = {
		.rel = table_open(table->relid, table_lock),
		.index = index_open(table->indexes[PGES_KEY_VERSION], index_lock),
		.attnums = table->attnums,
		.snapshot = snapshot
	};

	for (int i = 0; i < batch->naggregates; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (batch->aggregates[i].id != NULL)
			look_up(&lookup, batch, &batch->aggregates[i]);
	}
	if (lookup.scan != NULL)
		systable_endscan_ordered(lookup.scan);
	index_close(lookup.index, NoLock);
	table_close(lookup.rel, NoLock);
}

/*
 * Look up the versions and types of a batch's aggregates in the store and its archive,
 * under one snapshot of now.  The caller has locked the table for the INSERT that
 * follows.  The lock on the index has the mode in which the INSERT locks it.
 */
static void
direct_versions(const PgesStore *store, PgesBatch *batch)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	look_up_in(&store->live, NoLock, RowExclusiveLock, snapshot, batch);
	if (OidIsValid(store->archive.relid))
		look_up_in(&store->archive, AccessShareLock, AccessShareLock, snapshot, batch);
	UnregisterSnapshot(snapshot);
}

/* Look up the versions and types of a batch's aggregates; 0 and NULL without events. */
void
pges_look_up_aggregates(const PgesStore *store, PgesBatch *batch)
{
	if (batch->direct)
		direct_versions(store, batch);
	for (int i = 0; i < batch->naggregates && !batch->direct; i++)
	{
		if (batch->aggregates[i].id)
			look_up_by_statement(store, batch, &batch->aggregates[i]);
	}
}
