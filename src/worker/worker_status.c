/*
 * worker_status.c
 *		Reads and writes the row that records the failures of a worker.
 *
 * The table has one row.  Only a transaction that holds the start lock of the worker
 * writes (worker.c), so two transactions never change the row at the same time.  The row
 * is written in the same way as a row of a catalog: no trigger fires, and no privilege is
 * checked.
 *
 * A transaction that appends reads and writes the row while it commits.  So no function
 * here waits for a lock, or raises an error because of the state of the table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "worker/worker.h"

/* The columns of a status table. */
typedef enum StatusColumn
{
	FAILED_STARTS,
	LAST_ERROR,
	LAST_ERROR_AT,
	NEXT_START_AT,
	IS_ONLY_ROW,
	NUM_COLUMNS
} StatusColumn;

#define STATUS_COLUMNS \
	{ \
		{"failed_starts", INT4OID}, \
		{"last_error", TEXTOID}, \
		{"last_error_at", TIMESTAMPTZOID}, \
		{"next_start_at", TIMESTAMPTZOID}, \
		{"is_only_row", BOOLOID} \
	}

const PgesOwnTable pges_notifier_status = {"notifier_status", NUM_COLUMNS, STATUS_COLUMNS};
const PgesOwnTable pges_projector_status = {"projector_status", NUM_COLUMNS, STATUS_COLUMNS};

/* Copy the columns of a row to the fields of a status. */
static void
read_row(HeapTuple tuple, TupleDesc desc, PgesWorkerStatus *status)
{
	Datum		values[NUM_COLUMNS];
	bool		nulls[NUM_COLUMNS];

	for (int i = 0; i < NUM_COLUMNS; i++)
		values[i] = heap_getattr(tuple, i + 1, desc, &nulls[i]);
	if (!nulls[FAILED_STARTS])
		status->failed_starts = DatumGetInt32(values[FAILED_STARTS]);
	if (!nulls[LAST_ERROR])
		pges_set_error(status, TextDatumGetCString(values[LAST_ERROR]));
	status->last_error_at = nulls[LAST_ERROR_AT] ? 0 : DatumGetTimestampTz(values[LAST_ERROR_AT]);
	if (!nulls[NEXT_START_AT])
		status->next_start_at = DatumGetTimestampTz(values[NEXT_START_AT]);
}

/*
 * Return a copy of the row as of now, or NULL if it is missing.  Serializable transactions
 * read the row when they commit, and must not conflict because of it.  An MVCC snapshot
 * would acquire predicate locks, so SnapshotSelf is used.  The caller must hold a
 * snapshot, which is required to access a heap.
 */
static HeapTuple
find_row(Relation rel)
{
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, SnapshotSelf, 0, NULL);
	HeapTuple	tuple = heap_copytuple(systable_getnext(scan));

	systable_endscan(scan);
	return tuple;
}

/*
 * Read the row; a missing row counts as a row without failures.  Return false if the table
 * is locked or has another definition.
 */
bool
pges_read_status(const PgesOwnTable *table, PgesWorkerStatus *status)
{
	Relation	rel = pges_try_open_own_table(table, AccessShareLock);
	Snapshot	held;
	HeapTuple	tuple;

	memset(status, 0, sizeof(PgesWorkerStatus));
	if (rel == NULL)
		return false;
	held = RegisterSnapshot(GetLatestSnapshot());
	tuple = find_row(rel);
	UnregisterSnapshot(held);
	if (HeapTupleIsValid(tuple))
		read_row(tuple, RelationGetDescr(rel), status);
	table_close(rel, AccessShareLock);
	return true;
}

/* Form a row; further columns of the table are null. */
static HeapTuple
form_row(Relation rel, const PgesWorkerStatus *status)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Datum	   *values = palloc0(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));

	memset(nulls, true, desc->natts * sizeof(bool));
	nulls[FAILED_STARTS] = false;
	values[FAILED_STARTS] = Int32GetDatum(status->failed_starts);
	nulls[LAST_ERROR] = status->last_error[0] == '\0';
	values[LAST_ERROR] = CStringGetTextDatum(status->last_error);
	nulls[LAST_ERROR_AT] = status->last_error_at == 0;
	values[LAST_ERROR_AT] = TimestampTzGetDatum(status->last_error_at);
	nulls[NEXT_START_AT] = status->next_start_at == 0;
	values[NEXT_START_AT] = TimestampTzGetDatum(status->next_start_at);
	nulls[IS_ONLY_ROW] = false;
	values[IS_ONLY_ROW] = BoolGetDatum(true);
	return heap_form_tuple(desc, values, nulls);
}

/* Return whether a table has its primary key, and no further index. */
static bool
has_only_key(Relation rel)
{
	return OidIsValid(pges_primary_key_compat(rel)) && list_length(RelationGetIndexList(rel)) == 1;
}

/*
 * Write the row.  Return false if the table is locked, has another definition, or has a
 * further index, which could run code of another role.  The caller must hold the start
 * lock until its transaction ends.
 */
bool
pges_write_status(const PgesOwnTable *table, const PgesWorkerStatus *status)
{
	Relation	rel = pges_try_open_own_table(table, RowExclusiveLock);
	bool		writable = rel != NULL && has_only_key(rel);
	Snapshot	held = RegisterSnapshot(GetLatestSnapshot());
	HeapTuple	tuple = writable ? find_row(rel) : NULL;

	if (HeapTupleIsValid(tuple))
		CatalogTupleUpdate(rel, &tuple->t_self, form_row(rel, status));
	else if (writable)
		CatalogTupleInsert(rel, form_row(rel, status));
	UnregisterSnapshot(held);
	if (rel)
		table_close(rel, NoLock);
	return writable;
}

/* Set the last error, as of now; a long text is cut. */
void
pges_set_error(PgesWorkerStatus *status, const char *error)
{
	int			length = pg_mbcliplen(error, strlen(error), PGES_MAX_ERROR - 1);

	memcpy(status->last_error, error, length);
	status->last_error[length] = '\0';
	status->last_error_at = GetCurrentTimestamp();
}
