/*
 * announced_stores.c
 *		The list of the stores that the notifier announces.
 *
 * The catalog is the registry (store.c).  The list is read again from the catalog when
 * invalidations show that the catalog may have changed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/oid_table.h"
#include "base/text.h"
#include "notify/notifier.h"
#include "position/position.h"

#define LIST_MS 100				/* minimum time between reads for other DDL */

/* The announced stores.  Lives as long as the worker. */
HTAB	   *pges_announced_stores = NULL;

/* Whether the list may, or does, differ from the catalog; the time of the last read. */
static bool stores_may_differ = true;
static bool stores_differ = true;
static TimestampTz listed_at = 0;

/*
 * Syscache callback: a schema may have a new name.  Mark all listed stores as changed.
 * Also called if any table may have changed: then new stores may exist.
 */
static void
announced_names_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	PgesAnnouncedStore *store;

	stores_may_differ = stores_differ = true;
	hash_seq_init(&status, pges_announced_stores);
	while ((store = hash_seq_search(&status)) != NULL)
		store->differs = true;
}

/*
 * Relcache callback: mark a listed store as changed.  Any other table may be a new store,
 * but most are not, so they only set stores_may_differ.
 */
static void
announced_table_changed(Datum arg, Oid relid)
{
	PgesAnnouncedStore *store;

	if (!OidIsValid(relid))
	{
		announced_names_changed(arg, 0, 0);
		return;
	}
	stores_may_differ = true;
	store = hash_search(pges_announced_stores, &relid, HASH_FIND, NULL);
	if (store)
		stores_differ = store->differs = true;
}

/* Create the list and register the callbacks, once in each worker process. */
void
pges_announced_stores_init(void)
{
	if (pges_announced_stores)
		return;
	pges_announced_stores = pges_oid_table("pg_eventstore announced stores", sizeof(PgesAnnouncedStore));
	CacheRegisterRelcacheCallback(announced_table_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, announced_names_changed, (Datum) 0);
}

/* Return whether a relation is a sequence of a table, and not a temporary one. */
bool
pges_is_sequence_of(Oid sequence, Oid relid)
{
	Oid			owner;
	int32		column;

	return OidIsValid(sequence) && get_rel_relkind(sequence) == RELKIND_SEQUENCE &&
		get_rel_persistence(sequence) != RELPERSISTENCE_TEMP &&
		sequenceIsOwned(sequence, DEPENDENCY_AUTO, &owner, &column) && owner == relid;
}

/* Return whether a table is a store that the notifier can announce; set *options. */
static bool
is_announced(Relation rel, PgesStoreOptions *options)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relpersistence != RELPERSISTENCE_TEMP &&
		pges_find_options(RelationGetRelid(rel), options) && !options->slot.arriving &&
		get_atttype(RelationGetRelid(rel), get_attnum(RelationGetRelid(rel), "position")) == INT8OID &&
		strcmp(options->notifications, pges_notifications_name(PGES_NOTIFY_WORKER)) == 0 &&
		options->channel[0] != '\0' && strlen(options->channel) < NAMEDATALEN &&
		pges_is_sequence_of(options->sequence, RelationGetRelid(rel));
}

/* Add a table to the list, or update its entry, if the notifier announces it. */
static void
list_store(Relation rel)
{
	PgesStoreOptions options;
	PgesAnnouncedStore *store;
	PgesWatermark watermark;
	Oid			relid = RelationGetRelid(rel);
	bool		found;

	if (!is_announced(rel, &options))
		return;
	store = hash_search(pges_announced_stores, &relid, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) store + sizeof(Oid), 0, sizeof(PgesAnnouncedStore) - sizeof(Oid));
		(void) pges_read_watermark(relid, false, &watermark);
		store->announced = store->recorded = watermark.announced;
		store->last = watermark.announced;
		store->differs = stores_may_differ; /* no callback has marked it */
	}
	store->listed = true;
	if (store->sequence != options.sequence)
		store->failures = 0;
	store->sequence = options.sequence;
	store->permanent = rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT;
	strlcpy(store->channel, options.channel, sizeof(store->channel));
	strlcpy(store->name, pges_relation_name(relid), sizeof(store->name));
}

/* Return the OIDs of the tables that carry the trigger of stores. */
static List *
tables_with_trigger(void)
{
	Relation	triggers = table_open(TriggerRelationId, AccessShareLock);
	List	   *relids = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgfoid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(pges_append_trigger_function()));
	scan = systable_beginscan(triggers, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		relids = list_append_unique_oid(relids, ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid);
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return relids;
}

/*
 * Read the list again from the catalog.  A table that another session has locked is
 * skipped and keeps its entry.  If the entry is missing or may be outdated, the next look
 * reads the list again.
 */
static void
list_stores(void)
{
	HASH_SEQ_STATUS status;
	PgesAnnouncedStore *store;
	ListCell   *lc;

	stores_differ = stores_may_differ = false;
	listed_at = GetCurrentTimestamp();
	hash_seq_init(&status, pges_announced_stores);
	while ((store = hash_seq_search(&status)) != NULL)
		store->listed = false;
	foreach(lc, tables_with_trigger())
	{
		Oid			relid = lfirst_oid(lc);
		bool		is_free = ConditionalLockRelationOid(relid, AccessShareLock);
		Relation	rel;

		store = hash_search(pges_announced_stores, &relid, HASH_FIND, NULL);
		if (!is_free)
		{
			if (store)
				store->listed = true;
			if (store == NULL || store->differs)
				stores_may_differ = true;
			continue;
		}
		if (store)
			store->differs = false;
		rel = try_relation_open(relid, NoLock);
		if (rel)
		{
			list_store(rel);
			relation_close(rel, NoLock);
		}
		UnlockRelationOid(relid, AccessShareLock);
	}
	hash_seq_init(&status, pges_announced_stores);
	while ((store = hash_seq_search(&status)) != NULL)
	{
		if (!store->listed)
			(void) hash_search(pges_announced_stores, &store->relid, HASH_REMOVE, NULL);
	}
}

/*
 * Read the list again if needed.  If the table of watermarks is missing, the extension was
 * dropped, and nothing is done.  Return false if the table is locked, or if the list may
 * still differ from the catalog.  The caller must then soon call the function again.
 */
bool
pges_refresh_announced_stores(void)
{
	Oid			watermarks = pges_watermarks_table(true);

	if (!OidIsValid(watermarks))
		stores_differ = stores_may_differ = false;
	else if (!ConditionalLockRelationOid(watermarks, AccessShareLock))
		return false;
	else if (stores_differ ||
			 (stores_may_differ &&
			  TimestampDifferenceExceeds(listed_at, GetCurrentTimestamp(), LIST_MS)))
		list_stores();
	return !stores_may_differ;
}

/* Make the next pges_refresh_announced_stores() read the list again. */
void
pges_list_stores_anew(void)
{
	stores_differ = true;
}
