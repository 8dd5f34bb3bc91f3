/*
 * disturb.c
 *		What disturbs the others: ended connections, a write transaction that
 *		never ends, events that move to the archive; and a database so quiet that every notification counts.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

#include "chaos.h"

#define APPEND_QUIET "SELECT position FROM eventstore.append('{\"event_type\": \"quiet\", \"data\": {}}')"

/* End the connection of a random writer, a subscriber, the archiver or the notifier. */
void
killer_main(void)
{
	Client		client = {.name = "chaos killer"};

	while (running(RUN))
	{
		int			dice = below(20);
		char		sql[400];

		sleep_ms(500 + below(500));
		snprintf(sql, sizeof sql, "SELECT count(pg_terminate_backend(pid)) FROM ("
				 "SELECT pid FROM pg_stat_activity WHERE datname = 'chaos' AND %s "
				 "ORDER BY random() LIMIT 1) AS victim",
				 dice == 0 ? "backend_type = 'pg_eventstore notifier'" :
				 dice == 1 ? "application_name = 'chaos archiver'" :
				 dice < 5 ? "application_name LIKE 'chaos subscriber%'" :
				 "application_name LIKE 'chaos writer%'");
		if (!running(RUN) || !client_connect(&client))
			break;
		if (client_run(&client, sql) == OK)
			shared->kills += client_number(&client, 0, 0);
	}
	client_close(&client);
}

/* Keep a write transaction open in the same database, which appends nothing. */
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

/* The position of the slowest subscriber to a store that does not read its archive. */
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

/* Archive a batch of old events of a store, or those of a hot aggregate. */
static void
archive(Client *client, int store)
{
	char		sql[400];

	snprintf(sql, sizeof sql, "SELECT eventstore.set_archive_hold('chaos', %lld, '%s')",
			 (long long) slowest_position(store), stores[store]);
	if (client_run(client, sql) != OK)
		return;
	snprintf(sql, sizeof sql, "SELECT eventstore.archive_events('%s', "
			 "eventstore.high_water_mark('%s') - 500, max_count => %d, aggregate_ids => %s)",
			 stores[store], stores[store], 1 + below(chance(80) ? 3000 : 10),
			 chance(80) ? "NULL" : "ARRAY['a' || 1 + trunc(random() * 8)]");
	if (client_run(client, sql) == OK)
		shared->archived += client_number(client, 0, 0);
}

/*
 * Archive what all have seen who do not read the archive, until the subscribers
 * have reached the end.
 */
void
archiver_main(void)
{
	Client		client = {.name = "chaos archiver"};

	while (running(DRAIN) && client_connect(&client))
	{
		archive(&client, below(STORES));
		sleep_ms(below(50));
	}
	client_close(&client);
}

/* Say what may explain that a notification of the quiet database is missing. */
static void
explain_miss(Client *client, int64_t position, const char *how)
{
	const char *state = "state unknown";

	if (client_run(client, "SELECT format('mark %s, watermark %s, %s notifiers, prepared: %s, listeners: %s', "
				   "eventstore.high_water_mark(), (SELECT max(position) FROM eventstore.watermarks), "
				   "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
				   "AND backend_type = 'pg_eventstore notifier'), "
				   "(SELECT string_agg(gid, ' ') FROM pg_prepared_xacts WHERE database = current_database()), "
				   "(SELECT string_agg(query, ' ') FROM pg_stat_activity "
				   "WHERE application_name = 'chaos quiet listener'))") == OK)
		state = PQgetvalue(client->result, 0, 0);
	printf("quiet database: no notification of position %lld, %s; now %s\n",
		   (long long) position, how, state);
	fflush(stdout);
}

/* Wait up to five seconds for the quiet listener to see an event. */
static void
await_quiet_listener(Client *client, int64_t position, const char *how)
{
	int64_t		since = now_us(),
				took;

	while (shared->quiet_position < position && running(RUN) &&
		   now_us() - since < 5000000)
		sleep_ms(1);
	if (!running(RUN))
		return;
	took = now_us() - since;
	shared->quiet_events++;
	if (shared->quiet_position < position)
	{
		shared->quiet_missed++;
		explain_miss(client, position, how);
	}
	else if (took > shared->quiet_slowest)
		shared->quiet_slowest = took;
}

/* Wait up to three seconds, unless the run ends. */
static void
linger(void)
{
	for (int i = below(30); i > 0 && running(RUN); i--)
		sleep_ms(100);
}

/* Append an event by a prepared transaction, which a crash may come between. */
static Outcome
append_prepared(Client *client, int serial, int64_t *position, const char **how)
{
	char		sql[60];
	Outcome		outcome = client_run(client, "BEGIN");

	if (outcome == OK)
		outcome = client_run(client, APPEND_QUIET);
	if (outcome != OK)
		return outcome;
	*how = "prepared";
	*position = client_number(client, 0, 0);
	snprintf(sql, sizeof sql, "PREPARE TRANSACTION 'quiet-%d'", serial);
	outcome = client_run(client, sql);
	snprintf(sql, sizeof sql, "COMMIT PREPARED 'quiet-%d'", serial);
	if (outcome == OK)
	{
		linger();
		outcome = client_run(client, sql);
	}
	if (outcome != LOST || !client_connect(client))
		return outcome;
	*how = "prepared before and committed after the loss of the connection";
	linger();					/* the listener may be back, or not */
	outcome = client_run(client, sql);

	/* no notifier may know of it, until somebody begins to read */
	if (outcome == OK)
		outcome = client_run(client, "SELECT eventstore.high_water_mark()");
	return outcome;
}

/*
 * Append an event now and then to a database of its own, and wait each time
 * for the listener to see it.  Most pauses are near a second, when the
 * notifier is about to leave.
 */
void
quiet_writer_main(void)
{
	Client		client = {.name = "chaos quiet writer",.dbname = "chaos_quiet"};

	for (int serial = 0; running(RUN) && client_connect(&client); serial++)
	{
		int			dice = below(10);
		int64_t		position = 0;
		const char *how = "committed";
		Outcome		outcome;

		sleep_ms(dice < 2 ? below(5) : dice < 8 ? 950 + below(150) : below(3000));
		if (!running(RUN))
			break;
		if (chance(25))
			outcome = append_prepared(&client, serial, &position, &how);
		else if ((outcome = client_run(&client, APPEND_QUIET)) == OK)
			position = client_number(&client, 0, 0);
		if (outcome == OK)
			await_quiet_listener(&client, position, how);
	}
	client_close(&client);
}

/* Read the quiet database to its end. */
static void
read_quiet(Client *client)
{
	char		sql[120];
	int			rows = 1;

	while (rows > 0)
	{
		snprintf(sql, sizeof sql, "SELECT position FROM eventstore.read_events(%ld)",
				 (long) shared->quiet_position);
		rows = client_run(client, sql) == OK ? PQntuples(client->result) : 0;
		if (rows > 0)
			shared->quiet_position = client_number(client, rows - 1, 0);
	}
}

/* Wait a while for a notification. */
static bool
quiet_notified(Client *client)
{
	PGnotify   *notify = PQnotifies(client->conn);
	int			socket = PQsocket(client->conn);
	struct timeval timeout = {0, 100000};
	fd_set		set;

	if (notify != NULL)
	{
		PQfreemem(notify);
		return true;
	}
	FD_ZERO(&set);
	FD_SET(socket, &set);
	if (select(socket + 1, &set, NULL, NULL, &timeout) > 0 && !PQconsumeInput(client->conn))
		client_failed(client, NULL);
	return false;
}

/* Follow the quiet database by notifications only. */
void
quiet_listener_main(void)
{
	Client		client = {.name = "chaos quiet listener",.dbname = "chaos_quiet"};

	while (running(RUN) && client_connect(&client))
	{
		if (client_run(&client, "LISTEN eventstore_events") != OK)
			continue;
		read_quiet(&client);
		while (running(RUN) && client.conn != NULL)
			if (quiet_notified(&client))
				read_quiet(&client);
	}
	client_close(&client);
}
