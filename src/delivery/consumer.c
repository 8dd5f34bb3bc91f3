/*
 * consumer.c
 *		The live consumers of a subscription, and the share of each.
 *
 * A consumer is alive if it has a delivery, or if its row in
 * eventstore.subscription_consumers is younger than a lease.  A row is written at most
 * four times in a lease.  A consumer without a name is alive while it has a delivery.
 *
 * Two concurrent polls under one name would make two deliveries.  So a poll locks the
 * name.  If the poll writes anything, it keeps the lock until its transaction ends.  If
 * another transaction has the lock, the poll delivers nothing.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/lock_tag.h"
#include "base/own_object.h"
#include "delivery/scan.h"
#include "subscription/subscription.h"
#include "table/table.h"

/* The columns of eventstore.subscription_consumers. */
#define CONSUMER_NAME 2
#define CONSUMER_SEEN_AT 3

static PgesOwnStatement note_consumer = {
	{&pges_consumer_rows}, false,
	"INSERT INTO eventstore.subscription_consumers (subscription, consumer, seen_at) VALUES ($1, $2, $3) "
	"ON CONFLICT (subscription, consumer) DO UPDATE SET seen_at = EXCLUDED.seen_at",
	3, {TEXTOID, TEXTOID, TIMESTAMPTZOID}
};

static PgesOwnStatement forget_old_consumers = {
	{&pges_consumer_rows}, false,
	"DELETE FROM eventstore.subscription_consumers WHERE subscription OPERATOR(pg_catalog.=) $1 "
	"AND consumer OPERATOR(pg_catalog.=) ANY (ARRAY("
	"SELECT c.consumer FROM eventstore.subscription_consumers c "
	"WHERE c.subscription OPERATOR(pg_catalog.=) $1 AND c.seen_at OPERATOR(pg_catalog.<) $2 "
	"FOR UPDATE SKIP LOCKED))",
	2, {TEXTOID, TIMESTAMPTZOID}
};

/* Set the tag of the lock on the name of a consumer. */
static void
set_consumer_tag(const PgesSubscription *subscription, const char *consumer, LOCKTAG *tag)
{
	const char *name = subscription->name;

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, string_hash(name, strlen(name) + 1),
						 string_hash(consumer, strlen(consumer) + 1), PGES_LOCK_CONSUMER);
}

/*
 * Lock the name of a consumer until the transaction ends; NULL needs no lock.  Return
 * false if another transaction has polled under this name and is still open.
 */
bool
pges_lock_consumer(const PgesSubscription *subscription, const char *consumer)
{
	LOCKTAG		tag;

	if (consumer == NULL)
		return true;
	set_consumer_tag(subscription, consumer, &tag);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* Undo pges_lock_consumer(), after a step that has written nothing. */
void
pges_unlock_consumer(const PgesSubscription *subscription, const char *consumer)
{
	LOCKTAG		tag;

	if (consumer == NULL)
		return;
	set_consumer_tag(subscription, consumer, &tag);
	LockRelease(&tag, ExclusiveLock, false);
}

/* A count of the live consumers. */
typedef struct Census
{
	const PgesSubscription *subscription;
	const char *self;			/* NULL: without a name */
	TimestampTz now;
	bool		noted;			/* self was recorded recently */
	List	   *others;			/* names of live ones; may repeat */
} Census;

/* Add a consumer to a census. */
static void
add_consumer(Census *census, const char *name)
{
	if (census->self == NULL || strcmp(name, census->self) != 0)
		census->others = lappend(census->others, unconstify(char *, name));
}

/* Add a row of subscription_consumers to a census. */
static void
count_seen(HeapTuple row, TupleDesc desc, void *arg)
{
	Census	   *census = arg;
	int64		lease = census->subscription->lease;
	bool		isnull;
	char	   *name = TextDatumGetCString(heap_getattr(row, CONSUMER_NAME, desc, &isnull));
	TimestampTz seen_at = DatumGetTimestampTz(heap_getattr(row, CONSUMER_SEEN_AT, desc, &isnull));

	if (seen_at > census->now - lease && seen_at < census->now + lease)
		add_consumer(census, name);
	if (census->self && strcmp(name, census->self) == 0)
		census->noted = seen_at > census->now - lease / 4 && seen_at <= census->now;
}

/* Read the recorded consumers. */
static Census
read_consumers(const PgesSubscription *subscription, const char *consumer)
{
	Census		census = {subscription, consumer, GetCurrentTimestamp()};

	pges_scan_own_rows(&pges_consumer_rows, subscription->key, count_seen, &census);
	return census;
}

/*
 * Record that a consumer is alive, unless that was recorded in the last quarter of a
 * lease.  Return whether a row was written.  The caller has locked the name.
 */
bool
pges_note_consumer(const PgesSubscription *subscription, const char *consumer)
{
	Census		census;
	Datum		note[3];
	Datum		old[2];

	if (consumer == NULL)
		return false;
	census = read_consumers(subscription, consumer);
	if (census.noted)
		return false;
	note[0] = old[0] = subscription->key;
	note[1] = CStringGetTextDatum(consumer);
	note[2] = TimestampTzGetDatum(census.now);
	old[1] = TimestampTzGetDatum(census.now - 2 * subscription->lease);
	SPI_connect();
	(void) pges_run_own_statement(&note_consumer, note, NULL);
	(void) pges_run_own_statement(&forget_old_consumers, old, NULL);
	SPI_finish();
	return true;
}

/* Compare two names in a list. */
static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * Return the number of different names in a list, and set *before to the number of those
 * that sort before a name; for NULL, all do.
 */
static int
count_names(List *names, const char *name, int *before)
{
	const char *last = NULL;
	int			count = 0;
	ListCell   *lc;

	*before = 0;
	list_sort(names, compare_names);
	foreach(lc, names)
	{
		if (last == NULL || strcmp(lfirst(lc), last) != 0)
		{
			count++;
			if (name == NULL || strcmp(lfirst(lc), name) < 0)
				++* before;
		}
		last = lfirst(lc);
	}
	return count;
}

/*
 * Return how many partitions a consumer may have.  All consumers get the same number, and
 * the first ones by name get one more each until none is left.  If every share were
 * rounded up, consumers that poll and acknowledge in one call would leave no partition to
 * others.  "leased" are the partitions that belong to consumers.  Set *noted to whether
 * pges_note_consumer() would write nothing.
 */
int
pges_fair_share(const PgesSubscription *subscription, const char *consumer, const PgesPartitions *leased,
				bool *noted)
{
	Census		census;
	int			alive;
	int			before;
	int			share;

	*noted = true;
	if (subscription->partitions == 1)
		return 1;
	census = read_consumers(subscription, consumer);
	*noted = census.noted;
	for (int i = 0; i < leased->n; i++)
	{
		const PgesPartition *partition = &leased->rows[i];

		add_consumer(&census, partition->consumer ? partition->consumer :
					 psprintf(INT64_FORMAT, partition->delivery));
	}
	alive = count_names(census.others, consumer, &before) + 1;
	share = subscription->partitions / alive + (before < subscription->partitions % alive);
	return Max(share, 1);
}
