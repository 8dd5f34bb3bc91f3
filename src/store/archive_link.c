/*
 * archive_link.c
 *		Links an archive to its store.
 *
 * As for stores, the catalog is the registry.  An archive is a table with a constraint
 * trigger
 *
 *		CREATE CONSTRAINT TRIGGER eventstore_archive AFTER DELETE ON archive
 *			FROM store FOR EACH ROW EXECUTE FUNCTION eventstore.archive_of_store()
 *
 * PostgreSQL keeps the OID of the store in pg_trigger.tgconstrrelid.  So the link follows
 * renames, is dumped with its tables, and is dropped with either of them.  Its creation
 * requires the privilege TRIGGER on both tables, as for any trigger.  If the trigger
 * fires, as in empty_store(), it does nothing.  The link of a store is found by an index
 * on pg_depend.
 *
 * The link can be lost while the store exists: by DROP TABLE of the archive, or because
 * the store was dumped without its archive.  Appends could then assign the versions and
 * ids of archived events again.  So the trigger eventstore_append of a store with an
 * archive has a third argument, which create_archive() sets and no function removes.  If
 * such a store has no link, its functions raise an error (pges_require_link()) until
 * create_archive() links a table.  The argument does not contain the name of the archive,
 * so the archive can be renamed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/ddl.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "store/store.h"

/* Return whether a trigger of pg_trigger links a table to a store. */
static bool
is_link(Form_pg_trigger trigger, Oid store)
{
	return trigger->tgfoid == pges_function_oid("archive_of_store", 0, NULL) &&
		trigger->tgconstrrelid == store && trigger->tgrelid != store &&
		!OidIsValid(trigger->tgparentid);
}

/* Return the table that a trigger links to a store, or InvalidOid; may set *is_new. */
static Oid
table_of_link(Relation triggers, Oid triggerid, Oid store, bool *is_new)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			archive = InvalidOid;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(triggerid));
	scan = systable_beginscan(triggers, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) && is_link((Form_pg_trigger) GETSTRUCT(tuple), store))
	{
		archive = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
		*is_new = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	}
	systable_endscan(scan);
	return archive;
}

/* Raise the error that two tables are linked to a store. */
static void
report_archives(Oid store, Oid one, Oid other)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("store %s has more than one archive", pges_relation_name(store)),
			 errdetail("Tables %s and %s have triggers that link them to the store.",
					   pges_relation_name(one), pges_relation_name(other)),
			 errhint("Drop the trigger eventstore_archive of the table that is not its archive.")));
}

/*
 * Return the archive of a store, or InvalidOid; raise an error if there are two.  Set
 * *is_new to whether this transaction has made the link.
 */
Oid
pges_find_archive(Oid store, bool *is_new)
{
	Relation	depends = table_open(DependRelationId, AccessShareLock);
	Relation	triggers = table_open(TriggerRelationId, AccessShareLock);
	Oid			archive = InvalidOid;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	*is_new = false;
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(store));
	scan = systable_beginscan(depends, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		Oid			found = form->classid == TriggerRelationId ?
			table_of_link(triggers, form->objid, store, is_new) : InvalidOid;

		if (OidIsValid(found) && OidIsValid(archive) && found != archive)
			report_archives(store, archive, found);
		if (OidIsValid(found))
			archive = found;
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	table_close(depends, AccessShareLock);
	return archive;
}

/* Return the store of an archive; InvalidOid if the table is not an archive. */
Oid
pges_store_of_archive(Relation rel)
{
	Oid			function = pges_function_oid("archive_of_store", 0, NULL);

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		if (rel->trigdesc->triggers[i].tgfoid == function)
			return rel->trigdesc->triggers[i].tgconstrrelid;
	}
	return InvalidOid;
}

/* Create the trigger that links an archive to its store. */
void
pges_create_link(const char *archive, const char *store)
{
	pges_run_ddl(psprintf("CREATE CONSTRAINT TRIGGER eventstore_archive AFTER DELETE ON %s FROM %s "
						  "FOR EACH ROW EXECUTE FUNCTION eventstore.archive_of_store()",
						  archive, store));
	pges_comment_on(psprintf("TRIGGER eventstore_archive ON %s", archive),
					"makes the table the archive of a store");
}

PG_FUNCTION_INFO_V1(pges_archive_of_store);

/* Trigger, after DELETE, for each row: links an archive to its store. */
Datum
pges_archive_of_store(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	pges_require_trigger(fcinfo, "archive_of_store",
						 CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_AFTER(trigdata->tg_event) &&
						 TRIGGER_FIRED_FOR_ROW(trigdata->tg_event), "archives",
						 "eventstore.create_archive() creates the trigger.");
	return PointerGetDatum(NULL);
}
