/*
 * erasure_record.c
 *		Writes the records of erasures to table eventstore.erasures, and protects them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/own_object.h"
#include "base/sql_argument.h"
#include "erase/erase.h"
#include "erase/erasure.h"
#include "event/event.h"

/* The table of the records. */
static const PgesOwnTable erasures = {"erasures", 1, {{"erasure_id", VARCHAROID}}};

/* Whether pges_detach_erasures() runs its statement; an error resets it. */
static bool detaching = false;

/* Return the name of a role, as a value of type name. */
static Datum
role_name(Oid role)
{
	return DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(role, false)));
}

/* Record an erasure, or raise an error.  The caller needs no rights on the table. */
void
pges_record_erasure(const PgesErasure *erasure, int64 events)
{
	static const char insert[] =
		"INSERT INTO eventstore.erasures (erasure_id, erased_at, erased_by, session_role, "
		"store, store_name, aggregate_id, event_id, events, values_given, reason) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, NAMEOID, NAMEOID, REGCLASSOID, TEXTOID, TEXTOID,
	TEXTOID, INT4OID, BOOLOID, TEXTOID};
	Datum		values[lengthof(types)];
	char		nulls[] = "           ";

	values[0] = PointerGetDatum(pges_make_event_id());
	values[1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[2] = role_name(GetUserId());
	values[3] = role_name(GetSessionUserId());
	values[4] = ObjectIdGetDatum(erasure->store->live.relid);
	values[5] = CStringGetTextDatum(erasure->store->live.qualified_name);
	values[6] = PointerGetDatum(erasure->aggregate_id);
	values[7] = PointerGetDatum(erasure->event_id);
	values[8] = Int32GetDatum((int32) events);
	values[9] = BoolGetDatum(erasure->values_given);
	values[10] = PointerGetDatum(erasure->reason);
	if (erasure->aggregate_id == NULL)
		nulls[6] = 'n';
	if (erasure->event_id == NULL)
		nulls[7] = 'n';
	if (pges_write_own_table(&erasures, insert, lengthof(types), types, values, nulls) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("could not record an erasure in table eventstore.erasures"),
				 errdetail("A trigger or rule of the table discards the record. Nothing was erased.")));
}

/*
 * Detach the records of a dropped table whose OID a new store has got: set their store to
 * '-'.  Column store_name keeps the name of the store.
 */
void
pges_detach_erasures(Oid store)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(store)};

	PG_TRY();
	{
		detaching = true;
		(void) pges_write_own_table(&erasures,
									"UPDATE eventstore.erasures SET store = '-' WHERE store OPERATOR(pg_catalog.=) $1",
									lengthof(types), types, values, NULL);
	}
	PG_FINALLY();
	{
		detaching = false;
	}
	PG_END_TRY();
}

PG_FUNCTION_INFO_V1(pges_keep_erasures);

/*
 * Trigger, before UPDATE, DELETE and TRUNCATE of the records: reject them, except in
 * pges_detach_erasures().
 */
Datum
pges_keep_erasures(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	pges_require_trigger(fcinfo, "keep_erasures",
						 CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BEFORE(trigdata->tg_event) &&
						 RelationGetRelid(trigdata->tg_relation) == pges_own_table_oid(&erasures, true),
						 "table eventstore.erasures", NULL);
	if (detaching && TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		return PointerGetDatum(NULL);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot change the records of table eventstore.erasures"),
			 errdetail("The records show who erased what, when and why.")));
	return PointerGetDatum(NULL);	/* not reached */
}
