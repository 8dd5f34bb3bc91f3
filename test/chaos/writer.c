/*
 * writer.c
 *		A writer: runs transactions of all kinds, one after another.
 */
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

/* Events a second of all writers together.  At this rate subscribers stay at the
 * head of the log, where the races are. */
#define RATE 6000

/* Sleep inside a transaction, in some cases: a few milliseconds, or up to 3 s. */
static void
sleep_at_random(void)
{
	if (is_calm() && chance(10))
		sleep_ms(random_below(4));
	else if (!is_calm() && chance(25))
		sleep_ms(1 + random_below(chance(50) ? 20 : 300));
	else if (!is_calm() && random_below(200) == 0)
		sleep_ms(1000 + random_below(2000));
}

/* Append after a savepoint, and roll back to it. */
static Outcome
append_and_roll_back(Writer *writer)
{
	int			first = writer->nranges;
	Outcome		outcome = client_run(&writer->client, "SAVEPOINT s");

	if (outcome == OK)
		outcome = append_at_random(writer);
	if (outcome == OK)
		sleep_at_random();
	if (outcome != LOST)
		outcome = client_run(&writer->client, "ROLLBACK TO SAVEPOINT s");
	for (int i = first; i < writer->nranges; i++)
		if (writer->ranges[i].fate == OPEN)
			writer->ranges[i].fate = ABORTED;
	return outcome;
}

/* Append after a savepoint, and release it; after an error roll back to it. */
static Outcome
append_in_savepoint(Writer *writer)
{
	int			first = writer->nranges;
	Outcome		outcome = client_run(&writer->client, "SAVEPOINT t");

	if (outcome == OK)
		outcome = append_at_random(writer);
	if (outcome == OK)
		return client_run(&writer->client, "RELEASE SAVEPOINT t");
	for (int i = first; i < writer->nranges; i++)
		if (writer->ranges[i].fate == OPEN)
			writer->ranges[i].fate = ABORTED;
	return outcome == LOST ? LOST : client_run(&writer->client, "ROLLBACK TO SAVEPOINT t");
}

/*
 * Read the end of the log in a transaction that has appended, or advance the
 * watermark, which must not pass events that only this transaction can see.
 */
static Outcome
read_back(Writer *writer)
{
	const char *store = stores[random_below(STORES)];
	char		sql[200];

	if (chance(30))
		snprintf(sql, sizeof sql, "SELECT eventstore.advance_watermark('%s')", store);
	else
		snprintf(sql, sizeof sql, "SELECT count(*) FROM eventstore.read_events("
				 "GREATEST(eventstore.high_water_mark('%1$s') - 20, 0), 50, store => '%1$s')", store);
	return client_run(&writer->client, sql);
}

/* Prepare, commit or roll back a transaction. */
static Outcome
end_transaction(Writer *writer)
{
	bool		commit;
	Outcome		outcome;

	if (chance(12))
		return prepare_transaction(writer);
	commit = chance(80);
	outcome = client_run(&writer->client, commit ? "COMMIT" : "ROLLBACK");
	settle_ranges(writer->log, writer->ranges, writer->nranges,
				  outcome == LOST && commit ? UNKNOWN : outcome == OK && commit ? COMMITTED : ABORTED);
	return outcome;
}

/* Run a transaction of several statements. */
static void
run_transaction(Writer *writer)
{
	static const char *const begin[] = {"BEGIN", "BEGIN", "BEGIN", "BEGIN", "BEGIN",
		"BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ",
	"BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"};
	int			appends = 1 + random_below(chance(80) ? 3 : 8);
	Outcome		outcome = client_run(&writer->client, begin[random_below(10)]);

	if (outcome == OK && chance(15))
		outcome = append_and_roll_back(writer);
	for (int i = 0; i < appends && outcome == OK; i++)
	{
		outcome = chance(12) ? append_and_roll_back(writer) :
			chance(15) ? append_in_savepoint(writer) : append_at_random(writer);
		if (outcome == OK)
			sleep_at_random();
		if (outcome == OK && chance(5))
			outcome = read_back(writer);
	}
	if (outcome == OK)
		outcome = end_transaction(writer);
	else
		settle_ranges(writer->log, writer->ranges, writer->nranges, ABORTED);
	if (outcome == REFUSED)
		client_run(&writer->client, "ROLLBACK");
}

/* Run one append as a transaction.  If its answer is lost, maybe repeat it. */
static void
run_autocommit(Writer *writer)
{
	Outcome		outcome = append_at_random(writer);

	if (outcome == LOST && writer->nranges > 0 && can_repeat_last_call() && chance(50) &&
		client_connect(&writer->client))
		outcome = repeat_last_call(writer);
	settle_ranges(writer->log, writer->ranges, writer->nranges,
				  outcome == OK ? COMMITTED : outcome == REFUSED ? ABORTED : UNKNOWN);
}

/* Wait while this writer is ahead of its share of the rate, or subscribers lag. */
static void
keep_pace(const Writer *writer, int writers, int64_t *since, int64_t *since_id)
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

/* Run a writer. */
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
			run_autocommit(&writer);
		else
			run_transaction(&writer);
		if (chance(5) && writer.client.conn)
			finish_prepared(&writer.client, log, false);
		keep_pace(&writer, writers, &since, &since_id);
	}
	client_close(&writer.client);
}
