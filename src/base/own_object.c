/*
 * own_object.c
 *		Finds the extension's own functions, and opens and writes its own tables.
 *
 * Schema, functions and tables are found by their names, which an event trigger keeps
 * (ddl_trigger.c).  If a name was changed while event triggers were disabled, nothing
 * works before it is changed back, and the errors say so.
 *
 * C code reads the tables without checking a privilege, and trusts their contents.
 * So the tables belong to the bootstrap superuser, and no other role may write to
 * them, add triggers or change columns.  Only C code writes to them: as their owner
 * (act_as.c), with statements that name the columns, or where statements take too long,
 * row by row, as PostgreSQL writes to its catalogs.
 *
 * The library of a session may be older or newer than the one for which a table was
 * made.  So each opening of a table checks its layout: the columns that the code reads
 * must be at their places.  Further columns are no error.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/act_as.h"
#include "base/compat.h"
#include "base/ddl.h"
#include "base/own_object.h"

/* Return the name of the schema of the extension; NULL if there is no extension. */
static char *
extension_schema(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	Oid			schema = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("pg_eventstore"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return OidIsValid(schema) ? get_namespace_name(schema) : NULL;
}

/* Raise an error if the schema of the extension is not named eventstore any more. */
void
pges_check_schema(void)
{
	char	   *name = extension_schema();

	if (name == NULL || strcmp(name, "eventstore") == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the schema of extension pg_eventstore was renamed from \"eventstore\" to \"%s\"", name),
			 OidIsValid(get_namespace_oid("eventstore", true)) ?
			 errdetail("There is another schema \"eventstore\".") : 0,
			 errhint("A superuser can rename it: ALTER SCHEMA %s RENAME TO eventstore;", quote_identifier(name))));
}

/*
 * Return the OID of a function of the extension; InvalidOid if the extension does not
 * exist, or is being created.  Raise an error if the function has another name.
 */
Oid
pges_function_oid(const char *name, int nargs, Oid *argtypes)
{
	oidvector  *args = buildoidvector(argtypes, nargs);
	Oid			schema = get_namespace_oid("eventstore", true);
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum(name), PointerGetDatum(args),
										   ObjectIdGetDatum(schema));

	if (OidIsValid(function) || creating_extension)
		return function;
	pges_check_schema();
	if (OidIsValid(get_extension_oid("pg_eventstore", true)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function eventstore.%s() of extension pg_eventstore is missing", name),
				 errdetail("It was renamed, moved or dropped."),
				 errhint("A superuser can give it its name again.")));
	return InvalidOid;
}

/* Return the OID of a table, or InvalidOid; raise an error if none and not missing_ok. */
Oid
pges_own_table_oid(const PgesOwnTable *table, bool missing_ok)
{
	Oid			schema = get_namespace_oid("eventstore", true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid(table->name, schema) : InvalidOid;

	if (OidIsValid(relid) || missing_ok)
		return relid;
	pges_check_schema();
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("table eventstore.%s does not exist", table->name)));
	return InvalidOid;			/* not reached */
}

/* Return the detail of how a table differs from what the C code expects, or NULL. */
static const char *
difference(Relation rel, const PgesOwnTable *table)
{
	TupleDesc	desc = RelationGetDescr(rel);

	if (rel->rd_rel->relowner != BOOTSTRAP_SUPERUSERID)
		return "It does not belong to the bootstrap superuser.";
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		return "It is not a table.";
	for (int i = 0; i < table->ncolumns; i++)
	{
		const PgesOwnColumn *column = &table->columns[i];
		Form_pg_attribute att = i < desc->natts ? TupleDescAttr(desc, i) : NULL;

		if (att == NULL || att->attisdropped ||
			(OidIsValid(column->type) && att->atttypid != column->type) ||
			strcmp(NameStr(att->attname), column->name) != 0)
			return psprintf("Its column %d is not \"%s\", as this version of the library expects.",
							i + 1, column->name);
	}
	return NULL;
}

/* Open a table; raise an error if it is missing or not as expected. */
Relation
pges_open_own_table(const PgesOwnTable *table, LOCKMODE mode)
{
	Relation	rel = table_open(pges_own_table_oid(table, false), mode);
	const char *detail = difference(rel, table);

	if (detail)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table eventstore.%s does not have the definition that extension pg_eventstore expects", table->name),
				 errdetail("%s", detail),
				 errhint("After an update of the extension, connect again. A superuser can put back what was changed by hand.")));
	return rel;
}

/*
 * Run a statement that writes to a table, as the owner of the table.  Return the number
 * of rows written.
 */
uint64
pges_write_own_table(const PgesOwnTable *table, const char *statement,
					 int nargs, Oid *types, Datum *values, const char *nulls)
{
	Relation	rel = pges_open_own_table(table, RowExclusiveLock);
	PgesIdentity caller;
	uint64		written;

	pges_become(&caller, rel->rd_rel->relowner);
	pges_set_locally("search_path", "pg_catalog, pg_temp");
	SPI_connect();
	(void) SPI_execute_with_args(statement, nargs, types, values, nulls, false, 0);
	written = SPI_processed;
	SPI_finish();
	pges_become_again(&caller);
	table_close(rel, NoLock);
	return written;
}

/*
 * Let a function take the rows of a table whose primary key begins with a text of
 * collation "C", in the order of the key, under the latest snapshot at every isolation
 * level.  A statement that reads them takes several times as long.
 */
void
pges_scan_own_rows(const PgesOwnTable *table, Datum key, PgesTakeRow take, void *arg)
{
	Relation	rel = pges_open_own_table(table, AccessShareLock);
	Oid			indexid = pges_primary_key_compat(rel);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Relation	index;
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	row;

	if (!OidIsValid(indexid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table eventstore.%s has no primary key", table->name),
				 errhint("A superuser can put it back.")));
	index = index_open(indexid, AccessShareLock);
	ScanKeyInit(&scankey, 1, BTEqualStrategyNumber, F_TEXTEQ, key);
	scan = systable_beginscan_ordered(rel, index, snapshot, 1, &scankey);
	while ((row = systable_getnext_ordered(scan, ForwardScanDirection)) != NULL)
		take(row, RelationGetDescr(rel), arg);
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
}

/*
 * Return whether a row that was changed since it was read may be taken as it is now, as
 * statements do it in READ COMMITTED.  Raise an error if the caller has waited for it.
 */
static bool
accept_change(bool waited)
{
	if (IsolationUsesXactSnapshot() && waited)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errhint("Retry the transaction.")));
	return !IsolationUsesXactSnapshot();
}

/*
 * Lock the last version of a row, as FOR UPDATE does, and store it in a slot of the table.
 * "tid" is the place of a version that was read by a scan, while the snapshot of the
 * calling statement is active: so the version is still there.  Return false if the row
 * was deleted, or if the caller does not wait and another transaction has locked it, or
 * has changed it in REPEATABLE READ or SERIALIZABLE.
 */
bool
pges_lock_own_row(Relation rel, ItemPointer tid, bool wait, TupleTableSlot *slot)
{
	TM_FailureData failure;
	TM_Result	result;

	Assert(ActiveSnapshotSet());
	result = table_tuple_lock(rel, tid, GetLatestSnapshot(), slot, GetCurrentCommandId(true),
							  LockTupleExclusive, wait ? LockWaitBlock : LockWaitSkip,
							  TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	switch (result)
	{
		case TM_Ok:
			return !failure.traversed || accept_change(wait);
		case TM_Deleted:
			(void) accept_change(wait);
			return false;
		case TM_WouldBlock:
			return false;
		default:
			elog(ERROR, "unexpected result of table_tuple_lock(): %d", result);
	}
	return false;				/* not reached */
}

/* Make the index entries of a new version of a row. */
static void
insert_index_entries(Relation rel, TupleTableSlot *slot)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *table = makeNode(ResultRelInfo);

	InitResultRelInfo(table, rel, 0, NULL, 0);
	ExecOpenIndices(table, false);
	pges_insert_index_tuples_compat(table, slot, estate);
	ExecCloseIndices(table);
	FreeExecutorState(estate);
}

/*
 * Write a new version of a row that the transaction has locked, and set its place in the
 * tuple.  It is visible after CommandCounterIncrement().
 */
void
pges_update_own_row(Relation rel, ItemPointer tid, HeapTuple row)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);

	ExecStoreHeapTuple(row, slot, false);
	if (pges_update_tuple_compat(rel, tid, slot))
		insert_index_entries(rel, slot);
	row->t_self = slot->tts_tid;
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * Make the plan of a statement, and keep it.  The caller is the owner of the table, in a
 * nest level of settings that ends after the execution.  The plan is made while the
 * table may be empty, and must use an index when the table has grown.  JIT is off because
 * the cost of a disabled node would switch it on.
 */
static void
plan_own_statement(PgesOwnStatement *statement)
{
	SPIPlanPtr	plan;

	pges_set_locally("enable_seqscan", "off");
	pges_set_locally("enable_bitmapscan", "off");
	pges_set_locally("jit", "off");
	plan = SPI_prepare_cursor(statement->sql, statement->nparams, statement->types,
							  CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "could not prepare a statement: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	statement->plan = plan;
}

/*
 * Return whether a table has no page, and so no row that another transaction has
 * inserted, committed or not.
 */
bool
pges_is_own_table_empty(const PgesOwnTable *table)
{
	Relation	rel = pges_open_own_table(table, AccessShareLock);
	bool		empty = RelationGetNumberOfBlocks(rel) == 0;

	table_close(rel, NoLock);
	return empty;
}

/* Lock the tables of a statement, check their layout, and return their owner. */
static Oid
open_tables(const PgesOwnStatement *statement)
{
	LOCKMODE	mode = statement->read_only ? AccessShareLock : RowExclusiveLock;
	Oid			owner = InvalidOid;

	for (int i = 0; i < PGES_OWN_MAX_TABLES && statement->tables[i]; i++)
	{
		Relation	rel = pges_open_own_table(statement->tables[i], mode);

		owner = rel->rd_rel->relowner;
		table_close(rel, NoLock);
	}
	return owner;
}

/*
 * Run a statement on tables as the owner of the tables, under the latest snapshot at
 * every isolation level, and return the number of rows.  Rows that the statement returns
 * are in SPI_tuptable; SPI must be connected.  "nulls" may be NULL.
 *
 * If another transaction changes a row after the snapshot was taken, a statement that
 * changes or locks this row waits, and in REPEATABLE READ raises a serialization failure.
 */
uint64
pges_run_own_statement(PgesOwnStatement *statement, const Datum *values, const bool *nulls)
{
	Oid			owner = open_tables(statement);
	PgesIdentity caller;
	char		flags[PGES_OWN_MAX_PARAMS];

	for (int i = 0; i < statement->nparams; i++)
		flags[i] = nulls && nulls[i] ? 'n' : ' ';
	pges_become(&caller, owner);
	if (statement->plan && !SPI_plan_is_valid(statement->plan))
	{
		SPI_freeplan(statement->plan);
		statement->plan = NULL;
	}
	if (statement->plan == NULL)
		plan_own_statement(statement);
	(void) SPI_execute_snapshot(statement->plan, unconstify(Datum *, values), flags,
								GetLatestSnapshot(), InvalidSnapshot, statement->read_only, true, 0);
	pges_become_again(&caller);
	return SPI_processed;
}

/*
 * Open a table without raising an error or waiting for the lock.  Return NULL if the
 * table is missing, locked by another session, or not as expected.
 */
Relation
pges_try_open_own_table(const PgesOwnTable *table, LOCKMODE mode)
{
	Oid			relid = pges_own_table_oid(table, true);
	Relation	rel;

	if (!OidIsValid(relid) || !ConditionalLockRelationOid(relid, mode))
		return NULL;
	rel = try_relation_open(relid, NoLock);
	if (rel && difference(rel, table) == NULL)
		return rel;
	if (rel)
		relation_close(rel, NoLock);
	UnlockRelationOid(relid, mode);
	return NULL;
}
