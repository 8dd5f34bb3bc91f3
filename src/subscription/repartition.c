/*
 * repartition.c
 *		Changes the number of partitions of a subscription.
 *
 * The new number is stored in the definition until no partition is leased.  Then one
 * transaction locks the definition and all partitions, and replaces the rows.  A poll
 * that has read the old rows can lock none of them.
 *
 * The checkpoint of a new partition is the lowest of the old partitions whose slots it
 * takes over.  Slots whose old checkpoint was higher get a floor in the new partition:
 * the events of these slots up to the floor are done.  A floor is removed when the
 * checkpoint reaches it.  So no event is lost, and no acknowledged event is delivered
 * again.
 *
 * A failed event may belong to any of the new partitions.  So a new partition inherits
 * the pause and the stopped state of each old partition whose slots it takes over.  The
 * attempts of the failed event are counted anew.  "suspect_to" is not inherited, because
 * it would apply to the events of all slots of the new partition.  If the suspected event
 * kills another consumer, "suspect_to" is set again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "base/own_object.h"
#include "base/subtransaction.h"
#include "subscription/subscription.h"
#include "table/table.h"

static PgesOwnStatement set_partitions = {
	{&pges_definition_rows}, false,
	"UPDATE eventstore.subscription_definitions SET partitions = $2, next_partitions = NULL, epoch = $3 "
	"WHERE subscription OPERATOR(pg_catalog.=) $1",
	3, {TEXTOID, INT4OID, INT8OID}
};

static PgesOwnStatement lock_unlocked = {
	{&pges_definition_rows}, false,
	"SELECT COALESCE(next_partitions, 0), partitions FROM eventstore.subscription_definitions "
	"WHERE subscription OPERATOR(pg_catalog.=) $1 FOR UPDATE SKIP LOCKED",
	1, {TEXTOID}
};

/*
 * Lock the definition of a subscription, and read the numbers of partitions.  Return
 * false if another transaction has locked it, or no change is pending.
 */
static bool
lock_pending(PgesSubscription *subscription)
{
	bool		found;

	SPI_connect();
	found = pges_run_own_statement(&lock_unlocked, &subscription->key, NULL) > 0;
	if (found)
	{
		subscription->next_partitions = pges_found_int32(1);
		subscription->partitions = pges_found_int32(2);
	}
	SPI_finish();
	return found && subscription->next_partitions > 0;
}

/* Return whether any of some partitions is leased. */
static bool
is_any_leased(const PgesPartitions *partitions)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < partitions->n; i++)
	{
		if (pges_is_leased(&partitions->rows[i], now))
			return true;
	}
	return false;
}

/* Return the position up to which the events of a slot are done. */
static int64
done_in_slot(const PgesPartitions *partitions, int slot)
{
	const PgesPartition *partition = pges_partition_of_slot(partitions, slot);
	int64		done = partition->checkpoint;

	for (int i = 0; i < partition->nfloors; i++)
	{
		const PgesFloor *floor = &partition->floors[i];

		if (slot >= floor->first_slot && slot <= floor->last_slot)
			done = Max(done, floor->position);
	}
	return done;
}

/*
 * Set the checkpoint of a new partition and its floors: one for each run of consecutive
 * slots that are done up to the same position.
 */
static void
set_progress(PgesPartition *partition, const PgesPartitions *old)
{
	int64		done[PGES_SLOTS];

	partition->checkpoint = PG_INT64_MAX;
	for (int slot = partition->first_slot; slot <= partition->last_slot; slot++)
	{
		done[slot] = done_in_slot(old, slot);
		partition->checkpoint = Min(partition->checkpoint, done[slot]);
	}
	partition->floors = palloc(sizeof(PgesFloor) * (partition->last_slot - partition->first_slot + 1));
	for (int slot = partition->first_slot; slot <= partition->last_slot; slot++)
	{
		PgesFloor	floor = {slot, slot, done[slot]};

		if (slot > partition->first_slot && done[slot] == done[slot - 1] && partition->nfloors > 0 &&
			done[slot] > partition->checkpoint)
			partition->floors[partition->nfloors - 1].last_slot = slot;
		else if (done[slot] > partition->checkpoint)
			partition->floors[partition->nfloors++] = floor;
	}
}

/* Set the progress, pause and stopped state of a new partition from the old partitions. */
static void
take_over(PgesPartition *partition, const PgesPartitions *old)
{
	set_progress(partition, old);
	for (int i = 0; i < old->n; i++)
	{
		const PgesPartition *from = &old->rows[i];

		if (from->last_slot < partition->first_slot || from->first_slot > partition->last_slot)
			continue;
		partition->retry_at = Max(partition->retry_at, from->retry_at);
		partition->stopped |= from->stopped;
	}
}

/* Replace the rows of the partitions, and write the new number. */
static void
replace_partitions(PgesSubscription *subscription, const PgesPartitions *old)
{
	int			count = subscription->next_partitions;
	Datum		values[] = {subscription->key, Int32GetDatum(count), (Datum) 0};
	PgesPartitions new;

	subscription->epoch = pges_make_token();
	values[2] = Int64GetDatum(subscription->epoch);

	pges_make_partitions(&new, count);
	for (int i = 0; i < count; i++)
		take_over(&new.rows[i], old);
	pges_delete_partitions(subscription);
	pges_insert_partitions(subscription, &new);
	SPI_connect();
	(void) pges_run_own_statement(&set_partitions, values, NULL);
	SPI_finish();
}

/*
 * Carry out a pending change of the number of partitions.  Return whether the
 * subscription has the new number now.  Return false if a partition is leased, or if
 * another transaction has locked one, as an open transaction that has polled does.
 */
bool
pges_repartition(PgesSubscription *subscription)
{
	PgesWanted	wanted = {.wait = false};
	PgesPartitions old;

	pges_read_partitions(subscription, &old);
	if (is_any_leased(&old) || !lock_pending(subscription))
		return false;
	pges_read_and_lock_partitions(subscription, &wanted, &old);
	if (old.n != subscription->partitions || is_any_leased(&old))
		return false;
	replace_partitions(subscription, &old);
	subscription->partitions = subscription->next_partitions;
	subscription->next_partitions = 0;
	return true;
}

/* An attempt to repartition. */
typedef struct Attempt
{
	PgesSubscription *subscription;
	bool		done;
} Attempt;

/* Try to repartition; return whether that succeeded. */
static bool
attempt_change(void *arg)
{
	Attempt    *attempt = arg;

	return attempt->done = pges_repartition(attempt->subscription);
}

/*
 * Call pges_repartition() in a subtransaction.  A failed attempt must release its locks,
 * because the caller may wait for events afterwards.
 */
bool
pges_try_repartition(PgesSubscription *subscription)
{
	Attempt		attempt = {subscription, false};
	ErrorData  *error = pges_run_in_subtransaction(attempt_change, &attempt);

	if (error)
		ReThrowError(error);
	return attempt.done;
}
