/*
 * append_ways.c
 *		The ways to append that the writers choose from.
 *
 * Events get ids of the form w<writer>-<number>.  So the fate of the events of an
 * append is stored as a range of numbers.
 */
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

/* as in pg_type.h, which clients do not have */
#define TEXTOID 25
#define INT4OID 23
#define INT8OID 20

#define TYPE(n) "('{placed,paid,packed,sent,closed}'::text[])[" n " % 5 + 1]"
#define ID(n) "format('w%s-%s', $2, " n ")"
#define EVENT(aggregate) \
	"jsonb_build_object('event_id', " ID("i") ", 'event_type', " TYPE("i") ", " \
	"'aggregate_id', " aggregate ", 'data', jsonb_build_object('n', i))"
#define EVENTS "FROM generate_series($3, $4) AS i"

/* $1 store, $2 writer, $3 first id, $4 last id, $5 aggregate, $6 expected version */
#define APPEND_EVENT \
	"SELECT eventstore.append_event(" TYPE("$3") ", jsonb_build_object('n', $3), " \
	"'a' || $5, expected_version => $6, event_id => " ID("$3") ", store => $1::regclass)"
#define APPEND_EVENTS \
	"SELECT eventstore.append_events(jsonb_agg(" EVENT("'a' || $5") "), $6, $1::regclass) " EVENTS
#define APPEND_TO_AGGREGATE \
	"SELECT eventstore.append_to_aggregate('a' || $5, array_agg(" TYPE("i") "), " \
	"array_agg(jsonb_build_object('n', i)), $6, event_ids => array_agg(" ID("i") "), " \
	"store => $1::regclass) " EVENTS
#define APPEND \
	"SELECT count(*) FROM eventstore.append((SELECT jsonb_agg(" EVENT("'a' || $5 + i % 4") ") " EVENTS "), " \
	"jsonb_build_object('a' || $5, $6), $1::regclass)"
#define INSERT(table) \
	"INSERT INTO " table " (event_id, event_type, aggregate_id, aggregate_version, data) " \
	"SELECT " ID("i") ", " TYPE("i") ", 'a' || $5, v + i - $3 + 1, jsonb_build_object('n', i) " \
	"FROM eventstore.get_aggregate_version('a' || $5, $1::regclass) AS v, generate_series($3, $4) AS i"
#define INSERT_LOOSE(table) \
	"INSERT INTO " table " (event_type, data) SELECT " TYPE("i") ", to_jsonb(i) " EVENTS
#define COPY(table) \
	"COPY " table " (event_id, event_type, aggregate_id, aggregate_version, data) FROM STDIN"

typedef enum Way
{
	BY_EVENT, BY_EVENTS, BY_AGGREGATE, BY_APPEND, BY_INSERT, BY_LOOSE_INSERT, BY_COPY
} Way;

static const char *const statements[][STORES] = {
	[BY_EVENT] = {APPEND_EVENT, APPEND_EVENT},
	[BY_EVENTS] = {APPEND_EVENTS, APPEND_EVENTS},
	[BY_AGGREGATE] = {APPEND_TO_AGGREGATE, APPEND_TO_AGGREGATE},
	[BY_APPEND] = {APPEND, APPEND},
	[BY_INSERT] = {INSERT("eventstore.events"), INSERT("chaos.second")},
	[BY_LOOSE_INSERT] = {INSERT_LOOSE("eventstore.events"), INSERT_LOOSE("chaos.second")},
	[BY_COPY] = {COPY("eventstore.events"), COPY("chaos.second")},
};

/* Each entry has a chance of ten percent. */
static const Way ways[10] = {
	BY_EVENT, BY_EVENT, BY_EVENTS, BY_EVENTS, BY_AGGREGATE, BY_AGGREGATE,
	BY_APPEND, BY_INSERT, BY_LOOSE_INSERT, BY_COPY
};

/* A call.  The last one of this process is repeated if its answer was lost. */
typedef struct Call
{
	Way			way;
	int			store;
	int64_t		first;
	int64_t		last;
	int			aggregate;
	bool		expects;
	int			expected;
} Call;

static Call last_call;

/* Run the one statement of a call. */
static Outcome
send_call(Writer *writer, const Call *call)
{
	static const Oid types[] = {TEXTOID, INT4OID, INT8OID, INT8OID, INT4OID, INT4OID};
	char		numbers[5][24];
	const char *values[6] = {stores[call->store], numbers[0], numbers[1],
	numbers[2], numbers[3], call->expects ? numbers[4] : NULL};

	snprintf(numbers[0], sizeof numbers[0], "%d", writer->number);
	snprintf(numbers[1], sizeof numbers[1], "%lld", (long long) call->first);
	snprintf(numbers[2], sizeof numbers[2], "%lld", (long long) call->last);
	snprintf(numbers[3], sizeof numbers[3], "%d", call->aggregate);
	snprintf(numbers[4], sizeof numbers[4], "%d", call->expected);
	return client_call(&writer->client, statements[call->way][call->store], 6, types, values);
}

/* Get the version of an aggregate. */
static Outcome
get_version(Writer *writer, int store, int aggregate, int *version)
{
	char		sql[120];
	Outcome		outcome;

	snprintf(sql, sizeof sql, "SELECT eventstore.get_aggregate_version('a%d', '%s')",
			 aggregate, stores[store]);
	outcome = client_run(&writer->client, sql);
	if (outcome == OK)
		*version = (int) client_number(&writer->client, 0, 0);
	return outcome;
}

/* COPY events, of no aggregate or of one to which only this writer appends. */
static Outcome
copy_events(Writer *writer, const Call *call)
{
	static const char *const types[] = {"placed", "paid", "packed", "sent", "closed"};
	Client	   *client = &writer->client;
	bool		loose = chance(50);
	int			version = 0;
	Outcome		outcome = loose ? OK : get_version(writer, call->store, call->aggregate, &version);
	char		line[120];
	PGresult   *result;

	if (outcome == OK)
		outcome = client_run(client, statements[BY_COPY][call->store]);
	if (outcome != OK)
		return outcome;
	for (int64_t id = call->first; id <= call->last; id++)
	{
		int			length = snprintf(line, sizeof line, "w%d-%lld\t%s\t",
									  writer->number, (long long) id, types[id % 5]);

		length += loose ? snprintf(line + length, sizeof line - length, "\\N\t\\N\t{}\n") :
			snprintf(line + length, sizeof line - length, "a%d\t%d\t{}\n", call->aggregate, ++version);
		if (PQputCopyData(client->conn, line, length) != 1)
			break;
	}
	PQputCopyEnd(client->conn, NULL);
	result = PQgetResult(client->conn);
	outcome = PQresultStatus(result) == PGRES_COMMAND_OK ? OK : LOST;
	PQclear(client->result);
	client->result = result;
	while ((result = PQgetResult(client->conn)) != NULL)
		PQclear(result);
	return outcome == OK ? OK : client_failed(client, client->result);
}

/* Choose a number of events: often below 6, in 15 of 100 cases up to 200. */
static int
choose_count(Way way)
{
	if (way == BY_EVENT)
		return 1;
	if (chance(15))
		return 1 + random_below(200);
	return 1 + random_below(chance(50) ? 5 : 30);
}

/* Choose an aggregate: hot, shared, or for plain SQL mostly the writer's own. */
static int
choose_aggregate(const Writer *writer, Way way)
{
	if (way >= BY_INSERT && chance(way == BY_COPY ? 100 : 95))
		return SHARED_AGGREGATES + writer->number * OWN_AGGREGATES + random_below(OWN_AGGREGATES - 4);
	if (chance(6))
		return 1 + random_below(HOT_AGGREGATES);
	return 1 + random_below(SHARED_AGGREGATES - 4);
}

/* Let one call of five expect a version, which may be wrong. */
static Outcome
choose_expected(Writer *writer, Call *call)
{
	call->expects = call->way <= BY_APPEND && chance(20);
	if (!call->expects)
		return OK;
	call->expected = random_below(4);
	return chance(70) ? get_version(writer, call->store, call->aggregate, &call->expected) : OK;
}

/* Give the events of a call their numbers, and add the range to the transaction. */
static void
number_events(Writer *writer, Call *call, int count)
{
	call->first = writer->next_id;
	call->last = call->first + count - 1;
	writer->next_id += count;
	shared->first_id_free[writer->number] = writer->next_id;
	if (writer->nranges == MAX_RANGES)
		die("a transaction of too many appends");
	writer->ranges[writer->nranges++] = (Range)
	{
		writer->number, call->way == BY_LOOSE_INSERT ? UNKNOWN : OPEN, call->first, count
	};
}

/* Append events in a random way. */
Outcome
append_at_random(Writer *writer)
{
	Call		call = {.way = ways[random_below(10)],.store = chance(20)};
	Outcome		outcome;

	call.aggregate = choose_aggregate(writer, call.way);
	outcome = choose_expected(writer, &call);
	if (outcome != OK)
		return outcome;
	number_events(writer, &call, choose_count(call.way));
	last_call = call;
	return call.way == BY_COPY ? copy_events(writer, &call) : send_call(writer, &call);
}

/* Append one event to an aggregate of the writer's own. */
Outcome
append_one_event(Writer *writer, int store)
{
	Call		call = {.way = BY_EVENT,.store = store};

	call.aggregate = choose_aggregate(writer, BY_COPY);
	number_events(writer, &call, 1);
	return send_call(writer, &call);
}

/* Return whether the last call can be repeated without storing events twice. */
bool
can_repeat_last_call(void)
{
	return last_call.way <= BY_APPEND;
}

/* Repeat the last call; count a conflict with the first one as an error. */
Outcome
repeat_last_call(Writer *writer)
{
	Outcome		outcome = send_call(writer, &last_call);

	if (outcome == REFUSED && client_sqlstate_is(&writer->client, "23505"))
		count_error("retry", PQresultErrorMessage(writer->client.result));
	return outcome;
}
