/*
 * reactor.c
 *		A subscriber that appends in the transaction that reads, as process managers do.
 *
 * So the transaction reads past its own events, which no other session can see yet.  The
 * events that a rolled-back transaction has read do not count as seen.
 */
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

#define MAX_PAGES 4
#define MAX_PAGE 500

static int	reactor;
static Writer writer;
static Event seen[MAX_PAGES * MAX_PAGE];	/* by the open transaction */
static int	nseen;

/* Read the page after the last event seen in this or an earlier transaction. */
static Outcome
read_page_in_transaction(int64_t position)
{
	char		sql[200];
	Outcome		outcome;

	snprintf(sql, sizeof sql, "SELECT position, aggregate_id, aggregate_version "
			 "FROM eventstore.read_events(%lld, %d, store => '%s')",
			 (long long) (nseen > 0 ? seen[nseen - 1].position : position),
			 subscribers[reactor].page, stores[subscribers[reactor].store]);
	outcome = client_run(&writer.client, sql);
	for (int i = 0; outcome == OK && i < PQntuples(writer.client.result); i++)
		seen[nseen++] = row_event(writer.client.result, i);
	shared->subscribers[reactor].pages += outcome == OK && PQntuples(writer.client.result) > 0;
	return outcome;
}

/* Log the events that a committed transaction has seen. */
static void
keep_seen(void)
{
	for (int i = 0; i < nseen; i++)
		add_event(reactor, &seen[i]);
}

/* Append and read alternately in one transaction, and end it. */
static Outcome
run_reaction(void)
{
	int64_t		position = shared->subscribers[reactor].position;
	bool		append = shared->phase == RUN,
				commit = !append || chance(70);
	Outcome		outcome = client_run(&writer.client, chance(50) ? "BEGIN" :
									 "BEGIN ISOLATION LEVEL REPEATABLE READ");

	nseen = 0;
	writer.nranges = 0;
	for (int i = 1 + random_below(MAX_PAGES); i > 0 && outcome == OK; i--)
	{
		if (append && chance(50))
			outcome = append_one_event(&writer, subscribers[reactor].store);
		if (outcome == OK)
			outcome = read_page_in_transaction(position);
	}
	if (outcome == OK)
		outcome = client_run(&writer.client, commit ? "COMMIT" : "ROLLBACK");
	else
	{
		commit = false;
		if (outcome == REFUSED)
			client_run(&writer.client, "ROLLBACK");
	}
	settle_ranges(writer.log, writer.ranges, writer.nranges, !commit ? ABORTED :
				  outcome == OK ? COMMITTED : outcome == LOST ? UNKNOWN : ABORTED);
	if (outcome == OK && commit)
		keep_seen();
	return outcome;
}

/* Run the reactor, which also has the number of a writer. */
void
reactor_main(int number, int writer_number, FILE *log)
{
	int			nothing = 0;

	reactor = number;
	writer.number = writer_number;
	writer.log = log;
	snprintf(writer.client.name, sizeof writer.client.name, "chaos subscriber %d", reactor);
	while (running(DRAIN) && nothing < 2)
	{
		bool		drain = shared->phase == DRAIN;
		Outcome		outcome;

		if (writer.client.conn == NULL)
			shared->subscribers[reactor].connects++;
		if (!client_connect(&writer.client))
			break;
		outcome = run_reaction();
		nothing = drain && outcome == OK && nseen == 0 ? nothing + 1 : 0;
		if (nseen == 0)
			sleep_ms(5);
	}
	client_close(&writer.client);
	shared->subscribers[reactor].done = true;
}
