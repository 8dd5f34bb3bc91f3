/*
 * position.c
 *		Assigns positions under the guard: the protocol of writers of the ordered log.
 *		The protocol of readers, and the proof of both, are in high_water_mark.c.
 *
 * The positions of a store come from a sequence.  They are assigned before commit, so a
 * later position can become visible before an earlier one.  A reader must therefore
 * know the lowest position that may still appear.  For that, each transaction that
 * appends acquires a heavyweight lock before its first position: the guard.
 *
 * TAG(sequence, n) is an advisory lock tag of a class of its own, for position n.  A
 * writer does:
 *
 *	1	if this top transaction has the guard of the store: go to 3
 *	2	lock the page of the sequence in share mode
 *		n := the next position, as read from that page
 *		acquire TAG(n) in RowExclusiveLock
 *		unlock the page, remember that this top transaction has the guard
 *	3	take positions from the sequence, insert
 *
 * The transaction never releases TAG(n): its end does, or COMMIT PREPARED.
 *
 * Before step 2, the writer locks the sequence in the mode of nextval(), and keeps that
 * lock until nextval() has its own.  ALTER SEQUENCE gives a sequence another file.  So
 * the writer waits for ALTER SEQUENCE before step 2, and reads the page that nextval()
 * changes.
 *
 * nextval() changes the page under the exclusive lock.  So at the moment at which the
 * guard is acquired, the sequence has assigned exactly the positions below n.  All
 * positions of the transaction are at or above n.
 *
 * Step 2 holds the content lock of a buffer while LockAcquire() acquires a partition
 * lock of the lock manager.  This cannot deadlock: the lock manager reads no buffers,
 * so no process acquires the two in the other order.  LockAcquire() does not wait,
 * either: RowExclusiveLock does not conflict with itself, and no process acquires a
 * mode that conflicts with it.  If LockAcquire() raises an error, for example because
 * the lock table is full, the abort of the (sub)transaction releases the buffer's lock
 * and its pin.
 *
 * CommitTransaction() and the like leave the proc array before they release locks.  So
 * a session that finds the tag free finds the rows visible.
 *
 * The resource owner of the lock is that of the top transaction.  ROLLBACK TO SAVEPOINT
 * must not release the lock: positions taken later in the transaction rely on it.
 *
 * The allocator is the default of column "position".  So a plain INSERT or COPY is as safe
 * as the append functions.  The INSERT trigger of the store checks whether the default has
 * assigned the position of a row (pges_claim_position()).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/oid_table.h"
#include "position/position.h"

/* The last position that an open subtransaction has taken. */
typedef struct NestedPosition
{
	int			level;			/* nesting level */
	int64		position;
	struct NestedPosition *outer;
} NestedPosition;

/*
 * The maximum number of positions of next_position() that wait for a row to claim them.
 * INSERT and COPY take the position of a row before its triggers fire, and these triggers
 * may insert further rows.
 */
#define MAX_UNCLAIMED 16

/* The state of this backend for a store's sequence. */
typedef struct SequenceEntry
{
	Oid			sequence;		/* hash key */
	int64		mark;			/* the high-water mark that was found last; -1
								 * before the first look */
	LocalTransactionId guarded_in;	/* transaction that has the guard; stale
									 * when that has ended */
	PgesAppended appended;		/* of the transaction guarded_in */
	NestedPosition *nested;		/* last positions of its subtransactions, in
								 * TopTransactionContext */
	int64		unclaimed[MAX_UNCLAIMED];	/* positions of next_position()
											 * that no row has claimed, in the
											 * order of the calls */
	int			nunclaimed;
} SequenceEntry;

/* Lives as long as the backend.  An error leaves an entry with a lower mark. */
static HTAB *sequences = NULL;

/*
 * The stores to which the current transaction has appended.  notify.c empties the list
 * when the transaction ends.
 */
static PgesAppended *appended = NULL;

/* Return the entry of a sequence; create a missing one. */
static SequenceEntry *
sequence_entry(Oid sequence)
{
	SequenceEntry *entry;
	bool		found;

	if (sequences == NULL)
		sequences = pges_oid_table("pg_eventstore sequences", sizeof(SequenceEntry));

	entry = hash_search(sequences, &sequence, HASH_ENTER, &found);
	if (!found)
		*entry = (SequenceEntry)
	{
		.sequence = sequence,.mark = -1
	};
	return entry;
}

/*
 * Read the next position of a sequence from its only page.  Return the buffer of the
 * page with a share lock, which blocks nextval() until the caller releases it.  The SQL
 * functions for this require privileges that an appender need not have.
 */
static Buffer
lock_next_position(Relation rel, int64 *next)
{
	Buffer		buffer = ReadBuffer(rel, 0);
	Page		page;
	HeapTupleHeader tuple;
	Form_pg_sequence_data data;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	tuple = (HeapTupleHeader) PageGetItem(page, PageGetItemId(page, FirstOffsetNumber));
	data = (Form_pg_sequence_data) ((char *) tuple + tuple->t_hoff);
	*next = data->is_called ? data->last_value + 1 : data->last_value;
	return buffer;
}

/* Open a sequence to read its page; raise an error for another kind of relation. */
static Relation
open_sequence(Oid sequence, LOCKMODE mode)
{
	Relation	rel = relation_open(sequence, mode);

	if (rel->rd_rel->relkind != RELKIND_SEQUENCE)
		elog(ERROR, "relation with OID %u is not a sequence", sequence);
	return rel;
}

/* Return the position that a sequence assigns next. */
int64
pges_next_of_sequence(Oid sequence)
{
	Relation	rel = open_sequence(sequence, AccessShareLock);
	int64		next;

	UnlockReleaseBuffer(lock_next_position(rel, &next));
	relation_close(rel, AccessShareLock);
	return next;
}

/*
 * Set *next to the position that a sequence assigns next.  Return false if the sequence
 * is missing or locked.  The function does not keep its lock on the sequence.
 */
bool
pges_try_next_of_sequence(Oid sequence, int64 *next)
{
	Relation	rel;
	bool		found;

	if (!ConditionalLockRelationOid(sequence, AccessShareLock))
		return false;
	rel = try_relation_open(sequence, NoLock);
	found = rel != NULL && rel->rd_rel->relkind == RELKIND_SEQUENCE;
	if (found)
		UnlockReleaseBuffer(lock_next_position(rel, next));
	if (rel)
		relation_close(rel, NoLock);
	UnlockRelationOid(sequence, AccessShareLock);
	return found;
}

/* Acquire the guard of the next position (step 2); raise an error rather than wait. */
static void
lock_guard(Oid sequence)
{
	Relation	rel = open_sequence(sequence, RowExclusiveLock);
	int64		next;
	Buffer		buffer = lock_next_position(rel, &next);
	LOCKTAG		tag;
	bool		locked;

	PGES_SET_GUARD_TAG(tag, sequence, next);
	locked = pges_lock_for_top_transaction(&tag, RowExclusiveLock, false);
	UnlockReleaseBuffer(buffer);
	relation_close(rel, NoLock);
	if (!locked)
		elog(ERROR, "the guard of position " INT64_FORMAT " is locked exclusively", next);
}

/*
 * Acquire the guard of a store, unless the current top transaction has it, and list the
 * store as one to which the transaction appends.
 */
static void
take_guard(SequenceEntry *entry)
{
	LocalTransactionId lxid = pges_current_lxid_compat();

	if (entry->guarded_in == lxid)
		return;
	lock_guard(entry->sequence);
	entry->guarded_in = lxid;
	entry->appended.position = 0;
	entry->appended.next = appended;
	entry->nested = NULL;
	entry->nunclaimed = 0;
	appended = &entry->appended;
}

/* Return the stores to which the current transaction has appended, or NULL for none. */
const PgesAppended *
pges_appended(void)
{
	return appended;
}

/* Empty the list of stores to which the current transaction has appended. */
void
pges_forget_appended(void)
{
	appended = NULL;
}

/* Return whether the current top transaction has the guard of a store. */
bool
pges_holds_guard(Oid sequence)
{
	return sequence_entry(sequence)->guarded_in == pges_current_lxid_compat();
}

/* Return the address of the known mark, for high_water_mark.c: -1 before the first look. */
int64 *
pges_known_mark(Oid sequence)
{
	return &sequence_entry(sequence)->mark;
}

/* Record the last position that was taken at a nesting level. */
static void
note_position(SequenceEntry *entry, int level, int64 position)
{
	NestedPosition *nested = entry->nested;

	if (level == 1)
		entry->appended.position = position;
	else if (nested && nested->level == level)
		nested->position = position;
	else
	{
		nested = MemoryContextAlloc(TopTransactionContext, sizeof(NestedPosition));
		nested->level = level;
		nested->position = position;
		nested->outer = entry->nested;
		entry->nested = nested;
	}
}

/*
 * Subtransaction callback: pass the last positions of a committed subtransaction to its
 * parent, and drop those of an aborted one.
 */
static void
subtransaction_ends(SubXactEvent event, SubTransactionId subtransaction,
					SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (PgesAppended *store = appended; store; store = store->next)
	{
		SequenceEntry *entry = hash_search(sequences, &store->store->sequence, HASH_FIND, NULL);
		NestedPosition *nested = entry->nested;

		if (nested == NULL || nested->level < level)
			continue;
		entry->nested = nested->outer;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			note_position(entry, level - 1, nested->position);
		pfree(nested);
	}
}

/* Register the callback for the ends of subtransactions. */
void
pges_position_init(void)
{
	RegisterSubXactCallback(subtransaction_ends, NULL);
}

/* Acquire the guard if it is not held, and take n positions in ascending order. */
void
pges_allocate_positions(const PgesStore *store, int64 *positions, int n)
{
	SequenceEntry *entry = sequence_entry(store->sequence);
	int			level = GetCurrentTransactionNestLevel();

	entry->appended.store = store;
	take_guard(entry);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		positions[i] = nextval_internal(store->sequence, false);
		note_position(entry, level, positions[i]);
	}
}

/* Add a position to the unclaimed ones; if the list is full, remove the oldest. */
static void
note_unclaimed(SequenceEntry *entry, int64 position)
{
	if (entry->nunclaimed == MAX_UNCLAIMED)
		memmove(entry->unclaimed, entry->unclaimed + 1,
				sizeof(int64) * --entry->nunclaimed);
	entry->unclaimed[entry->nunclaimed++] = position;
}

/*
 * Claim a position for a row.  Return false unless next_position() has returned the
 * position to the current transaction, and no other row has claimed it.
 */
bool
pges_claim_position(const PgesStore *store, int64 position)
{
	SequenceEntry *entry = sequence_entry(store->sequence);
	int			i = entry->guarded_in == pges_current_lxid_compat() ? entry->nunclaimed : 0;

	while (--i >= 0 && entry->unclaimed[i] != position)
		;
	if (i < 0)
		return false;
	entry->nunclaimed--;
	memmove(entry->unclaimed + i, entry->unclaimed + i + 1, sizeof(int64) * (entry->nunclaimed - i));
	return true;
}

/*
 * Raise an error unless the user may take positions: the user needs INSERT on the
 * store, or USAGE on the sequence.
 */
static void
check_privileges(Oid relid, Oid sequence)
{
	if (!pges_may_insert(relid) &&
		pg_class_aclcheck(sequence, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relid));
}

PG_FUNCTION_INFO_V1(pges_next_position);

/* SQL: return the next position; the default of a store's position column. */
Datum
pges_next_position(PG_FUNCTION_ARGS)
{
	Oid			sequence = PG_GETARG_OID(0);
	SequenceEntry *entry = sequence_entry(sequence);
	bool		guarded = entry->guarded_in == pges_current_lxid_compat();
	Oid			relid;
	int64		position;

	PreventCommandIfReadOnly("eventstore.next_position()");
	Assert(!guarded || entry->appended.store != NULL);
	relid = guarded ? entry->appended.store->live.relid : pges_table_of_sequence(sequence);
	check_privileges(relid, sequence);
	pges_allocate_positions(pges_store_of_sequence(relid, sequence), &position, 1);
	note_unclaimed(entry, position);
	PG_RETURN_INT64(position);
}
