/*
 * archive_link.c
 *		Links an archive to its store, and keeps the rules of its retention.
 *
 * As for stores, the catalog is the registry.  An archive is a table with a constraint
 * trigger
 *
 *		CREATE CONSTRAINT TRIGGER eventstore_archive AFTER DELETE ON archive
 *			FROM store FOR EACH ROW EXECUTE FUNCTION eventstore.archive_of_store()
 *
 * PostgreSQL keeps the OID of the store in pg_trigger.tgconstrrelid.  So the link
 * follows renames, is dumped with its tables, and is dropped with either of them.  Its
 * creation requires the privilege TRIGGER on both tables, as for any trigger.  The
 * trigger never fires, because events of an archive are not deleted.  From the store,
 * the link is found by its entry in pg_depend, which has an index.
 *
 * The rules of the retention are the arguments of another trigger of the archive.  This
 * trigger can be replaced without blocking readers:
 *
 *		CREATE TRIGGER eventstore_retention BEFORE TRUNCATE ON archive
 *			FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change('1 year', '100')
 *
 * An empty argument means that there is no such rule.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/ddl.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
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
			 errmsg("store \"%s\" has more than one archive", get_rel_name(store)),
			 errdetail("Tables \"%s\" and \"%s\" carry triggers that link them to it.",
					   get_rel_name(one), get_rel_name(other)),
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

/* Return whether a table is the archive of a store. */
bool
pges_is_archive(Relation rel)
{
	Oid			function = pges_function_oid("archive_of_store", 0, NULL);

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		if (rel->trigdesc->triggers[i].tgfoid == function)
			return true;
	}
	return false;
}

/* Return the age in an argument of the trigger; NULL if the argument is empty. */
static Interval *
parse_age(const char *age)
{
	if (age[0] == '\0')
		return NULL;
	return DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(age),
												 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* Copy the arguments of an archive's retention trigger; return false if there is none. */
static bool
find_retention(Relation rel, char **age, char **count)
{
	Oid			function = pges_function_oid("refuse_change", 0, NULL);

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgfoid != function || trigger->tgnargs != 2)
			continue;
		*age = pstrdup(trigger->tgargs[0]);
		*count = pstrdup(trigger->tgargs[1]);
		return true;
	}
	return false;
}

/* Return the retention rules of an archive, if any; raise an error if one is invalid. */
PgesRetention
pges_read_retention(Oid archive)
{
	PgesRetention retention = {NULL, 0};
	Relation	rel = OidIsValid(archive) ? try_relation_open(archive, AccessShareLock) : NULL;
	char	   *age;
	char	   *count;

	if (rel == NULL)
		return retention;
	if (find_retention(rel, &age, &count))
	{
		retention.max_age = parse_age(age);
		retention.max_count = count[0] == '\0' ? 0 : pg_strtoint32(count);
	}
	relation_close(rel, AccessShareLock);
	return retention;
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

/* Return an age as text that does not depend on the session's IntervalStyle. */
static char *
age_text(const Interval *age)
{
	(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(age)));
}

/*
 * Write the rules of the retention of an archive.  The caller calls pges_begin_ddl()
 * before, and pges_end_ddl() after.
 */
void
pges_write_retention(const char *archive, const PgesRetention *retention)
{
	const char *age = retention->max_age ? age_text(retention->max_age) : "";
	const char *count = retention->max_count > 0 ? psprintf("%d", retention->max_count) : "";

	pges_run_ddl(psprintf("CREATE OR REPLACE TRIGGER eventstore_retention BEFORE TRUNCATE ON %s "
						  "FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change(%s, %s)",
						  archive, quote_literal_cstr(age), quote_literal_cstr(count)));
	pges_comment_on(psprintf("TRIGGER eventstore_retention ON %s", archive),
					"carries the rules of set_retention(), and refuses TRUNCATE");
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
