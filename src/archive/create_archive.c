/*
 * create_archive.c
 *		Creates the archive of a store, or makes an existing table the archive.
 *
 * The archive is a table like that of the store.  It has the columns, constraints,
 * indexes and the triggers that keep events immutable, but neither defaults nor the
 * trigger that makes a table a store.
 *
 * The versions of an aggregate continue in the store after those in the archive, so no
 * session may append without knowing the archive.  Therefore the creation acquires a
 * lock that conflicts with appends, see pges_create_archive_of().
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "archive/archive.h"
#include "archive/archive_steps.h"
#include "base/act_as.h"
#include "base/compat.h"
#include "base/ddl.h"
#include "base/text.h"
#include "event/event.h"
#include "position/position.h"
#include "store/store.h"
#include "table/table.h"

/*
 * Raise an error if a store has row security, or columns that an archive does not have.
 * The values of such columns would be lost.  Where a policy hides events, the versions
 * of their aggregates would be lost.
 */
void
pges_check_can_be_archived(const PgesStore *store)
{
	Relation	rel = relation_open(store->live.relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	const char *obstacle = rel->rd_rel->relrowsecurity ?
		"The store has row security, which an archive cannot have." : NULL;
	int			live = 0;

	for (int i = 0; i < desc->natts; i++)
		live += !TupleDescAttr(desc, i)->attisdropped;
	relation_close(rel, AccessShareLock);
	if (live > PGES_NUM_COLUMNS)
		obstacle = "The store has columns that an archive does not have.";
	if (obstacle)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot archive events of store %s", store->live.qualified_name),
				 errdetail("%s", obstacle)));
}

/*
 * Raise an error if a column of the archive of a store is narrower than that of the store.
 * Some texts would not fit, and others would silently lose trailing blanks.
 */
void
pges_check_widths(const PgesStore *store)
{
	for (PgesColumn column = 0; column < PGES_NUM_COLUMNS; column++)
	{
		int			wanted = store->live.max_chars[column];
		int			width = store->archive.max_chars[column];
		const char *name = pges_column_name(column);

		if (width > 0 && (wanted == 0 || wanted > width))
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("archive %s is narrower than store %s",
							store->archive.qualified_name, store->live.qualified_name),
					 errdetail("Column \"%s\" of the archive takes at most %d characters.", name, width),
					 errhint("The owner of the store can widen it: ALTER TABLE %s ALTER %s TYPE varchar%s COLLATE \"C\".",
							 store->archive.qualified_name, name,
							 wanted > 0 ? psprintf("(%d)", wanted) : "")));
	}
}

/*
 * Move a new archive to a tablespace, if one is given, and its indexes to the
 * tablespace of the table.  If an index of the store has a tablespace of its own,
 * CREATE TABLE ... LIKE has put the index of the archive there.  This runs with the
 * rights of the user, not of the owner of the store, and runs no code of the owner.
 * The name of the archive is looked up again, because its schema may have been renamed.
 */
static void
move_to_tablespace(Oid archive, const char *tablespace)
{
	int			nestlevel = pges_begin_ddl();
	char	   *name = pges_relation_name(archive);

	if (tablespace)
		pges_run_ddl(psprintf("ALTER TABLE %s SET TABLESPACE %s", name, quote_identifier(tablespace)));
	CommandCounterIncrement();
	pges_run_commands("SELECT pg_catalog.concat('ALTER INDEX ', "
					  "pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(i.relname), "
					  "' SET TABLESPACE ', pg_catalog.quote_ident(s.spcname)) "
					  "FROM pg_catalog.pg_class t "
					  "JOIN pg_catalog.pg_index x ON x.indrelid OPERATOR(pg_catalog.=) t.oid "
					  "JOIN pg_catalog.pg_class i ON i.oid OPERATOR(pg_catalog.=) x.indexrelid "
					  "JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) i.relnamespace "
					  "JOIN pg_catalog.pg_database d ON d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() "
					  "JOIN pg_catalog.pg_tablespace s ON s.oid OPERATOR(pg_catalog.=) "
					  "CASE WHEN t.reltablespace OPERATOR(pg_catalog.=) 0 THEN d.dattablespace ELSE t.reltablespace END "
					  "WHERE t.oid OPERATOR(pg_catalog.=) $1 "
					  "AND i.reltablespace OPERATOR(pg_catalog.<>) t.reltablespace",
					  archive, name);
	pges_end_ddl(nestlevel);
}

/* Raise an error unless the user may create a table in a schema. */
static void
check_may_create_archive(const PgesStore *store, Oid namespace)
{
	char	   *schema = get_namespace_name(namespace);

	if (!pges_may_in_schema_compat(namespace, ACL_CREATE))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s", schema),
				 errdetail("The archive of store %s is created with the rights of role \"%s\".",
						   store->live.qualified_name, GetUserNameFromId(GetUserId(), false)),
				 errhint("Name a schema in which this role can create tables: eventstore.create_archive(%s, name => ...).",
						 quote_literal_cstr(store->live.qualified_name))));
}

/* Create the table of an archive, and grant on it what is granted on the store. */
static void
create_archive_table(const PgesStore *store, Oid namespace, const char *table)
{
	char	   *archive = quote_qualified_identifier(get_namespace_name(namespace), table);

	check_may_create_archive(store, namespace);
	pges_run_ddl(psprintf("CREATE TABLE %s (LIKE %s INCLUDING COMMENTS INCLUDING COMPRESSION "
						  "INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING STATISTICS INCLUDING STORAGE)",
						  archive, store->live.qualified_name));
	pges_comment_on(psprintf("TABLE %s", archive), "the archived events of a store");
	pges_create_protecting_triggers(archive);
	CommandCounterIncrement();
	pges_copy_privileges(store, get_relname_relid(table, namespace), archive);
}

/* Advance the sequence of a store to the last position in a table, if that is higher. */
static void
advance_sequence(const PgesStore *store, const char *archive)
{
	char	   *sequence = pges_relation_name(store->sequence);

	SPI_execute(psprintf("SELECT pg_catalog.setval(%s::pg_catalog.regclass, a.last) FROM "
						 "(SELECT pg_catalog.max(position) AS last FROM %s) a "
						 "WHERE a.last OPERATOR(pg_catalog.>=) " INT64_FORMAT,
						 quote_literal_cstr(sequence), archive,
						 pges_next_of_sequence(store->sequence)), false, 0);
}

/*
 * Query: return the first event of table %1$s that does not come before the events of
 * store %2$s, and what it has in common with one of them.
 */
static const char overlap[] =
"SELECT a.position, a.event_id, s.position, "
"CASE WHEN a.event_id OPERATOR(pg_catalog.=) s.event_id COLLATE pg_catalog.\"C\" THEN 'the same id' "
"WHEN a.position OPERATOR(pg_catalog.=) s.position THEN 'the same position' "
"ELSE pg_catalog.format('version %%s of the same aggregate, \"%%s\", and the table has version %%s', "
"s.aggregate_version, s.aggregate_id, a.aggregate_version) END "
"FROM %1$s a JOIN LATERAL ("
"(SELECT * FROM %2$s i WHERE i.event_id OPERATOR(pg_catalog.=) a.event_id COLLATE pg_catalog.\"C\") UNION ALL "
"(SELECT * FROM %2$s p WHERE p.position OPERATOR(pg_catalog.=) a.position) UNION ALL "
"(SELECT * FROM %2$s v WHERE v.aggregate_id OPERATOR(pg_catalog.=) a.aggregate_id COLLATE pg_catalog.\"C\" "
"AND v.aggregate_version OPERATOR(pg_catalog.<=) a.aggregate_version "
"ORDER BY v.aggregate_version USING OPERATOR(pg_catalog.<) LIMIT 1)) s ON true "
"ORDER BY a.position USING OPERATOR(pg_catalog.<) LIMIT 1";

/*
 * Raise an error if events of a table that becomes an archive do not come before those of
 * the store, and name the first.  Otherwise events would be read twice, or ids and
 * versions would be assigned twice.  The caller has locked both tables.
 */
static void
check_no_overlap(const PgesStore *store, const char *archive)
{
	char	   *first[4] = {NULL};

	PushActiveSnapshot(GetLatestSnapshot());
	(void) SPI_execute(psprintf(overlap, archive, store->live.qualified_name), true, 1);
	PopActiveSnapshot();
	if (SPI_processed == 0)
		return;
	for (int i = 0; i < lengthof(first); i++)
		first[i] = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1);
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("table %s cannot be the archive of store %s, because their events overlap",
					archive, store->live.qualified_name),
			 errdetail("The first is the event with id \"%s\" at position %s of the table: the event at position %s of the store has %s.",
					   first[1], first[0], first[2], first[3]),
			 errhint("An archive holds only events that precede those of its store. Give another name for the archive, or delete the overlapping events from the table.")));
}

/* Return why a table cannot be the archive of a store, or NULL if it can be. */
static const char *
reason_against(const PgesStore *store, Relation rel)
{
	Relation	live = relation_open(store->live.relid, AccessShareLock);
	Form_pg_class form = rel->rd_rel;
	bool		same_owner = form->relowner == live->rd_rel->relowner;
	bool		same_persistence = form->relpersistence == live->rd_rel->relpersistence;

	relation_close(live, AccessShareLock);
	if (!same_owner)
		return "Its owner is not that of the store.";
	if (!same_persistence)
		return "It is temporary or unlogged, and the store is not.";
	if (pges_is_store(rel) || OidIsValid(pges_store_of_archive(rel)))
		return "It is a store, or an archive already.";
	if (form->relkind != RELKIND_RELATION || form->relispartition ||
		find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL ||
		has_superclass(RelationGetRelid(rel)) || rel->rd_rules)
		return "It is part of other tables, or has rules.";
	return NULL;
}

/*
 * Make an existing table the archive of a store, for example a table that was an
 * archive before the extension was dropped.  Raise an error if the table cannot be an
 * archive.  Code that its owner has attached to it runs when events move, so the table
 * must belong to the owner of the store.
 */
static void
adopt_archive(const PgesStore *store, Oid relid, const char *archive)
{
	Relation	rel = pges_open_table(relid);
	bool		is_protected = pges_is_protected(rel);
	const char *reason = reason_against(store, rel);

	if (reason)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table %s cannot be an archive", pges_relation_name(relid)),
				 errdetail("%s", reason),
				 errhint("Give another name for the archive of store %s.", store->live.qualified_name)));
	pges_check_archive(rel);
	relation_close(rel, NoLock);
	LockRelationOid(relid, ShareRowExclusiveLock);	/* also needed by CREATE
													 * TRIGGER */
	check_no_overlap(store, archive);
	if (!is_protected)
		pges_create_protecting_triggers(archive);
	advance_sequence(store, archive);
}

/*
 * Callback of RangeVarGetRelidExtended(): raise an error unless the user owns the
 * table.  The callback runs before the table is locked, so only the owner can lock it.
 */
static void
check_owns_found(const RangeVar *name, Oid relid, Oid old_relid, void *arg)
{
	if (OidIsValid(relid) && !pges_owns_table_compat(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

/*
 * Create the table or adopt an existing one, link it to its store, and return its OID.
 * Raise an error if the name is taken and "adopt" is false.  This runs with the rights
 * of the owner of the store: building an index may run functions in its expressions.
 */
static Oid
create_archive(const PgesStore *store, char *schema, char *table, const char *tablespace,
			   bool adopt)
{
	Oid			namespace = get_namespace_oid(schema, false);
	char	   *name = quote_qualified_identifier(schema, table);
	PgesIdentity caller;
	bool		as_owner = pges_act_as_owner(&caller, store);
	int			nestlevel = pges_begin_ddl();
	Oid			present = RangeVarGetRelidExtended(makeRangeVar(schema, table, -1), AccessShareLock,
												   RVR_MISSING_OK, check_owns_found, NULL);

	if (OidIsValid(present) && !adopt)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation %s already exists", name),
				 errdetail("This is the default name for the archive of store %s.", store->live.qualified_name),
				 errhint("Create the archive with eventstore.create_archive(), which can adopt an existing table or use another name.")));
	if (OidIsValid(present))
		adopt_archive(store, present, name);
	else
		create_archive_table(store, namespace, table);
	if (!OidIsValid(present) && store->wants_archive)
		ereport(WARNING,
				(errmsg("the new archive of store %s is empty", store->live.qualified_name),
				 errdetail("The versions and ids of the events that were in its former archive can be assigned again.")));
	pges_create_link(name, store->live.qualified_name);
	pges_create_append_trigger(store->trigger, store->live.qualified_name,
							   store->notifications, store->channel, true, &store->slot);
	CacheInvalidateRelcacheByRelid(store->live.relid);
	CommandCounterIncrement();
	pges_check_widths(pges_store(store->live.relid));
	pges_end_ddl(nestlevel);
	if (as_owner)
		pges_become_again(&caller);
	if (!OidIsValid(present))
		move_to_tablespace(get_relname_relid(table, namespace), tablespace);
	return get_relname_relid(table, namespace);
}

/*
 * Create the archive of a store, and return its OID.  An existing table is made the
 * archive only if "adopt" is true.  The caller must have called pges_lock_archiving().
 *
 * The table lock waits for all open appends.  The next append waits for this lock, and
 * then finds the archive.  Readers are not blocked.  Until this transaction has ended, no
 * other transaction moves events.  If this transaction moves events, begin_archiving()
 * excludes readers.
 */
Oid
pges_create_archive_of(const PgesStore *store, const char *name, const char *tablespace,
					   bool adopt)
{
	char	   *schema = NULL;
	char	   *table;

	store = pges_lock_owned_store(store->live.relid, ShareRowExclusiveLock);
	pges_check_can_be_archived(store);
	if (name)
		pges_parse_store_name(name, &schema, &table);
	else
		table = makeObjectName(store->live.table, NULL, "archive");
	return create_archive(store, schema ? schema : store->live.schema, table, tablespace, adopt);
}

/* Warn that a table that may be the former archive of a store is not made its archive. */
static void
warn_not_adopted(const PgesStore *store, Oid relid, const char *reason)
{
	ereport(WARNING,
			(errmsg("table %s does not become the archive of store %s", pges_relation_name(relid),
					store->live.qualified_name),
			 errdetail("%s", reason),
			 errhint("If it is the former archive, correct it and call eventstore.create_archive() before the next append. Otherwise versions and ids of archived events are assigned again.")));
}

/*
 * If a table in the schema of a new store has the default name, the columns and the owner
 * of its archive, make that table the archive.  This restores the link, which DROP
 * EXTENSION has dropped with all triggers.  Ignore a table with other columns; raise an
 * error if events of the table overlap with those of the store.
 */
void
pges_adopt_former_archive(Oid relid)
{
	const PgesStore *store = pges_store(relid);
	char	   *table = makeObjectName(store->live.table, NULL, "archive");
	Oid			present = get_relname_relid(table, get_rel_namespace(relid));
	Relation	rel;
	const char *reason;

	if (OidIsValid(store->archive.relid) || get_rel_relkind(present) != RELKIND_RELATION)
		return;
	if (pges_owner_of(present) != store->live.owner)
	{
		warn_not_adopted(store, present, "Its owner is not that of the store.");
		return;
	}
	rel = try_relation_open(present, AccessShareLock);
	if (rel == NULL)
		return;
	reason = reason_against(store, rel);
	if (!pges_has_columns(rel) || reason)
	{
		if (pges_has_columns(rel))
			warn_not_adopted(store, present, reason);
		relation_close(rel, AccessShareLock);
		return;
	}
	relation_close(rel, AccessShareLock);
	store = pges_lock_archiving(relid);
	(void) pges_create_archive_of(store, NULL, NULL, true);
	ereport(NOTICE,
			(errmsg("made table %s the archive of store %s again", pges_relation_name(present),
					store->live.qualified_name),
			 errhint("Set the rules of the retention again with eventstore.set_retention().")));
}

/* Return a text argument, or NULL if it is null. */
static char *
optional_text(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

PG_FUNCTION_INFO_V1(pges_create_archive);

/* SQL: create the archive of a store; if it has one, raise a notice. */
Datum
pges_create_archive(PG_FUNCTION_ARGS)
{
	const PgesStore *store;

	PreventCommandIfReadOnly("eventstore.create_archive()");
	store = pges_store_argument(fcinfo, 0, AccessShareLock, ACL_NO_RIGHTS);
	store = pges_lock_archiving(store->live.relid);
	if (!OidIsValid(store->archive.relid))
		PG_RETURN_OID(pges_create_archive_of(store, optional_text(fcinfo, 1),
											 optional_text(fcinfo, 2), true));
	pges_check_archive_owner(store);
	ereport(NOTICE,
			(errcode(ERRCODE_DUPLICATE_TABLE),
			 errmsg("store %s already has an archive, skipping", store->live.qualified_name)));
	PG_RETURN_OID(store->archive.relid);
}
