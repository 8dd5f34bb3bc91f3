/*
 * archive_table.c
 *		Reads and writes tables eventstore.archives and
 *		eventstore.archive_holds.
 *
 * A row of the first links a store to its archive.  It is part of the store's
 * description, so whoever writes it invalidates the store's relcache entry: a
 * trigger does so for SQL, and pges_write_archive_row() for the functions here,
 * which write with the rights of the extension.  A row whose store or archive
 * was dropped is as good as none.
 *
 * Rows are read as those of catalogs, under a snapshot of now.  Their writers hold the lock of
 * pges_lock_archiving().
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "archive.h"

/* The columns of eventstore.archives. */
#define ARCHIVES_STORE 1
#define ARCHIVES_ARCHIVE 2
#define ARCHIVES_MAX_AGE 3
#define ARCHIVES_MAX_COUNT 4
#define ARCHIVES_COLUMNS 4

/* The columns of eventstore.archive_holds. */
#define HOLDS_STORE 1
#define HOLDS_POSITION 3

/* A scan of one of the tables for the rows of a store. */
typedef struct RowScan
{
	Relation	rel;			/* NULL while the extension is being created */
	ScanKeyData key;
	SysScanDesc scan;
	LOCKMODE	mode;
} RowScan;

/* Begin a scan for the rows of a store; the store is the first column. */
static void
begin_scan(RowScan *scan, const char *table, Oid store, LOCKMODE mode)
{
	Oid			schema = get_namespace_oid("eventstore", true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid(table, schema) : InvalidOid;

	StaticAssertStmt(ARCHIVES_STORE == HOLDS_STORE, "the store is the first column");
	scan->rel = OidIsValid(relid) ? table_open(relid, mode) : NULL;
	scan->mode = mode;
	if (scan->rel == NULL)
		return;
	ScanKeyInit(&scan->key, ARCHIVES_STORE, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(store));
	scan->scan = systable_beginscan(scan->rel, RelationGetReplicaIndex(scan->rel), true,
									NULL, 1, &scan->key);
}

/* The next row of a scan, or NULL. */
static HeapTuple
next_row(RowScan *scan)
{
	return scan->rel ? systable_getnext(scan->scan) : NULL;
}

/* End a scan.  A lock to write with is kept until the transaction ends. */
static void
end_scan(RowScan *scan)
{
	if (scan->rel == NULL)
		return;
	systable_endscan(scan->scan);
	table_close(scan->rel, scan->mode == AccessShareLock ? AccessShareLock : NoLock);
}

/* Copy the columns of a row of eventstore.archives. */
static void
read_columns(HeapTuple tuple, TupleDesc desc, PgesArchiveRow *row)
{
	bool		isnull;
	Datum		value;

	row->archive = DatumGetObjectId(heap_getattr(tuple, ARCHIVES_ARCHIVE, desc, &isnull));
	if (isnull)
		row->archive = InvalidOid;
	value = heap_getattr(tuple, ARCHIVES_MAX_AGE, desc, &isnull);
	if (!isnull)
	{
		row->max_age = palloc(sizeof(Interval));
		*row->max_age = *DatumGetIntervalP(value);
	}
	row->max_count = DatumGetInt32(heap_getattr(tuple, ARCHIVES_MAX_COUNT, desc, &isnull));
	if (isnull)
		row->max_count = 0;
	row->is_new = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

/*
 * Read the row of a store in eventstore.archives; false when there is none.  An
 * archive that was dropped is left out.
 */
bool
pges_read_archive_row(Oid store, PgesArchiveRow *row)
{
	RowScan		scan;
	HeapTuple	tuple;

	memset(row, 0, sizeof(PgesArchiveRow));
	row->store = store;
	begin_scan(&scan, "archives", store, AccessShareLock);
	tuple = next_row(&scan);
	if (HeapTupleIsValid(tuple))
		read_columns(tuple, RelationGetDescr(scan.rel), row);
	end_scan(&scan);
	if (OidIsValid(row->archive) && get_rel_relkind(row->archive) != RELKIND_RELATION)
		row->archive = InvalidOid;
	return HeapTupleIsValid(tuple);
}

/* Write the row of a store in eventstore.archives. */
void
pges_write_archive_row(const PgesArchiveRow *row)
{
	Datum		values[ARCHIVES_COLUMNS] = {
		ObjectIdGetDatum(row->store), ObjectIdGetDatum(row->archive),
		PointerGetDatum(row->max_age), Int32GetDatum(row->max_count)
	};
	bool		nulls[ARCHIVES_COLUMNS] = {
		false, !OidIsValid(row->archive), row->max_age == NULL, row->max_count == 0
	};
	RowScan		scan;
	HeapTuple	present;
	HeapTuple	tuple;

	begin_scan(&scan, "archives", row->store, RowExclusiveLock);
	if (scan.rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table eventstore.archives does not exist")));
	present = next_row(&scan);
	tuple = heap_form_tuple(RelationGetDescr(scan.rel), values, nulls);
	if (HeapTupleIsValid(present))
		CatalogTupleUpdate(scan.rel, &present->t_self, tuple);
	else
		CatalogTupleInsert(scan.rel, tuple);
	end_scan(&scan);
	CacheInvalidateRelcacheByRelid(row->store);
	CommandCounterIncrement();
}

/* Delete the rows of a store in a table. */
static void
delete_rows(const char *table, Oid store)
{
	RowScan		scan;
	HeapTuple	tuple;

	begin_scan(&scan, table, store, RowExclusiveLock);
	while (HeapTupleIsValid(tuple = next_row(&scan)))
		CatalogTupleDelete(scan.rel, &tuple->t_self);
	end_scan(&scan);
}

/*
 * Forget all about the archive of a store, for whoever creates or drops the
 * store.  It is locked, so nobody writes the rows.
 */
void
pges_forget_archive(Oid store)
{
	delete_rows("archives", store);
	delete_rows("archive_holds", store);
	CacheInvalidateRelcacheByRelid(store);
	CommandCounterIncrement();
}

/*
 * Whether a table is the archive of a store that is still there.  What it was to
 * a store that is gone is forgotten.
 */
bool
pges_is_archive(Oid relid)
{
	Oid			schema = get_namespace_oid("eventstore", false);
	Relation	rel = table_open(get_relname_relid("archives", schema), RowExclusiveLock);
	TupleDesc	desc = RelationGetDescr(rel);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			store = DatumGetObjectId(heap_getattr(tuple, ARCHIVES_STORE, desc, &isnull));
		Oid			archive = DatumGetObjectId(heap_getattr(tuple, ARCHIVES_ARCHIVE, desc, &isnull));

		if (isnull || archive != relid)
			continue;
		found = get_rel_relkind(store) != '\0';
		if (!found)
			CatalogTupleDelete(rel, &tuple->t_self);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	return found;
}

/*
 * The lowest position that holds the archiving of a store back, or
 * PG_INT64_MAX.
 */
int64
pges_lowest_hold(Oid store)
{
	int64		lowest = PG_INT64_MAX;
	RowScan		scan;
	HeapTuple	tuple;

	begin_scan(&scan, "archive_holds", store, AccessShareLock);
	while (HeapTupleIsValid(tuple = next_row(&scan)))
	{
		bool		isnull;

		lowest = Min(lowest, DatumGetInt64(heap_getattr(tuple, HOLDS_POSITION,
														RelationGetDescr(scan.rel), &isnull)));
	}
	end_scan(&scan);
	return lowest;
}

PG_FUNCTION_INFO_V1(pges_archives_changed);

/*
 * Trigger, after any change of eventstore.archives, for each statement: makes
 * everybody describe the stores anew.
 */
Datum
pges_archives_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is a trigger of table eventstore.archives",
						"archives_changed")));
	CacheInvalidateRelcacheAll();
	return PointerGetDatum(NULL);
}

/*
 * The description of a store whose archive, if it has one, is locked, so that it
 * stays what it is, and keeps its name, until the transaction ends.  Whoever drops
 * it just now is waited for, and then there is none.
 */
const PgesStore *
pges_hold_archive(Oid relid)
{
	const PgesStore *store = pges_store(relid);
	Oid			held = InvalidOid;

	while (store->archive.relid != held)
	{
		held = store->archive.relid;
		if (OidIsValid(held))
			LockRelationOid(held, AccessShareLock);
		store = pges_store(relid);
	}
	return store;
}

/* Raise unless the archive of a store is there, and has its shape. */
void
pges_require_archive(const PgesStore *store)
{
	Relation	rel;

	if (store->archive.complete)
		return;
	rel = pges_open_table(store->archive.relid);
	pges_check_archive(rel);
	relation_close(rel, AccessShareLock);
}
