/*
 * rename_control.c
 *		Two moves by hand of a store that is used for nothing else, while appends wait for
 *		the lock of the move.  If the slot is renamed under the lock, the appends that have
 *		waited go on with the table that they had opened.  They are acknowledged, and lost.
 *		If the slot is dropped, they fail and are called again on the other node.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster.h"

#define CONTROL "control.orders"
#define CONTROL_SLOT CONTROL "_000"
#define APPENDERS 8

/* Append an event of an appender; the id of the event is that of the appender. */
static void
append_sql(char *sql, size_t size, int appender)
{
	snprintf(sql, size, "SELECT eventstore.append_event('t', '{}', event_id => 'appender %d', store => '" CONTROL_SLOT "')",
			 appender);
}

/* Create the slot with some events on one node, and without on the other. */
static void
create_control(Client *source, Client *target)
{
	Client	   *both[] = {source, target};

	for (int i = 0; i < 2; i++)
	{
		run_or_die(both[i], "CREATE SCHEMA control");
		run_or_die(both[i], "SELECT eventstore.create_slots('" CONTROL "', 2, '{0}', notifications => 'off')");
	}
	run_or_die(source, "SELECT count(eventstore.append_event('t', '{}', event_id => 'old ' || i, store => '" CONTROL_SLOT "')) "
			   "FROM generate_series(1, 20) AS i");
}

/* Let all appenders wait for the lock of the move. */
static void
send_appends(Client *source, Client *appenders)
{
	for (int i = 0; i < APPENDERS; i++)
	{
		char		sql[200];

		name_client(&appenders[i], source->dbname, "appender", i);
		append_sql(sql, sizeof sql, i);
		if (!client_connect(&appenders[i]) || PQsendQuery(appenders[i].conn, sql) != 1)
			die("could not send an append: %s", PQerrorMessage(appenders[i].conn));
	}
	for (int tries = 0;; tries++)
	{
		run_or_die(source, "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND relation = '" CONTROL_SLOT "'::regclass");
		if (client_number(source, 0, 0) == APPENDERS)
			break;
		if (tries == 500)
			die("the appends do not wait for the lock of the move");
		sleep_ms(10);
	}
}

/* Copy the events to the other node. */
static void
copy_control(Client *source, Client *target)
{
	const char *values[1];

	run_or_die(source, "SELECT jsonb_agg(event ORDER BY position) FROM eventstore.export_events(store => '" CONTROL_SLOT "')");
	values[0] = PQgetvalue(source->result, 0, 0);
	if (client_call(target, "SELECT * FROM eventstore.import_json($1::jsonb, '" CONTROL_SLOT "')", 1, NULL, values) != OK)
		die("could not copy the control: %s", PQresultErrorMessage(target->result));
}

/*
 * Return how many appends were acknowledged, and lack on the node to which the slot was
 * moved.  An append that fails is called again there.
 */
static long
count_lost(Client *target, Client *appenders)
{
	long		acknowledged = 0;

	for (int i = 0; i < APPENDERS; i++)
	{
		char		sql[200];
		PGresult   *result = PQgetResult(appenders[i].conn);

		if (PQresultStatus(result) != PGRES_TUPLES_OK)
		{
			append_sql(sql, sizeof sql, i);
			run_or_die(target, sql);
		}
		acknowledged++;
		PQclear(result);
		client_close(&appenders[i]);
	}
	run_or_die(target, "SELECT count(*) FROM " CONTROL_SLOT " WHERE event_id LIKE 'appender%'");
	return acknowledged - (long) client_number(target, 0, 0);
}

/* Move the slot, and drop or rename the old one.  Return the number of lost events. */
long
lost_by_rename(bool drop)
{
	Client		source = {0};
	Client		target = {0};
	Client		appenders[APPENDERS] = {0};
	long		lost;

	name_client(&source, cluster_options.conninfos[0], "control", 0);
	name_client(&target, cluster_options.conninfos[1], "control", 1);
	if (!client_connect(&source) || !client_connect(&target))
		die("could not connect");
	create_control(&source, &target);
	run_or_die(&source, "BEGIN");
	run_or_die(&source, "LOCK TABLE " CONTROL_SLOT " IN SHARE MODE");
	send_appends(&source, appenders);
	copy_control(&source, &target);
	if (drop)
		run_or_die(&source, "SELECT eventstore.drop_store('" CONTROL_SLOT "', force => true)");
	else
		run_or_die(&source, "ALTER TABLE " CONTROL_SLOT " RENAME TO orders_000_retired");
	run_or_die(&source, "COMMIT");
	lost = count_lost(&target, appenders);
	run_or_die(&source, "DROP SCHEMA control CASCADE");
	run_or_die(&target, "DROP SCHEMA control CASCADE");
	client_close(&source);
	client_close(&target);
	return lost;
}
