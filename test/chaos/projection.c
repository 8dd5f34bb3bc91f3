/*
 * projection.c
 *		Projections that count and sum the events of each aggregate, next to one that always
 *		fails; and a process that rebuilds, pauses and cancels them.
 *
 * At the end, the tables of the projections must equal a query on the stores.  The
 * projections "each" and "batch" are async, on the first store, and their handlers raise
 * errors at random: an error of the event, a deadlock, or a full disk.  Projection "inline"
 * is on the second store, and raises serialization failures, which undo appends.
 */
#include <stdlib.h>
#include <string.h>

#include "chaos.h"

static const char *const names[PROJECTIONS] = {"each", "batch", "inline"};

/* The table, the mode and the store of each projection. */
static const char *const definitions[] = {
	"CREATE TABLE chaos.each (key text PRIMARY KEY, events bigint, versions bigint)",
	"CREATE TABLE chaos.batch (key text PRIMARY KEY, events bigint, versions bigint)",
	"CREATE TABLE chaos.inline (key text PRIMARY KEY, events bigint, versions bigint)",

	"CREATE FUNCTION chaos.fail_at_random(one_of int, state text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
	"IF random() * one_of < 1 THEN RAISE EXCEPTION 'at random' USING ERRCODE = state; END IF; END $$",

	"CREATE FUNCTION chaos.handle_each(e eventstore.event) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
	"PERFORM chaos.fail_at_random(10000, (ARRAY['22012', '40P01', '53100'])[1 + trunc(random() * 3)]); "
	"INSERT INTO each VALUES (COALESCE(e.aggregate_id, 'none ' || e.position % 100), 1, COALESCE(e.aggregate_version, 0)) "
	"ON CONFLICT (key) DO UPDATE SET events = each.events + 1, versions = each.versions + excluded.versions; END $$",

	"CREATE FUNCTION chaos.handle_batch(e eventstore.event[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
	"PERFORM chaos.fail_at_random(50, (ARRAY['22012', '40P01', '53100'])[1 + trunc(random() * 3)]); "
	"INSERT INTO batch SELECT COALESCE(aggregate_id, 'none ' || position % 100), count(*), sum(COALESCE(aggregate_version, 0)) "
	"FROM unnest(e) GROUP BY 1 "
	"ON CONFLICT (key) DO UPDATE SET events = batch.events + excluded.events, versions = batch.versions + excluded.versions; END $$",

	"CREATE FUNCTION chaos.handle_inline(e eventstore.event[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
	"PERFORM chaos.fail_at_random(1000, '40001'); "
	"INSERT INTO inline SELECT COALESCE(aggregate_id, event_id), count(*), sum(COALESCE(aggregate_version, 0)) "
	"FROM unnest(e) GROUP BY 1 ORDER BY 1 "
	"ON CONFLICT (key) DO UPDATE SET events = inline.events + excluded.events, versions = inline.versions + excluded.versions; END $$",

	"CREATE FUNCTION chaos.handle_never(e eventstore.event) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
	"RAISE EXCEPTION 'always'; END $$",

	"SELECT eventstore.create_projection('each', 'chaos.handle_each(eventstore.event)', store => 'eventstore.events', "
	"tables => '{chaos.each}', batch_size => 500, backoff => '10 ms')",
	"SELECT eventstore.create_projection('batch', 'chaos.handle_batch(eventstore.event[])', store => 'eventstore.events', "
	"tables => '{chaos.batch}', on_error => 'park', max_attempts => 1000, backoff => '1 ms')",
	"SELECT eventstore.create_projection('inline', 'chaos.handle_inline(eventstore.event[])', 'inline', store => 'chaos.second', "
	"tables => '{chaos.inline}')",
	"SELECT eventstore.create_projection('never', 'chaos.handle_never(eventstore.event)', store => 'chaos.second')"
};

/* The rows that the tables must have: the keys of events without aggregate differ. */
static const char *const expected[PROJECTIONS] = {
	"COALESCE(aggregate_id, 'none ' || position % 100)", "COALESCE(aggregate_id, 'none ' || position % 100)",
	"COALESCE(aggregate_id, event_id)"
};

/* Create the projections; false on failure. */
bool
create_projections(Client *client)
{
	for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++)
		if (client_run(client, definitions[i]) != OK)
			return false;
	return true;
}

/* Return whether a projection is being rebuilt; true after an error. */
static bool
is_rebuilding(Client *client, int projection)
{
	char		sql[200];

	snprintf(sql, sizeof sql, "SELECT FROM eventstore.projection_definitions WHERE rebuild_of = '%s'", names[projection]);
	return client_run(client, sql) != OK || PQntuples(client->result) > 0;
}

/* Begin to rebuild a projection; if it is being rebuilt, only rarely. */
static void
rebuild(Client *client, int projection)
{
	char		sql[200];

	if (is_rebuilding(client, projection) && !chance(10))
		return;
	snprintf(sql, sizeof sql, "SELECT eventstore.rebuild_projection('%s', in_place => %s)", names[projection],
			 projection != 0 && chance(10) ? "true" : "false");
	if (client_run(client, sql) == OK)
		shared->rebuilds++;
}

/* Pause a projection for a short time. */
static void
pause_for_a_while(Client *client, int projection)
{
	char		sql[200];

	snprintf(sql, sizeof sql, "SELECT eventstore.pause_projection('%s')", names[projection]);
	(void) client_run(client, sql);
	sleep_ms(random_below(300));
	snprintf(sql, sizeof sql, "SELECT eventstore.resume_projection('%s')", names[projection]);
	while (running(DRAIN) && client_connect(client) && client_run(client, sql) != OK)
		sleep_ms(20);
}

/* Cancel or end a worker, or count the failed attempts that are being waited for. */
static void
disturb_worker(Client *client)
{
	char		sql[300];

	snprintf(sql, sizeof sql, "SELECT count(%s(pid)) FROM (SELECT pid FROM pg_stat_activity "
			 "WHERE datname = 'chaos' AND backend_type = 'pg_eventstore projections' ORDER BY random() LIMIT 1) w",
			 chance(50) ? "pg_cancel_backend" : "pg_terminate_backend");
	if (client_run(client, sql) == OK)
		shared->worker_kills += client_number(client, 0, 0);
}

/*
 * Rebuild, pause and disturb the projections while writers append.  To switch an inline
 * projection, a call locks the store, and appends queue up behind it.  So it waits for the
 * lock for a short time only, as an administrator should.
 */
void
projection_admin_main(void)
{
	Client		client = {.name = "chaos projection admin",.tolerated = "55P03"};

	while (running(RUN) && client_connect(&client))
	{
		(void) client_run(&client, "SET lock_timeout = '300 ms'");
		int			dice = random_below(10);
		int			projection = random_below(PROJECTIONS);

		sleep_ms(200 + random_below(600));
		if (!running(RUN) || !client_connect(&client))
			break;
		if (dice < 3)
			rebuild(&client, projection);
		else if (dice < 5)
			pause_for_a_while(&client, projection);
		else
			disturb_worker(&client);
	}
	client_close(&client);
}

/* Return whether an async projection is behind the mark of the first store by a lag. */
bool
are_projections_behind(Client *client, int64_t mark, int64_t lag)
{
	return client_run(client, "SELECT min(checkpoint) FROM eventstore.subscription_progress "
					  "WHERE subscription IN ('each', 'batch')") != OK ||
		mark - client_number(client, 0, 0) > lag;
}

/*
 * Return whether a projection has events left, is being rebuilt, or is not inline again;
 * the one that always fails does not count.
 */
bool
are_projections_busy(Client *client)
{
	return client_run(client, "SELECT name, state, lag, last_error FROM eventstore.projections WHERE name <> 'never' "
					  "AND (lag > 0 OR lag IS NULL OR rebuild_of IS NOT NULL OR mode = 'inline' AND state <> 'inline')") != OK ||
		PQntuples(client->result) > 0;
}

/* Compare the table of a projection with its store; return the number of differences. */
static int64_t
differences(Client *client, int projection, int64_t *rows)
{
	char		sql[1200];
	const char *store = projection == 2 ? "chaos.second" : "eventstore.events";

	snprintf(sql, sizeof sql, "WITH expected AS (SELECT %s AS key, count(*) AS events, "
			 "sum(COALESCE(aggregate_version, 0))::bigint AS versions "
			 "FROM (SELECT * FROM %s UNION ALL SELECT * FROM %s_archive) e GROUP BY 1) "
			 "SELECT (SELECT count(*) FROM (TABLE expected EXCEPT TABLE chaos.%s) a) + "
			 "(SELECT count(*) FROM (TABLE chaos.%s EXCEPT TABLE expected) b), (SELECT count(*) FROM expected)",
			 expected[projection], store, store, names[projection], names[projection]);
	if (client_run(client, sql) != OK)
		die("could not compare a projection");
	*rows = client_number(client, 0, 1);
	return client_number(client, 0, 0);
}

/* Print the results of the projections; return whether all are right. */
bool
check_projections(Client *client)
{
	bool		well = true;

	printf("projections: %ld rebuilds begun, %ld workers cancelled or ended\n", (long) shared->rebuilds,
		   (long) shared->worker_kills);
	for (int i = 0; i < PROJECTIONS; i++)
	{
		int64_t		rows;
		int64_t		wrong = differences(client, i, &rows);

		printf("  %-7s %lld rows, %lld wrong\n", names[i], (long long) rows, (long long) wrong);
		well = well && wrong == 0;
	}
	if (client_run(client, "SELECT attempts, state FROM eventstore.projections WHERE name = 'never'") != OK ||
		client_number(client, 0, 0) < 1)
	{
		printf("projection never has not failed, so this run proves nothing about it\n");
		well = false;
	}
	return well;
}
