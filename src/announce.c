/*
 * announce.c
 *		What the notifier does about stores: announces their events, and writes
 *		their watermarks.
 *
 * It works without a user's rights: catalogs, sequences and an index are read
 * here, not by a query, and the watermarks are written as their owner, in a
 * security restricted operation, as that table may have triggers.  Anybody may
 * make a table that looks like a store, so each is looked at with suspicion,
 * and an error about one does not keep the others from being announced.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "announce.h"
#include "mark.h"
#include "position.h"
#include "store.h"
#include "trigger.h"

#define WATERMARK_MS 100		/* a watermark is written so often at most */
#define LIST_MS 100				/* so often at most others' DDL is looked at */
#define PAUSE_MS 10000			/* after an error, for what caused it */
#define MAX_FAILURES 10			/* in a row, before it gives up */

/* A store that the notifier announces. */
typedef struct NotifiedStore
{
	Oid			relid;			/* hash key */
	bool		listed;			/* found by the last look at the catalog */
	Oid			sequence;
	char		name[2 * (2 * NAMEDATALEN + 2)];	/* quoted */
	char		channel[NAMEDATALEN];
	TimestampTz paused_until;	/* after an error */
	TimestampTz recorded_at;
	int64		last;			/* position that was taken at the last look */
	int64		announced;		/* the mark that was announced last */
	int64		recorded;		/* the mark that the watermark has as
								 * announced */
	int64		announcing;		/* the same, once the transaction commits */
	int64		recording;
} NotifiedStore;

/* The stores, as long as the worker lives. */
static HTAB *stores = NULL;

/* Whether the catalog may, or does, tell otherwise; and when it was read last. */
static bool stores_may_differ = true;
static bool stores_differ = true;
static TimestampTz listed_at = 0;

/* What is being worked on, for who handles an error. */
static NotifiedStore *current_store = NULL;
static bool is_recording = false;

/* No watermark is written before, after an error. */
static TimestampTz no_records_until = 0;

/*
 * Relcache callback: a store that is listed has changed, or another may have
 * come.  Most tables that come are none.
 */
static void
relcache_changed(Datum arg, Oid relid)
{
	stores_may_differ = true;
	if (!OidIsValid(relid) || hash_search(stores, &relid, HASH_FIND, NULL))
		stores_differ = true;
}

/* Syscache callback: a schema may have a new name. */
static void
syscache_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	stores_may_differ = stores_differ = true;
}

/* Get ready, once in the life of the worker. */
void
pges_announcer_init(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(NotifiedStore);
	stores = hash_create("pg_eventstore notified stores", 16, &ctl,
						 HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(relcache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, syscache_changed, (Datum) 0);
}

/* Whether a relation is a sequence of a table, and can be read from here. */
static bool
is_own_sequence(Oid sequence, Oid relid)
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
		is_own_sequence(options->sequence, RelationGetRelid(rel));
}

/* List a store, if it is one that the notifier announces. */
static void
list_store(Relation rel)
{
	PgesStoreOptions options;
	NotifiedStore *store;
	PgesWatermark watermark;
	Oid			relid = RelationGetRelid(rel);
	bool		found;

	if (!is_announced(rel, &options))
		return;
	store = hash_search(stores, &relid, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) store + sizeof(Oid), 0, sizeof(NotifiedStore) - sizeof(Oid));
		(void) pges_read_watermark(relid, false, &watermark);
		store->announced = store->recorded = watermark.announced;
	}
	store->listed = true;
	store->sequence = options.sequence;
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
 * stays as it was listed, and the next look tries again.
 */
static void
list_stores(void)
{
	HASH_SEQ_STATUS status;
	NotifiedStore *store;
	ListCell   *lc;

	stores_differ = stores_may_differ = false;
	listed_at = GetCurrentTimestamp();
	hash_seq_init(&status, stores);
	while ((store = hash_seq_search(&status)) != NULL)
		store->listed = false;
	foreach(lc, tables_with_trigger())
	{
		Oid			relid = lfirst_oid(lc);
		Relation	rel;

		if (!ConditionalLockRelationOid(relid, AccessShareLock))
		{
			store = hash_search(stores, &relid, HASH_FIND, NULL);
			if (store)
				store->listed = true;
			stores_may_differ = true;
			continue;
		}
		rel = try_relation_open(relid, NoLock);
		if (rel)
		{
			list_store(rel);
			relation_close(rel, NoLock);
		}
	}
	hash_seq_init(&status, stores);
	while ((store = hash_seq_search(&status)) != NULL)
	{
		if (!store->listed)
			(void) hash_search(stores, &store->relid, HASH_REMOVE, NULL);
	}
}

/*
 * Whether there is an event that is to be announced: positions that were rolled
 * back move the mark, too.  The index is read under a snapshot of now; without
 * it, there may be one.
 */
static bool
has_event(const NotifiedStore *store, int64 mark)
{
	Relation	rel = table_open(store->relid, AccessShareLock);
	Oid			indexid = pges_position_index(rel);
	Relation	index;
	Snapshot	snapshot;
	AttrNumber	column;
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool		found;

	if (!OidIsValid(indexid))
	{
		table_close(rel, AccessShareLock);
		return true;
	}
	index = index_open(indexid, AccessShareLock);
	column = index->rd_index->indkey.values[0];
	snapshot = RegisterSnapshot(GetLatestSnapshot());

	ScanKeyInit(&keys[0], column, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(store->announced));
	ScanKeyInit(&keys[1], column, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(mark));
	scan = systable_beginscan_ordered(rel, index, snapshot, 2, keys);
	found = HeapTupleIsValid(systable_getnext_ordered(scan, ForwardScanDirection));
	systable_endscan_ordered(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Write a store's watermark, as the owner of the watermarks; false when it has
 * to be tried again.
 */
static bool
record(NotifiedStore *store, int64 mark)
{
	Oid			watermarks = pges_watermarks_table(false);
	Relation	rel;
	Oid			user;
	int			context;
	int			nestlevel;
	bool		done;

	store->recorded_at = GetCurrentTimestamp();
	if (!ConditionalLockRelationOid(watermarks, RowExclusiveLock))
		return false;
	rel = table_open(watermarks, NoLock);
	is_recording = true;
	nestlevel = NewGUCNestLevel();	/* a trigger may change settings */
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	done = pges_write_watermark(store->relid, store->sequence, mark, PGES_BY_NOTIFIER);
	PopActiveSnapshot();
	SPI_finish();
	SetUserIdAndSecContext(user, context);
	AtEOXact_GUC(false, nestlevel);
	is_recording = false;
	table_close(rel, NoLock);
	if (done)
		store->recording = mark;
	return done;
}

/* Write a store's watermark, if it is time for that. */
static void
record_if_due(NotifiedStore *store, int64 mark, PgesOutlook *outlook)
{
	TimestampTz now = GetCurrentTimestamp();

	if (mark == store->recorded || now < no_records_until ||
		get_rel_persistence(store->relid) != RELPERSISTENCE_PERMANENT)
		return;
	if (!TimestampDifferenceExceeds(store->recorded_at, now, WATERMARK_MS) ||
		!record(store, mark))
		outlook->unrecorded = true;
}

/*
 * Announce what is new in a store and write its watermark.  Relations that
 * somebody has locked are left for later.
 */
static void
announce_store(NotifiedStore *store, PgesOutlook *outlook)
{
	int64		last;
	int64		mark;

	if (!ConditionalLockRelationOid(store->relid, AccessShareLock) ||
		!ConditionalLockRelationOid(store->sequence, AccessShareLock))
	{
		outlook->open_appends = true;
		return;
	}
	if (!is_own_sequence(store->sequence, store->relid) ||
		pges_is_subscribed(store->relid))
		return;
	mark = pges_probe_mark(store->relid, store->sequence);
	last = pges_next_of_sequence(store->sequence) - 1;
	if (mark < last)
		outlook->open_appends = true;
	outlook->taken += last - store->last;
	store->last = last;
	if (mark > store->announced && has_event(store, mark))
	{
		pges_notify(store->channel, store->name, mark, 0);
		outlook->announced = true;
	}
	store->announcing = mark;	/* lower when the sequence was set back */
	record_if_due(store, mark, outlook);
}

/* Look at all stores, but for those that failed just now. */
static void
announce_stores(PgesOutlook *outlook)
{
	TimestampTz now = GetCurrentTimestamp();
	HASH_SEQ_STATUS status;
	NotifiedStore *store;

	hash_seq_init(&status, stores);
	while ((store = hash_seq_search(&status)) != NULL)
	{
		store->announcing = store->announced;
		store->recording = store->recorded;
		if (now < store->paused_until)
			continue;
		current_store = store;
		announce_store(store, outlook);
		current_store = NULL;
	}
}

/* Keep in mind what was announced, now that it has been committed. */
static void
keep_announced(void)
{
	HASH_SEQ_STATUS status;
	NotifiedStore *store;

	hash_seq_init(&status, stores);
	while ((store = hash_seq_search(&status)) != NULL)
	{
		store->announced = store->announcing;
		store->recorded = store->recording;
	}
}

/*
 * List the stores if need be.  Without the table of watermarks nothing is done:
 * the extension is gone, or the table is locked.
 */
static void
refresh_stores(PgesOutlook *outlook)
{
	Oid			watermarks = pges_watermarks_table(true);

	if (!OidIsValid(watermarks))
		stores_differ = stores_may_differ = false;
	else if (!ConditionalLockRelationOid(watermarks, AccessShareLock))
		outlook->unrecorded = true;
	else if (stores_differ ||
			 (stores_may_differ &&
			  TimestampDifferenceExceeds(listed_at, GetCurrentTimestamp(), LIST_MS)))
		list_stores();
}

/* Announce all stores, in a transaction. */
static void
announce(PgesOutlook *outlook)
{
	pgstat_report_activity(STATE_RUNNING, "announcing events");
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	refresh_stores(outlook);
	if (OidIsValid(pges_watermarks_table(true)))
		announce_stores(outlook);
	CommitTransactionCommand();
	keep_announced();
	pgstat_report_stat(false);
	outlook->unrecorded |= stores_may_differ;
}

/*
 * After an error: leave alone for a while what caused it, a store or, if it is
 * none of them, the writing of watermarks.
 */
static void
pause_after_error(void)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PAUSE_MS);

	if (current_store && !is_recording)
		current_store->paused_until = until;
	else
		no_records_until = until;
	current_store = NULL;
	is_recording = false;
	stores_differ = true;
}

/*
 * Announce what is new in all stores, and tell what is left to do.  An error is
 * logged, and it is tried again, ever more slowly; in the end it is raised.  Who
 * holds a lock for long is waited for.
 */
void
pges_announce_all(PgesOutlook *outlook)
{
	static int	failures = 0;
	MemoryContext context = CurrentMemoryContext;

	memset(outlook, 0, sizeof(PgesOutlook));
	PG_TRY();
	{
		announce(outlook);
		failures = 0;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE && ++failures >= MAX_FAILURES)
			PG_RE_THROW();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		pause_after_error();
		outlook->unrecorded = true;
		outlook->failures = failures;
	}
	PG_END_TRY();
}
