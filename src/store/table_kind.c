/*
 * table_kind.c
 *		Decides which tables may hold events: tables that store all of their rows in this
 *		database, and no rows of other tables.
 *
 * C code accesses the rows that the table itself stores (insert_direct.c, erase.c).
 * Statements access the rows that the name of the table denotes.  The rows must be the
 * same.  They differ if an extension such as Citus has moved rows to other servers, or if
 * other tables inherit from the table.  A temporary table is invisible to the notifier and
 * to all other sessions.
 *
 * A table that inherits, or is a partition, is allowed, because its rows are its own.
 * So is an unlogged table, and a table with another access method, to which only
 * statements append (plain.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/text.h"
#include "store/describe.h"
#include "store/store.h"

/*
 * Return whether Citus has distributed a table, or manages it in another way.  Citus
 * lists such tables in pg_catalog.pg_dist_partition.
 */
static bool
is_distributed(Oid relid)
{
	Oid			list = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
	AttrNumber	attnum = OidIsValid(list) ? get_attnum(list, "logicalrelid") : InvalidAttrNumber;
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	if (attnum == InvalidAttrNumber)
		return false;
	rel = table_open(list, AccessShareLock);
	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* Return whether any table inherits from a table at present. */
static bool
has_children(Relation rel)
{
	return rel->rd_rel->relhassubclass &&
		find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL;
}

/* Return why a table may not hold events; NULL if it may. */
const char *
pges_kind_obstacle(Relation rel)
{
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		return "It is temporary.";
	if (has_children(rel))
		return "Other tables inherit from it, and their rows would be read as events of the store.";
	if (is_distributed(RelationGetRelid(rel)))
		return "Citus has distributed the table, and its rows can be on other servers.";
	return NULL;
}

/* Raise an error if a table may not hold events. */
void
pges_check_kind(Relation rel)
{
	const char *obstacle = pges_kind_obstacle(rel);

	if (obstacle)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table %s cannot hold the events of a store", pges_relation_name(RelationGetRelid(rel))),
				 errdetail("%s", obstacle)));
}
