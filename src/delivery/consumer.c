/*
 * consumer.c
 *		The consumers of a subscription: which are alive, and what share each gets.
 *
 * A consumer is alive if it has a delivery, or if it was seen within a lease, which is a
 * row of eventstore.subscription_consumers.  A row is written at most four times in a
 * lease.  A consumer without a name is alive while it has a delivery.
 *
 * Two polls under one name at the same time would make two deliveries.  So a poll that is
 * about to deliver locks the name, until its transaction ends.  If the lock is not free,
 * the poll delivers nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/lock_tag.h"
#include "base/own_object.h"
#include "delivery/scan.h"
#include "subscription/subscription.h"
#include "table/table.h"

static PgesOwnStatement count_alive = {
	{&pges_consumer_rows, &pges_partition_rows}, true,
	"SELECT pg_catalog.count(*) FROM ("
	"SELECT c.consumer FROM eventstore.subscription_consumers c "
	"WHERE c.subscription OPERATOR(pg_catalog.=) $1 "
	"AND c.seen_at OPERATOR(pg_catalog.>) $3 AND c.seen_at OPERATOR(pg_catalog.<) $4 "
	"UNION SELECT COALESCE(p.consumer, p.delivery::pg_catalog.text COLLATE pg_catalog.\"C\") "
	"FROM eventstore.subscription_progress p WHERE p.subscription OPERATOR(pg_catalog.=) $1 "
	"AND p.delivery IS NOT NULL AND p.lease_until OPERATOR(pg_catalog.>) $5 "
	"AND p.lease_until OPERATOR(pg_catalog.<=) $6) a "
	"WHERE $2 IS NULL OR a.consumer OPERATOR(pg_catalog.<>) $2",
	6, {TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

static PgesOwnStatement seen_lately = {
	{&pges_consumer_rows}, true,
	"SELECT 1 FROM eventstore.subscription_consumers "
	"WHERE subscription OPERATOR(pg_catalog.=) $1 AND consumer OPERATOR(pg_catalog.=) $2 "
	"AND seen_at OPERATOR(pg_catalog.>) $3 AND seen_at OPERATOR(pg_catalog.<=) $4",
	4, {TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

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

/* Undo pges_lock_consumer(), after a step that has delivered nothing. */
void
pges_unlock_consumer(const PgesSubscription *subscription, const char *consumer)
{
	LOCKTAG		tag;

	if (consumer == NULL)
		return;
	set_consumer_tag(subscription, consumer, &tag);
	LockRelease(&tag, ExclusiveLock, false);
}

/*
 * Note that a consumer is alive, unless that was noted a short time ago.  Return whether
 * a row was written.  The caller has locked the name.
 */
bool
pges_note_consumer(const PgesSubscription *subscription, const char *consumer)
{
	TimestampTz now = GetCurrentTimestamp();
	Datum		name = consumer ? CStringGetTextDatum(consumer) : (Datum) 0;
	Datum		lately[] = {subscription->key, name, TimestampTzGetDatum(now - subscription->lease / 4),
	TimestampTzGetDatum(now)};
	Datum		note[] = {subscription->key, name, TimestampTzGetDatum(now)};
	Datum		old[] = {subscription->key, TimestampTzGetDatum(now - 2 * subscription->lease)};
	bool		write;

	if (consumer == NULL)
		return false;
	SPI_connect();
	write = pges_run_own_statement(&seen_lately, lately, NULL) == 0;
	if (write)
	{
		(void) pges_run_own_statement(&note_consumer, note, NULL);
		(void) pges_run_own_statement(&forget_old_consumers, old, NULL);
	}
	SPI_finish();
	return write;
}

/* Return how many partitions a consumer may have, if all consumers get the same. */
int
pges_fair_share(const PgesSubscription *subscription, const char *consumer)
{
	TimestampTz now = GetCurrentTimestamp();
	Datum		values[] = {subscription->key, consumer ? CStringGetTextDatum(consumer) : (Datum) 0,
		TimestampTzGetDatum(now - subscription->lease), TimestampTzGetDatum(now + subscription->lease),
	TimestampTzGetDatum(now), TimestampTzGetDatum(now + PGES_MAX_LEASE)};
	bool		nulls[lengthof(values)] = {false, consumer == NULL};
	int64		alive;

	if (subscription->partitions == 1)
		return 1;
	SPI_connect();
	(void) pges_run_own_statement(&count_alive, values, nulls);
	alive = pges_found_int64(1, 0) + 1;
	SPI_finish();
	return (subscription->partitions + alive - 1) / alive;
}
