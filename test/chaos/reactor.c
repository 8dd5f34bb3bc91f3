/*
 * reactor.c
 *		A subscriber that appends what follows from an event in the very
 *		transaction that reads it, as process managers do.
 *
 * It thus reads beyond its own events that nobody else can see yet; what a
 * rolled-back transaction has read counts for nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

#define MAX_PAGES 4
#define MAX_PAGE 500

static int	self;
static Writer writer;
static Event seen[MAX_PAGES * MAX_PAGE];	/* by the open transaction */
static int	nseen;

/* Read a page beyond what was seen in this or an earlier transaction. */
static Outcome
read_page(int64_t position)
{
	char		sql[200];
	Outcome		outcome;

	snprintf(sql, sizeof sql, "SELECT position, aggregate_id, aggregate_version "
			 "FROM eventstore.read_events(%lld, %d, store => '%s')",
			 (long long) (nseen > 0 ? seen[nseen - 1].position : position),
			 subscribers[self].page, stores[subscribers[self].store]);
	outcome = client_run(&writer.client, sql);
	for (int i = 0; outcome == OK && i < PQntuples(writer.client.result); i++)
		seen[nseen++] = row_event(writer.client.result, i);
	shared->subscribers[self].pages += outcome == OK && PQntuples(writer.client.result) > 0;
	return outcome;
}

/* Take what a committed transaction has seen. */
static void
keep_seen(void)
{
	for (int i = 0; i < nseen; i++)
		add_event(self, &seen[i]);
}

/* Append and read by turns in one transaction, and end it. */
static Outcome
react(void)
{
	int64_t		position = shared->subscribers[self].position;
	bool		append = shared->phase == RUN,
				commit = !append || chance(70);
	Outcome		outcome = client_run(&writer.client, chance(50) ? "BEGIN" :
									 "BEGIN ISOLATION LEVEL REPEATABLE READ");

	nseen = 0;
	writer.nranges = 0;
	for (int i = 1 + below(MAX_PAGES); i > 0 && outcome == OK; i--)
	{
		if (append && chance(50))
			outcome = append_one(&writer, subscribers[self].store);
		if (outcome == OK)
			outcome = read_page(position);
	}
	if (outcome == OK)
		outcome = client_run(&writer.client, commit ? "COMMIT" : "ROLLBACK");
	else
	{
		commit = false;
		if (outcome == REFUSED)
			client_run(&writer.client, "ROLLBACK");
	}
	settle(writer.log, writer.ranges, writer.nranges, !commit ? ABORTED :
		   outcome == OK ? COMMITTED : outcome == LOST ? UNKNOWN : ABORTED);
	if (outcome == OK && commit)
		keep_seen();
	return outcome;
}

/* The life of the subscriber that appends, under a writer's number. */
void
reactor_main(int number, int writer_number, FILE *log)
{
	int			nothing = 0;

	self = number;
	writer.number = writer_number;
	writer.log = log;
	snprintf(writer.client.name, sizeof writer.client.name, "chaos subscriber %d", self);
	while (running(DRAIN) && nothing < 2)
	{
		bool		drain = shared->phase == DRAIN;
		Outcome		outcome;

		if (writer.client.conn == NULL)
			shared->subscribers[self].connects++;
		if (!client_connect(&writer.client))
			break;
		outcome = react();
		nothing = drain && outcome == OK && nseen == 0 ? nothing + 1 : 0;
		if (nseen == 0)
			sleep_ms(5);
	}
	client_close(&writer.client);
	shared->subscribers[self].done = true;
}
