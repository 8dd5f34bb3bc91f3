/*
 * projected_stores.c
 *		The stores that have projections which workers run.
 *
 * Every transaction that appends asks for them when it commits, and the notifier at each
 * look.  So each session keeps a list, and reads it again from the table when
 * pges_change_projections() has sent an invalidation of the table.
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/own_object.h"
#include "position/position.h"
#include "projection/projection.h"
#include "projector/projector_steps.h"
#include "store/store.h"
#include "subscription/subscription.h"

static PgesOwnStatement find_stores = {
	{&pges_definition_rows}, true,
	"SELECT store::pg_catalog.oid, pg_catalog.count(*) FROM eventstore.subscription_definitions "
	"WHERE runner OPERATOR(pg_catalog.=) 'worker' AND NOT paused GROUP BY 1",
	0
};

/*
 * The list, whether it is complete, and the table whose invalidation means that it may not
 * be.
 */
static List *stores = NIL;
static bool is_known = false;
static uint64 generation = 0;	/* how often it was read */
static Oid	table_of_definitions = InvalidOid;

/* Relcache callback: projections may have changed. */
static void
table_changed(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == table_of_definitions)
		is_known = false;
}

/* Return a new entry for a store. */
static PgesProjectedStore *
make_entry(HeapTuple row, TupleDesc desc)
{
	PgesProjectedStore *store = palloc0(sizeof(PgesProjectedStore));
	PgesStoreOptions options;
	bool		isnull;

	store->relid = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
	store->projections = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	store->seen = -1;
	if (get_rel_relkind(store->relid) == RELKIND_RELATION && pges_find_options(store->relid, &options))
		store->sequence = options.sequence;
	return store;
}

/* Read the list.  All marks count as not seen, because there may be new projections. */
static void
read_stores(void)
{
	MemoryContext caller;

	SPI_connect();
	is_known = true;			/* an invalidation may come meanwhile */
	(void) pges_run_own_statement(&find_stores, NULL, NULL);
	caller = MemoryContextSwitchTo(TopMemoryContext);
	list_free_deep(stores);
	stores = NIL;
	generation++;
	for (uint64 i = 0; i < SPI_processed; i++)
		stores = lappend(stores, make_entry(SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
	MemoryContextSwitchTo(caller);
	SPI_finish();
}

/* Return the list of the stores; NIL if the extension is being dropped. */
List *
pges_projected_stores(void)
{
	if (!is_known)
	{
		table_of_definitions = pges_own_table_oid(&pges_definition_rows, true);
		if (!OidIsValid(table_of_definitions))
			return NIL;
		read_stores();
	}
	return stores;
}

/* Return a number that changes when projections may have changed. */
uint64
pges_projected_generation(void)
{
	return generation;
}

/*
 * Return whether a store has a projection that workers run.  A transaction that appends
 * asks before it commits.  So this neither waits for a lock on the table nor raises an error
 * because of its definition; then the store may have one.
 */
bool
pges_is_projected(Oid store)
{
	ListCell   *lc;

	if (!is_known)
	{
		Relation	rel = pges_try_open_own_table(&pges_definition_rows, AccessShareLock);

		if (rel == NULL)
			return OidIsValid(pges_own_table_oid(&pges_definition_rows, true));
		table_close(rel, NoLock);
	}

	foreach(lc, pges_projected_stores())
	{
		if (((PgesProjectedStore *) lfirst(lc))->relid == store)
			return true;
	}
	return false;
}

/* Return whether it is known, without a look at the table, that there is no such store. */
bool
pges_has_no_projected_store(void)
{
	return is_known && stores == NIL;
}

/*
 * Return the high-water mark of a store, and set *held_back to whether open appends hold it
 * back.  Return -1 if the store is locked, was dropped, or is no store any more.
 */
int64
pges_projected_mark(PgesProjectedStore *store, bool *held_back)
{
	int64		mark = -1;

	*held_back = false;
	if (!OidIsValid(store->sequence) || !ConditionalLockRelationOid(store->relid, AccessShareLock))
		return -1;
	if (ConditionalLockRelationOid(store->sequence, AccessShareLock))
	{
		if (get_rel_relkind(store->sequence) == RELKIND_SEQUENCE &&
			pges_table_of_sequence(store->sequence) == store->relid)
		{
			mark = pges_probe_mark(store->relid, store->sequence);
			*held_back = mark < pges_next_of_sequence(store->sequence) - 1;
		}
		UnlockRelationOid(store->sequence, AccessShareLock);
	}
	UnlockRelationOid(store->relid, AccessShareLock);
	return mark;
}

/* Register the callback. */
void
pges_projected_stores_init(void)
{
	CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
}
