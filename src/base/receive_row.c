/*
 * receive_row.c
 *		Applies the rows that logical replication sends to the extension's own tables.
 *
 * A publication FOR ALL TABLES includes the tables of the extension.  The subscriber has
 * rows of its own in these tables, and a row with the same key would stop the
 * subscription.  So each of the tables has a trigger, enabled as REPLICA.  The argument of
 * the trigger decides which of the two rows is kept:
 *
 *		replace		the new row
 *		keep		the existing row
 *		ignore		the existing row; no change on the publisher is applied
 *
 * After a restore with --disable-triggers, the triggers are no longer enabled as REPLICA,
 * and fire in ordinary sessions.  So the function does nothing unless
 * session_replication_role is replica.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/sql_argument.h"

/* Find and lock the row of a table that has the key of a new row. */
static bool
find_same_key(Relation rel, TupleTableSlot *row, TupleTableSlot *found)
{
	Oid			key = pges_primary_key_compat(rel);

	slot_getallattrs(row);		/* the row of a statement is not deformed yet */
	return OidIsValid(key) && RelationFindReplTupleByIndex(rel, key, LockTupleExclusive, row, found);
}

/* Return the row that a change writes or deletes. */
static HeapTuple
changed_row(const TriggerData *trigdata)
{
	return TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
}

PG_FUNCTION_INFO_V1(pges_receive_row);

/* Trigger, before a change, for each row: decide which row is kept. */
Datum
pges_receive_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleTableSlot *found;
	const char *action;
	bool		exists;

	pges_require_trigger(fcinfo, "receive_row",
						 CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BEFORE(trigdata->tg_event) &&
						 TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) && trigdata->tg_trigger->tgnargs == 1,
						 "the tables of the extension", NULL);
	if (SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
		return PointerGetDatum(changed_row(trigdata));
	action = trigdata->tg_trigger->tgargs[0];
	if (strcmp(action, "ignore") == 0)
		return PointerGetDatum(NULL);
	found = MakeSingleTupleTableSlot(RelationGetDescr(trigdata->tg_relation), &TTSOpsBufferHeapTuple);
	exists = find_same_key(trigdata->tg_relation, trigdata->tg_trigslot, found);
	if (exists && strcmp(action, "replace") == 0)
		simple_heap_delete(trigdata->tg_relation, &found->tts_tid);
	ExecDropSingleTupleTableSlot(found);
	return PointerGetDatum(exists && strcmp(action, "keep") == 0 ? NULL : trigdata->tg_trigtuple);
}
