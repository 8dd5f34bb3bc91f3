/*
 * announced_stores.c
 *		The list of the stores that the notifier announces.
 *
 * The catalog is the registry (store.c).  The list is made anew when the catalog may
 * have changed, as invalidations tell.
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
#include "notify/announced_stores.h"
#include "position/position.h"
#include "store/store.h"

#define LIST_MS 100				/* so often at most others' DDL is looked at */

/* The stores, as long as the worker lives. */
HTAB	   *pges_announced_stores = NULL;

/* Whether the catalog may, or does, tell otherwise; and when it was read last. */
static bool stores_may_differ = true;
static bool stores_differ = true;
static TimestampTz listed_at = 0;

/* All stores that are listed may have changed, and others may have come. */
static void
all_changed(void)
{
	HASH_SEQ_STATUS status;
	PgesAnnouncedStore *store;

	stores_may_differ = stores_differ = true;
	hash_seq_init(&status, pges_announced_stores);
	while ((store = hash_seq_search(&status)) != NULL)
		store->differs = true;
}

/*
 * Relcache callback: a store that is listed has changed, or another may have
 * come.  Most tables that come are none.
 */
static void
announced_table_changed(Datum arg, Oid relid)
{
	PgesAnnouncedStore *store;

	if (!OidIsValid(relid))
	{
		all_changed();
		return;
	}
	stores_may_differ = true;
	store = hash_search(pges_announced_stores, &relid, HASH_FIND, NULL);
	if (store)
		stores_differ = store->differs = true;
}

/* Syscache callback: a schema may have a new name. */
static void
announced_name_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	all_changed();
}

/* Get ready, once in the life of the worker. */
void
pges_announced_stores_init(void)
{
	pges_announced_stores = pges_oid_table("pg_eventstore notified stores", sizeof(PgesAnnouncedStore));
	CacheRegisterRelcacheCallback(announced_table_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, announced_name_changed, (Datum) 0);
}

/* Whether a relation is a sequence of a table, and can be read from here. */
bool
pges_is_sequence_of(Oid sequence, Oid relid)
{
	Oid			owner;
	int32		column;

	return OidIsValid(sequence) && get_rel_relkind(sequence) == RELKIND_SEQUENCE &&
		get_rel_persistence(sequence) != RELPERSISTENCE_TEMP &&
		sequenceIsOwned(sequence, DEPENDENCY_AUTO, &owner, &column) && owner == relid;
}

/* Whether a table is a store that the notifier can announce. */
static bool
is_announced(Relation rel, PgesStoreOptions *options)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relpersistence != RELPERSISTENCE_TEMP &&
		pges_read_options(rel, options) &&
		get_atttype(RelationGetRelid(rel), get_attnum(RelationGetRelid(rel), "position")) == INT8OID &&
		strcmp(options->notifications, pges_notifications_name(PGES_NOTIFY_WORKER)) == 0 &&
		options->channel[0] != '\0' && strlen(options->channel) < NAMEDATALEN &&
		pges_is_sequence_of(options->sequence, RelationGetRelid(rel));
}

/* List a store, if it is one that the notifier announces. */
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
		store->last = -1;
		store->differs = stores_may_differ; /* nobody has told it */
	}
	store->listed = true;
	if (store->sequence != options.sequence)
		store->failures = 0;
	store->sequence = options.sequence;
	store->permanent = rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT;
	strlcpy(store->channel, options.channel, sizeof(store->channel));
	strlcpy(store->name,
			quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									   RelationGetRelationName(rel)),
			sizeof(store->name));
}

/* The tables that carry the trigger of stores. */
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
 * List all stores anew.  A table that somebody has locked is not waited for: it
 * stays as it was listed.  Unless that is still true, the next look tries again.
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
 * List the stores if need be.  Without the table of watermarks nothing is done:
 * the extension is gone, or the table is locked; false in the latter case.
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
	return true;
}

/* Whether some tables could not be looked at, or have changed since. */
bool
pges_announced_stores_may_differ(void)
{
	return stores_may_differ;
}

/* Have all stores listed anew. */
void
pges_list_stores_anew(void)
{
	stores_differ = true;
}
