/*
 * own_object.c
 *		Finds the extension's own functions, and opens and writes its own tables.
 *
 * The schema, the functions and the tables are found by their names.  An event trigger
 * rejects any change of these names (ddl_trigger.c).  If a name was changed while event
 * triggers were disabled, calls raise an error until a superuser restores the name.
 *
 * C code reads the tables without checking a privilege, and trusts their contents.  So the
 * tables belong to the bootstrap superuser, and no other role may write to them, add
 * triggers or change columns.  Only C code writes to the tables.  It runs statements as
 * the owner of the tables (act_as.c).  Where a statement takes too long, it writes single
 * rows with the functions that PostgreSQL uses for its catalogs.
 *
 * The library of a session may be older or newer than the one for which a table was made.
 * So the layout is checked whenever a table is opened: the columns that the code reads
 * must have the expected numbers.  Further columns are no error.
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
				 errhint("A superuser can restore the name.")));
	return InvalidOid;
}

/* Return the OID of a type of the extension; raise an error if it is missing. */
Oid
pges_own_type_oid(const char *name)
{
	Oid			schema = get_namespace_oid("eventstore", true);
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
									   ObjectIdGetDatum(schema));

	if (!OidIsValid(type))
	{
		pges_check_schema();
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type eventstore.%s does not exist", name)));
	}
	return type;
}

/* Return the OID of a table; if it is missing, InvalidOid or an error. */
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

/* Return the first difference of a table from its expected definition, or NULL. */
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

/* Open a table; raise an error if it is missing or has another definition. */
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
				 errhint("After an update of the extension, connect again. A superuser can revert a manual change of the table.")));
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
 * Call a function for each row whose primary key begins with "key", in the order of the
 * key.  The first column of the key must be a text of collation "C".  The latest snapshot
 * is used at every isolation level.  The scan takes much less time than a statement.
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
				 errhint("A superuser can create the primary key again.")));
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
 * Return whether the caller may use the latest version of a row that was changed after the
 * caller's snapshot: in READ COMMITTED only, as for statements.  Otherwise raise a
 * serialization failure if the caller waits for row locks.
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
 * "tid" is the location of a version that a scan has read.  The active snapshot of the
 * calling statement protects that version from VACUUM.  Return false if the row was
 * deleted.  If "wait" is false, return false also if another transaction has locked the
 * row or, in REPEATABLE READ and SERIALIZABLE, has changed the row.
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
 * Write a new version of a row that the transaction has locked, and set row->t_self to its
 * location.  The version is visible after CommandCounterIncrement().
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
 * nest level of settings that ends after the execution.  Other scans than index scans are
 * off: the table may be empty now, and the plan must be fast when the table has grown.
 * JIT is off because the cost of a disabled node would enable JIT.
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
 * every isolation level, unless it is read-only and asks for the active one.  Return the
 * number of rows.  Rows that the statement returns
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
								statement->active ? InvalidSnapshot : GetLatestSnapshot(),
								InvalidSnapshot, statement->read_only, true, 0);
	pges_become_again(&caller);
	return SPI_processed;
}

/* Run a statement, as above, whose rows are not needed.  Return their number. */
uint64
pges_execute_own_statement(PgesOwnStatement *statement, const Datum *values, const bool *nulls)
{
	uint64		rows;

	SPI_connect();
	rows = pges_run_own_statement(statement, values, nulls);
	SPI_finish();
	return rows;
}

/*
 * Open a table without raising an error or waiting for the lock.  Return NULL if the table
 * is missing, is locked by another session, or has another definition.
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
