/*
 * insert_direct.c
 *		Appends to plain stores without the executor.
 *
 * A statement through SPI starts and ends the executor.  For a single event, this takes as
 * long as the insert itself.  So an append to a plain store bypasses the executor.  The
 * version is read from the unique index (look_up.c).  The events are inserted into the
 * table and its indexes as in COPY.  Constraints are checked as for any INSERT, except the
 * CHECK constraint of create_store(), which an append satisfies by construction (plain.c).
 *
 * A plain store (plain.c) is a heap table that is no partition.  It has no row security,
 * no rules and no further columns.  It has no trigger on INSERT except its own.  Its texts
 * are compared by their bytes, and its index on the versions is like the one that
 * create_store() makes.  If it has an archive, the archive has such an index, too.  The
 * role must have the privileges on the whole of both tables.  All other appends go through
 * SPI, and so do all appends of a session with session_replication_role = replica, in
 * which the triggers do not fire.
 *
 * The triggers of the store are not fired.  The trigger that makes the table a store does
 * nothing for a table with the shape of a store (store.c).  The other trigger checks what
 * an append has already checked (check_insert.c).
 *
 * An append without the executor also bypasses hooks that are called for each statement:
 *
 * - planner_hook and ExecutorStart_hook, ExecutorRun_hook, ExecutorFinish_hook
 *	 and ExecutorEnd_hook.  pg_stat_statements and auto_explain see the caller's
 *	 statement as usual, but no INSERT and no look-up of versions within it, even
 *	 with pg_stat_statements.track = all or auto_explain.log_nested_statements.
 * - ExecutorCheckPerms_hook, by which pgaudit and sepgsql see what a statement
 *	 reads and writes.  If a module has set this hook, every append goes through SPI.
 * - object_access_hook, as far as the executor calls it.  The executor calls it for the
 *	 functions in a statement, and an append calls none.  No code calls it for rows.
 *
 * The locks and statistics of the table and its indexes, logical decoding, and the checks
 * of serializability work as usual.
 *
 * If the setting pg_eventstore.direct_append is off, all appends go through SPI.
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

/* The number of events that are inserted into the table at once. */
#define CHUNK 64

/* Return whether the user has all of some privileges on a table, and may use its schema. */
static bool
may_use(Oid relid, AclMode privileges)
{
	return pg_class_aclmask(relid, GetUserId(), privileges, ACLMASK_ALL) == privileges &&
		pges_may_in_schema_compat(get_rel_namespace(relid), ACL_USAGE);
}

/*
 * Return whether an append to a store can bypass the executor, with the present settings,
 * hooks and privileges.
 */
bool
pges_direct_is_possible(const PgesStore *store)
{
	return store->live.plain && pges_direct_append &&
		ExecutorCheckPerms_hook == NULL &&
		SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA &&
		may_use(store->live.relid, ACL_INSERT | ACL_SELECT) &&
		(!OidIsValid(store->archive.relid) || may_use(store->archive.relid, ACL_SELECT));
}

/* Fill a slot with the values of an event. */
static void
fill_slot(const PgesStore *store, const PgesEvent *event, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < PGES_NUM_COLUMNS; i++)
	{
		int			n = store->live.attnums[i] - 1;

		slot->tts_values[n] = pges_event_value(event, i, &slot->tts_isnull[n]);
	}
	ExecStoreVirtualTuple(slot);
}

/* Insert n events into the table, and then into its indexes. */
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

/* Insert all events of a batch, one chunk at a time. */
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

/* Insert a batch without the executor. */
void
pges_direct_insert(const PgesStore *store, const PgesBatch *batch)
{
	Relation	rel = table_open(store->live.relid, RowExclusiveLock);
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
