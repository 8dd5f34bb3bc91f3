/*
 * insert_direct.c
 *		Appends to plain stores past the executor.
 *
 * A statement through SPI has to start and end the executor, which takes as
 * long as the work itself when there is but one event.  So where nothing but
 * the work is to be done, it is done here: the version is read off the unique
 * index, and the events go to the table and its indexes as COPY brings them
 * there.  Constraints are checked as ever, but for the one of create_store(),
 * which an append satisfies by construction (own_check.c).
 *
 * This is so for a plain store (plain.c): a heap table that is no partition,
 * without row security, rules, further columns, and triggers on INSERT but the
 * one that makes it a store; its texts are compared by their bytes, and its
 * index on the versions is as create_store() makes it.  The archive, if there is
 * one, has such an index too.  The role must have the privileges on the whole of
 * both tables.  Everything else goes through SPI, and so does all of a session
 * with session_replication_role = replica, whose triggers do not fire.
 *
 * The trigger of the store is not fired: it does nothing for a store that has its
 * shape (immutable.c).
 *
 * An append that goes this way passes by what hangs on statements:
 *
 * - planner_hook and ExecutorStart_hook, ExecutorRun_hook, ExecutorFinish_hook
 *	 and ExecutorEnd_hook.  pg_stat_statements and auto_explain see the caller's
 *	 statement as ever, but no INSERT and no look-up of versions within it, even
 *	 with pg_stat_statements.track = all or auto_explain.log_nested_statements.
 * - ExecutorCheckPerms_hook, by which pgaudit and sepgsql learn what a statement
 *	 reads and writes.  Where a module has set it, every append goes through SPI.
 * - object_access_hook, as far as the executor calls it: for the functions in a
 *	 statement, of which there are none.  For rows nobody calls it.
 *
 * What hangs on the table and its indexes is as ever: their locks and statistics,
 * logical decoding, the checks of serializability.
 *
 * With the setting pg_eventstore.direct_append off, all appends go through SPI.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "append/append_steps.h"
#include "base/compat.h"
#include "base/guc.h"
#include "event/event.h"
#include "store/store.h"

/* So many events go to the table at once. */
#define CHUNK 64

/* Whether the user may read an archive, if there is one. */
static bool
may_look_up_in(const PgesArchive *archive)
{
	return !OidIsValid(archive->relid) ||
		(pg_class_aclcheck(archive->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		 pges_may_in_schema_compat(get_rel_namespace(archive->relid), ACL_USAGE));
}

/* Whether an append to a store can go this way, as things are now. */
bool
pges_direct_is_possible(const PgesStore *store)
{
	return store->plain && pges_direct_append &&
		ExecutorCheckPerms_hook == NULL &&
		SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA &&
		pg_class_aclmask(store->relid, GetUserId(), ACL_INSERT | ACL_SELECT,
						 ACLMASK_ALL) == (ACL_INSERT | ACL_SELECT) &&
		may_look_up_in(&store->archive) &&
		pges_may_in_schema_compat(get_rel_namespace(store->relid), ACL_USAGE);
}

/* Fill a slot with an event. */
static void
fill_slot(const PgesStore *store, const PgesEvent *event, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < PGES_NUM_COLUMNS; i++)
	{
		int			n = store->attnums[i] - 1;

		slot->tts_values[n] = pges_event_value(event, i, &slot->tts_isnull[n]);
	}
	ExecStoreVirtualTuple(slot);
}

/* Insert some events into the table, and then into its indexes. */
static void
insert_chunk(const PgesStore *store, const PgesEvent *events, int n,
			 ResultRelInfo *table, EState *estate, TupleTableSlot **slots)
{
	Relation	rel = table->ri_RelationDesc;
	CommandId	cid = estate->es_output_cid;

	for (int i = 0; i < n; i++)
	{
		fill_slot(store, &events[i], slots[i]);
		slots[i]->tts_tableOid = RelationGetRelid(rel);
		if (!pges_is_known_to_pass(store, slots[i]))
			ExecConstraints(table, slots[i], estate);
		ResetPerTupleExprContext(estate);
	}
	if (n == 1)
		table_tuple_insert(rel, slots[0], cid, 0, NULL);
	else
		table_multi_insert(rel, slots, n, cid, 0, NULL);
	for (int i = 0; i < n; i++)
	{
		pges_insert_index_tuples_compat(table, slots[i], estate);
		ResetPerTupleExprContext(estate);
		ExecClearTuple(slots[i]);
	}
}

/* Insert all events of a batch, a chunk at a time. */
static void
insert_all(const PgesStore *store, const PgesBatch *batch,
		   ResultRelInfo *table, EState *estate)
{
	TupleTableSlot *slots[CHUNK];
	int			nslots = Min(batch->nevents, CHUNK);
	MemoryContext chunk = AllocSetContextCreate(CurrentMemoryContext,
												"pg_eventstore chunk",
												ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < nslots; i++)
		slots[i] = table_slot_create(table->ri_RelationDesc, NULL);
	for (int i = 0; i < batch->nevents; i += CHUNK)
	{
		MemoryContext caller = MemoryContextSwitchTo(chunk);

		CHECK_FOR_INTERRUPTS();
		insert_chunk(store, &batch->events[i], Min(batch->nevents - i, CHUNK),
					 table, estate, slots);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(chunk);
	}
	for (int i = 0; i < nslots; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	MemoryContextDelete(chunk);
}

/* Insert a batch. */
void
pges_direct_insert(const PgesStore *store, const PgesBatch *batch)
{
	Relation	rel = table_open(store->relid, RowExclusiveLock);
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *table = makeNode(ResultRelInfo);

	InitResultRelInfo(table, rel, 0, NULL, 0);
	ExecOpenIndices(table, false);
	estate->es_output_cid = GetCurrentCommandId(true);
	PushActiveSnapshot(GetTransactionSnapshot());
	insert_all(store, batch, table, estate);
	PopActiveSnapshot();
	ExecCloseIndices(table);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}
