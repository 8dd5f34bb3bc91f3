/*
 * subscriber.c
 *		The subscribers, each of which follows the log in its own way.
 *
 * A subscriber remembers only the position of the last event that it has seen.
 * It logs all events that it sees.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

#include "chaos.h"

Subscriber	subscribers[MAX_SUBSCRIBERS] = {
	{"pages of 100", PAGER, 0, 100, 0, 0, NULL},
	{"pages of 7", PAGER, 0, 7, 0, 0, NULL},
	{"pages of 1000, often reconnecting", PAGER, 0, 1000, 10, 0, NULL},
	{"pages of 250", PAGER, 1, 250, 0, 0, NULL},
	{"in REPEATABLE READ", REPEATABLE, 0, 300, 0, 0, NULL},
	{"of two event types", TYPES, 0, 200, 0, 0, NULL},
	{"with wait_for_events", WAITER, 0, 500, 0, 0, NULL},
	{"that appends, too", REACTOR, 0, 400, 0, 0, NULL},
	{"SQL up to the watermark", WATERMARK, 0, 500, 0, 0, NULL},
	{"by NOTIFY only", LISTENER, 0, 500, 0, 0, NULL},
	{"by NOTIFY only", LISTENER, 1, 100, 0, 0, NULL},
	{"with the archive", ARCHIVED, 0, 100, 10, 0, NULL},
	{"with the archive, far behind", ARCHIVED, 0, 1000, 0, 200, NULL},
	{"with the archive, far behind", ARCHIVED, 1, 77, 0, 50, NULL},
	{"naive SQL", NAIVE, 0, 500, 0, 0, NULL},
};
int			nsubscribers = 15;

/* The subscriber of this process. */
static int	self;
static Client client;
static int64_t position;		/* of the last event seen */

/* Return the event of a row: position, aggregate_id, aggregate_version. */
Event
row_event(const PGresult *result, int row)
{
	const char *aggregate = PQgetvalue(result, row, 1);

	return (Event)
	{
		strtoll(PQgetvalue(result, row, 0), NULL, 10),
			aggregate[0] ? (uint32_t) strtoul(aggregate + 1, NULL, 10) : 0,
			(int32_t) strtol(PQgetvalue(result, row, 2), NULL, 10)
	};
}

/* Log that a subscriber has seen an event. */
void
add_event(int number, const Event *event)
{
	fwrite(event, sizeof *event, 1, subscribers[number].log);
	shared->subscribers[number].position = event->position;
	shared->subscribers[number].events++;
}

/* Return the statement that reads a page: $1 position, $2 page size, $3 store. */
static const char *
page_statement(const Subscriber *subscriber)
{
#define COLUMNS "SELECT position, aggregate_id, aggregate_version FROM "
	switch (subscriber->kind)
	{
		case TYPES:
			return COLUMNS "eventstore.read_events($1, $2, event_types => '{placed,sent}', store => $3)";
		case WATERMARK:
			return COLUMNS "eventstore.events WHERE position > $1 AND position <= "
				"(SELECT w.position FROM eventstore.watermarks AS w WHERE w.store = $3) "
				"ORDER BY position LIMIT $2";
		case NAIVE:
			return COLUMNS "eventstore.events WHERE position > $1 AND $3 IS NOT NULL "
				"ORDER BY position LIMIT $2";
		case ARCHIVED:
			return COLUMNS "eventstore.read_events($1, $2, store => $3)";
		default:
			return COLUMNS "eventstore.read_events($1, $2, store => $3)";
	}
}

/* Run a statement with the subscriber's position, page size and store. */
static Outcome
call_for_page(const char *sql)
{
	static const Oid types[] = {20, 23, 2205};	/* bigint, integer, regclass */
	char		numbers[2][24];
	const char *values[] = {numbers[0], numbers[1], stores[subscribers[self].store]};

	snprintf(numbers[0], sizeof numbers[0], "%lld", (long long) position);
	snprintf(numbers[1], sizeof numbers[1], "%d", subscribers[self].page);
	return client_call(&client, sql, 3, types, values);
}

/* Read a page.  Return the number of its events, or -1 on failure. */
static int
read_page(void)
{
	Outcome		outcome = call_for_page(page_statement(&subscribers[self]));
	int			rows;

	if (outcome != OK)
		return -1;
	rows = PQntuples(client.result);
	for (int i = 0; i < rows; i++)
	{
		Event		event = row_event(client.result, i);

		add_event(self, &event);
		position = event.position;
	}
	shared->subscribers[self].pages += rows > 0;
	return rows;
}

/* Connect under the subscriber's number; false at the end of the run. */
static bool
connect_subscriber(void)
{
	if (client.conn != NULL)
		return true;
	snprintf(client.name, sizeof client.name, "chaos subscriber %d", self);
	shared->subscribers[self].connects++;
	return client_connect(&client);
}

/* Read one page, or in REPEATABLE READ up to 20 in a transaction; -1 on failure. */
static int
read_pages(void)
{
	const Subscriber *subscriber = &subscribers[self];
	bool		block = subscriber->kind == REPEATABLE || subscriber->kind == WATERMARK;
	int			pages = subscriber->kind == REPEATABLE ? 1 + random_below(20) : 1;
	int			rows = 1;

	if (block && client_run(&client, "BEGIN ISOLATION LEVEL REPEATABLE READ") != OK)
		return -1;
	while (pages-- > 0 && rows >= 0)
	{
		rows = read_page();
		if (rows == 0 && pages > 0)
			sleep_ms(1);
	}
	if (block && client.conn != NULL)
		client_run(&client, "COMMIT");
	return rows;
}

/* Wait for an event and read a page; count an error if there is no event then. */
static int
wait_and_read(void)
{
	bool		woken;
	int			rows;

	if (call_for_page("SELECT eventstore.wait_for_events($1, '1 s', store => $3) WHERE $2 > 0") != OK)
		return -1;
	woken = !PQgetisnull(client.result, 0, 0);
	rows = read_page();
	if (woken && rows == 0)
		count_error("woken", "wait_for_events() returned a position, but there was no event");
	return rows;
}

/* Follow the log by reading again and again, until the end of the log. */
static void
follow_log(void)
{
	const Subscriber *subscriber = &subscribers[self];
	int			nothing = 0,
				pages = 0;

	while (running(DRAIN) && connect_subscriber())
	{
		bool		drain = shared->phase == DRAIN;
		int			rows = subscriber->kind == WAITER ? wait_and_read() : read_pages();

		if (rows == 0 && subscriber->kind != WAITER)
			sleep_ms(2);
		if (shared->phase == RUN)
			sleep_ms(subscriber->pause);
		nothing = drain && rows == 0 ? nothing + 1 : 0;

		/* the watermark, like a notification, may come later */
		if (nothing >= 2 && subscriber->kind != WATERMARK)
			break;
		if (rows > 0 && subscriber->pages > 0 && ++pages % subscriber->pages == 0)
			client_close(&client);
	}
}

/* Listen to the store's channel; false on failure. */
static bool
listen_to_store(void)
{
	char		sql[100];

	if (call_for_page("SELECT channel FROM eventstore.stores WHERE store = $3 AND $1 + $2 > 0") != OK)
		return false;
	snprintf(sql, sizeof sql, "LISTEN \"%s\"", PQgetvalue(client.result, 0, 0));
	return client_run(&client, sql) == OK;
}

/* Wait up to 100 ms for a notification; false if there was none. */
static bool
wait_for_notification(void)
{
	PGnotify   *notify;
	bool		any = false;
	int			socket = PQsocket(client.conn);
	struct timeval timeout = {0, 100000};
	fd_set		set;

	while ((notify = PQnotifies(client.conn)) != NULL)
	{
		any = true;
		PQfreemem(notify);
	}
	if (any)
		return true;
	FD_ZERO(&set);
	FD_SET(socket, &set);
	if (select(socket + 1, &set, NULL, NULL, &timeout) > 0 && !PQconsumeInput(client.conn))
		client_failed(&client, NULL);
	return false;
}

/* Read pages to the end of the log. */
static void
read_to_the_end(void)
{
	while (read_page() > 0)
		;
}

/* Follow the log by reading only after notifications. */
static void
listen_and_follow(void)
{
	while (running(DRAIN) && connect_subscriber())
	{
		if (!listen_to_store())
			continue;
		read_to_the_end();
		while (running(DRAIN) && client.conn != NULL)
			if (wait_for_notification())
				read_to_the_end();
	}
}

/* Run a subscriber. */
void
subscriber_main(int number)
{
	self = number;
	if (subscribers[self].kind == LISTENER)
		listen_and_follow();
	else
		follow_log();
	client_close(&client);
	shared->subscribers[self].done = true;
}
