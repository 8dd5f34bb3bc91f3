/*
 * immutable.c
 *		The triggers that keep the events of a store immutable.
 *
 * Only the functions of this extension that archive, erase and empty a store may change
 * events.  These functions call pges_run_change().
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/ddl.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "store/store.h"
#include "table/table.h"

/*
 * The permission that pges_run_change() gives to its statement.  Statements in triggers
 * that the statement fires, and in functions that it calls, may change no events.  At the
 * end of the statement, also after an error, pges_run_change() restores the previous
 * values.  A nested call of pges_run_change() sets a permission of its own.
 */

/* The store whose events, also archived ones, may be changed; NULL without permission. */
static const PgesStore *changing = NULL;

/*
 * The trigger depth at which the statement runs.  Its own triggers for UPDATE and DELETE
 * run one level deeper.  Triggers of statements in these triggers run at deeper levels.
 */
static int	changing_depth = 0;

/*
 * Whether the statement has fired its statement trigger, the first of its triggers.  A
 * later statement trigger at this depth belongs to a statement in a function that the
 * permitted statement calls.
 */
static bool changing_begun = false;

/* Return the SQL command that fired a trigger. */
static const char *
command_of(TriggerData *trigdata)
{
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		return "UPDATE";
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		return "DELETE";
	return "TRUNCATE";
}

/* Return the row with which a change continues; NULL for a statement trigger. */
static HeapTuple
row_of(TriggerData *trigdata)
{
	return TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
		trigdata->tg_newtuple : trigdata->tg_trigtuple;
}

/* Return how many triggers are running, one within another. */
static int
trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

/*
 * Run a statement that changes events of a store or its archive, and return SPI's code, as
 * pges_run_statement() does.  The caller checks the right to call the SQL function.
 * PostgreSQL checks the privileges on the tables.
 */
int
pges_run_change(const PgesStore *store, PgesScope scope, const PgesStatement *statement,
				const Datum *values, const bool *nulls)
{
	const PgesStore *outer = changing;
	int			outer_depth = changing_depth;
	bool		outer_begun = changing_begun;
	int			result = 0;

	PG_TRY();
	{
		changing = store;
		changing_depth = trigger_depth();
		changing_begun = false;
		result = pges_run_statement(store, scope, statement, values, nulls, false, NULL);
	}
	PG_FINALLY();
	{
		changing = outer;
		changing_depth = outer_depth;
		changing_begun = outer_begun;
	}
	PG_END_TRY();
	return result;
}

/*
 * Return whether pges_run_change() permits the statement that fired a trigger to change
 * the table or partition.  A permitted statement fires its statement trigger once, before
 * its row triggers.
 */
bool
pges_may_change(TriggerData *trigdata)
{
	Oid			relid = RelationGetRelid(trigdata->tg_relation);
	bool		begins = TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event);

	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event) || (begins && changing_begun))
		return false;
	while (changing && relid != changing->live.relid && get_rel_relispartition(relid))
		relid = get_partition_parent(relid, true);
	if (changing == NULL || trigger_depth() != changing_depth + 1 ||
		(relid != changing->live.relid && relid != changing->archive.relid))
		return false;
	changing_begun |= begins;
	return true;
}

PG_FUNCTION_INFO_V1(pges_refuse_change);

/* Trigger: reject TRUNCATE, and UPDATE and DELETE outside of pges_run_change(). */
Datum
pges_refuse_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	pges_require_trigger(fcinfo, "refuse_change",
						 CALLED_AS_TRIGGER(fcinfo) &&
						 TRIGGER_FIRED_BEFORE(trigdata->tg_event), "stores",
						 "eventstore.create_store() creates the triggers.");
	if (pges_may_change(trigdata))
		return PointerGetDatum(row_of(trigdata));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot %s events of store %s",
					command_of(trigdata),
					pges_relation_name(RelationGetRelid(trigdata->tg_relation))),
			 errdetail("Events are immutable."),
			 errhint("Append an event that corrects the earlier one. To move old events to an archive, use eventstore.archive_events(). To erase personal data, use eventstore.erase_aggregate() or eventstore.redact_event(). To remove a whole store, use eventstore.drop_store().")));
	return PointerGetDatum(NULL);	/* not reached */
}

/*
 * Create the triggers that keep the events of a table immutable, and the trigger that
 * checks the rows of INSERT (check_insert.c).  A statement on a parent table fires only
 * the row triggers of this table.  Triggers fire in the order of their names.  The name of
 * the check begins with "zz", so that the check comes after other triggers that change a
 * row.
 */
void
pges_create_protecting_triggers(const char *table)
{
	pges_run_ddl(psprintf("CREATE OR REPLACE TRIGGER eventstore_immutable "
						  "BEFORE UPDATE OR DELETE OR TRUNCATE ON %s "
						  "FOR EACH STATEMENT EXECUTE FUNCTION eventstore.refuse_change()",
						  table));
	pges_run_ddl(psprintf("CREATE OR REPLACE TRIGGER eventstore_immutable_rows "
						  "BEFORE UPDATE OR DELETE ON %s "
						  "FOR EACH ROW EXECUTE FUNCTION eventstore.refuse_change()",
						  table));
	pges_comment_on(psprintf("TRIGGER eventstore_immutable ON %s", table),
					"refuses UPDATE, DELETE and TRUNCATE");
	pges_comment_on(psprintf("TRIGGER eventstore_immutable_rows ON %s", table),
					"refuses UPDATE, DELETE through a parent table");
	pges_run_ddl(psprintf("CREATE OR REPLACE TRIGGER zz_eventstore_check BEFORE INSERT ON %s "
						  "FOR EACH ROW EXECUTE FUNCTION eventstore.check_insert()",
						  table));
	pges_comment_on(psprintf("TRIGGER zz_eventstore_check ON %s", table),
					"holds plain INSERT and COPY to the rules of the append functions");
}
