/*
 * consumer.c
 *		Consumers of subscriptions that process each event at least once.
 *
 * A keeper starts the process of a consumer, and starts it again after its death, under
 * the same name or another one.  To process an event is to mark it in the shared memory,
 * in the order in which poll() returns the events.  A consumer whose lease has ended
 * processes no more events of the delivery, but may still acknowledge those that it has
 * processed: the server accepts the acknowledgement, or rejects it with 22V02.
 *
 * These are errors, even though consumers hang and die:
 *
 *	-	poll() returns an event whose acknowledgement had been confirmed before the poll
 *		was sent;
 *	-	poll() returns events of a slot that another consumer has, see hold_slot();
 *	-	an acknowledgement is rejected during the lease;
 *	-	an acknowledgement is accepted, although other polls had returned events of all
 *		partitions of the delivery.  These polls were sent after the delivery was
 *		received, and had returned before the acknowledgement was sent.
 *
 * A lease is counted from before the poll was sent, so the lease in the server ends
 * later.  After the end of a lease, another consumer may have only some partitions of the
 * delivery.  Then the acknowledgement is valid for the others.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chaos.h"

#define MAX_BATCH 300
#define MARGIN 20000			/* us, before the end of a lease */

/* How a consumer behaves. */
typedef enum Conduct
{
	WILD,						/* hangs, leaves, dies */
	LATE,						/* always acknowledges after its lease */
	NAMELESS,					/* polls without a name */
	REPEATABLE_READ,			/* WILD, in such transactions */
	SERIALIZABLE,				/* likewise */
	TAME,
	EXACTLY_ONCE				/* see exact_consumer.c */
} Conduct;

typedef struct ConsumerKind
{
	SubscriptionNumber subscription;
	Conduct		conduct;
	int			isolation;		/* of EXACTLY_ONCE */
} ConsumerKind;

static const ConsumerKind kinds[] = {
	{WORK, WILD, 0}, {WORK, WILD, 0}, {WORK, WILD, 0}, {WORK, WILD, 0}, {WORK, WILD, 0},
	{WORK, WILD, 0}, {WORK, REPEATABLE_READ, 0}, {WORK, SERIALIZABLE, 0}, {WORK, NAMELESS, 0},
	{WORK, LATE, 0},
	{EXACT, EXACTLY_ONCE, 0}, {EXACT, EXACTLY_ONCE, 1}, {EXACT, EXACTLY_ONCE, 2},
	{POISON, TAME, 0}, {POISON, TAME, 0}, {SKIPPING, TAME, 0}, {STOPPING, TAME, 0}, {AGAIN, TAME, 0}
};
const int	nconsumers = sizeof kinds / sizeof *kinds;

/* What a poll has returned. */
typedef struct Delivery
{
	int64_t		token;			/* 0: none */
	int			n;
	int			handled;		/* of the n events */
	int			acked;			/* of the n events */
	DeliveredEvent events[MAX_BATCH];
	bool		one_partition;
	int64_t		until;			/* the lease lasts at least until then */
	uint32_t	returned;		/* tick when the poll had returned */
	bool		ack_by_poll;	/* the next poll is to acknowledge it */
} Delivery;

/* The consumer of this process. */
static int	self;
static const ConsumerKind *kind;
static const Subscription *subscription;
static SubscriptionState *state;
static Client client;
static Delivery delivery;
static int64_t next_disturbance;

/* Kill this process. */
static void
die_at_once(void)
{
	state->deaths++;
	kill(getpid(), SIGKILL);
	_exit(1);					/* not reached */
}

/* Send a statement, and kill this process before the answer is received. */
static void
die_in_call(const char *sql)
{
	if (client.conn != NULL && PQsendQuery(client.conn, sql) == 1)
		PQflush(client.conn);
	sleep_ms(random_below(3));
	die_at_once();
}

/* Return whether a call failed because its delivery is not outstanding. */
static bool
is_lease_lost(Outcome outcome)
{
	return outcome == REFUSED && client_sqlstate_is(&client, "22V02");
}

/* Run a statement in a transaction block; client.result is its result, or the error. */
static Outcome
call_in_block(const char *begin, const char *sql)
{
	Outcome		outcome = client_run(&client, begin),
				ended;
	PGresult   *result;

	if (outcome == OK)
		outcome = client_run(&client, sql);
	if (outcome == LOST)
		return LOST;
	result = client.result;
	client.result = NULL;
	ended = client_run(&client, outcome == OK ? "COMMIT" : "ROLLBACK");
	if (ended != OK)
	{
		PQclear(result);
		return ended;
	}
	PQclear(client.result);
	client.result = result;
	return outcome;
}

/* Run a statement as this kind of consumer does. */
static Outcome
call(const char *sql)
{
	if (kind->conduct == REPEATABLE_READ)
		return call_in_block("BEGIN ISOLATION LEVEL REPEATABLE READ", sql);
	if (kind->conduct == SERIALIZABLE)
		return call_in_block("BEGIN ISOLATION LEVEL SERIALIZABLE", sql);
	return client_run(&client, sql);
}

/* Take a new name. */
static void
rename_self(void)
{
	shared->consumers[self].id = atomic_fetch_add(&shared->consumer_ids, 1) + 1;
}

/* Return whether the lease has certainly not ended. */
static bool
has_lease(void)
{
	return now_us() + MARGIN < delivery.until;
}

/*
 * Return whether later polls have returned events of all partitions of which events are
 * not acknowledged.
 */
static bool
others_have_all(void)
{
	bool		taken[SLOTS] = {false};

	for (int i = delivery.acked; i < delivery.n; i++)
		if (event_marks(kind->subscription, delivery.events[i].position)->delivered > delivery.returned)
			taken[delivery.events[i].partition] = true;
	for (int i = delivery.acked; i < delivery.n; i++)
		if (!taken[delivery.events[i].partition])
			return false;
	return delivery.acked < delivery.n;
}

/*
 * Judge the answer to an acknowledgement of the first "count" events.  "stolen" is
 * others_have_all() before it was sent.
 */
static void
judge_ack(Outcome outcome, int count, bool stolen)
{
	bool		in_time = has_lease();
	uint32_t	now = tick();

	if (is_lease_lost(outcome))
	{
		state->lost_leases++;
		state->refused += in_time && !subscription->repeats;
	}
	if (outcome == REFUSED && in_time && client_sqlstate_is(&client, client.tolerated))
		count_error(client.tolerated, PQresultErrorMessage(client.result));
	if (outcome != OK)
		return;
	state->late_acks += !in_time;
	state->stale_acks += stolen && !subscription->repeats;
	for (int i = delivery.acked; i < count; i++)
		if (in_time || delivery.one_partition)
			event_marks(kind->subscription, delivery.events[i].position)->acked = now;
	delivery.acked = count;
}

/* Store an event that a poll has returned, and check whether the poll may return it. */
static void
take_event(int row, uint32_t began)
{
	const PGresult *result = client.result;
	DeliveredEvent *event = &delivery.events[row];
	bool		placed = false;
	uint32_t	acked;

	event->position = strtoll(PQgetvalue(result, row, 1), NULL, 10);
	event->slot = slot_of(PQgetvalue(result, row, 2));
	event->partition = atoi(PQgetvalue(result, row, 3)) % SLOTS;
	acked = event_marks(kind->subscription, event->position)->acked;
	state->repeated += acked > 0 && acked < began && !subscription->repeats;
	state->disorder += row > 0 && event->position <= event[-1].position;
	for (int i = 0; i < 3; i++)
		placed = placed || event->partition == event->slot *
			(subscription->changes ? partition_counts[i] : subscription->partitions) / SLOTS;
	state->misplaced += !placed;
	delivery.one_partition = delivery.one_partition && event->partition == delivery.events[0].partition;
	note_delivered(kind->subscription, event->position, began);
}

/* Hold the slots of the events that are not acknowledged. */
static void
hold_delivery(void)
{
	for (int i = delivery.acked; i < delivery.n && has_lease(); i++)
		hold_slot(kind->subscription, delivery.events[i].slot, shared->consumers[self].id, delivery.until);
}

/* Store the delivery that a poll has returned. */
static void
take_delivery(uint32_t began, int64_t sent)
{
	delivery.returned = tick();
	delivery.n = PQntuples(client.result);
	delivery.handled = delivery.acked = 0;
	delivery.one_partition = true;
	delivery.ack_by_poll = false;
	delivery.until = sent + (int64_t) subscription->lease * 1000;
	delivery.token = delivery.n > 0 ? client_number(&client, 0, 0) : 0;
	for (int i = 0; i < delivery.n; i++)
		take_event(i, began);
	hold_delivery();
	state->polls++;
	state->deliveries += delivery.n > 0;
	state->empty_polls += delivery.n == 0;
}

/*
 * Choose the size of a batch.  After a lost delivery, events are delivered one at a time,
 * so consumers that lose many deliveries take small batches.
 */
static int
choose_count(void)
{
	if (shared->phase == RUN && kind->conduct == LATE)
		return 1 + random_below(3);
	if (kind->subscription == POISON)
		return 1 + random_below(30);
	return 1 + random_below(chance(20) ? 5 : chance(80) ? 60 : MAX_BATCH);
}

/* Write the statement that polls. */
static void
write_poll(char *sql, size_t size)
{
	char		name[40] = "NULL";
	char		ack[40] = "NULL";
	int			count = choose_count();

	if (kind->conduct != NAMELESS)
		snprintf(name, sizeof name, "'%s-%d'", subscription->name, shared->consumers[self].id);
	if (delivery.ack_by_poll)
		snprintf(ack, sizeof ack, "%lld", (long long) delivery.token);
	snprintf(sql, size, "SELECT delivery, position, COALESCE(aggregate_id, event_id), partition "
			 "FROM eventstore.poll('%s', %d, %s, wait => '%d ms', ack => %s)", subscription->name,
			 count, name, chance(50) ? 0 : random_below(subscription->lease / 3), ack);
}

/*
 * Poll, and acknowledge the last delivery in this call, if planned.  Return whether there
 * were events.
 */
static bool
poll_events(bool may_die)
{
	bool		ack = delivery.ack_by_poll;
	bool		stolen = ack && others_have_all();
	char		sql[400];
	uint32_t	began;
	int64_t		sent;
	Outcome		outcome;

	if (ack || kind->conduct != NAMELESS)
		drop_holds(kind->subscription, shared->consumers[self].id);
	if (kind->conduct == NAMELESS)
		rename_self();
	write_poll(sql, sizeof sql);
	if (may_die)
	{
		/* the server may still deliver under this name */
		shared->consumers[self].needs_new_name = true;
		die_in_call(sql);
	}
	began = tick();
	sent = now_us();
	outcome = call(sql);
	if (ack)
		judge_ack(outcome, delivery.n, stolen);
	delivery.token = 0;
	delivery.ack_by_poll = false;
	if (outcome == OK)
		take_delivery(began, sent);
	return outcome == OK && delivery.n > 0;
}

/* Acknowledge the events that were processed, all or the first of them. */
static Outcome
ack_events(int count, bool may_die)
{
	bool		stolen = others_have_all();
	char		position[40] = "NULL";
	char		sql[200];
	Outcome		outcome;

	drop_holds(kind->subscription, shared->consumers[self].id);
	if (count < delivery.n || chance(10))
		snprintf(position, sizeof position, "%lld", (long long) delivery.events[count - 1].position);
	snprintf(sql, sizeof sql, "SELECT eventstore.ack('%s', %lld, %s)", subscription->name,
			 (long long) delivery.token, position);
	if (may_die)
		die_in_call(sql);
	outcome = call(sql);
	judge_ack(outcome, count, stolen);
	if (outcome == OK && count < delivery.n)
		hold_delivery();
	else
		delivery.token = 0;
	return outcome;
}

/* Report that an event failed, or park the event. */
static void
fail_event(int failed, const char *function, const char *more)
{
	bool		stolen = others_have_all();
	int64_t		position = delivery.events[failed].position;
	char		sql[200];
	Outcome		outcome;

	drop_holds(kind->subscription, shared->consumers[self].id);
	snprintf(sql, sizeof sql, "SELECT eventstore.%s('%s', %lld, %lld, 'chaos'%s)", function,
			 subscription->name, (long long) delivery.token, (long long) position, more);
	outcome = call(sql);
	judge_ack(outcome, failed, stolen);
	delivery.token = 0;
	if (outcome != OK)
		return;
	state->nacks++;
	if (strcmp(function, "park") != 0 && !PQgetisnull(client.result, 0, 0))
		return;
	state->parked++;
	if (kind->subscription == STOPPING && chance(70))
		atomic_fetch_or(&event_marks(STOPPING, position)->flags, HEALED);
}

/* Extend the lease; return false if the delivery is lost, maybe in part. */
static bool
extend_lease(void)
{
	int64_t		sent = now_us();
	char		sql[120];
	Outcome		outcome;

	snprintf(sql, sizeof sql, "SELECT eventstore.extend_lease('%s', %lld)", subscription->name,
			 (long long) delivery.token);
	outcome = call(sql);
	if (is_lease_lost(outcome))
		state->refused += has_lease();
	if (outcome != OK || !(has_lease() || delivery.one_partition))
		return false;
	state->extensions++;
	delivery.until = sent + (int64_t) subscription->lease * 1000;
	hold_delivery();
	return true;
}

/*
 * Note that an event has failed that is to be skipped.  From now on, later events of its
 * aggregate may be delivered, so for their order it counts as processed.
 */
static void
note_failed(int64_t position)
{
	atomic_fetch_or(&event_marks(SKIPPING, position)->flags, FAILED);
	note_handled(SKIPPING, position);
}

/* Process events up to the number "end"; stop at one that fails, or when the lease ends. */
static bool
handle_events(int end)
{
	while (delivery.handled < end && has_lease())
	{
		int64_t		position = delivery.events[delivery.handled].position;

		if (event_kills(kind->subscription, position))
			die_at_once();
		if (event_fails(kind->subscription, position))
		{
			if (kind->subscription == SKIPPING)
				note_failed(position);
			fail_event(delivery.handled, kind->subscription == POISON && chance(10) ? "park" : "nack", "");
			return false;
		}
		note_handled(kind->subscription, position);
		atomic_fetch_and(&event_marks(kind->subscription, position)->flags, ~FAILED);
		state->handled++;
		delivery.handled++;
	}
	return delivery.handled == end;
}

/* Sleep, unless writers have ended. */
static void
sleep_in_run(int ms)
{
	for (; ms > 0 && running(RUN); ms -= 50)
		sleep_ms(ms < 50 ? ms : 50);
}

/*
 * Sleep past the end of the lease: often only a little longer, often until others have
 * the events and work on them.
 */
static void
sleep_past_lease(void)
{
	bool		for_others = chance(50);
	int			longer = for_others ? 1500 : random_below(chance(50) ? 10 : 1500);

	sleep_in_run((int) (delivery.until - now_us()) / 1000);
	for (; longer > 0 && running(RUN) && !(for_others && others_have_all()); longer--)
		sleep_ms(1);
}

/* Hang, then acknowledge the events that were processed before. */
static void
hang(void)
{
	(void) handle_events(chance(50) ? delivery.n : (delivery.n + 1) / 2);
	if (delivery.token == 0 || delivery.handled == 0)
		return;
	state->hangs++;
	sleep_past_lease();
	if (chance(20) && extend_lease() && handle_events(delivery.n))
		(void) ack_events(delivery.n, false);
	else
		(void) ack_events(delivery.handled, false);
}

/* Work longer than a lease, and extend it meanwhile. */
static void
work_long(void)
{
	for (int i = 1; i <= 4 && delivery.token != 0; i++)
	{
		if (!handle_events(delivery.n * i / 4))
			return;
		sleep_in_run(subscription->lease / 2);
		if (!extend_lease())
			return;
	}
	(void) ack_events(delivery.n, false);
}

/* Release the delivery, pause, and poll again under this or another name. */
static void
leave(void)
{
	char		sql[120];

	(void) handle_events(random_below(delivery.n + 1));
	drop_holds(kind->subscription, shared->consumers[self].id);
	snprintf(sql, sizeof sql, "SELECT eventstore.release('%s', '%s-%d')", subscription->name,
			 subscription->name, shared->consumers[self].id);
	if (chance(80) && call(sql) == OK)
		state->releases++;
	delivery.token = 0;
	sleep_in_run(200 + random_below(1000));
	if (chance(50))
		rename_self();
}

/* Lose the connection, or die: before, while or after processing. */
static void
vanish(void)
{
	(void) handle_events(random_below(delivery.n + 1));
	if (delivery.token != 0 && delivery.handled > 0 && chance(30))
		(void) ack_events(delivery.handled, true);
	if (chance(30))
		(void) poll_events(true);
	if (chance(50))
		die_at_once();
	client_close(&client);
	delivery.token = 0;
	if (chance(50))
		rename_self();
}

/* Do one of the disturbing actions, which lose the delivery. */
static void
disturb(void)
{
	static void (*const ways[]) (void) = {hang, hang, hang, work_long, leave, leave, vanish, vanish};

	ways[random_below(sizeof ways / sizeof *ways)] ();
	next_disturbance = now_us() + 1000000 + 1000 * (int64_t) random_below(9000);
}

/*
 * Acknowledge at once, in two parts, or by the next poll; or report that an event failed.
 */
static void
finish_delivery(void)
{
	if (kind->subscription == WORK && chance(2) && shared->phase == RUN)
	{
		int			failed = random_below(delivery.n);

		fail_event(failed, "nack", chance(50) ? ", '50 ms'" : ", '0'");
		return;
	}
	if (kind->conduct == NAMELESS && chance(1) && shared->phase == RUN)
		return;					/* the lease has to end */
	if (delivery.n > 1 && chance(15) && ack_events(1 + random_below(delivery.n - 1), false) != OK)
		return;
	if (chance(50))
		delivery.ack_by_poll = true;
	else
		(void) ack_events(delivery.n, false);
}

/* Poll, process, which takes its time, and acknowledge. */
static void
consume(void)
{
	bool		wild = kind->conduct == WILD || kind->conduct == REPEATABLE_READ || kind->conduct == SERIALIZABLE;

	if (!poll_events(false))
		sleep_ms(5 + random_below(10));
	else if (kind->conduct == LATE && shared->phase == RUN)
	{
		hang();
		sleep_in_run(random_below(1000));
	}
	else if (wild && shared->phase == RUN && now_us() > next_disturbance)
		disturb();
	else if (handle_events(delivery.n))
	{
		if (kind->subscription == WORK && chance(30) && shared->phase == RUN)
			sleep_ms(random_below(30));
		finish_delivery();
	}
}

/* Run a consumer. */
static void
consumer_main(void)
{
	next_disturbance = now_us() + 1000 * (int64_t) random_below(10000);
	while (running(DRAIN) && client_connect(&client))
		consume();
	client_close(&client);
}

/* Start the process of a consumer. */
static pid_t
start_consumer(void)
{
	pid_t		pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("could not fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	begin_process();
	if (shared->consumers[self].id == 0 || shared->consumers[self].needs_new_name || chance(50))
		rename_self();
	shared->consumers[self].needs_new_name = false;
	drop_holds(kind->subscription, shared->consumers[self].id);
	if (kind->conduct == EXACTLY_ONCE)
		exact_consumer_main(self, kind->isolation);
	else
		consumer_main();
	exit(fflush(NULL) == 0 ? 0 : 2);
}

/* Keep a consumer running: start it again after its death. */
void
consumer_keeper_main(int number)
{
	self = number;
	kind = &kinds[number];
	subscription = &subscriptions[kind->subscription];
	state = &shared->subscriptions[kind->subscription];
	snprintf(client.name, sizeof client.name, "chaos consumer %d", number);

	/* of an acknowledgement, or nack(), of a delivery that was lost in part */
	client.tolerated = "22023";
	while (running(DRAIN))
	{
		pid_t		pid = start_consumer();
		int			status = 0;

		while (waitpid(pid, &status, WNOHANG) == 0)
		{
			if (!running(END))	/* the main process has died */
				kill(pid, SIGKILL);
			sleep_ms(10);
		}
		if (WIFEXITED(status) ? WEXITSTATUS(status) != 0 : WTERMSIG(status) != SIGKILL)
			die("a process of consumer %d has failed", number);
		if (WIFSIGNALED(status) && shared->phase == RUN)
			sleep_ms(chance(30) ? random_below(1000) : random_below(20));
	}
}
