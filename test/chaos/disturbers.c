/*
 * disturbers.c
 *		Processes that end connections, keep a transaction open, and archive events.
 */
#include "chaos.h"

/* End the connection of a random writer, subscriber or consumer, the archiver or the notifier. */
void
killer_main(void)
{
	Client		client = {.name = "chaos killer"};

	while (running(RUN))
	{
		int			dice = random_below(20);
		char		sql[400];

		sleep_ms(500 + random_below(500));
		snprintf(sql, sizeof sql, "SELECT count(pg_terminate_backend(pid)) FROM ("
				 "SELECT pid FROM pg_stat_activity WHERE datname = 'chaos' AND %s "
				 "ORDER BY random() LIMIT 1) AS victim",
				 dice == 0 ? "backend_type = 'pg_eventstore notifier'" :
				 dice == 1 ? "application_name = 'chaos archiver'" :
				 dice < 5 ? "application_name LIKE 'chaos subscriber%'" :
				 dice < 9 ? "application_name LIKE 'chaos consumer%'" :
				 "application_name LIKE 'chaos writer%'");
		if (!running(RUN) || !client_connect(&client))
			break;
		if (client_run(&client, sql) == OK)
			shared->kills += client_number(&client, 0, 0);
	}
	client_close(&client);
}

/* Keep a write transaction open that appends nothing. */
void
bystander_main(void)
{
	Client		client = {.name = "chaos bystander"};

	while (running(DRAIN) && client_connect(&client))
	{
		if (PQtransactionStatus(client.conn) == PQTRANS_IDLE)
			client_run(&client, "BEGIN");
		client_run(&client, "INSERT INTO chaos.unrelated VALUES (1)");
		for (int i = 0; i < 20 && running(DRAIN); i++)
			sleep_ms(100);
	}
	client_close(&client);
}

/* Return the lowest position of a store's subscribers that do not read its archive. */
static int64_t
slowest_position(int store)
{
	int64_t		slowest = INT64_MAX;

	for (int i = 0; i < nsubscribers; i++)
	{
		int64_t		position = shared->subscribers[i].position;

		if (subscribers[i].store == store && subscribers[i].kind != ARCHIVED &&
			position < slowest)
			slowest = position;
	}
	return slowest;
}

/* Archive a batch of old events of a store, or only those of a hot aggregate. */
static void
archive_events(Client *client, int store)
{
	char		sql[400];

	snprintf(sql, sizeof sql, "SELECT eventstore.set_archive_hold('chaos', %lld, '%s')",
			 (long long) slowest_position(store), stores[store]);
	if (client_run(client, sql) != OK)
		return;
	snprintf(sql, sizeof sql, "SELECT eventstore.archive_events('%s', "
			 "eventstore.high_water_mark('%s') - 500, max_count => %d, aggregate_ids => %s)",
			 stores[store], stores[store], 1 + random_below(chance(80) ? 3000 : 10),
			 chance(80) ? "NULL" : "ARRAY['a' || 1 + trunc(random() * 8)]");
	if (client_run(client, sql) == OK)
		shared->archived += client_number(client, 0, 0);
}

/* Archive what all subscribers that skip the archive have seen, until phase DRAIN ends. */
void
archiver_main(void)
{
	Client		client = {.name = "chaos archiver"};

	while (running(DRAIN) && client_connect(&client))
	{
		archive_events(&client, random_below(STORES));
		sleep_ms(random_below(50));
	}
	client_close(&client);
}
