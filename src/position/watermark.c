/*
 * watermark.c
 *		The watermarks: rows of table eventstore.watermarks.  The watermark of a store
 *		limits how far standbys and subscribers read the store, and records the mark
 *		that the notifier has announced.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/act_as.h"
#include "base/compat.h"
#include "base/own_object.h"
#include "position/position.h"

/* The columns of eventstore.watermarks. */
#define WATERMARK_STORE 1
#define WATERMARK_POSITION 2
#define WATERMARK_ANNOUNCED 4

static const PgesOwnTable watermarks_table = {
	"watermarks", 4,
	{
		{"store", REGCLASSOID},
		{"position", INT8OID},
		{"updated_at", TIMESTAMPTZOID},
		{"announced", INT8OID}
	}
};

/* Return the OID of eventstore.watermarks; if it is missing, InvalidOid or an error. */
Oid
pges_watermarks_table(bool missing_ok)
{
	return pges_own_table_oid(&watermarks_table, missing_ok);
}

/*
 * Return a copy of the row of a store as of now, or NULL if there is none.  Raise an error
 * if the table has no primary key.  The index is scanned backwards: if an old snapshot
 * keeps many dead versions of the row, the newest version is the last one.
 */
static HeapTuple
find_watermark(Relation rel, Oid store)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Oid			indexid = pges_primary_key_compat(rel);
	Relation	index;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(indexid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table eventstore.watermarks has no primary key"),
				 errhint("Create extension pg_eventstore again.")));
	index = index_open(indexid, AccessShareLock);
	ScanKeyInit(&key, WATERMARK_STORE, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(store));
	scan = systable_beginscan_ordered(rel, index, snapshot, 1, &key);
	tuple = heap_copytuple(systable_getnext_ordered(scan, BackwardScanDirection));
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	UnregisterSnapshot(snapshot);
	return tuple;
}

/*
 * Read the watermark of a store as of now; return false if there is none.  If "wait" is
 * false, return false also if another session has locked the table.  An unlogged store has
 * no watermark, because after a crash its sequence would start again below the watermark.
 */
bool
pges_read_watermark(Oid store, bool wait, PgesWatermark *watermark)
{
	Relation	rel;
	HeapTuple	tuple;
	bool		isnull;

	memset(watermark, 0, sizeof(PgesWatermark));
	if (get_rel_persistence(store) != RELPERSISTENCE_PERMANENT)
		return false;
	rel = wait ? pges_open_own_table(&watermarks_table, AccessShareLock) :
		pges_try_open_own_table(&watermarks_table, AccessShareLock);
	if (rel == NULL)
		return false;
	tuple = find_watermark(rel, store);
	if (HeapTupleIsValid(tuple))
	{
		watermark->tid = tuple->t_self;
		watermark->position = DatumGetInt64(heap_getattr(tuple, WATERMARK_POSITION,
														 RelationGetDescr(rel), &isnull));
		watermark->announced = DatumGetInt64(heap_getattr(tuple, WATERMARK_ANNOUNCED,
														  RelationGetDescr(rel), &isnull));
		heap_freetuple(tuple);
	}
	table_close(rel, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

/*
 * Delete the watermark of a store that the caller creates or drops, and has locked.  The
 * notifier may be writing the row without a lock on the store: wait for its commit.
 */
void
pges_forget_watermark(Oid store)
{
	Relation	rel = pges_open_own_table(&watermarks_table, RowExclusiveLock);
	LOCKTAG		tag;
	HeapTuple	tuple;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, store, 0, PGES_LOCK_WATERMARK);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	tuple = find_watermark(rel, store);
	if (HeapTupleIsValid(tuple))
		simple_heap_delete(rel, &tuple->t_self);
	table_close(rel, NoLock);
}

/* Update or insert the row of a store by SPI; return false if no row was written. */
static bool
store_watermark(Oid store, const PgesWatermark *present, int64 mark, int64 last,
				PgesWatermarkWriter writer)
{
	static const char update[] =
		"UPDATE eventstore.watermarks SET "
		"position = CASE WHEN position OPERATOR(pg_catalog.>) $3 THEN $2 ELSE GREATEST(position, $2) END, "
		"announced = CASE WHEN $4 THEN $2 ELSE announced END, "
		"updated_at = pg_catalog.clock_timestamp() "
		"WHERE ctid OPERATOR(pg_catalog.=) ("
		"SELECT w.ctid FROM eventstore.watermarks w "
		"WHERE %s w.store OPERATOR(pg_catalog.=) $1 FOR UPDATE %s)";
	static const char insert[] =
		"INSERT INTO eventstore.watermarks (store, position, announced, updated_at) "
		"VALUES ($1, $2, CASE WHEN $4 THEN $2 ELSE 0 END, pg_catalog.clock_timestamp()) "
		"ON CONFLICT DO NOTHING";
	bool		by_notifier = writer == PGES_BY_NOTIFIER;
	Oid			types[] = {OIDOID, INT8OID, INT8OID, BOOLOID, TIDOID};
	ItemPointerData tid = present ? present->tid : (ItemPointerData) {0};
	Datum		values[] = {ObjectIdGetDatum(store), Int64GetDatum(mark), Int64GetDatum(last),
	BoolGetDatum(by_notifier), PointerGetDatum(&tid)};
	const char *sql = insert;

	if (present)
		sql = psprintf(update, by_notifier ? "w.ctid OPERATOR(pg_catalog.=) $5 AND" : "",
					   by_notifier ? "SKIP LOCKED" : "");
	(void) SPI_execute_with_args(sql, present && by_notifier ? 5 : 4, types, values,
								 NULL, false, 0);
	return SPI_processed > 0;
}

/*
 * Write the watermark of a store, as the owner of the table, unless the row is up to date.
 * SPI must be connected.  Return whether the row is up to date then.  The writer holds an
 * advisory lock on the watermark, which also covers a row that is not visible yet.  If
 * another transaction holds the lock, PGES_BY_HAND waits and PGES_BY_NOTIFIER returns
 * false.  The statement of the notifier uses the tid of the row, so that it reads no dead
 * versions.  If the sequence was set back, a watermark above the last position is
 * replaced.
 */
bool
pges_write_watermark(Oid store, Oid sequence, int64 mark, PgesWatermarkWriter writer)
{
	bool		by_notifier = writer == PGES_BY_NOTIFIER;
	Relation	rel = by_notifier ?
		pges_try_open_own_table(&watermarks_table, RowExclusiveLock) :
		pges_open_own_table(&watermarks_table, RowExclusiveLock);
	LOCKTAG		tag;
	PgesWatermark present;
	PgesIdentity saved;
	int64		last;
	bool		found;
	bool		done = false;

	if (rel == NULL)
		return false;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, store, 0, PGES_LOCK_WATERMARK);
	if (LockAcquire(&tag, ExclusiveLock, false, by_notifier) != LOCKACQUIRE_NOT_AVAIL)
	{
		last = pges_next_of_sequence(sequence) - 1;
		found = pges_read_watermark(store, true, &present);
		done = found && present.position >= mark && present.position <= last &&
			(!by_notifier || present.announced == mark);
		if (!done)
		{
			pges_become(&saved, rel->rd_rel->relowner);
			done = store_watermark(store, found ? &present : NULL, mark, last, writer);
			pges_become_again(&saved);
		}
	}
	table_close(rel, NoLock);
	return done;
}
