/*
 * quiet_database.c
 *		A database with so few events that each needs a notification of its own.
 */
#include <sys/select.h>

#include "chaos.h"

#define APPEND_QUIET "SELECT position FROM eventstore.append('{\"event_type\": \"quiet\", \"data\": {}}')"

/* Print facts that may explain a missing notification. */
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

/* Return for how many us the server has been up since a time. */
static int64_t
up_since(int64_t since)
{
	int64_t		up;

	if (shared->server_is_down)
		return 0;
	up = shared->server_up_since;
	return now_us() - (up > since ? up : since);
}

/* Wait up to five seconds until the listener has seen an event. */
static void
await_quiet_listener(Client *client, int64_t position, const char *how)
{
	int64_t		since = now_us(),
				took;

	while (shared->quiet_position < position && running(RUN) && up_since(since) < 5000000)
		sleep_ms(1);
	if (!running(RUN))
		return;
	took = up_since(since);
	shared->quiet_events++;
	if (shared->quiet_position < position)
	{
		shared->quiet_missed++;
		explain_miss(client, position, how);
	}
	else if (took > shared->quiet_slowest)
		shared->quiet_slowest = took;
}

/* Sleep up to three seconds, unless the run ends. */
static void
sleep_up_to_3s(void)
{
	for (int i = random_below(30); i > 0 && running(RUN); i--)
		sleep_ms(100);
}

/* Append an event in a prepared transaction, during which the server may crash. */
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
		sleep_up_to_3s();
		outcome = client_run(client, sql);
	}
	if (outcome != LOST || !client_connect(client))
		return outcome;
	*how = "prepared before and committed after the loss of the connection";
	sleep_up_to_3s();			/* the listener may have reconnected, or not */
	outcome = client_run(client, sql);

	/* a notifier may learn of the event only when a session starts to read */
	if (outcome == OK)
		outcome = client_run(client, "SELECT eventstore.high_water_mark()");
	return outcome;
}

/*
 * Append single events, and wait after each until the listener has seen it.  Most
 * pauses are near one second, after which an idle notifier exits.
 */
void
quiet_writer_main(void)
{
	Client		client = {.name = "chaos quiet writer",.dbname = "chaos_quiet"};

	for (int serial = 0; running(RUN) && client_connect(&client); serial++)
	{
		int			dice = random_below(10);
		int64_t		position = 0;
		const char *how = "committed";
		Outcome		outcome;

		sleep_ms(dice < 2 ? random_below(5) : dice < 8 ? 950 + random_below(150) : random_below(3000));
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

/* Read the log to its end. */
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

/* Wait up to 100 ms for a notification; false if there was none. */
static bool
wait_for_quiet_notification(Client *client)
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

/* Follow the log by reading only after notifications. */
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
			if (wait_for_quiet_notification(&client))
				read_quiet(&client);
	}
	client_close(&client);
}
