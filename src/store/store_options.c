/*
 * store_options.c
 *		Reads and writes the options of stores and archives.
 *
 * The options are arguments of triggers.  They are read from the catalogs without a lock
 * on the table.  The views show all stores, so a session that locks one of the stores
 * must not block them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/nodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/ddl.h"
#include "base/own_object.h"
#include "base/text.h"
#include "event/event.h"
#include "store/store.h"

/*
 * Copy the first arguments of a trigger, each of which ends with a zero byte.  Those that
 * the trigger does not have are empty.
 */
static void
copy_arguments(HeapTuple tuple, TupleDesc desc, char *arguments[], int count)
{
	int			present = ((Form_pg_trigger) GETSTRUCT(tuple))->tgnargs;
	bool		isnull;
	bytea	   *bytes = DatumGetByteaP(heap_getattr(tuple, Anum_pg_trigger_tgargs, desc, &isnull));
	char	   *next = VARDATA(bytes);

	for (int i = 0; i < count; i++)
	{
		arguments[i] = pstrdup(i < present ? next : "");
		if (i < present)
			next += strlen(next) + 1;
	}
}

/*
 * Find the trigger of a table that calls a function, copy its first "count" arguments, and
 * return its name; NULL if there is none.  "type" is its tgtype, or -1 for any.
 */
char *
pges_find_trigger_arguments(Oid relid, Oid function, int16 type, char *arguments[], int count)
{
	Relation	triggers = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *found = NULL;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (trigger->tgfoid == function && trigger->tgnargs >= 2 &&
			(type == -1 || trigger->tgtype == type))
		{
			copy_arguments(tuple, RelationGetDescr(triggers), arguments, count);
			found = pstrdup(NameStr(trigger->tgname));
		}
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return found;
}

/* Return the sequence in the default of a table's position column, or InvalidOid. */
static Oid
find_default_sequence(Oid relid)
{
	AttrNumber	attnum = get_attnum(relid, pges_column_name(PGES_POSITION));
	Relation	defaults;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			sequence = InvalidOid;
	bool		isnull;

	if (attnum == InvalidAttrNumber)
		return InvalidOid;
	defaults = table_open(AttrDefaultRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_attrdef_adrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attrdef_adnum, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(attnum));
	scan = systable_beginscan(defaults, AttrDefaultIndexId, true, NULL, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		sequence = pges_sequence_of_default(stringToNode(TextDatumGetCString(heap_getattr(tuple, Anum_pg_attrdef_adbin,
																						  RelationGetDescr(defaults), &isnull))));
	systable_endscan(scan);
	table_close(defaults, AccessShareLock);
	return sequence;
}

/*
 * Read the options of a store; return false if the table does not have the trigger of a
 * store.  The shape is not checked, so a scan of all stores raises no error for a table
 * that has lost the shape of a store.
 */
bool
pges_find_options(Oid relid, PgesStoreOptions *options)
{
	char	   *arguments[4];

	if (get_rel_relkind(relid) == '\0' ||
		!pges_find_trigger_arguments(relid, pges_append_trigger_function(), TRIGGER_TYPE_INSERT,
									 arguments, lengthof(arguments)))
		return false;
	options->notifications = arguments[0];
	options->channel = arguments[1];
	options->sequence = find_default_sequence(relid);
	pges_parse_slot(arguments[3], &options->slot);
	return true;
}

/*
 * Create or replace the trigger that makes a table a store.  If wants_archive, the third
 * argument of the trigger is not empty, see archive_link.c.  The trigger of a slot has a
 * fourth argument, see slot.c.
 */
void
pges_create_append_trigger(const char *trigger, const char *table,
						   PgesNotifications notifications, const char *channel,
						   bool wants_archive, const PgesSlot *slot)
{
	char	   *further = wants_archive ? ", 'archive'" : "";

	if (slot->count > 0)
		further = psprintf("%s, '%s'", wants_archive ? further : ", ''", pges_slot_argument(slot));
	pges_run_ddl(psprintf("CREATE OR REPLACE TRIGGER %s AFTER INSERT ON %s "
						  "FOR EACH STATEMENT EXECUTE FUNCTION eventstore.after_append(%s, %s%s)",
						  quote_identifier(trigger), table,
						  quote_literal_cstr(pges_notifications_name(notifications)),
						  quote_literal_cstr(channel), further));
	pges_comment_on(psprintf("TRIGGER %s ON %s", quote_identifier(trigger), table),
					"makes the table a store, and announces new events");
}

/* Return the row that is the result of a function. */
static Datum
make_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* Raise an error unless a table exists. */
static void
require_table(Oid relid)
{
	char		kind = get_rel_relkind(relid);

	if (kind == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table", pges_relation_name(relid)),
				 errdetail("A store is a table.")));
}

PG_FUNCTION_INFO_V1(pges_store_options);

/* SQL: return the options of a store. */
Datum
pges_store_options(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	PgesStoreOptions options;
	Datum		values[6];
	bool		nulls[6] = {false};

	require_table(relid);
	if (!pges_find_options(relid, &options))
	{
		pges_report_no_store(relid);
		PG_RETURN_NULL();		/* not reached */
	}
	values[0] = CStringGetTextDatum(options.notifications);
	values[1] = CStringGetTextDatum(options.channel);
	values[2] = ObjectIdGetDatum(options.sequence);
	nulls[2] = !OidIsValid(options.sequence);
	values[3] = Int32GetDatum(options.slot.number);
	values[4] = Int32GetDatum(options.slot.count);
	values[5] = BoolGetDatum(options.slot.arriving);
	nulls[3] = nulls[4] = nulls[5] = options.slot.count == 0;
	PG_RETURN_DATUM(make_row(fcinfo, values, nulls));
}

PG_FUNCTION_INFO_V1(pges_archive_options);

/* SQL: return the rules of the retention of an archive, as its trigger holds them. */
Datum
pges_archive_options(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *arguments[2] = {"", ""};
	Datum		values[2];
	bool		nulls[2];

	require_table(relid);
	(void) pges_find_trigger_arguments(relid, pges_function_oid("refuse_change", 0, NULL), -1,
									   arguments, lengthof(arguments));
	for (int i = 0; i < 2; i++)
	{
		values[i] = CStringGetTextDatum(arguments[i]);
		nulls[i] = arguments[i][0] == '\0';
	}
	PG_RETURN_DATUM(make_row(fcinfo, values, nulls));
}
