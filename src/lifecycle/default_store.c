/*
 * default_store.c
 *		Sets how a store announces new events, and keeps this setting in dumps.
 *
 * The setting is kept in the trigger of a store.  A dump does not carry the trigger of
 * the default store, see keep_default_store_options().
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/act_as.h"
#include "base/ddl.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "lifecycle/lifecycle.h"
#include "notify/notify.h"
#include "position/position.h"
#include "store/store.h"

/* The table that carries the options of the default store through dumps. */
static const PgesOwnTable default_store_options = {
	"default_store_options", 2, {{"notifications", TEXTOID}, {"channel", TEXTOID}}
};

/* Return whether a store is the default store, whose options dumps have to carry. */
static bool
has_dumped_options(const PgesStore *store)
{
	Oid			schema = get_namespace_oid("eventstore", false);

	return store->live.relid == get_relname_relid("events", schema) &&
		OidIsValid(getExtensionOfObject(RelationRelationId, store->live.relid));
}

/*
 * Write the options of the default store to their table.  pg_dump does not dump the
 * trigger of a table that belongs to an extension, but it dumps the row of this table.
 * When the row is restored, the trigger of this table applies the options.
 */
static void
keep_default_store_options(PgesNotifications mode, const char *channel)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {
		CStringGetTextDatum(pges_notifications_name(mode)), CStringGetTextDatum(channel)
	};

	(void) pges_write_own_table(&default_store_options,
								"DELETE FROM eventstore.default_store_options", 0, NULL, NULL, NULL);
	(void) pges_write_own_table(&default_store_options,
								"INSERT INTO eventstore.default_store_options (notifications, channel) VALUES ($1, $2)",
								lengthof(types), types, values, NULL);
}

PG_FUNCTION_INFO_V1(pges_apply_default_store_options);

/* Trigger, before INSERT, for each row: set the options of the default store. */
Datum
pges_apply_default_store_options(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	RangeVar   *default_store = makeRangeVar(pstrdup("eventstore"), pstrdup("events"), -1);
	const PgesStore *store;
	PgesNotifications mode;
	char	   *channel;
	TupleDesc	desc;
	int			nestlevel;

	pges_require_trigger(fcinfo, "apply_default_store_options",
						 CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
						 TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) &&
						 RelationGetRelid(trigdata->tg_relation) == pges_own_table_oid(&default_store_options, true),
						 "table eventstore.default_store_options", NULL);
	pges_check_own_table(trigdata->tg_relation, &default_store_options);
	desc = RelationGetDescr(trigdata->tg_relation);
	mode = pges_parse_notifications(SPI_getvalue(trigdata->tg_trigtuple, desc, 1));
	channel = SPI_getvalue(trigdata->tg_trigtuple, desc, 2);
	store = pges_store(RangeVarGetRelid(default_store, ShareRowExclusiveLock, false));
	if (store->notifications != mode || strcmp(store->channel, channel) != 0)
	{
		nestlevel = pges_begin_ddl();
		pges_create_append_trigger(store->trigger, store->live.qualified_name, mode, channel);
		pges_end_ddl(nestlevel);
	}
	return PointerGetDatum(trigdata->tg_trigtuple);
}

/*
 * Announce the last position of a store that the notifier no longer announces, because
 * the notifier may not have announced this position yet.  The caller's lock excludes
 * appends.
 */
static void
announce_last(const PgesStore *store, const char *channel)
{
	int64		last = pges_next_of_sequence(store->sequence) - 1;

	if (last > 0)
		pges_notify(channel, store->live.qualified_name, last);
}

PG_FUNCTION_INFO_V1(pges_set_notifications);

/* SQL: change how a store announces new events. */
Datum
pges_set_notifications(PG_FUNCTION_ARGS)
{
	PgesNotifications mode = pges_parse_notifications(pges_text_argument(fcinfo, 1, "mode"));
	const PgesStore *store;
	char	   *channel;
	PgesIdentity caller;
	bool		as_owner;
	int			nestlevel;

	PreventCommandIfReadOnly("eventstore.set_notifications()");
	pges_require_argument(fcinfo, 0, "store");
	store = pges_lock_owned_store(PG_GETARG_OID(0), ShareRowExclusiveLock);
	channel = PG_ARGISNULL(2) ? store->channel : pges_channel_argument(fcinfo, 2);
	as_owner = pges_act_as_owner(&caller, store);
	nestlevel = pges_begin_ddl();
	pges_create_append_trigger(store->trigger, store->live.qualified_name, mode, channel);
	pges_end_ddl(nestlevel);
	if (as_owner)
		pges_become_again(&caller);
	if (has_dumped_options(store))
		keep_default_store_options(mode, channel);
	if (store->notifications == PGES_NOTIFY_WORKER && mode == PGES_NOTIFY_COMMIT)
		announce_last(store, channel);
	PG_RETURN_VOID();
}
