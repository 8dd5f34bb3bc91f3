/*
 * after_append.c
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
 * Trigger, after INSERT, for each statement: makes its table a store, and tells how
 * the store announces events.  All that it does is to raise an error if the table has
 * lost the shape of a store.  Appends are noticed in position.c, so that those that
 * fire no trigger of the table are, too.
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
