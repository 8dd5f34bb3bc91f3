/*
 * writer.c
 *		A writer: transactions of all kinds, one after another.
 */
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

/* events a second that all writers together aim at, which leaves subscribers
 * time to stay at the head of the log, where the races are */
#define RATE 6000

/* Sleep inside a transaction now and then, seldom for seconds. */
static void
dawdle(void)
{
	if (calm() && chance(10))
		sleep_ms(below(4));
	else if (!calm() && chance(25))
		sleep_ms(1 + below(chance(50) ? 20 : 300));
	else if (!calm() && below(200) == 0)
		sleep_ms(1000 + below(2000));
}

/* Append and roll back to a savepoint before it: the events never were. */
static Outcome
append_in_vain(Writer *writer)
{
	int			first = writer->nranges;
	Outcome		outcome = client_run(&writer->client, "SAVEPOINT s");

	if (outcome == OK)
		outcome = append(writer);
	if (outcome == OK)
		dawdle();
	if (outcome != LOST)
		outcome = client_run(&writer->client, "ROLLBACK TO SAVEPOINT s");
	for (int i = first; i < writer->nranges; i++)
		if (writer->ranges[i].fate == OPEN)
			writer->ranges[i].fate = ABORTED;
	return outcome;
}

/* Append inside a savepoint and keep it; an error is rolled back. */
static Outcome
append_in_savepoint(Writer *writer)
{
	int			first = writer->nranges;
	Outcome		outcome = client_run(&writer->client, "SAVEPOINT t");

	if (outcome == OK)
		outcome = append(writer);
	if (outcome == OK)
		return client_run(&writer->client, "RELEASE SAVEPOINT t");
	for (int i = first; i < writer->nranges; i++)
		if (writer->ranges[i].fate == OPEN)
			writer->ranges[i].fate = ABORTED;
	return outcome == LOST ? LOST : client_run(&writer->client, "ROLLBACK TO SAVEPOINT t");
}

/*
 * Read the end of the log in a transaction that has appended, or advance the
 * watermark, which must not get past what only this transaction sees.
 */
static Outcome
read_back(Writer *writer)
{
	const char *store = stores[below(STORES)];
	char		sql[200];

	if (chance(30))
		snprintf(sql, sizeof sql, "SELECT eventstore.advance_watermark('%s')", store);
	else
		snprintf(sql, sizeof sql, "SELECT count(*) FROM eventstore.read_events("
				 "GREATEST(eventstore.high_water_mark('%1$s') - 20, 0), 50, store => '%1$s')", store);
	return client_run(&writer->client, sql);
}

/* End a transaction in one of the three ways. */
static Outcome
end_transaction(Writer *writer)
{
	bool		commit;
	Outcome		outcome;

	if (chance(12))
		return prepare(writer);
	commit = chance(80);
	outcome = client_run(&writer->client, commit ? "COMMIT" : "ROLLBACK");
	settle(writer->log, writer->ranges, writer->nranges,
		   outcome == LOST && commit ? UNKNOWN : outcome == OK && commit ? COMMITTED : ABORTED);
	return outcome;
}

/* A transaction of several statements. */
static void
transaction(Writer *writer)
{
	static const char *const begin[] = {"BEGIN", "BEGIN", "BEGIN", "BEGIN", "BEGIN",
		"BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ",
	"BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"};
	int			appends = 1 + below(chance(80) ? 3 : 8);
	Outcome		outcome = client_run(&writer->client, begin[below(10)]);

	if (outcome == OK && chance(15))
		outcome = append_in_vain(writer);
	for (int i = 0; i < appends && outcome == OK; i++)
	{
		outcome = chance(12) ? append_in_vain(writer) :
			chance(15) ? append_in_savepoint(writer) : append(writer);
		if (outcome == OK)
			dawdle();
		if (outcome == OK && chance(5))
			outcome = read_back(writer);
	}
	if (outcome == OK)
		outcome = end_transaction(writer);
	else
		settle(writer->log, writer->ranges, writer->nranges, ABORTED);
	if (outcome == REFUSED)
		client_run(&writer->client, "ROLLBACK");
}

/* One append that is a transaction; a lost answer may be asked for again. */
static void
autocommit(Writer *writer)
{
	Outcome		outcome = append(writer);

	if (outcome == LOST && writer->nranges > 0 && can_retry() && chance(50) &&
		client_connect(&writer->client))
		outcome = retry(writer);
	settle(writer->log, writer->ranges, writer->nranges,
		   outcome == OK ? COMMITTED : outcome == REFUSED ? ABORTED : UNKNOWN);
}

/* Hold back when this writer is ahead of its share, or subscribers lag. */
static void
pace(const Writer *writer, int writers, int64_t *since, int64_t *since_id)
{
	int64_t		ahead = (writer->next_id - *since_id) * 1000 * writers / RATE - (now_us() - *since) / 1000;

	if (ahead > 0)
		sleep_ms(ahead < 300 ? (int) ahead : 300);
	else if (ahead < -1000)
	{
		*since = now_us();
		*since_id = writer->next_id;
	}
	while (shared->behind && running(RUN))
		sleep_ms(20);
}

/* The life of a writer. */
void
writer_main(int number, int writers, FILE *log)
{
	Writer		writer = {.number = number,.log = log};
	int64_t		since = now_us(),
				since_id = 0;

	snprintf(writer.client.name, sizeof writer.client.name, "chaos writer %d", number);
	while (running(RUN) && client_connect(&writer.client))
	{
		writer.nranges = 0;
		if (chance(50))
			autocommit(&writer);
		else
			transaction(&writer);
		if (chance(5) && writer.client.conn)
			finish_prepared(&writer.client, log, false);
		pace(&writer, writers, &since, &since_id);
	}
	client_close(&writer.client);
}
