/*
 * exchange.c
 *		The tables of a projection that is being rebuilt: their copies, and the exchange of
 *		their rows.
 *
 * A copy has the columns, defaults, constraints and indexes of its table (LIKE INCLUDING
 * ALL), and belongs to the owner of the projection.  At the end of a rebuild, the rows of
 * the table are exchanged for those of the copy, in one transaction, as in REFRESH
 * MATERIALIZED VIEW CONCURRENTLY (matview.c): rows that the copy does not have are deleted,
 * and those that the table does not have are inserted.  So readers are never locked out,
 * they see either all old or all new rows, and views, privileges and everything else that
 * belongs to the table stays.  Rows are matched by the primary key.  Without one, all rows
 * are deleted and inserted.
 *
 * All of it runs with the rights of the owner of the projection.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_attribute.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/lockdefs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "base/compat.h"
#include "base/ddl.h"
#include "base/text.h"
#include "projection/projection_steps.h"

/* Return the OIDs of the tables of a projection; raise an error if one was dropped. */
List *
pges_list_tables(Datum tables)
{
	ArrayType  *array = DatumGetArrayTypeP(tables);
	Datum	   *values;
	int			n;
	List	   *list = NIL;

	deconstruct_array(array, ARR_ELEMTYPE(array), sizeof(Oid), true, TYPALIGN_INT, &values, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		Oid			table = DatumGetObjectId(values[i]);

		if (get_rel_relkind(table) == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("a table of the projection was dropped"),
					 errhint("Set the tables with eventstore.alter_projection(..., tables => ...).")));
		list = list_append_unique_oid(list, table);
	}
	return list;
}

/* Return whether a table has a trigger that a copy lacks, or a foreign key. */
static bool
has_trigger(Relation rel)
{
	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (!trigger->tgisinternal || RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_FK)
			return true;
	}
	return false;
}

/*
 * Return whether a copy can stand for a table.  It would not share the sequence of an
 * identity column, and has no triggers and foreign keys.  A handler could use a partition
 * or a child of the table instead.
 */
static bool
can_be_copied(Oid table)
{
	Relation	rel = table_open(table, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	bool		possible = rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relispartition &&
		!rel->rd_rel->relhassubclass && !has_trigger(rel);

	for (int i = 0; i < desc->natts; i++)
		possible &= TupleDescAttr(desc, i)->attisdropped || TupleDescAttr(desc, i)->attidentity == '\0';
	table_close(rel, AccessShareLock);
	return possible;
}

/* Return whether a rebuild can fill copies of some tables: their names differ, too. */
bool
pges_can_be_copied(Datum tables)
{
	List	   *list = pges_list_tables(tables);
	ListCell   *lc;
	ListCell   *other;

	foreach(lc, list)
	{
		if (!can_be_copied(lfirst_oid(lc)))
			return false;
		for_each_cell(other, list, lnext(list, lc))
		{
			if (strcmp(get_rel_name(lfirst_oid(lc)), get_rel_name(lfirst_oid(other))) == 0)
				return false;
		}
	}
	return true;
}

/* Return the qualified name of the copy of a table. */
static char *
copy_name(const char *schema, Oid table)
{
	return quote_qualified_identifier(schema, get_rel_name(table));
}

/* Drop the copies of a rebuild, with their schema. */
void
pges_drop_copies(const PgesProjection *rebuild)
{
	if (rebuild->copies)
		pges_run_as(BOOTSTRAP_SUPERUSERID,
					psprintf("DROP SCHEMA IF EXISTS %s CASCADE", quote_identifier(rebuild->copies)));
}

/* Create the schema of a rebuild, and the copies of some tables in it. */
void
pges_create_copies(const char *schema, Datum tables, Oid owner)
{
	ListCell   *lc;

	pges_run_as(BOOTSTRAP_SUPERUSERID, psprintf("CREATE SCHEMA %s AUTHORIZATION %s", quote_identifier(schema),
												quote_identifier(GetUserNameFromId(owner, false))));
	foreach(lc, pges_list_tables(tables))
	{
		Oid			table = lfirst_oid(lc);

		pges_run_as(owner, psprintf("CREATE %sTABLE %s (LIKE %s INCLUDING ALL)",
									get_rel_persistence(table) == RELPERSISTENCE_UNLOGGED ? "UNLOGGED " : "",
									copy_name(schema, table), pges_relation_name(table)));
	}
}

/* Return the list of the columns of a table that can be inserted. */
static char *
column_list(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attisdropped && column->attgenerated == '\0')
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", quote_identifier(NameStr(column->attname)));
	}
	return list.data;
}

/*
 * Return the condition that rows "t" and "c" have the same primary key; NULL if there is
 * none.
 */
static char *
key_condition(Relation rel)
{
	Oid			indexid = pges_primary_key_compat(rel);
	Relation	index;
	StringInfoData condition;

	if (!OidIsValid(indexid))
		return NULL;
	index = index_open(indexid, AccessShareLock);
	initStringInfo(&condition);
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		AttrNumber	attnum = index->rd_index->indkey.values[i];
		const char *column = quote_identifier(get_attname(RelationGetRelid(rel), attnum, false));
		Oid			type = get_atttype(RelationGetRelid(rel), attnum);
		Oid			operator = get_opfamily_member(index->rd_opfamily[i], index->rd_opcintype[i],
												   index->rd_opcintype[i], BTEqualStrategyNumber);

		if (i > 0)
			appendStringInfoString(&condition, " AND ");
		generate_operator_clause(&condition, psprintf("t.%s", column), type, operator, psprintf("c.%s", column), type);
	}
	index_close(index, AccessShareLock);
	return condition.data;
}

/* Exchange the rows of a table for those of its copy. */
static void
exchange(Oid table, const char *schema, Oid owner)
{
	Relation	rel = table_open(table, AccessShareLock);
	const char *name = pges_relation_name(table);
	const char *copy = copy_name(schema, table);
	char	   *columns = column_list(rel);
	char	   *same_key = key_condition(rel);

	table_close(rel, AccessShareLock);
	pges_run_as(owner, same_key == NULL ? psprintf("DELETE FROM %s", name) :
				psprintf("DELETE FROM %s t WHERE NOT EXISTS (SELECT FROM %s c WHERE %s "
						 "AND c.* OPERATOR(pg_catalog.*=) t.*)", name, copy, same_key));
	pges_run_as(owner, same_key == NULL ?
				psprintf("INSERT INTO %s (%s) SELECT %s FROM %s", name, columns, columns, copy) :
				psprintf("INSERT INTO %s (%s) SELECT %s FROM %s c WHERE NOT EXISTS (SELECT FROM %s t WHERE %s)",
						 name, columns, columns, copy, name, same_key));
}

/* Exchange the rows of the tables of a rebuild for those of the copies. */
void
pges_exchange_rows(const PgesProjection *rebuild)
{
	ListCell   *lc;

	foreach(lc, pges_list_tables(rebuild->tables))
		exchange(lfirst_oid(lc), rebuild->copies, rebuild->subscription->owner);
}

/*
 * Delete the rows of the tables of a projection.  With "at_once", truncate them: then
 * readers wait for the end of the transaction, and see empty tables.
 */
void
pges_empty_tables(const PgesProjection *projection, bool at_once)
{
	ListCell   *lc;

	foreach(lc, pges_list_tables(projection->tables))
		pges_run_as(projection->subscription->owner,
					psprintf("%s %s", at_once ? "TRUNCATE" : "DELETE FROM", pges_relation_name(lfirst_oid(lc))));
}

/* Return whether this transaction holds a lock on a table. */
static bool
is_locked_by_me(Oid table)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, table);
	for (LOCKMODE mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
	{
		if (pges_lock_held_by_me_compat(&tag, mode))
			return true;
	}
	return false;
}

/*
 * Return a table that the handler has used instead of its copy, because it names the schema
 * of the table; InvalidOid if there is none.  A statement locks its tables until the
 * (sub)transaction ends.  The catalogs are not read, so this works after an error, too.
 */
Oid
pges_touched_table(const List *tables)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		if (is_locked_by_me(lfirst_oid(lc)))
			return lfirst_oid(lc);
	}
	return InvalidOid;
}
