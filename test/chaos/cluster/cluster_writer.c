/*
 * cluster_writer.c
 *		Writers append with expected versions and ids of their own.  Most call a front; the
 *		others route their calls, and also append in transactions of several calls.
 *
 * An append whose answer is lost is often called again, and may be stored or not, but
 * once.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"

#define CLUSTER_RATE 500		/* calls a second of all writers together */
#define UNKNOWN_VERSION -1
#define TEXT 25					/* the OID of the type */

typedef struct ClusterWriter
{
	int			number;
	bool		is_routed;
	Client		front;
	Router		router;
	int64_t		next_id;
	FILE	   *log;			/* of CallFate */
	int			versions[CLUSTER_AGGREGATES];	/* as far as it knows */
} ClusterWriter;

/* One call, which can be repeated. */
typedef struct Call
{
	const char *sql;
	char		aggregate[20];
	char		expected[16];	/* empty: NULL */
	char		store[40];
	char		events[800];
	char		types[100];
	char		data[100];
	char		ids[200];
	int			number;			/* of the aggregate */
	int			slot;
	int			count;
	int64_t		first;
} Call;

/*
 * The ways to append: $1 is the store, $2 the expected version, $3 the events as JSON, $4 to
 * $6 types, data and ids as arrays, $7 the aggregate, $8 its expected version as JSON.
 */
static const char *const ways[] = {
	"SELECT eventstore.append_events($3::jsonb, $2::integer, $1)",
	"SELECT eventstore.append_to_aggregate($7, $4::text[], $5::jsonb[], $2::integer, event_ids => $6::text[], store => $1)",
	"SELECT max(aggregate_version) FROM eventstore.append($3::jsonb, $8::jsonb, store => $1)",
	"SELECT eventstore.append_event('t', '{}', $7, $2::integer, event_id => ($6::text[])[1], store => $1)",
};

/* Append formatted text to a buffer that is large enough. */
static void
__attribute__((format(printf, 3, 4)))
add_text(char *buffer, size_t size, const char *format,...)
{
	size_t		length = strlen(buffer);
	va_list		args;

	va_start(args, format);
	vsnprintf(buffer + length, size - length, format, args);
	va_end(args);
}

/* Write the JSON and the arrays of the events of a call. */
static void
make_events(const ClusterWriter *writer, Call *call)
{
	for (int i = 0; i < call->count; i++)
	{
		char		separator = i == 0 ? '{' : ',';
		long long	id = call->first + i;

		add_text(call->events, sizeof call->events,
				 "%c{\"event_type\":\"t\",\"aggregate_id\":\"%s\",\"event_id\":\"w%d-%lld\",\"data\":{}}",
				 i == 0 ? '[' : ',', call->aggregate, writer->number, id);
		add_text(call->types, sizeof call->types, "%ct", separator);
		add_text(call->data, sizeof call->data, "%c\"{}\"", separator);
		add_text(call->ids, sizeof call->ids, "%cw%d-%lld", separator, writer->number, id);
	}
	add_text(call->events, sizeof call->events, "]");
	add_text(call->types, sizeof call->types, "}");
	add_text(call->data, sizeof call->data, "}");
	add_text(call->ids, sizeof call->ids, "}");
}

/* Choose the aggregate and the events of a call. */
static void
make_call(ClusterWriter *writer, Call *call)
{
	int			way = random_below(4);

	memset(call, 0, sizeof *call);
	call->number = chance(60) ? random_below(COMMON_AGGREGATES) :
		COMMON_AGGREGATES + writer->number * WRITER_AGGREGATES + random_below(WRITER_AGGREGATES);
	call->slot = slot_of_aggregate(call->number);
	call->sql = ways[way];
	call->count = way == 3 ? 1 : 1 + random_below(MAX_EVENTS_OF_CALL);
	call->first = writer->next_id;
	writer->next_id += call->count;
	cluster->first_id_free[writer->number] = writer->next_id;
	snprintf(call->aggregate, sizeof call->aggregate, "a%d", call->number);
	if (writer->is_routed)
		snprintf(call->store, sizeof call->store, STORE "_%03d", call->slot);
	else
		snprintf(call->store, sizeof call->store, STORE);
	make_events(writer, call);
}

/* Return a connection for a slot; NULL at the end of the run. */
static Client *
client_for(ClusterWriter *writer, int slot)
{
	if (writer->is_routed)
		return route(&writer->router, slot);
	return client_connect(&writer->front) ? &writer->front : NULL;
}

/* Read the version of the aggregate of a call, unless it is known. */
static Outcome
know_version(ClusterWriter *writer, Client *client, const Call *call)
{
	const char *values[] = {call->aggregate, call->store};
	Outcome		outcome = OK;

	if (writer->versions[call->number] != UNKNOWN_VERSION)
		return OK;
	outcome = client_call(client, "SELECT eventstore.get_aggregate_version($1, $2)", 2, NULL, values);
	if (outcome == OK)
		writer->versions[call->number] = (int) client_number(client, 0, 0);
	return outcome;
}

/* Run a call once. */
static Outcome
run_call(ClusterWriter *writer, Client *client, Call *call)
{
	static const Oid types[8] = {TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT};
	bool		given = call->expected[0] != '\0';
	char		versions[100] = "{}";
	const char *values[8] = {call->store, given ? call->expected : NULL, call->events, call->types,
	call->data, call->ids, call->aggregate, versions};
	Outcome		outcome;

	if (given)
		snprintf(versions, sizeof versions, "{\"%s\":%s}", call->aggregate, call->expected);
	outcome = client_call(client, call->sql, 8, types, values);
	if (outcome == OK)
		writer->versions[call->number] = (int) client_number(client, 0, 0);
	else
		writer->versions[call->number] = UNKNOWN_VERSION;
	if (outcome == REFUSED && writer->is_routed)
		route_failed(&writer->router, client);
	else if (outcome == REFUSED && client_sqlstate_is(client, "42P01"))
	{
		cluster->moved++;
		sleep_ms(10 + random_below(20));
	}
	return outcome;
}

/* Log the fate of a call. */
static void
log_fate(ClusterWriter *writer, const Call *call, Fate fate)
{
	CallFate	entry = {.writer = writer->number,.count = call->count,.first = call->first,.fate = fate};

	if (fate == COMMITTED)
		shared->events += call->count;
	if (fwrite(&entry, sizeof entry, 1, writer->log) != 1)
		die("could not write a log");
}

/* Set the expected version of a call if it is known; some calls expect none. */
static void
expect_version(const ClusterWriter *writer, Call *call)
{
	if (writer->versions[call->number] != UNKNOWN_VERSION && !chance(15))
		snprintf(call->expected, sizeof call->expected, "%d", writer->versions[call->number]);
}

/* Append in one call.  If the answer is lost, mostly call again until there is one. */
static void
append_once(ClusterWriter *writer)
{
	Call		call;
	Client	   *client;
	Outcome		outcome;
	bool		lost = false;

	make_call(writer, &call);
	client = client_for(writer, call.slot);
	if (client == NULL || know_version(writer, client, &call) != OK)
	{
		if (client && writer->is_routed)
			route_failed(&writer->router, client);
		return;
	}
	expect_version(writer, &call);
	outcome = run_call(writer, client, &call);
	while (outcome == LOST && chance(80) && running(RUN))
	{
		lost = true;
		cluster->repeated++;
		if (writer->is_routed)
			writer->router.has_map = false;
		client = client_for(writer, call.slot);
		outcome = client == NULL ? LOST : run_call(writer, client, &call);
		/* a slot that moves is looked for again */
		if (outcome == REFUSED && client_sqlstate_is(client, "42P01"))
			outcome = LOST;
	}
	cluster->routed += writer->is_routed;
	log_fate(writer, &call, outcome == OK ? COMMITTED : outcome == REFUSED && !lost ? ABORTED : UNKNOWN);
}

/* Append in a transaction of several calls on one node, with pauses, and end it. */
static void
append_in_transaction(ClusterWriter *writer)
{
	Call		calls[3];
	int			count = 0;
	Client	   *client;
	Outcome		outcome;
	bool		commit = chance(85);

	make_call(writer, &calls[0]);
	client = client_for(writer, calls[0].slot);
	if (client == NULL || (outcome = client_run(client, "BEGIN")) != OK)
		return;
	for (count = 1;; count++)
	{
		Call	   *call = &calls[count - 1];

		expect_version(writer, call);
		outcome = run_call(writer, client, call);
		if (outcome == OK)
			sleep_ms(chance(30) ? 1 + random_below(chance(20) ? 300 : 30) : 0);
		if (outcome != OK || count == 3 || chance(50))
			break;
		make_call(writer, &calls[count]);
		if (route(&writer->router, calls[count].slot) != client)
			break;
	}
	if (outcome == OK)
	{
		outcome = client_run(client, commit ? "COMMIT" : "ROLLBACK");
		for (int i = 0; i < count; i++)
		{
			log_fate(writer, &calls[i], !commit ? ABORTED : outcome == OK ? COMMITTED : UNKNOWN);
			if (!commit || outcome != OK)
				writer->versions[calls[i].number] = UNKNOWN_VERSION;
		}
		return;
	}
	for (int i = 0; i < count; i++)
	{
		log_fate(writer, &calls[i], ABORTED);
		writer->versions[calls[i].number] = UNKNOWN_VERSION;
	}
	if (outcome == REFUSED)
		client_run(client, "ROLLBACK");
}

/* Run a writer.  Every third routes its calls. */
void
cluster_writer_main(int number, FILE *log)
{
	static ClusterWriter writer;

	writer.number = number;
	writer.log = log;
	writer.is_routed = number % 3 == 2;
	name_client(&writer.front, cluster_options.fronts[number % cluster_options.nfronts], "writer", number);
	name_router(&writer.router, "writer", number);
	for (int i = 0; i < CLUSTER_AGGREGATES; i++)
		writer.versions[i] = UNKNOWN_VERSION;
	while (running(RUN))
	{
		if (writer.is_routed && chance(40))
			append_in_transaction(&writer);
		else
			append_once(&writer);
		sleep_ms(random_below(2 * 1000 * cluster_options.writers / CLUSTER_RATE));
	}
	client_close(&writer.front);
	close_router(&writer.router);
}
