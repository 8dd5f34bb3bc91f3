/*
 * prepared_transaction.c
 *		The fate of transactions.  Any process may finish a prepared transaction.
 */
#include <stdio.h>
#include <string.h>

#include "chaos.h"

/* Log the fate of a transaction's events, and count them. */
void
settle_ranges(FILE *log, Range *ranges, int nranges, Fate fate)
{
	for (int i = 0; i < nranges; i++)
	{
		if (ranges[i].fate == OPEN)
			ranges[i].fate = fate;
		if (ranges[i].fate == COMMITTED)
			shared->events += ranges[i].count;
		if (ranges[i].fate != UNKNOWN)
			fwrite(&ranges[i], sizeof *ranges, 1, log);
	}
	if (fate == COMMITTED)
		shared->commits++;
	else if (fate == ABORTED)
		shared->rollbacks++;
}

/* Take a slot that is in a state; false if another process has taken it. */
static bool
take_slot(Prepared *slot, PreparedState from)
{
	int			state = from;

	return atomic_compare_exchange_strong(&slot->state, &state, TAKEN);
}

/* Take a free slot and return it; NULL if there is none. */
static Prepared *
take_free_slot(void)
{
	for (int i = 0; i < MAX_PREPARED; i++)
		if (take_slot(&shared->slots[i], FREE))
			return &shared->slots[i];
	return NULL;
}

/* Run a command that names the transaction of a slot. */
static Outcome
run_for_slot(Client *client, const char *command, const Prepared *slot)
{
	char		sql[80];

	snprintf(sql, sizeof sql, "%s 'chaos-%d-%d'", command,
			 (int) (slot - shared->slots), slot->serial);
	return client_run(client, sql);
}

/* Prepare the transaction, to be finished later; COMMIT it if no slot is free. */
Outcome
prepare_transaction(Writer *writer)
{
	Prepared   *slot = take_free_slot();
	Outcome		outcome;

	if (slot == NULL)
	{
		outcome = client_run(&writer->client, "COMMIT");
		settle_ranges(writer->log, writer->ranges, writer->nranges,
					  outcome == OK ? COMMITTED : outcome == REFUSED ? ABORTED : UNKNOWN);
		return outcome;
	}
	slot->serial++;
	slot->commit = chance(70);
	slot->nranges = writer->nranges;
	memcpy(slot->ranges, writer->ranges, sizeof slot->ranges);
	outcome = run_for_slot(&writer->client, "PREPARE TRANSACTION", slot);
	if (outcome == REFUSED)
		settle_ranges(writer->log, writer->ranges, writer->nranges, ABORTED);
	else
		shared->prepared++;
	slot->due = now_us() + 1000 * (int64_t) random_below(is_calm() ? 10 : chance(90) ? 300 : 3000);
	if (outcome == LOST)		/* PREPARE may still succeed */
		slot->due = now_us() + 2000000;
	slot->state = outcome == REFUSED ? FREE : PREPARED;
	return outcome;
}

/* Commit or roll back the transaction of a slot that this process has taken. */
static void
finish_slot(Client *client, FILE *log, Prepared *slot)
{
	Outcome		outcome = run_for_slot(client, slot->commit ? "COMMIT PREPARED" : "ROLLBACK PREPARED", slot);
	bool		gone = outcome == REFUSED && client_sqlstate_is(client, "42704");

	if (outcome == OK)
		settle_ranges(log, slot->ranges, slot->nranges, slot->commit ? COMMITTED : ABORTED);
	else if (gone)				/* the answer to an earlier try was lost */
		settle_ranges(log, slot->ranges, slot->nranges, UNKNOWN);
	slot->due = now_us() + 100000;
	slot->state = outcome == OK || gone ? FREE : PREPARED;
}

/* Finish the prepared transactions that are due, or all. */
void
finish_prepared(Client *client, FILE *log, bool all)
{
	for (int i = 0; i < MAX_PREPARED && client->conn != NULL; i++)
	{
		Prepared   *slot = &shared->slots[i];

		if (!take_slot(slot, PREPARED))
			continue;
		if (all || slot->due <= now_us())
			finish_slot(client, log, slot);
		else
			slot->state = PREPARED;
	}
}

/* Finish prepared transactions, also in phase STOP: writers may wait for them. */
void
finisher_main(FILE *log)
{
	Client		client = {.name = "chaos finisher"};

	while (running(STOP) && client_connect(&client))
	{
		finish_prepared(&client, log, false);
		sleep_ms(5);
	}
	client_close(&client);
}
