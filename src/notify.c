/*
 * notify.c
 *		Notifications of appends: what a transaction that has appended does about them
 *		when it ends.
 *
 * position.c lists the stores to which a transaction appends, by whatever statement.
 * For a store in mode "commit" the transaction notifies.  For one in mode "worker" it
 * makes sure that there is a notifier, and wakes that when it has committed; if there
 * can be none, the transaction notifies, too.  worker.c tells the protocol.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "utils/json.h"

#include "notifier.h"
#include "notify.h"
#include "position.h"
#include "store.h"

/*
 * Notify of a store's events up to a position.  The payload does not grow with the
 * events, so no append fails because of what is appended.
 */
void
pges_notify(const char *channel, const char *store, int64 position)
{
	StringInfoData payload;

	initStringInfo(&payload);
	appendStringInfoString(&payload, "{\"store\": ");
	escape_json(&payload, store);
	appendStringInfo(&payload, ", \"position\": " INT64_FORMAT "}", position);
	Async_Notify(channel, payload.data);
	pfree(payload.data);
}

/* Whether the notifier announces some of what has been appended. */
static bool
needs_notifier(const PgesAppended *appended)
{
	while (appended && (appended->position == 0 ||
						appended->store->notifications != PGES_NOTIFY_WORKER))
		appended = appended->next;
	return appended != NULL;
}

/* Before commit: see to it that all appends are announced. */
static void
announce(const PgesAppended *appended)
{
	bool		has_notifier = needs_notifier(appended) && pges_ensure_worker(&pges_notifier, true);

	for (; appended; appended = appended->next)
	{
		const PgesStore *store = appended->store;

		if (appended->position == 0)
			continue;
		if (store->notifications == PGES_NOTIFY_COMMIT ||
			(store->notifications == PGES_NOTIFY_WORKER && !has_notifier))
			pges_notify(store->channel, store->qualified_name, appended->position);
	}
}

/* Before PREPARE TRANSACTION, which cannot carry notifications: only a notifier can. */
static void
check_prepare(const PgesAppended *appended)
{
	if (needs_notifier(appended) && !pges_ensure_worker(&pges_notifier, false))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot prepare a transaction that has appended while the notifier cannot run"),
				 errdetail("A prepared transaction cannot send notifications itself."),
				 errhint("View eventstore.notifier shows why the notifier cannot run. Without it, transactions can be committed, or prepared if notifications are off.")));
	for (; appended; appended = appended->next)
	{
		if (appended->position > 0 && appended->store->notifications == PGES_NOTIFY_COMMIT)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot prepare a transaction that has appended to store %s",
							appended->store->qualified_name),
					 errdetail("The notifications of the store are in mode \"commit\", and a prepared transaction cannot send notifications."),
					 errhint("Set the mode to \"worker\" with eventstore.set_notifications().")));
	}
}

/*
 * Transaction callback.  What may fail is done before the commit.  A transaction that
 * is rolled back may have held others back, so it wakes the notifier, too.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	const PgesAppended *appended = pges_appended();

	if (appended == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			announce(appended);
			return;
		case XACT_EVENT_PRE_PREPARE:
			check_prepare(appended);
			return;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			pges_wake_worker(&pges_notifier);
			pges_forget_appended();
			return;
		default:
			return;
	}
}

/* Be told of the ends of transactions. */
void
pges_notify_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
}
