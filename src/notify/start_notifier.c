/*
 * start_notifier.c
 *		The notifier as a kind of background worker, for those who start and wake it.
 */
#include "postgres.h"

#include "base/lock_tag.h"
#include "notify/notifier.h"
#include "notify/notify.h"
#include "worker/worker.h"

PgesWorker	pges_notifier = {
	.name = "pg_eventstore notifier",
	.function = "pges_notifier_main",
	.lock_class = PGES_LOCK_NOTIFIER,
	.status = &pges_notifier_status
};

/* Make the notifier look at the stores soon, if it can run. */
void
pges_nudge_notifier(void)
{
	if (pges_ensure_worker(&pges_notifier, PGES_NUDGE))
		pges_wake_worker(&pges_notifier);
}
