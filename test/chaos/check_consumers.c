/*
 * check_consumers.c
 *		Compares the work of the consumers of subscriptions with the table.
 *
 * The consumers have counted the errors that they saw.  Here the marks that they have set
 * are compared with the events of the table: each event was processed or parked on
 * purpose, and processed for the first time in the order of its aggregate.
 */
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

/* The events to compare with. */
static const Event *events;
static const uint8_t *types;
static int64_t nevents;

/* What is wrong with a subscription. */
typedef struct Verdict
{
	int64_t		skipped;
	int64_t		disorder;
	int64_t		together;
	int64_t		repeated;
	int64_t		stale;
	int64_t		refused;
	int64_t		twice;
	int64_t		idle;
	int64_t		vanished;
} Verdict;

/* The events that are parked at the end, in the order of positions. */
typedef struct Parked
{
	int			n;
	const PGresult *result;
} Parked;

/* Return whether an event is parked at the end because it was exhausted itself. */
static bool
is_parked(const Parked *parked, int64_t position)
{
	int			low = 0,
				high = parked->n - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int64_t		found = strtoll(PQgetvalue(parked->result, middle, 0), NULL, 10);

		if (found == position)
			return true;
		if (found < position)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return false;
}

/*
 * Read the events that subscription "skip" has parked.  Those of the other subscriptions
 * are replayed before the end.
 */
static Parked
read_parked(Client *client, int subscription)
{
	Parked		parked = {0, NULL};

	if (subscription != SKIPPING)
		return parked;
	if (client_run(client, "SELECT position FROM eventstore.parked_events WHERE subscription = 'skip' "
				   "AND attempts >= 3 AND NOT behind ORDER BY position") != OK)
		die("could not read the parked events");
	parked.n = PQntuples(client->result);
	parked.result = client->result;
	return parked;
}

/* Return whether an event was processed, or parked on purpose. */
static bool
is_done_with(int subscription, int64_t position, const Parked *parked)
{
	const EventMarks *event = event_marks(subscription, position);

	if (subscription == SKIPPING && (event->handled == 0 || event->flags & FAILED))
		return is_parked(parked, position);
	return event->handled > 0;
}

/* Compare the marks of a subscription with the table. */
static Verdict
compare_marks(Client *client, int subscription)
{
	unsigned   *last = calloc(MAX_AGGREGATE + 1, sizeof *last);
	Parked		parked = read_parked(client, subscription);
	int64_t		position = 0;
	Verdict		verdict = {0};

	if (last == NULL)
		die("out of memory");
	for (int64_t i = 0; i < nevents; i++)
	{
		const Event *event = &events[i];
		unsigned	handled = event_marks(subscription, event->position)->handled;

		for (position++; position < event->position; position++)
			verdict.vanished += event_marks(subscription, position)->handled > 0;
		if (!has_type(subscription, types[i]))
		{
			verdict.vanished += handled > 0;
			continue;
		}
		verdict.skipped += !is_done_with(subscription, event->position, &parked);
		if (event->aggregate == 0 || handled == 0)
			continue;
		verdict.disorder += handled < last[event->aggregate];
		last[event->aggregate] = handled;
	}
	for (position++; position <= shared->subscriptions[subscription].last_position; position++)
		verdict.vanished += event_marks(subscription, position)->handled > 0;
	free(last);
	return verdict;
}

/* Take an effect: a line of COPY, with position, aggregate, version. */
static void
take_effect(char *line, Verdict *verdict, int32_t *last, bool *seen)
{
	const char *field[3];
	int64_t		low = 0,
				high = nevents - 1,
				position;
	uint32_t	aggregate;
	int32_t		version;

	for (int i = 0; i < 3; i++)
		field[i] = strsep(&line, "\t\n");
	position = strtoll(field[0], NULL, 10);
	while (low < high)
	{
		int64_t		middle = low + (high - low) / 2;

		if (events[middle].position < position)
			low = middle + 1;
		else
			high = middle;
	}
	if (nevents == 0 || events[low].position != position)
	{
		verdict->vanished++;
		return;
	}
	verdict->twice += seen[low];
	seen[low] = true;
	aggregate = field[1][0] == 'a' ? (uint32_t) strtoul(field[1] + 1, NULL, 10) : 0;
	version = field[2][0] == '\\' ? 0 : (int32_t) strtol(field[2], NULL, 10);
	if (aggregate == 0)
		return;
	verdict->disorder += version <= last[aggregate];
	last[aggregate] = version;
}

/* Compare the effects, in the order in which they were written, with the table. */
static Verdict
compare_effects(Client *client)
{
	int32_t    *last = calloc(MAX_AGGREGATE + 1, sizeof *last);
	bool	   *seen = calloc((size_t) nevents + 1, sizeof *seen);
	Verdict		verdict = {0};
	PGresult   *result = PQexec(client->conn, "COPY (SELECT position, aggregate, version FROM chaos.effects "
								"ORDER BY serial) TO STDOUT");
	char	   *line;

	if (last == NULL || seen == NULL || PQresultStatus(result) != PGRES_COPY_OUT)
		die("could not read the effects");
	PQclear(result);
	while (PQgetCopyData(client->conn, &line, 0) > 0)
	{
		take_effect(line, &verdict, last, seen);
		PQfreemem(line);
		shared->subscriptions[EXACT].handled++;
	}
	while ((result = PQgetResult(client->conn)) != NULL)
		PQclear(result);
	for (int64_t i = 0; i < nevents; i++)
		verdict.skipped += !seen[i];
	free(last);
	free(seen);
	return verdict;
}

/* Add the counts of the consumers of a subscription. */
static void
add_counts(Verdict *verdict, const SubscriptionState *state)
{
	verdict->disorder += state->disorder;
	verdict->together += state->together;
	verdict->repeated += state->repeated;
	verdict->stale += state->stale_acks;
	verdict->refused += state->refused;
	verdict->twice += state->twice;
	verdict->idle += state->idle;
	verdict->vanished += state->misplaced;
}

/* Print the counts and errors of a subscription. */
static void
print_subscription(int number, const Verdict *verdict)
{
	const SubscriptionState *s = &shared->subscriptions[number];

	printf("%-12s %9ld %7ld %9ld %7ld %6ld %6ld %6ld %7lld %8lld %8lld %8lld %6lld %7lld %6lld %5lld %8lld\n",
		   subscriptions[number].name, (long) s->handled, (long) s->polls, (long) s->deliveries,
		   (long) s->nacks, (long) s->deaths, (long) s->hangs, (long) s->lost_leases,
		   (long long) verdict->skipped, (long long) verdict->disorder, (long long) verdict->together,
		   (long long) verdict->repeated, (long long) verdict->stale, (long long) verdict->refused,
		   (long long) verdict->twice, (long long) verdict->idle, (long long) verdict->vanished);
}

/* Print the errors of all subscriptions; return whether there are none. */
static bool
print_sum(const Verdict *sum)
{
	printf("consumers: skipped %lld, out of order %lld, with two at once %lld, repeated %lld, stale acknowledgements %lld, "
		   "refused %lld, effects twice %lld, idle %lld, vanished %lld\n", (long long) sum->skipped,
		   (long long) sum->disorder, (long long) sum->together, (long long) sum->repeated,
		   (long long) sum->stale, (long long) sum->refused, (long long) sum->twice,
		   (long long) sum->idle, (long long) sum->vanished);
	return sum->skipped + sum->disorder + sum->together + sum->repeated + sum->stale + sum->refused +
		sum->twice + sum->idle + sum->vanished == 0;
}

/* Add up the errors. */
static void
add_up(Verdict *sum, const Verdict *verdict)
{
	sum->skipped += verdict->skipped;
	sum->disorder += verdict->disorder;
	sum->together += verdict->together;
	sum->repeated += verdict->repeated;
	sum->stale += verdict->stale;
	sum->refused += verdict->refused;
	sum->twice += verdict->twice;
	sum->idle += verdict->idle;
	sum->vanished += verdict->vanished;
}

/* Print the other counts. */
static void
print_more(void)
{
	const SubscriptionState *s = shared->subscriptions;

	printf("work: %ld acknowledgements after the lease accepted, %ld refused; %ld leases extended, %ld times released; "
		   "%ld events parked, %ld replayed, %ld discarded; %ld stops resumed; %ld resets; "
		   "partitions changed %ld and %ld times\n",
		   (long) s[WORK].late_acks, (long) s[WORK].lost_leases, (long) s[WORK].extensions, (long) s[WORK].releases,
		   (long) s[POISON].parked + s[SKIPPING].parked, (long) s[POISON].replayed, (long) s[POISON].discarded,
		   (long) s[STOPPING].parked, (long) s[AGAIN].resets, (long) s[WORK].changes, (long) s[EXACT].changes);
}

/* Compare all subscriptions with the events of their store; true if all is right. */
bool
check_consumers(Client *client, const Event *table, const uint8_t *table_types, int64_t count)
{
	Verdict		sum = {0};

	events = table;
	types = table_types;
	nevents = count;
	printf("\n%-12s %9s %7s %9s %7s %6s %6s %6s %7s %8s %8s %8s %6s %7s %6s %5s %8s\n", "subscription",
		   "handled", "polls", "delivered", "failed", "died", "hung", "late", "skipped", "disorder",
		   "together", "repeated", "stale", "refused", "twice", "idle", "vanished");
	for (int i = 0; i < SUBSCRIPTIONS; i++)
	{
		Verdict		verdict = i == EXACT ? compare_effects(client) : compare_marks(client, i);

		add_counts(&verdict, &shared->subscriptions[i]);
		print_subscription(i, &verdict);
		add_up(&sum, &verdict);
	}
	print_more();
	return print_sum(&sum);
}

/*
 * Return a situation that has not occurred, without which a long run proves nothing; NULL
 * if all have.
 */
const char *
missing_in_consumers(void)
{
	const SubscriptionState *s = shared->subscriptions;
	const struct
	{
		long		count;
		const char *what;
	}			needed[] = {
		{s[WORK].lost_leases, "no acknowledgement came too late"},
		{s[WORK].extensions, "no lease was extended"},
		{s[WORK].releases, "no consumer left"},
		{s[WORK].deaths, "no consumer died"},
		{s[WORK].hangs, "no consumer hung"},
		{s[WORK].nacks, "no event failed"},
		{s[WORK].changes, "the number of partitions did not change"},
		{s[EXACT].changes, "the number of partitions of the exact consumers did not change"},
		{s[EXACT].hangs, "no transaction with effects was prepared"},
		{s[POISON].parked, "no event was parked"},
		{s[POISON].replayed, "no event was replayed"},
		{s[POISON].discarded, "no event was discarded"},
		{s[POISON].deaths, "no event killed its consumer"},
		{s[SKIPPING].parked, "no event was skipped on purpose"},
		{s[STOPPING].parked, "no partition was stopped"},
		{s[AGAIN].resets, "nothing was reset"},
	};

	for (int i = 0; i < SUBSCRIPTIONS; i++)
		if (s[i].handled == 0)
			return "a subscription delivered nothing";
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (needed[i].count == 0)
			return needed[i].what;
	return NULL;
}
