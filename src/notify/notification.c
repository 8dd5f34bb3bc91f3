/*
 * notification.c
 *		Sends the notification of new events: its channel and payload.
 */
#include "postgres.h"

#include "commands/async.h"
#include "lib/stringinfo.h"
#include "utils/json.h"

#include "notify/notify.h"

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
