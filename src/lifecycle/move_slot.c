/*
 * move_slot.c
 *		The parts of the move of a slot that run in the server.
 *
 * pg_eventstore_cluster moves a slot to another server.  It copies the table of the slot
 * and its archive, drops the old ones, and changes the maps of the slots.  At each moment
 * at most one server has a slot that can be used:
 *
 * - On the old server, lock_slot() excludes changes of events that are already copied:
 *   archiving, erasing and restores raise an error until the transaction ends.  Appends
 *   go on.  At the end the program locks the table, copies what was appended meanwhile,
 *   and drops the table under the lock.  An append that waited for the lock fails, because
 *   the table is gone.
 * - On the new server the copy is arriving: its append trigger says so, and each use of it
 *   raises an error (describe.c).  The copy is committed before the table on the old server
 *   is dropped, and set_slot_arriving() makes it a slot after that.
 */
#include "postgres.h"

#include "catalog/pg_trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "base/ddl.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "store/store.h"

/* Raise the error that a table is not a slot. */
static void
report_no_slot(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("table %s is not a slot", pges_relation_name(relid)),
			 errhint("Slots are created by eventstore.create_slots().")));
}

PG_FUNCTION_INFO_V1(pges_lock_slot);

/*
 * SQL: begin the move of a slot: until the transaction ends, its old events and its
 * definition stay as they are.
 */
Datum
pges_lock_slot(PG_FUNCTION_ARGS)
{
	const PgesStore *store;

	PreventCommandIfReadOnly("eventstore.lock_slot()");
	pges_require_argument(fcinfo, 0, "store");
	store = pges_lock_owned_store(PG_GETARG_OID(0), ShareUpdateExclusiveLock);
	if (store->slot.count == 0)
		report_no_slot(store->live.relid);
	pges_lock_move(store->live.relid);
	(void) pges_lock_any_archive(store->live.relid);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pges_set_slot_arriving);

/* SQL: make a slot arriving, or make an arriving slot usable. */
Datum
pges_set_slot_arriving(PG_FUNCTION_ARGS)
{
	Oid			relid;
	char	   *arguments[4];
	char	   *trigger;
	PgesSlot	slot = {0};
	int			nestlevel;

	PreventCommandIfReadOnly("eventstore.set_slot_arriving()");
	pges_require_argument(fcinfo, 0, "store");
	pges_require_argument(fcinfo, 1, "arriving");
	relid = PG_GETARG_OID(0);
	if (get_rel_relkind(relid) == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("store with OID %u does not exist", relid)));
	if (!pges_owns_table_compat(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	LockRelationOid(relid, AccessExclusiveLock);
	trigger = pges_find_trigger_arguments(relid, pges_append_trigger_function(), TRIGGER_TYPE_INSERT,
										  arguments, lengthof(arguments));
	if (trigger)
		pges_parse_slot(arguments[3], &slot);
	if (trigger == NULL || slot.count == 0)
		report_no_slot(relid);
	slot.arriving = PG_GETARG_BOOL(1);
	nestlevel = pges_begin_ddl();
	pges_create_append_trigger(trigger, pges_relation_name(relid), pges_parse_notifications(arguments[0]),
							   arguments[1], arguments[2][0] != '\0', &slot);
	pges_end_ddl(nestlevel);
	if (!slot.arriving)
		pges_require_link(pges_store(relid));
	PG_RETURN_VOID();
}
