/*
 * check_results.c
 *		Compares the events that the subscribers have seen with the tables.
 */
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

/* Flags of an event id that a writer used. */
#define IN_TABLE 1
#define WAS_COMMITTED 2
#define WAS_ABORTED 4

typedef struct Table
{
	Event	   *events;			/* by position */
	uint8_t    *types;
	int64_t		count;
	int64_t		room;
	int64_t		disorder;		/* versions out of order */
} Table;

typedef struct Result
{
	int64_t		seen;
	int64_t		lost;
	int64_t		duplicated;
	int64_t		inverted;
	int64_t		vanished;
	int64_t		missed;			/* at the end, without notification */
} Result;

static Table tables[STORES];
static uint8_t *ids[MAX_WRITERS + 1];

/* Allocate zeroed memory; on failure end the program. */
static void *
allocate(size_t count, size_t size)
{
	void	   *memory = calloc(count > 0 ? count : 1, size);

	if (memory == NULL)
		die("out of memory");
	return memory;
}

/* Note that an event id of a writer is in a table. */
static void
note_id(const char *id)
{
	int			writer;
	long long	number;

	if (sscanf(id, "w%d-%lld", &writer, &number) == 2 && writer >= 0 &&
		writer <= MAX_WRITERS && number < shared->first_id_free[writer])
		ids[writer][number] |= IN_TABLE;
}

/* Add an event to a table: a line of COPY, with position, aggregate, version, type, id. */
static void
add_line(Table *table, char *line)
{
	char	   *field[5];
	Event	   *event;

	for (int i = 0; i < 5; i++)
		field[i] = strsep(&line, "\t\n");
	if (table->count == table->room)
	{
		table->room = table->room ? table->room * 2 : 65536;
		table->events = realloc(table->events, (size_t) table->room * sizeof *table->events);
		table->types = realloc(table->types, (size_t) table->room * sizeof *table->types);
		if (table->events == NULL || table->types == NULL)
			die("out of memory");
	}
	event = &table->events[table->count];
	event->position = strtoll(field[0], NULL, 10);
	event->aggregate = field[1][0] == 'a' ? (uint32_t) strtoul(field[1] + 1, NULL, 10) : 0;
	event->version = field[2][0] == '\\' ? 0 : (int32_t) strtol(field[2], NULL, 10);
	table->types[table->count] = (uint8_t) type_number(field[3]);
	note_id(field[4]);
	table->count++;
}

/* Load the events of a store and its archive. */
static void
load_table(Client *client, int store)
{
	char		sql[400];
	char	   *line;
	PGresult   *result;

	snprintf(sql, sizeof sql, "COPY (SELECT position, aggregate_id, aggregate_version, "
			 "event_type, event_id FROM (SELECT * FROM %s UNION ALL SELECT * FROM %s_archive) e "
			 "ORDER BY position) TO STDOUT", stores[store], stores[store]);
	result = PQexec(client->conn, sql);
	if (PQresultStatus(result) != PGRES_COPY_OUT)
		die("%s", PQerrorMessage(client->conn));
	PQclear(result);
	while (PQgetCopyData(client->conn, &line, 0) > 0)
	{
		add_line(&tables[store], line);
		PQfreemem(line);
	}
	while ((result = PQgetResult(client->conn)) != NULL)
	{
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			die("%s", PQerrorMessage(client->conn));
		PQclear(result);
	}
}

/* Count versions that do not follow in position order, and events in store and archive. */
static void
check_versions(Table *table)
{
	int32_t    *last = allocate(MAX_AGGREGATE + 1, sizeof *last);

	for (int64_t i = 0; i < table->count; i++)
	{
		const Event *event = &table->events[i];

		if (i > 0 && event->position == table->events[i - 1].position)
			table->disorder++;	/* in store and archive */
		if (event->aggregate > 0 && event->version != ++last[event->aggregate])
		{
			table->disorder++;
			last[event->aggregate] = event->version;
		}
	}
	free(last);
}

/* Return the index of an event, or -1; "hint" is its likely index. */
static int64_t
find_event(const Table *table, int64_t position, int64_t hint)
{
	int64_t		low = 0,
				high = table->count - 1;

	if (hint < table->count && table->events[hint].position == position)
		return hint;
	while (low <= high)
	{
		int64_t		middle = low + (high - low) / 2;

		if (table->events[middle].position == position)
			return middle;
		if (table->events[middle].position < position)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return -1;
}

/* Count the events of the table that were not seen. */
static void
count_unseen(const Subscriber *subscriber, const Table *table, const bool *seen, Result *result)
{
	int64_t		last = table->count;

	while (last > 0 && !seen[last - 1])
		last--;
	for (int64_t i = 0; i < table->count; i++)
	{
		/* it has the types of subscription SKIPPING */
		if (seen[i] || (subscriber->kind == TYPES && !has_type(SKIPPING, table->types[i])))
			continue;
		if (subscriber->kind == LISTENER && i >= last)
			result->missed++;
		else
			result->lost++;
	}
}

/* Compare the events that a subscriber has seen, in its order, with the table. */
static Result
compare_with_table(const Subscriber *subscriber)
{
	const Table *table = &tables[subscriber->store];
	bool	   *seen = allocate((size_t) table->count, sizeof *seen);
	int32_t    *last = allocate(MAX_AGGREGATE + 1, sizeof *last);
	int64_t		position = 0,
				index = -1;
	Result		result = {0};
	Event		event;

	rewind(subscriber->log);
	while (fread(&event, sizeof event, 1, subscriber->log) == 1)
	{
		int64_t		found = find_event(table, event.position, index + 1);

		result.seen++;
		if (event.position <= position || event.aggregate > MAX_AGGREGATE ||
			(event.aggregate > 0 && event.version <= last[event.aggregate]))
			result.inverted++;
		position = event.position;
		if (event.aggregate <= MAX_AGGREGATE && event.version > last[event.aggregate])
			last[event.aggregate] = event.version;
		if (found < 0 || table->events[found].aggregate != event.aggregate ||
			table->events[found].version != event.version)
		{
			result.vanished++;
			continue;
		}
		index = found;
		result.duplicated += seen[found];
		seen[found] = true;
	}
	count_unseen(subscriber, table, seen, &result);
	free(seen);
	free(last);
	return result;
}

/* Note the fates that the writers logged. */
static void
load_fates(FILE *log)
{
	Range		range;

	rewind(log);
	while (fread(&range, sizeof range, 1, log) == 1)
		for (int64_t id = range.first; id < range.first + range.count; id++)
			ids[range.writer][id] |= range.fate == COMMITTED ? WAS_COMMITTED : WAS_ABORTED;
}

/* Count acknowledged events, those not stored, and aborted events that are stored. */
static void
check_fates(int writers, int64_t *acknowledged, int64_t *vanished, int64_t *undead)
{
	for (int writer = 0; writer < writers; writer++)
		for (int64_t id = 0; id < shared->first_id_free[writer]; id++)
		{
			*acknowledged += (ids[writer][id] & WAS_COMMITTED) != 0;
			*vanished += (ids[writer][id] & (WAS_COMMITTED | IN_TABLE)) == WAS_COMMITTED;
			*undead += (ids[writer][id] & (WAS_ABORTED | IN_TABLE)) == (WAS_ABORTED | IN_TABLE);
		}
}

/* Print the result of a subscriber. */
static void
print_result(int number, const Result *result)
{
	const Subscriber *subscriber = &subscribers[number];
	const SubscriberState *state = &shared->subscribers[number];

	printf("%-33s %-17s %9lld %7ld %7ld %8lld %6lld %8lld %8lld %6lld%s\n",
		   subscriber->name, stores[subscriber->store], (long long) result->seen,
		   (long) state->pages, (long) state->connects, (long long) result->lost,
		   (long long) result->duplicated, (long long) result->inverted,
		   (long long) result->vanished, (long long) result->missed,
		   state->done || subscriber->kind == WATERMARK ? "" : "  did not reach the end");
}

/*
 * Compare all subscribers.  Return the number of events that the naive one lost; add up
 * the others.
 */
static int64_t
compare_all_subscribers(Result *sum)
{
	int64_t		naive = 0;

	printf("%-33s %-17s %9s %7s %7s %8s %6s %8s %8s %6s\n", "subscriber", "store", "events",
		   "pages", "connect", "lost", "twice", "inverted", "vanished", "missed");
	for (int i = 0; i < nsubscribers; i++)
	{
		Result		result = compare_with_table(&subscribers[i]);

		print_result(i, &result);
		if (subscribers[i].kind == NAIVE)
		{
			naive = result.lost;
			continue;
		}
		sum->lost += result.lost;
		sum->duplicated += result.duplicated;
		sum->inverted += result.inverted;
		sum->vanished += result.vanished;
		sum->missed += result.missed;
	}
	return naive;
}

/* Load the tables and the logged fates. */
static void
load_all(int writers, FILE *const *range_logs, int nrange_logs)
{
	Client		client = {.name = "chaos check"};

	for (int i = 0; i < writers; i++)
		ids[i] = allocate((size_t) shared->first_id_free[i], 1);
	if (!client_connect(&client))
		die("could not connect");
	for (int i = 0; i < STORES; i++)
	{
		load_table(&client, i);
		check_versions(&tables[i]);
	}
	client_close(&client);
	for (int i = 0; i < nrange_logs; i++)
		load_fates(range_logs[i]);
}

/* Compare the consumers of subscriptions with the first store; true if all is right. */
static bool
check_all_consumers(void)
{
	Client		client = {.name = "chaos check"};
	bool		well;

	if (!client_connect(&client))
		die("could not connect");
	well = check_consumers(&client, tables[0].events, tables[0].types, tables[0].count);
	well = check_projections(&client) && well;
	client_close(&client);
	return well;
}

/* Print the results; true if all is right, except for the naive reader. */
bool
check_results(int writers, FILE *const *range_logs, int nrange_logs)
{
	Result		sum = {0};
	int64_t		naive,
				acknowledged = 0,
				vanished = 0,
				undead = 0,
				unexpected,
				events;
	bool		consumers_well;

	load_all(writers, range_logs, nrange_logs);
	events = tables[0].count + tables[1].count;
	naive = compare_all_subscribers(&sum);
	check_fates(writers, &acknowledged, &vanished, &undead);
	printf("the tables: %ld events archived; %lld versions out of order; of %lld acknowledged events %lld are missing; "
		   "%lld that were rolled back are there\n",
		   (long) shared->archived, (long long) (tables[0].disorder + tables[1].disorder),
		   (long long) acknowledged, (long long) vanished, (long long) undead);
	printf("quiet database: %ld events, one by one, %ld not notified of within 5 s, "
		   "slowest of the others %.1f ms\n",
		   (long) shared->quiet_events, (long) shared->quiet_missed, (double) shared->quiet_slowest / 1000);
	consumers_well = check_all_consumers();
	unexpected = print_errors(NULL);
	sum.inverted += tables[0].disorder + tables[1].disorder;
	sum.vanished += vanished + undead;
	sum.missed += shared->quiet_missed;
	printf("events %lld, lost %lld, duplicated %lld, inverted %lld, vanished %lld, "
		   "notifications missed %lld, naive reader lost %lld\n",
		   (long long) events, (long long) sum.lost, (long long) sum.duplicated,
		   (long long) sum.inverted, (long long) sum.vanished, (long long) sum.missed, (long long) naive);
	shared->events = events;
	shared->naive_lost = naive;
	return consumers_well &&
		sum.lost + sum.duplicated + sum.inverted + sum.vanished + sum.missed + unexpected == 0;
}
