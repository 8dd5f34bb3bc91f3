/*
 * store.c
 *		Finds stores and caches their descriptions.
 *
 * The catalog is the registry: a store is a table that carries our trigger
 * (describe.c), and its archive one that carries another (archive_link.c).
 * Nothing is recorded anywhere else, so nothing can go stale when a table is
 * dumped, renamed, moved or dropped.
 *
 * A description is made on first use and cached.  It is marked when something it
 * tells of changes, and the next use makes it anew:
 *
 *	-	the table: its columns, defaults, constraints, triggers, rules, row
 *		security, tables that inherit from it, and which indexes it has; all of
 *		this invalidates the table's relcache entry
 *	-	its unique indexes, the archive and the archive's index (PgesPart), each by
 *		a relcache entry of its own: to rename an index does not invalidate that of
 *		the table
 *	-	the link to the archive: a new one changes nothing about the table's own
 *		entries, but it is a constraint trigger, which brings a row of
 *		pg_constraint; whenever one of these changes, the next use looks whether
 *		the link is still the same
 *	-	the schema's name, and the options and owner of the sequence, in the
 *		catalogs of schemas and sequences, at any change of which all is marked
 *
 * The functions of the extension, and the schema eventstore, are taken to stay
 * what they are called as long as the extension is there.
 *
 * A description that is no longer true may still be in use further up the call
 * stack, so it is handed to the transaction's memory context, which frees it at
 * the end.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "storage/sinval.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/guc.h"
#include "base/lock_tag.h"
#include "base/oid_table.h"
#include "store/store.h"

typedef struct StoreEntry
{
	Oid			relid;			/* hash key */
	bool		valid;
	bool		link_valid;		/* the archive is still that */
	MemoryContext context;		/* holds the description, or NULL */
	PgesStore  *store;
} StoreEntry;

/*
 * Both live as long as the backend.  An error while a description is made
 * leaves an entry that is not valid.
 */
static HTAB *stores = NULL;
static uint64 invalidations = 0;

/* Whether an entry is about a relation, as the store or a part of it. */
static bool
is_description_of(const StoreEntry *entry, Oid relid)
{
	bool		about = entry->relid == relid;

	for (int i = 0; entry->store && i < PGES_NUM_PARTS; i++)
		about |= entry->store->parts[i] == relid;
	return about;
}

/* Mark the descriptions that are about a relation, or all, as to be made anew. */
static void
invalidate(Oid relid)
{
	HASH_SEQ_STATUS status;
	StoreEntry *entry;

	invalidations++;
	hash_seq_init(&status, stores);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || is_description_of(entry, relid))
			entry->valid = false;
	}
}

/* Relcache callback: something about a table changed. */
static void
table_changed(Datum arg, Oid relid)
{
	invalidate(relid);
}

/* Syscache callback: a schema may have a new name, a sequence other options. */
static void
name_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	invalidate(InvalidOid);
}

/* Syscache callback: a constraint trigger may link another archive to a store. */
static void
constraint_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	StoreEntry *entry;

	invalidations++;
	hash_seq_init(&status, stores);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->link_valid = false;
}

/* Create the cache of descriptions. */
void
pges_store_init(void)
{
	stores = pges_oid_table("pg_eventstore stores", sizeof(StoreEntry));
	CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, name_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(SEQRELID, name_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(CONSTROID, constraint_changed, (Datum) 0);
}

/* Make or remake the description of an entry. */
static void
refresh(StoreEntry *entry)
{
	Relation	rel = pges_open_table(entry->relid);
	uint64		generation = invalidations;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "pg_eventstore store",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	PgesStore  *store = pges_describe_store(rel);

	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, CacheMemoryContext);
	if (entry->context)
		MemoryContextSetParent(entry->context, TopTransactionContext);
	entry->context = context;
	entry->store = store;
	entry->valid = entry->link_valid = (generation == invalidations);
	relation_close(rel, AccessShareLock);
}

/* Forget the descriptions of tables that are gone. */
static void
sweep_stores(void)
{
	HASH_SEQ_STATUS status;
	StoreEntry *entry;

	hash_seq_init(&status, stores);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->valid ||
			SearchSysCacheExists1(RELOID, ObjectIdGetDatum(entry->relid)))
			continue;
		if (entry->context)
			MemoryContextSetParent(entry->context, TopTransactionContext);
		hash_search(stores, &entry->relid, HASH_REMOVE, NULL);
	}
}

/* Find or make the entry of a table. */
static StoreEntry *
store_entry(Oid relid)
{
	StoreEntry *entry = hash_search(stores, &relid, HASH_FIND, NULL);
	bool		found;

	if (entry)
		return entry;
	sweep_stores();
	entry = hash_search(stores, &relid, HASH_ENTER, &found);
	entry->valid = entry->link_valid = false;
	entry->context = NULL;
	entry->store = NULL;
	return entry;
}

/* Look whether a description names the archive that its store has now. */
static void
check_link(StoreEntry *entry)
{
	uint64		generation = invalidations;
	bool		is_new;

	if (pges_find_archive(entry->relid, &is_new) != entry->store->archive.relid)
		entry->valid = false;
	entry->link_valid = (generation == invalidations);
}

/* The description of a store; raises when the table is none. */
const PgesStore *
pges_store(Oid relid)
{
	StoreEntry *entry = store_entry(relid);

	if (entry->valid && !entry->link_valid)
		check_link(entry);
	if (!entry->valid)
		refresh(entry);
	return entry->store;
}

/* The description of a store, if there is one and it is still true; or NULL. */
const PgesStore *
pges_known_store(Oid relid)
{
	StoreEntry *entry = hash_search(stores, &relid, HASH_FIND, NULL);

	return entry && entry->valid ? entry->store : NULL;
}

/* Raise when a part of a name would be cut to fit. */
static void
check_name_lengths(const char *name)
{
	List	   *names = NIL;
	ListCell   *lc;

	(void) SplitGUCList(pstrdup(name), '.', &names);	/* cuts nothing */
	foreach(lc, names)
	{
		if (strlen(lfirst(lc)) >= NAMEDATALEN)
			ereport(ERROR,
					(errcode(ERRCODE_NAME_TOO_LONG),
					 errmsg("store name \"%s\" is too long", name),
					 errdetail("Names of tables and schemas have at most %d bytes.",
							   NAMEDATALEN - 1)));
	}
}

/* Split the name of a store; without a schema it is in schema eventstore. */
void
pges_parse_store_name(const char *name, char **schema, char **table)
{
	List	   *names = NIL;

	if (!SplitIdentifierString(pstrdup(name), '.', &names) ||
		list_length(names) < 1 || list_length(names) > 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid store name: \"%s\"", name),
				 errdetail("A store is named by a table, with or without its schema."),
				 errhint("Quote names like SQL identifiers.")));
	check_name_lengths(name);
	*schema = list_length(names) == 2 ? linitial(names) : pstrdup("eventstore");
	*table = llast(names);
}

/* Callback of RangeVarGetRelidExtended(): the privileges are an argument. */
static void
check_found(const RangeVar *name, Oid relid, Oid old_relid, void *arg)
{
	if (OidIsValid(relid))
		pges_check_may_use(relid, *(AclMode *) arg);
}

/* The table that the setting names, locked. */
static Oid
table_of_setting(LOCKMODE mode, AclMode privileges)
{
	char	   *schema;
	char	   *table;
	Oid			relid;

	pges_parse_store_name(pges_store_setting, &schema, &table);
	relid = RangeVarGetRelidExtended(makeRangeVar(schema, table, -1), mode, RVR_MISSING_OK,
									 check_found, &privileges);
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("store \"%s\" does not exist", pges_store_setting),
				 errdetail("It is named by the setting \"pg_eventstore.store\"."),
				 errhint("Create it with eventstore.create_store().")));
	return relid;
}

/*
 * Lock a table that an OID names; what the user may do with it is looked at
 * before, and again if anything changed while the lock was waited for.
 */
static void
lock_table(Oid relid, LOCKMODE mode, AclMode privileges)
{
	uint64		seen = SharedInvalidMessageCounter;

	if (get_rel_relkind(relid) == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("store with OID %u does not exist", relid)));
	pges_check_may_use(relid, privileges);
	LockRelationOid(relid, mode);
	if (seen != SharedInvalidMessageCounter && get_rel_relkind(relid) != '\0')
		pges_check_may_use(relid, privileges);
}

/*
 * The store that a function's argument names, or else that of the setting.  The
 * user must own it or have one of the privileges.  It stays locked until the
 * transaction ends, so that the name in its description stays true.
 */
const PgesStore *
pges_store_argument(FunctionCallInfo fcinfo, int arg, LOCKMODE mode, AclMode privileges)
{
	Oid			relid;

	if (PG_ARGISNULL(arg))
		return pges_store(table_of_setting(mode, privileges));
	relid = PG_GETARG_OID(arg);
	lock_table(relid, mode, privileges);
	return pges_store(relid);
}

/* Raise the error that a sequence gives no positions. */
static void
report_sequence(Oid sequence)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("relation with OID %u is not the sequence of a store", sequence)));
}

/* The table that a sequence belongs to; raises when there is none. */
Oid
pges_table_of_sequence(Oid sequence)
{
	Oid			relid;
	int32		column;

	if (!sequenceIsOwned(sequence, DEPENDENCY_AUTO, &relid, &column))
		report_sequence(sequence);
	return relid;
}

/* The store whose positions a sequence gives, by that table; raises when it is none. */
const PgesStore *
pges_store_of_sequence(Oid relid, Oid sequence)
{
	const PgesStore *store = pges_store(relid);

	if (store->sequence != sequence)
		report_sequence(sequence);
	return store;
}

/*
 * The description of a store whose archive, if it has one, is locked, so that it
 * stays what it is, and keeps its name, until the transaction ends.  Whoever drops
 * it just now is waited for, and then there is none.
 */
const PgesStore *
pges_store_with_archive_locked(Oid relid)
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

/*
 * Let only one transaction at a time archive events of a store, or change its
 * archive; the store as it is then, with its archive held.
 */
const PgesStore *
pges_lock_archiving(Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, relid, 0, PGES_LOCK_ARCHIVE);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	AcceptInvalidationMessages();
	return pges_store_with_archive_locked(relid);
}

/*
 * Lock a store that is locked for reading in the mode of a change to come, with its
 * archive held.  The user's privileges have been looked at.  Not both locks at a time:
 * to wait for one with the other may deadlock.
 */
const PgesStore *
pges_open_for_change(Oid relid)
{
	UnlockRelationOid(relid, AccessShareLock);
	LockRelationOid(relid, RowExclusiveLock);
	return pges_store_with_archive_locked(relid);
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
