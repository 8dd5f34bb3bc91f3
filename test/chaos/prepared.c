/*
 * prepared.c
 *		Transactions that are prepared, and finished later by anybody.
 */
#include <stdio.h>
#include <string.h>

#include "chaos.h"

/* Write down what became of a transaction's events, and count them. */
void
settle(FILE *log, Range *ranges, int nranges, Fate fate)
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

/* Take a slot out of a state, unless another process is faster. */
static bool
take(Prepared *slot, PreparedState from)
{
	int			state = from;

	return atomic_compare_exchange_strong(&slot->state, &state, TAKEN);
}

/* A free slot, or NULL. */
static Prepared *
free_slot(void)
{
	for (int i = 0; i < MAX_PREPARED; i++)
		if (take(&shared->slots[i], FREE))
			return &shared->slots[i];
	return NULL;
}

/* Run a command that names the transaction of a slot. */
static Outcome
run_for(Client *client, const char *command, const Prepared *slot)
{
	char		sql[80];

	snprintf(sql, sizeof sql, "%s 'chaos-%d-%d'", command,
			 (int) (slot - shared->slots), slot->serial);
	return client_run(client, sql);
}

/* Prepare the transaction for others to finish; COMMIT when there are enough. */
Outcome
prepare(Writer *writer)
{
	Prepared   *slot = free_slot();
	Outcome		outcome;

	if (slot == NULL)
	{
		outcome = client_run(&writer->client, "COMMIT");
		settle(writer->log, writer->ranges, writer->nranges,
			   outcome == OK ? COMMITTED : outcome == REFUSED ? ABORTED : UNKNOWN);
		return outcome;
	}
	slot->serial++;
	slot->commit = chance(70);
	slot->nranges = writer->nranges;
	memcpy(slot->ranges, writer->ranges, sizeof slot->ranges);
	outcome = run_for(&writer->client, "PREPARE TRANSACTION", slot);
	if (outcome == REFUSED)
		settle(writer->log, writer->ranges, writer->nranges, ABORTED);
	else
		shared->prepared++;
	slot->due = now_us() + 1000 * (int64_t) below(calm() ? 10 : chance(90) ? 300 : 3000);
	if (outcome == LOST)		/* it may be prepared in a moment */
		slot->due = now_us() + 2000000;
	slot->state = outcome == REFUSED ? FREE : PREPARED;
	return outcome;
}

/* Commit or roll back the transaction of a slot that this process has taken. */
static void
finish_slot(Client *client, FILE *log, Prepared *slot)
{
	Outcome		outcome = run_for(client, slot->commit ? "COMMIT PREPARED" : "ROLLBACK PREPARED", slot);
	bool		gone = outcome == REFUSED && client_state_is(client, "42704");

	if (outcome == OK)
		settle(log, slot->ranges, slot->nranges, slot->commit ? COMMITTED : ABORTED);
	else if (gone)				/* an answer was lost */
		settle(log, slot->ranges, slot->nranges, UNKNOWN);
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

		if (!take(slot, PREPARED))
			continue;
		if (all || slot->due <= now_us())
			finish_slot(client, log, slot);
		else
			slot->state = PREPARED;
	}
}

/* Finish prepared transactions, also when writers are ending: they may wait for them. */
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
