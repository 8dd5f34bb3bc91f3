/*
 * set_notifications.c
 *		Sets the notification mode and the channel of a store, which are arguments of its
 *		trigger.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lockdefs.h"

#include "base/act_as.h"
#include "base/ddl.h"
#include "base/sql_argument.h"
#include "lifecycle/lifecycle.h"
#include "notify/notify.h"
#include "position/position.h"
#include "store/store.h"

/*
 * Announce the last position of a store that the notifier no longer serves, because the
 * notifier may not have announced this position yet.  The caller's lock excludes appends.
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
	pges_create_append_trigger(store->trigger, store->live.qualified_name, mode, channel,
							   store->wants_archive, &store->slot);
	pges_end_ddl(nestlevel);
	if (as_owner)
		pges_become_again(&caller);
	if (store->notifications == PGES_NOTIFY_WORKER && mode == PGES_NOTIFY_COMMIT)
		announce_last(store, channel);
	PG_RETURN_VOID();
}
