/*
 * notify.c
 *		Notifications of appends: what a transaction that has appended does at its end.
 *
 * position.c lists the stores to which a transaction appends, by any statement.  For a
 * store in mode "commit", the transaction sends the notification.  For a store in mode
 * "worker", the transaction makes sure that a notifier runs, and wakes the notifier
 * after the commit.  If no notifier can run, the transaction sends the notification
 * itself.  The protocol is in worker.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "base/text.h"
#include "notify/notifier.h"
#include "notify/notify.h"
#include "position/position.h"

/* The notifier as a kind of background worker. */
PgesWorker	pges_notifier = {
	.name = "pg_eventstore notifier",
	.function = "pges_notifier_main",
	.without = "Meanwhile, transactions that append send their notifications themselves, at commit.",
	.lock_class = PGES_LOCK_NOTIFIER,
	.status = &pges_notifier_status
};

/* An announcement of a store's events at the end of a transaction. */
typedef struct Announcement
{
	PgesNotifications mode;
	const char *channel;
	const char *name;
	int64		position;
} Announcement;

/* Make the notifier look at the stores soon, if it can run. */
void
pges_nudge_notifier(void)
{
	if (pges_ensure_worker(&pges_notifier, PGES_NUDGE))
		pges_wake_worker(&pges_notifier);
}

/* Whether this transaction has asked for the notifier at its commit. */
static bool nudge_at_commit = false;

/*
 * Make the notifier look at the stores soon after the commit, if it can run.  The
 * transaction holds a guard of no store until then, so that the notifier does not end
 * before (W1, W5).
 */
void
pges_nudge_notifier_at_commit(void)
{
	LOCKTAG		guard;

	PGES_SET_GUARD_TAG(guard, InvalidOid, 0);
	(void) pges_lock_for_top_transaction(&guard, ShareLock, true);
	nudge_at_commit = true;
}

/*
 * Send the notification of a store's events up to a position.  The payload does not
 * grow with the events, so no append fails because of its size.
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

/*
 * Return how to announce a store, by its options at the end of the transaction: after the
 * append, the transaction may have changed the mode or the channel, or renamed or dropped
 * the table.  If the table was dropped, the mode is "off".  If the cached description is
 * stale, the options are read from the catalogs, because building a new description could
 * raise an error.
 */
static Announcement *
announcement_of(const PgesAppended *appended)
{
	Oid			relid = appended->store->live.relid;
	const PgesStore *store = pges_known_store(relid);
	Announcement *announcement = palloc(sizeof(Announcement));
	PgesStoreOptions options;

	announcement->mode = PGES_NOTIFY_OFF;
	announcement->position = appended->position;
	if (store)
	{
		announcement->mode = store->notifications;
		announcement->channel = store->channel;
		announcement->name = store->live.qualified_name;
	}
	else if (pges_find_options(relid, &options))
	{
		announcement->mode = pges_mode_of_name(options.notifications);
		announcement->channel = options.channel;
		announcement->name = pges_relation_name(relid);
	}
	return announcement;
}

PgesCoordinator pges_coordinator;

/* Return whether a projection of one of the stores needs the notifier. */
static bool
concern_coordinator(const PgesAppended *appended)
{
	for (; appended; appended = appended->next)
	{
		if (appended->position > 0 && pges_coordinator.concerns(appended->store->live.relid))
			return true;
	}
	return false;
}

/* Return what is to be announced at the end of the transaction, as a list. */
static List *
to_announce(const PgesAppended *appended)
{
	List	   *list = NIL;

	for (; appended; appended = appended->next)
	{
		Announcement *announcement = announcement_of(appended);

		if (appended->position > 0 && announcement->mode != PGES_NOTIFY_OFF)
			list = lappend(list, announcement);
	}
	return list;
}

/* Return the first announcement in a list that has a mode, or NULL. */
static const Announcement *
first_of_mode(const List *list, PgesNotifications mode)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		const Announcement *announcement = lfirst(lc);

		if (announcement->mode == mode)
			return announcement;
	}
	return NULL;
}

/* Before commit: start a notifier if needed, or send the notifications. */
static void
announce_appends(const PgesAppended *appended)
{
	List	   *list = to_announce(appended);
	bool		needs_notifier = first_of_mode(list, PGES_NOTIFY_WORKER) != NULL || concern_coordinator(appended);
	bool		has_notifier = needs_notifier && pges_ensure_worker(&pges_notifier, PGES_REQUIRE_AND_WRITE);
	ListCell   *lc;

	foreach(lc, list)
	{
		const Announcement *announcement = lfirst(lc);

		if (announcement->mode == PGES_NOTIFY_COMMIT || !has_notifier)
			pges_notify(announcement->channel, announcement->name, announcement->position);
	}
}

/* Before PREPARE TRANSACTION: raise an error if no notifier will announce the appends. */
static void
check_prepare(const PgesAppended *appended)
{
	List	   *list = to_announce(appended);
	const Announcement *by_commit = first_of_mode(list, PGES_NOTIFY_COMMIT);

	if (first_of_mode(list, PGES_NOTIFY_WORKER) && !pges_ensure_worker(&pges_notifier, PGES_REQUIRE))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot prepare a transaction that has appended while the notifier cannot run"),
				 errdetail("A prepared transaction cannot send notifications itself."),
				 errhint("View eventstore.notifier shows why the notifier cannot run. Without it, transactions can be committed, or prepared if notifications are off.")));
	if (by_commit)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot prepare a transaction that has appended to store %s", by_commit->name),
				 errdetail("The notifications of the store are in mode \"commit\", and a prepared transaction cannot send notifications."),
				 errhint("Set the mode to \"worker\" with eventstore.set_notifications().")));
}

/*
 * Transaction callback.  Work that can raise an error is done before the commit.  A
 * transaction that is rolled back also wakes the notifier, because its guard may have held
 * back the mark below events of other transactions.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	const PgesAppended *appended = pges_appended();

	if (appended == NULL && !nudge_at_commit)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (appended)
				announce_appends(appended);
			else
				(void) pges_ensure_worker(&pges_notifier, PGES_NUDGE);
			return;
		case XACT_EVENT_PRE_PREPARE:
			check_prepare(appended);
			return;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			pges_wake_worker(&pges_notifier);
			pges_forget_appended();
			nudge_at_commit = false;
			return;
		default:
			return;
	}
}

/* Register the callback for the ends of transactions. */
void
pges_notify_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
}
