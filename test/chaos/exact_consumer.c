/*
 * exact_consumer.c
 *		Consumers that poll, write the effects and acknowledge in one transaction.
 *
 * The effect of an event is a row of chaos.effects, with the event's position as its key.
 * The serial number shows the order in which the effects were written.  Transactions are
 * rolled back, also to savepoints, prepared, and lost with their connection or process.
 */
#include <signal.h>
#include <unistd.h>

#include "chaos.h"

static const char *const begin[] = {
	"BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"
};

static int	self;
static Client client;

/* Poll, write the effects, and acknowledge. */
static Outcome
poll_and_ack(int *rows)
{
	char		name[40] = "NULL";
	char		sql[400];
	Outcome		outcome;

	if (chance(70))
		snprintf(name, sizeof name, "'exact-%d'", (int) shared->consumers[self].id);
	snprintf(sql, sizeof sql, "INSERT INTO chaos.effects (position, aggregate, version, delivery) "
			 "SELECT position, aggregate_id, aggregate_version, delivery "
			 "FROM eventstore.poll('exact', %d, %s) RETURNING delivery",
			 1 + random_below(chance(20) ? 10 : 300), name);
	outcome = client_run(&client, sql);
	if (outcome != OK)
		return outcome;
	shared->subscriptions[EXACT].polls++;
	*rows = PQntuples(client.result);
	if (*rows == 0)
	{
		shared->subscriptions[EXACT].empty_polls++;
		return OK;
	}
	shared->subscriptions[EXACT].deliveries++;
	snprintf(sql, sizeof sql, "SELECT eventstore.ack('exact', %lld)", (long long) client_number(&client, 0, 0));
	return client_run(&client, sql);
}

/* Do the work of a transaction; set *rows to the number of its effects. */
static Outcome
fill_transaction(int *rows)
{
	Outcome		outcome = OK;
	int			more = 0;
	bool		savepoint = chance(10);

	if (savepoint)
		outcome = client_run(&client, "SAVEPOINT s");
	if (savepoint && outcome == OK)
		outcome = poll_and_ack(&more);
	if (savepoint && outcome == OK)
		outcome = client_run(&client, "ROLLBACK TO SAVEPOINT s");
	for (int i = 1 + random_below(3); i > 0 && outcome == OK; i--)
	{
		more = 0;
		outcome = poll_and_ack(&more);
		*rows += more;
	}
	return outcome;
}

/*
 * After a pause, finish the transaction that this consumer, or the one before it, has
 * prepared.
 */
static void
finish_own_prepared(bool commit)
{
	char		sql[80];
	Outcome		outcome;

	sleep_ms(random_below(300));
	snprintf(sql, sizeof sql, "%s PREPARED 'consumer-%d'", commit ? "COMMIT" : "ROLLBACK", self);
	outcome = client_run(&client, sql);
	if (outcome != LOST)
		shared->consumers[self].prepared = false;
}

/* Prepare the transaction, and finish it a little later. */
static Outcome
prepare_and_finish(void)
{
	char		sql[80];
	Outcome		outcome;

	snprintf(sql, sizeof sql, "PREPARE TRANSACTION 'consumer-%d'", self);
	shared->consumers[self].prepared = true;
	outcome = client_run(&client, sql);
	if (outcome == REFUSED)
		shared->consumers[self].prepared = false;
	if (outcome != OK)
		return outcome;
	shared->subscriptions[EXACT].hangs++;
	finish_own_prepared(chance(70));
	return OK;
}

/* Run a transaction; return the number of events that it had. */
static int
run_exact_transaction(int isolation)
{
	int			rows = 0;
	bool		calm = shared->phase != RUN;
	Outcome		outcome = client_run(&client, begin[isolation]);

	if (outcome == OK)
		outcome = fill_transaction(&rows);
	if (outcome == REFUSED && client_sqlstate_is(&client, "23505"))
		shared->subscriptions[EXACT].twice++;
	if (!calm && chance(20))
		sleep_ms(random_below(50));
	if (!calm && random_below(500) == 0)
	{
		shared->subscriptions[EXACT].deaths++;
		kill(getpid(), SIGKILL);
	}
	if (outcome == OK && isolation == 0 && !calm && rows > 0 && chance(5))
		outcome = prepare_and_finish();
	else if (outcome == OK)
		outcome = client_run(&client, !calm && chance(10) ? "ROLLBACK" : "COMMIT");
	if (outcome == REFUSED)
		client_run(&client, "ROLLBACK");
	return rows;
}

/* Run a consumer at an isolation level. */
void
exact_consumer_main(int number, int isolation)
{
	self = number;
	snprintf(client.name, sizeof client.name, "chaos consumer %d", self);
	while (running(DRAIN) && client_connect(&client))
	{
		if (shared->consumers[self].prepared)
			finish_own_prepared(true);
		else if (run_exact_transaction(isolation) == 0)
			sleep_ms(5 + random_below(10));
	}
	client_close(&client);
}
