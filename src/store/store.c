/*
 * store.c
 *		Finds stores and caches their descriptions.
 *
 * The catalog is the registry.  A store is a table with a trigger that calls
 * after_append() (describe.c), and its archive is a table with a trigger that calls
 * archive_of_store() (archive_link.c).  There is no other record that could become stale
 * when a table is dumped, renamed, moved or dropped.
 *
 * A description is built on first use and cached.  When one of these changes, the
 * description is marked as stale, and the next use builds a new one:
 *
 *	-	The table: its columns, defaults, constraints, triggers, rules, row security,
 *		inheriting tables, and list of indexes.  Any change to them invalidates the
 *		relcache entry of the table.
 *	-	Its unique indexes, the archive and the archive's indexes.  Each has a relcache
 *		entry of its own.  Renaming an index does not invalidate the entry of the table.
 *	-	The link to the archive.  A new link invalidates no entry of the store's table,
 *		but as a constraint trigger it adds a row to pg_constraint.  After any change in
 *		pg_constraint, the next use checks whether the link has changed.
 *	-	The name of the schema, and the options and owner of the sequence.  Any change in
 *		the catalogs of schemas and sequences marks all descriptions.
 *
 * The functions of the extension, and schema eventstore, are assumed to keep their names
 * as long as the extension exists.
 *
 * A stale description may still be in use further up the call stack.  So its memory
 * context becomes a child of the transaction's, which frees it at the end.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/dependency.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/lock_tag.h"
#include "base/oid_table.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "store/store.h"

typedef struct StoreEntry
{
	Oid			relid;			/* hash key */
	bool		valid;
	bool		link_valid;		/* the archive has not changed */
	MemoryContext context;		/* holds the description, or NULL */
	PgesStore  *store;
} StoreEntry;

/*
 * The cache and the number of invalidations live as long as the backend.  If an error
 * occurs while a description is built, its entry stays invalid.
 */
static HTAB *stores = NULL;
static uint64 invalidations = 0;

/* Return whether a relation is the table, the archive or an index of an entry's store. */
static bool
is_description_of(const StoreEntry *entry, Oid relid)
{
	const PgesStore *store = entry->store;
	bool		about = entry->relid == relid || (store && store->archive.relid == relid);

	for (int i = 0; store && i < PGES_NUM_KEYS; i++)
		about |= store->live.indexes[i] == relid || store->archive.indexes[i] == relid;
	return about;
}

/* Relcache callback: mark the descriptions about a changed relation; InvalidOid: all. */
static void
table_changed(Datum arg, Oid relid)
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

/* Syscache callback: a schema's name or a sequence's options may have changed. */
static void
name_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	table_changed(arg, InvalidOid);
}

/* Syscache callback: a constraint trigger may have linked another archive to a store. */
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

/* Create the cache of descriptions, and register its callbacks. */
void
pges_store_init(void)
{
	stores = pges_oid_table("pg_eventstore stores", sizeof(StoreEntry));
	CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, name_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(SEQRELID, name_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(CONSTROID, constraint_changed, (Datum) 0);
}

/* Build the description of an entry; after an invalidation meanwhile, it stays invalid. */
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

/* Remove the stale entries of tables that no longer exist. */
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

/* Return the entry of a table; create the entry if there is none. */
static StoreEntry *
store_entry(Oid relid)
{
	StoreEntry *entry = hash_search(stores, &relid, HASH_FIND, NULL);

	if (entry)
		return entry;
	sweep_stores();
	entry = hash_search(stores, &relid, HASH_ENTER, NULL);
	entry->valid = entry->link_valid = false;
	entry->context = NULL;
	entry->store = NULL;
	return entry;
}

/* Mark a description as stale unless it names the current archive of its store. */
static void
check_link(StoreEntry *entry)
{
	uint64		generation = invalidations;
	bool		is_new;

	if (pges_find_archive(entry->relid, &is_new) != entry->store->archive.relid)
		entry->valid = false;
	entry->link_valid = (generation == invalidations);
}

/* Return the description of a store; raise an error if the table is not a store. */
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

/* Return the cached description of a store; NULL if there is none or it is stale. */
const PgesStore *
pges_known_store(Oid relid)
{
	StoreEntry *entry = hash_search(stores, &relid, HASH_FIND, NULL);

	return entry && entry->valid ? entry->store : NULL;
}

/* Raise an error if a part of a name is so long that it would be truncated. */
static void
check_name_lengths(const char *name)
{
	List	   *names = NIL;
	ListCell   *lc;

	(void) SplitGUCList(pstrdup(name), '.', &names);	/* truncates nothing */
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

/* Split a store's name; set *schema to NULL if it has none.  Raise an error if invalid. */
void
pges_parse_store_name(const char *name, char **schema, char **table)
{
	List	   *names = NIL;

	if (!SplitIdentifierString(pstrdup(name), '.', &names) ||
		list_length(names) < 1 || list_length(names) > 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid store name: \"%s\"", name),
				 errdetail("The name of a store is the name of its table, with or without the schema."),
				 errhint("Quote names like SQL identifiers.")));
	check_name_lengths(name);
	*schema = list_length(names) == 2 ? linitial(names) : NULL;
	*table = llast(names);
}

/* Raise the error that a sequence is not the sequence of a store. */
static void
report_sequence(Oid sequence)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("relation with OID %u is not the sequence of a store", sequence)));
}

/* Return the table that a sequence belongs to; raise an error if there is none. */
Oid
pges_table_of_sequence(Oid sequence)
{
	Oid			relid;
	int32		column;

	if (!sequenceIsOwned(sequence, DEPENDENCY_AUTO, &relid, &column))
		report_sequence(sequence);
	return relid;
}

/* Return the store of a table; raise an error unless the sequence is its own. */
const PgesStore *
pges_store_of_sequence(Oid relid, Oid sequence)
{
	const PgesStore *store = pges_store(relid);

	if (store->sequence != sequence)
		report_sequence(sequence);
	return store;
}

/*
 * Raise an error if a store has lost its archive.  The versions and ids of the archived
 * events are then unknown, and an append could assign them again.
 */
void
pges_require_link(const PgesStore *store)
{
	if (!store->wants_archive || OidIsValid(store->archive.relid))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the archive of store %s is missing", store->live.qualified_name),
			 errdetail("The versions and ids of its archived events are not known."),
			 errhint("Restore the table of the archive, and link it with eventstore.create_archive(%s, name => ...). If the archived events are lost, the same function creates an empty archive.",
					 quote_literal_cstr(store->live.qualified_name))));
}

/*
 * Lock the archive of a store, if there is one, and return the description of the store.
 * The lock protects the name of the archive and its link until the transaction ends.  If
 * another session is dropping the archive, wait for that session; then the store has no
 * archive.
 */
const PgesStore *
pges_lock_any_archive(Oid relid)
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

/* Like pges_lock_any_archive(), but raise an error if the store has lost its archive. */
const PgesStore *
pges_store_with_archive_locked(Oid relid)
{
	const PgesStore *store = pges_lock_any_archive(relid);

	pges_require_link(store);
	return store;
}

/* Acquire the lock on archiving of a store, until the transaction ends. */
static void
lock_archiving(Oid relid, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, relid, 0, PGES_LOCK_ARCHIVE);
	(void) LockAcquire(&tag, mode, false, false);
}

/*
 * Acquire the lock on the move of a slot, until the transaction ends.  The transaction
 * that moves the slot acquires it exclusively.  Changes of old events share it.
 */
static bool
lock_move(Oid relid, LOCKMODE mode, bool wait)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, relid, 0, PGES_LOCK_MOVE);
	return LockAcquire(&tag, mode, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

/* Exclude changes of the old events of a slot; see move_slot.c. */
void
pges_lock_move(Oid relid)
{
	(void) lock_move(relid, ExclusiveLock, true);
}

/*
 * Raise an error if a store is a slot that is being moved: the events that are already
 * copied must not change.  The caller does not wait for the end of the move, because the
 * move would wait for the caller's lock on the table.
 */
void
pges_check_not_moving(Oid relid)
{
	if (lock_move(relid, ShareLock, false))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("store %s is being moved to another server", pges_relation_name(relid)),
			 errdetail("Until the move ends, its events can be neither archived, erased nor restored."),
			 errhint("Repeat the call after the move. View pg_locks shows who holds the lock.")));
}

/*
 * Acquire the lock that allows only one transaction at a time to archive events of a store
 * or to change its archive.  Then lock the archive, if there is one, and return the
 * present description of the store.
 */
const PgesStore *
pges_lock_archiving(Oid relid)
{
	pges_check_not_moving(relid);
	lock_archiving(relid, ExclusiveLock);
	AcceptInvalidationMessages();
	return pges_lock_any_archive(relid);
}

/*
 * Acquire the lock to restore events to a store or to its archive.  Several transactions
 * may restore to the same table.  The lock conflicts with restores to the other table and
 * with archiving, because an event must not be in both tables.
 */
void
pges_lock_restore(const PgesStore *store, bool to_archive)
{
	pges_check_not_moving(store->live.relid);
	lock_archiving(store->live.relid, to_archive ? ShareLock : RowExclusiveLock);
}

/*
 * Replace the read lock on a store by the lock for a change, and return the store with
 * its archive locked.  The caller has checked the user's privileges.  The read lock is
 * released first, because waiting for one lock while holding the other may deadlock.
 */
const PgesStore *
pges_open_for_change(Oid relid)
{
	UnlockRelationOid(relid, AccessShareLock);
	LockRelationOid(relid, RowExclusiveLock);
	return pges_store_with_archive_locked(relid);
}

/* Raise an error unless the archive of a store has the columns and indexes it needs. */
void
pges_require_archive(const PgesStore *store)
{
	Relation	rel;

	if (store->archive_complete)
		return;
	rel = pges_open_table(store->archive.relid);
	pges_check_archive(rel);
	relation_close(rel, AccessShareLock);
}

PG_FUNCTION_INFO_V1(pges_after_append);

/*
 * Trigger, after INSERT, for each statement: makes its table a store.  Its arguments are
 * the options of the store.  The function only raises an error if the table has lost the
 * shape of a store.  Appends are recorded in position.c, because an append may fire no
 * trigger of the table.
 */
Datum
pges_after_append(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	pges_require_trigger(fcinfo, "after_append",
						 CALLED_AS_TRIGGER(fcinfo) &&
						 TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
						 TRIGGER_FIRED_AFTER(trigdata->tg_event) &&
						 TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event), "stores",
						 "eventstore.create_store() creates the triggers.");
	(void) pges_store(RelationGetRelid(trigdata->tg_relation));
	return PointerGetDatum(NULL);
}
