/*
 * ddl_trigger.c
 *		The event trigger of the extension, which fires before DDL commands.
 *
 * The default store is no member of the extension, so pg_dump dumps it like any store,
 * with all changes to its definition.  But in a restore, CREATE EXTENSION creates a
 * default store before the dumped table is created.  So if a store gets the name of an
 * unused default store or of its archive, the trigger drops both first.  It does the same
 * for a sequence or an index with the name of one of theirs, which a dumped store has if
 * it was renamed.  DROP EXTENSION drops both first, because a store depends on the
 * extension.
 *
 * The C code looks up the functions, tables and types of the extension, and schema
 * eventstore, by name.  So they may not be renamed or moved.  The schema must belong to a
 * superuser, or else a restore could not create the extension in it.
 *
 * The triggers on replicated rows must be enabled as REPLICA (receive_row.c).  A restore
 * with --disable-triggers leaves them enabled as ORIGIN.  So they are enabled as REPLICA
 * again when a subscription is created or altered.
 *
 * The trigger fires for each command of its tags, in any schema and for any role, with
 * the rights of that role.  So it inspects the parse tree first, and ignores a command
 * that concerns no object of the extension.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/act_as.h"
#include "base/compat.h"
#include "base/ddl.h"
#include "base/own_object.h"
#include "event/event.h"
#include "lifecycle/lifecycle.h"
#include "position/position.h"
#include "store/store.h"

/* Query: return the commands that enable the triggers whose function is $1 as REPLICA. */
static const char receivers[] =
"SELECT pg_catalog.concat('ALTER TABLE ', t.tgrelid::pg_catalog.regclass, "
"' ENABLE REPLICA TRIGGER ', pg_catalog.quote_ident(t.tgname), $2) "
"FROM pg_catalog.pg_trigger t "
"WHERE t.tgfoid OPERATOR(pg_catalog.=) $1 AND t.tgenabled OPERATOR(pg_catalog.<>) 'R'";

/* Return the OID of the default store; InvalidOid if there is no table of its name. */
static Oid
default_store(void)
{
	Oid			schema = get_namespace_oid("eventstore", true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid("events", schema) : InvalidOid;

	return get_rel_relkind(relid) == RELKIND_RELATION ? relid : InvalidOid;
}

/* Return whether a name is qualified with schema eventstore. */
static bool
is_in_schema(const RangeVar *name)
{
	return name->schemaname != NULL && strcmp(name->schemaname, "eventstore") == 0;
}

/* Return the type of a column in a list of definitions; InvalidOid if there is none. */
static Oid
defined_type(const List *elements, const char *name)
{
	ListCell   *lc;

	foreach(lc, elements)
	{
		const ColumnDef *column = lfirst(lc);

		if (IsA(column, ColumnDef) && strcmp(column->colname, name) == 0)
			return column->typeName ? LookupTypeNameOid(NULL, column->typeName, true) : InvalidOid;
	}
	return InvalidOid;
}

/*
 * Return whether a list of column definitions has the columns of a store that cannot be
 * null, with their types.  A dump of an older version may lack others.
 */
static bool
defines_store(const List *elements)
{
	for (int i = 0; i < PGES_NUM_COLUMNS; i++)
	{
		if (pges_columns[i].not_null &&
			defined_type(elements, pges_column_name(i)) != pges_columns[i].type)
			return false;
	}
	return true;
}

/* Return whether a table, not the default store, has these columns. */
static bool
is_like_store(const RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);

	if (!OidIsValid(relid) || relid == default_store())
		return false;
	for (int i = 0; i < PGES_NUM_COLUMNS; i++)
	{
		AttrNumber	attnum = get_attnum(relid, pges_column_name(i));

		if (pges_columns[i].not_null &&
			(attnum == InvalidAttrNumber || get_atttype(relid, attnum) != pges_columns[i].type))
			return false;
	}
	return true;
}

/* Return the name of a constraint that ALTER TABLE adds, or NULL. */
static char *
added_constraint(const AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		const AlterTableCmd *command = lfirst(lc);

		if (command->subtype == AT_AddConstraint)
			return castNode(Constraint, command->def)->conname;
	}
	return NULL;
}

/* Return the name of an index of a store that a command creates; NULL for another one. */
static RangeVar *
index_of_store(const RangeVar *table, char *index)
{
	if (index == NULL || !is_in_schema(table) || !is_like_store(table))
		return NULL;
	return makeRangeVar(table->schemaname, index, -1);
}

/*
 * Return the name of a relation that a restore of a store creates; NULL for others.  A
 * sequence without options is not from a dump, which writes all of them.
 */
static const RangeVar *
created_part(Node *command)
{
	switch (nodeTag(command))
	{
		case T_CreateStmt:
			{
				const CreateStmt *create = (const CreateStmt *) command;

				return !create->if_not_exists && is_in_schema(create->relation) &&
					defines_store(create->tableElts) ? create->relation : NULL;
			}
		case T_CreateSeqStmt:
			{
				const CreateSeqStmt *create = (const CreateSeqStmt *) command;

				return create->if_not_exists || create->options == NIL ? NULL : create->sequence;
			}
		case T_IndexStmt:
			{
				const IndexStmt *create = (const IndexStmt *) command;

				return create->if_not_exists ? NULL : index_of_store(create->relation, create->idxname);
			}
		case T_AlterTableStmt:
			{
				const AlterTableStmt *alter = (const AlterTableStmt *) command;

				return index_of_store(alter->relation, added_constraint(alter));
			}
		default:
			return NULL;
	}
}

/* Return the table that has a sequence or an index, or that a table is. */
static Oid
table_of_part(Oid relid)
{
	char		relkind = get_rel_relkind(relid);
	Oid			table;
	int32		column;

	if (relkind == RELKIND_INDEX)
		return IndexGetRelation(relid, true);
	if (relkind == RELKIND_SEQUENCE && sequenceIsOwned(relid, DEPENDENCY_AUTO, &table, &column))
		return table;
	return relid;
}

/* Return the archive of a store, or InvalidOid. */
static Oid
archive_of(Oid store)
{
	bool		is_new;

	return pges_find_archive(store, &is_new);
}

/* Return whether the user owns a table. */
static bool
is_owner(Oid relid)
{
	return pges_owns_table_compat(relid, GetUserId());
}

/*
 * Return whether a store or an archive is a table of the user without a page.  Keep the
 * lock if so.
 */
static bool
has_no_page(Oid relid, LOCKMODE mode)
{
	Relation	rel = try_table_open(relid, mode);
	bool		result;

	if (rel == NULL)
		return false;
	result = is_owner(relid) &&
		rel->rd_rel->relkind == RELKIND_RELATION && RelationGetNumberOfBlocks(rel) == 0 &&
		(pges_is_store(rel) || OidIsValid(pges_store_of_archive(rel)));
	table_close(rel, result ? NoLock : mode);
	return result;
}

/*
 * Return whether an empty store or archive is published by name, or is or was a target of
 * replication.  A publication of all tables, or of a schema, does not count, because it
 * includes a new table of the same name as well.
 */
static bool
is_replicated(Oid relid)
{
	CatCList   *publications = SearchSysCacheList1(PUBLICATIONRELMAP, ObjectIdGetDatum(relid));
	bool		is_published = publications->n_members > 0;
	PgesWatermark watermark;

	ReleaseSysCacheList(publications);
	return is_published || pges_is_subscribed(relid) ||
		(pges_read_watermark(relid, true, &watermark) && watermark.position > 0);
}

/* Return whether a store and its archive have never had an event.  Keep the locks if so. */
static bool
is_unused(Oid relid, LOCKMODE mode)
{
	List	   *sequences;
	Oid			archive;

	if (!has_no_page(relid, mode))
		return false;
	sequences = getOwnedSequences(relid);
	if (list_length(sequences) != 1 || pges_next_of_sequence(linitial_oid(sequences)) != 1 ||
		is_replicated(relid))
		return false;
	archive = archive_of(relid);
	return !OidIsValid(archive) || (has_no_page(archive, mode) && !is_replicated(archive));
}

/* Drop a table. */
static void
drop_table(Oid relid, DropBehavior behavior)
{
	ObjectAddress table;

	ObjectAddressSet(table, RelationRelationId, relid);
	performDeletion(&table, behavior, 0);
}

/* Drop the default store, whose lock the caller holds, and its archive. */
static void
drop_default_store(Oid relid, DropBehavior behavior)
{
	Oid			archive = archive_of(relid);

	pges_forget_store(relid);
	if (OidIsValid(archive))
		drop_table(archive, behavior);
	drop_table(relid, behavior);
}

/*
 * Drop the default store if it has never had an event, and if the name of a new relation,
 * qualified with the schema, is that of the default store, of its archive, or of an index
 * or sequence of theirs.  If the user may not drop them, the command fails with a
 * duplicate name.
 */
static void
give_way(const RangeVar *created)
{
	Oid			store = default_store();
	Oid			table;

	if (!OidIsValid(store) || !is_in_schema(created))
		return;
	table = table_of_part(get_relname_relid(created->relname, get_rel_namespace(store)));
	if (!OidIsValid(table) || (table != store && table != archive_of(store)) ||
		!is_owner(store) ||
		!is_unused(store, AccessShareLock) || !is_unused(store, AccessExclusiveLock))
		return;
	ereport(NOTICE,
			(errmsg("dropping the default store to make room for \"%s\"", created->relname),
			 errdetail("It has never had an event.")));
	drop_default_store(store, DROP_RESTRICT);
}

/* Return whether DROP EXTENSION names this extension. */
static bool
drops_extension(const DropStmt *drop)
{
	ListCell   *lc;

	foreach(lc, drop->removeType == OBJECT_EXTENSION ? drop->objects : NIL)
	{
		if (strcmp(strVal(lfirst(lc)), "pg_eventstore") == 0)
			return true;
	}
	return false;
}

/*
 * Before DROP EXTENSION: drop the default store and its archive, if the user owns them.
 * Without the link, the archive would remain as a table with only a part of the events.
 */
static void
drop_with_extension(DropBehavior behavior)
{
	Oid			store = default_store();
	Relation	rel;
	Oid			archive;
	bool		is_store;

	if (!OidIsValid(store) || !is_owner(store))
		return;
	rel = try_table_open(store, AccessExclusiveLock);
	if (rel == NULL)
		return;
	is_store = pges_is_store(rel);
	table_close(rel, NoLock);
	archive = archive_of(store);
	if (is_store && (!OidIsValid(archive) || is_owner(archive)))
		drop_default_store(store, behavior);
}

/* Raise the error that an object must keep its name and its schema. */
static void
report_name(const char *object)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot rename or move %s", object),
			 errdetail("Extension pg_eventstore finds its schema, functions, tables and types by their names, and dumps name them, too."),
			 errhint("Stores can have any name in any schema, see eventstore.create_store().")));
}

/* Return the address of a type. */
static ObjectAddress
address_of_type(Oid type)
{
	ObjectAddress address;

	ObjectAddressSet(address, TypeRelationId, type);
	return address;
}

/* Return the address of the table that a relation is or belongs to, or of its type. */
static ObjectAddress
address_of_relation(const RangeVar *name)
{
	ObjectAddress address;
	Oid			relid = table_of_part(RangeVarGetRelid(name, NoLock, true));

	if (get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE)
		return address_of_type(get_rel_type_id(relid));
	ObjectAddressSet(address, RelationRelationId, relid);
	return address;
}

/*
 * Raise an error if an object to be renamed or moved is schema eventstore, or a relation,
 * type or function of the extension, or a column, index or trigger of one.
 */
static void
check_keeps_name(ObjectType type, const RangeVar *relation, Node *object, const char *schema)
{
	Oid			extension = get_extension_oid("pg_eventstore", true);
	ObjectAddress address = {0};

	if (!OidIsValid(extension))
		return;
	if (type == OBJECT_SCHEMA && schema && strcmp(schema, "eventstore") == 0)
		report_name("schema eventstore");
	if (relation)
		address = address_of_relation(relation);
	else if (type == OBJECT_TYPE)
		address = address_of_type(LookupTypeNameOid(NULL, makeTypeNameFromNameList(castNode(List, object)), true));
	else if (object && IsA(object, ObjectWithArgs))
		ObjectAddressSet(address, ProcedureRelationId, LookupFuncWithArgs(type, (ObjectWithArgs *) object, true));
	if (OidIsValid(address.objectId) && getExtensionOfObject(address.classId, address.objectId) == extension)
		report_name(getObjectDescription(&address, false));
}

/* Raise an error if schema eventstore is to be given to a role that is no superuser. */
static void
check_schema_owner(const AlterOwnerStmt *alter)
{
	Oid			owner;

	if (alter->objectType != OBJECT_SCHEMA || strcmp(strVal(alter->object), "eventstore") != 0 ||
		!OidIsValid(get_extension_oid("pg_eventstore", true)))
		return;
	owner = get_rolespec_oid(alter->newowner, true);
	if (OidIsValid(owner) && !superuser_arg(owner))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("schema eventstore must belong to a superuser"),
				 errdetail("Otherwise extension pg_eventstore could not be created in it, and a dump could not be restored."),
				 errhint("Grant USAGE on the schema. Other roles can have stores in any other schema.")));
}

/* Before a subscription is created or altered: enable the triggers for its rows. */
static void
enable_receivers(void)
{
	PgesIdentity caller;
	int			nestlevel;

	pges_become(&caller, BOOTSTRAP_SUPERUSERID);
	nestlevel = pges_begin_ddl();
	pges_run_commands(receivers, pges_function_oid("receive_row", 0, NULL), "");
	pges_end_ddl(nestlevel);
	pges_become_again(&caller);
}

/* Call the function that handles a kind of command. */
static void
before_command(Node *command)
{
	const RangeVar *created = created_part(command);

	if (created)
		give_way(created);
	else if (IsA(command, DropStmt) && drops_extension((DropStmt *) command))
		drop_with_extension(((DropStmt *) command)->behavior);
	else if (IsA(command, RenameStmt))
	{
		RenameStmt *rename = (RenameStmt *) command;

		check_keeps_name(rename->renameType, rename->relation, rename->object, rename->subname);
	}
	else if (IsA(command, AlterObjectSchemaStmt))
	{
		AlterObjectSchemaStmt *move = (AlterObjectSchemaStmt *) command;

		check_keeps_name(move->objectType, move->relation, move->object, NULL);
	}
	else if (IsA(command, AlterOwnerStmt))
		check_schema_owner((AlterOwnerStmt *) command);
	else if (IsA(command, CreateSubscriptionStmt) || IsA(command, AlterSubscriptionStmt))
		enable_receivers();
}

PG_FUNCTION_INFO_V1(pges_before_ddl);

/*
 * SQL: event trigger, before DDL commands.  Do nothing in pg_upgrade, and if the schema
 * was renamed while event triggers were disabled.
 */
Datum
pges_before_ddl(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function eventstore.before_ddl() is for the event trigger of pg_eventstore only")));
	if (!IsBinaryUpgrade && OidIsValid(get_namespace_oid("eventstore", true)))
		before_command(((EventTriggerData *) fcinfo->context)->parsetree);
	PG_RETURN_NULL();
}
