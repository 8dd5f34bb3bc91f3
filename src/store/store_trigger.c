/*
 * store_trigger.c
 *		The trigger that makes a table a store.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/rel.h"

#include "base/sql_argument.h"
#include "store/store.h"

PG_FUNCTION_INFO_V1(pges_after_append);

/*
 * Trigger, after INSERT, for each statement: makes its table a store.  Its arguments say
 * how the store announces events.  The function only raises an error if the table has
 * lost the shape of a store.  position.c notices appends, because an append may fire no
 * trigger of the table.
 */
Datum
pges_after_append(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	pges_require_trigger(fcinfo, "after_append",
						 CALLED_AS_TRIGGER(fcinfo) &&
						 TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
						 TRIGGER_FIRED_AFTER(trigdata->tg_event) &&
						 TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event), "stores",
						 "eventstore.create_store() creates the triggers.");
	(void) pges_store(RelationGetRelid(trigdata->tg_relation));
	return PointerGetDatum(NULL);
}
