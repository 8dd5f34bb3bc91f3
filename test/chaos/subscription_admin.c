/*
 * subscription_admin.c
 *		Processes that change subscriptions, handle parked events, and find partitions
 *		that are idle although they have events.
 */
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

#define IDLE_SLACK 2000000		/* us, after the end of a lease */
#define IDLE_POLLS 20			/* without events meanwhile */
#define MAX_PARTITIONS 64

/* Create the subscriptions, and the table of the effects; false on failure. */
bool
create_subscriptions(Client *client)
{
	char		sql[400];

	for (int i = 0; i < SUBSCRIPTIONS; i++)
	{
		const Subscription *s = &subscriptions[i];

		snprintf(sql, sizeof sql, "SELECT eventstore.create_subscription('%s', '%s', event_types => '%s', "
				 "partitions => %d, lease => '%d ms', max_attempts => %d, backoff => '10 ms', on_exhausted => '%s')",
				 s->name, stores[0], s->types, s->partitions, s->lease, s->max_attempts, s->on_exhausted);
		if (client_run(client, sql) != OK)
			return false;
	}
	return client_run(client, "CREATE TABLE chaos.effects (position bigint PRIMARY KEY, aggregate text, "
					  "version integer, delivery bigint, serial bigint GENERATED ALWAYS AS IDENTITY)") == OK;
}

/* Call a function with the name of a subscription and maybe further arguments. */
static Outcome
call_for(Client *client, const char *function, int subscription, const char *more)
{
	char		sql[300];

	snprintf(sql, sizeof sql, "SELECT eventstore.%s('%s'%s)", function, subscriptions[subscription].name, more);
	return client_run(client, sql);
}

/* Resume a subscription, and retry after a lost connection; false at the end of the run. */
static bool
resume(Client *client, int subscription)
{
	while (running(DRAIN) && client_connect(client))
	{
		if (call_for(client, "resume_subscription", subscription, "") == OK)
		{
			shared->subscriptions[subscription].resumes++;
			return true;
		}
		sleep_ms(20);
	}
	return false;
}

/* Change the number of partitions of a subscription to the next one. */
static void
change_partitions(Client *client, int subscription)
{
	static int	next[SUBSCRIPTIONS];
	char		more[40];

	next[subscription] = (next[subscription] + 1) % 3;
	snprintf(more, sizeof more, ", partitions => %d", partition_counts[next[subscription]]);
	(void) call_for(client, "alter_subscription", subscription, more);
}

/* Pause a subscription for a short time. */
static void
pause_for_a_while(Client *client, int subscription)
{
	(void) call_for(client, "pause_subscription", subscription, "");
	sleep_ms(100 + random_below(400));
	(void) resume(client, subscription);
}

/* Reset a subscription to an earlier event, maybe to the first of all. */
static void
reset_to_earlier(Client *client, int subscription)
{
	char		more[160];

	snprintf(more, sizeof more, ", GREATEST((SELECT min(checkpoint) FROM eventstore.subscription_partitions "
			 "WHERE subscription = '%s') - %d, 0)", subscriptions[subscription].name,
			 random_below(chance(20) ? 50000 : 5000));
	if (call_for(client, "reset_subscription", subscription, more) == OK)
		shared->subscriptions[subscription].resets++;
}

/*
 * Change the subscriptions in turn while writers append; at the end only resume them.
 * Between two changes of a subscription, its partitions can be idle long enough to be
 * detected.
 */
void
subscription_admin_main(void)
{
	static const struct
	{
		void		(*change) (Client *client, int subscription);
		int			subscription;
	}			steps[] = {
		{change_partitions, WORK}, {reset_to_earlier, AGAIN}, {pause_for_a_while, EXACT},
		{change_partitions, EXACT}, {reset_to_earlier, AGAIN}, {pause_for_a_while, WORK}
	};
	Client		client = {.name = "chaos subscription admin"};

	for (size_t step = 0; running(DRAIN) && client_connect(&client); step++)
	{
		bool		run = shared->phase == RUN;

		if (run)
			steps[step % 6].change(&client, steps[step % 6].subscription);
		(void) resume(&client, STOPPING);
		for (int i = run ? 5 + random_below(10) : 2; i > 0 && running(DRAIN); i--)
			sleep_ms(100);
	}
	client_close(&client);
}

/*
 * Discard the parked events of an aggregate up to one: its later events may be delivered
 * now.
 */
static void
discard(Client *client, int64_t position, const char *aggregate)
{
	SubscriptionState *state = &shared->subscriptions[POISON];
	char		more[120];

	/* from now on, later events may be delivered */
	note_handled(POISON, position);
	snprintf(more, sizeof more, ", '%s', %lld, 'chaos'", aggregate, (long long) position);
	if (call_for(client, "discard_parked", POISON, more) == OK)
		state->discarded += client_number(client, 0, 0);
}

/* Replay the parked events of an aggregate; of none: all up to a position. */
static void
replay(Client *client, int64_t position, const char *aggregate)
{
	SubscriptionState *state = &shared->subscriptions[POISON];
	char		more[120];

	if (*aggregate)
		snprintf(more, sizeof more, ", '%s'", aggregate);
	else
		snprintf(more, sizeof more, ", NULL, %lld", (long long) position);
	if (call_for(client, "replay_parked", POISON, more) == OK)
		state->replayed += client_number(client, 0, 0);
}

/* Handle a parked event, the first of its aggregate. */
static void
care_for(Client *client, int64_t position, const char *aggregate)
{
	if (*aggregate && chance(20) && shared->phase == RUN)
	{
		discard(client, position, aggregate);
		return;
	}
	if (chance(80))
		atomic_fetch_or(&event_marks(POISON, position)->flags, HEALED);
	replay(client, position, aggregate);
}

/* Heal parked events and replay them, replay some that fail again, and discard some. */
void
dead_letter_main(void)
{
	Client		client = {.name = "chaos dead letters"};
	Client		other = {.name = "chaos dead letters"};

	while (running(DRAIN) && client_connect(&client) && client_connect(&other))
	{
		/* the view would read each event */
		if (client_run(&client, "SELECT min(position), COALESCE(aggregate_id, '') FROM eventstore.subscription_parked "
					   "WHERE subscription = 'poison' "
					   "GROUP BY aggregate_id, CASE WHEN aggregate_id IS NULL THEN position END "
					   "HAVING NOT bool_or(replay) ORDER BY 1 LIMIT 50") == OK)
			for (int i = 0; i < PQntuples(client.result) && other.conn != NULL; i++)
				care_for(&other, client_number(&client, i, 0), PQgetvalue(client.result, i, 1));
		sleep_ms(shared->phase == RUN ? 300 : 50);
	}
	client_close(&client);
	client_close(&other);
}

/* The observed state of the partitions of a subscription. */
typedef struct Watch
{
	int			partitions;
	struct
	{
		int64_t		checkpoint;
		int64_t		since;		/* us: idle since then; 0: not idle */
		long		polls;		/* that had returned nothing, then */
	}			rows[MAX_PARTITIONS];
} Watch;

static int64_t last_in_slot[SLOTS]; /* position of the last event */

/* Follow the log to its end, and note the last event of each slot; false on failure. */
static bool
follow_slots(Client *client)
{
	static int64_t position;
	char		sql[200];
	int			rows = 1000;

	while (rows == 1000)
	{
		snprintf(sql, sizeof sql, "SELECT position, COALESCE(aggregate_id, event_id) "
				 "FROM eventstore.read_events(%lld, 1000, store => '%s')", (long long) position, stores[0]);
		if (client_run(client, sql) != OK)
			return false;
		rows = PQntuples(client->result);
		for (int i = 0; i < rows; i++)
		{
			position = client_number(client, i, 0);
			last_in_slot[slot_of(PQgetvalue(client->result, i, 1))] = position;
		}
	}
	return true;
}

/* Return the floor of a slot, from an array of first slot, last slot and position. */
static int64_t
floor_of(const char *floors, int slot)
{
	long long	first,
				last,
				position;
	int			length;

	for (floors++; sscanf(floors, "%lld,%lld,%lld%n", &first, &last, &position, &length) == 3; floors += length + 1)
		if (slot >= first && slot <= last)
			return position;
	return 0;
}

/* Return whether a partition, a row of the result, has events that are not done. */
static bool
has_work(const Client *client, int row)
{
	int64_t		checkpoint = client_number(client, row, 1);

	for (int64_t slot = client_number(client, row, 2); slot <= client_number(client, row, 3); slot++)
		if (last_in_slot[slot] > checkpoint &&
			(PQgetisnull(client->result, row, 4) ||
			 last_in_slot[slot] > floor_of(PQgetvalue(client->result, row, 4), (int) slot)))
			return true;
	return false;
}

/* Return whether no transaction, such as one that has polled, has locked a partition. */
static bool
is_unlocked(Client *client, int subscription, int partition)
{
	char		sql[200];

	snprintf(sql, sizeof sql, "SELECT FROM eventstore.subscription_progress WHERE subscription = '%s' "
			 "AND partition = %d FOR UPDATE SKIP LOCKED", subscriptions[subscription].name, partition);
	return client_run(client, sql) == OK && PQntuples(client->result) == 1;
}

/* Check the partitions of a subscription, and count one that is idle for too long. */
static void
look_at_partitions(Client *client, int subscription, Watch *watch)
{
	SubscriptionState *state = &shared->subscriptions[subscription];
	int64_t		limit = (int64_t) subscriptions[subscription].lease * 1000 + IDLE_SLACK;
	int			n = PQntuples(client->result);
	bool		changed = n != watch->partitions;
	int			suspect = -1;

	state->changes += changed && watch->partitions > 0;
	watch->partitions = n;
	for (int i = 0; i < n; i++)
	{
		int64_t		checkpoint = client_number(client, i, 1);
		bool		idle = PQgetvalue(client->result, i, 5)[0] == 't' && has_work(client, i);

		if (!idle || changed || watch->rows[i].since == 0 || watch->rows[i].checkpoint != checkpoint)
		{
			watch->rows[i].since = idle ? now_us() : 0;
			watch->rows[i].polls = state->empty_polls;
			watch->rows[i].checkpoint = checkpoint;
		}
		else if (now_us() - watch->rows[i].since > limit && state->empty_polls - watch->rows[i].polls > IDLE_POLLS)
		{
			suspect = i;
			watch->rows[i].since = 0;
		}
	}
	if (suspect >= 0 && is_unlocked(client, subscription, suspect))
		state->idle++;
}

/* Read the partitions of a subscription that is not paused or about to change. */
static bool
read_partitions(Client *client, int subscription)
{
	char		sql[600];

	snprintf(sql, sizeof sql, "SELECT p.partition, p.checkpoint, p.first_slot, p.last_slot, p.floors, "
			 "(v.delivery IS NULL OR v.lease_until < clock_timestamp()) AND NOT v.stopped "
			 "AND (v.retry_at IS NULL OR v.retry_at < clock_timestamp()) "
			 "AND NOT s.paused AND s.next_partitions IS NULL "
			 "FROM eventstore.subscription_progress p "
			 "JOIN eventstore.subscription_partitions v USING (subscription, partition) "
			 "JOIN eventstore.subscription_definitions s USING (subscription) "
			 "WHERE subscription = '%s' ORDER BY partition", subscriptions[subscription].name);
	return client_run(client, sql) == OK && PQntuples(client->result) <= MAX_PARTITIONS;
}

/*
 * Find partitions that are free and have events, but are not delivered, although
 * consumers poll and get nothing.  If all consumers are busy, a partition may wait.
 */
void
idle_monitor_main(void)
{
	static Watch watches[SUBSCRIPTIONS];
	Client		client = {.name = "chaos idle monitor"};

	while (running(DRAIN) && client_connect(&client))
	{
		bool		well = follow_slots(&client);

		for (int i = 0; i < SUBSCRIPTIONS; i++)
		{
			if (!subscriptions[i].changes)
				continue;
			well = well && read_partitions(&client, i);
			if (well)
				look_at_partitions(&client, i, &watches[i]);
			else
				memset(&watches[i], 0, sizeof watches[i]);
		}
		sleep_ms(200);
	}
	client_close(&client);
}
