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
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "notify/notifier.h"
#include "notify/notify.h"
#include "position/position.h"
#include "store/store.h"
#include "worker/worker.h"

/* What a transaction has to announce of a store. */
typedef struct Announcement
{
	PgesNotifications mode;
	const char *channel;
	const char *name;
	int64		position;
} Announcement;

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

/*
 * How a store is announced as things are now, at the end of the transaction: since it
 * has appended, the transaction may have changed the mode or the channel, or renamed or
 * dropped the table.  The description is of use only if it is still true.  To make it
 * anew could raise an error, so the options are read off the catalogs then.
 */
static Announcement
announcement_of(const PgesAppended *appended)
{
	Oid			relid = appended->store->relid;
	const PgesStore *store = pges_known_store(relid);
	Announcement announcement = {.mode = PGES_NOTIFY_OFF,.position = appended->position};
	PgesStoreOptions options;

	if (store)
	{
		announcement.mode = store->notifications;
		announcement.channel = store->channel;
		announcement.name = store->qualified_name;
	}
	else if (pges_find_options(relid, &options))
	{
		announcement.mode = pges_mode_of_name(options.notifications);
		announcement.channel = options.channel;
		announcement.name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
													   get_rel_name(relid));
	}
	return announcement;
}

/* What is to be announced at the end of the transaction, as a list. */
static List *
to_announce(const PgesAppended *appended)
{
	List	   *list = NIL;

	for (; appended; appended = appended->next)
	{
		Announcement *announcement = palloc(sizeof(Announcement));

		*announcement = announcement_of(appended);
		if (appended->position > 0 && announcement->mode != PGES_NOTIFY_OFF)
			list = lappend(list, announcement);
	}
	return list;
}

/* The first in a list that has a mode, or NULL. */
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

/* Before commit: see to it that all appends are announced. */
static void
announce_appends(const PgesAppended *appended)
{
	List	   *list = to_announce(appended);
	bool		has_notifier = first_of_mode(list, PGES_NOTIFY_WORKER) != NULL &&
		pges_ensure_worker(&pges_notifier, PGES_REQUIRE_AND_WRITE);
	ListCell   *lc;

	foreach(lc, list)
	{
		const Announcement *announcement = lfirst(lc);

		if (announcement->mode == PGES_NOTIFY_COMMIT || !has_notifier)
			pges_notify(announcement->channel, announcement->name, announcement->position);
	}
}

/* Before PREPARE TRANSACTION, which cannot carry notifications: only a notifier can. */
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
			announce_appends(appended);
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
