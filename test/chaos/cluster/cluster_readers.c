/*
 * cluster_readers.c
 *		Readers that see every event of every slot exactly once and in order: by
 *		read_events_all() with a cursor through a front, or by read_events() of each slot
 *		on its node.  The naive one reads after the last position that it has seen, without
 *		the high-water mark, and loses events.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster.h"

/* Log the rows of a page: slot, position, aggregate, version. */
static void
log_page(const Seer *seer, const PGresult *page)
{
	for (int row = 0; row < PQntuples(page); row++)
	{
		SlotEvent	event = {
			.slot = (int32_t) strtol(PQgetvalue(page, row, 0), NULL, 10),
			.position = strtoll(PQgetvalue(page, row, 1), NULL, 10),
			.aggregate = aggregate_number(PQgetvalue(page, row, 2)),
			.version = (int32_t) strtol(PQgetvalue(page, row, 3), NULL, 10)
		};

		log_event(seer->log, &event);
	}
}

/* Read all slots with a cursor, which passes from front to front. */
static void
read_with_cursor(const Seer *seer, int number)
{
	Client		fronts[MAX_FRONTS] = {0};
	char	   *cursor = NULL;
	int			at = number;
	char		page[12];

	snprintf(page, sizeof page, "%d", seer->page);
	for (int i = 0; i < cluster_options.nfronts; i++)
		name_client(&fronts[i], cluster_options.fronts[i], "reader", number);
	while (running(DRAIN))
	{
		Client	   *front = &fronts[at % cluster_options.nfronts];
		const char *values[] = {cursor, page};
		bool		at_end = shared->phase == DRAIN;
		int			rows;

		if (!client_connect(front))
			break;
		if (client_call(front, "SELECT slot, position, aggregate_id, aggregate_version, next_cursor "
						"FROM eventstore.read_events_all($1::jsonb, $2::integer, store => '" STORE "')",
						2, NULL, values) != OK)
		{
			sleep_ms(50);
			continue;
		}
		log_page(seer, front->result);
		rows = PQntuples(front->result);
		if (rows > 0)
		{
			free(cursor);
			cursor = strdup(PQgetvalue(front->result, rows - 1, 4));
		}
		else if (at_end)
			cluster->done[number] = true;
		at += chance(10);
		if (rows == 0)
			sleep_ms(20);
	}
	for (int i = 0; i < cluster_options.nfronts; i++)
		client_close(&fronts[i]);
	free(cursor);
}

/* Read the next page of one slot on its node.  Return the number of events; -1: error. */
static int
read_slot(const Seer *seer, Router *router, int slot, int64_t *position)
{
	Client	   *client = route(router, slot);
	char		sql[400];
	int			rows;

	if (client == NULL)
		return -1;
	if (seer->kind == NAIVE_FOLLOWER)
		snprintf(sql, sizeof sql, "SELECT %d, position, aggregate_id, aggregate_version FROM " STORE "_%03d "
				 "WHERE position > %lld ORDER BY position LIMIT %d", slot, slot, (long long) *position, seer->page);
	else
		snprintf(sql, sizeof sql, "SELECT %d, position, aggregate_id, aggregate_version FROM "
				 "eventstore.read_events(%lld, %d, store => '" STORE "_%03d')", slot, (long long) *position, seer->page, slot);
	if (client_run(client, sql) != OK)
	{
		route_failed(router, client);
		return -1;
	}
	log_page(seer, client->result);
	rows = PQntuples(client->result);
	if (rows > 0)
		*position = client_number(client, rows - 1, 1);
	return rows;
}

/* Follow each slot on its node, one after the other. */
static void
follow_slots(const Seer *seer, int number)
{
	static Router router;
	int64_t		positions[MAX_CLUSTER_SLOTS] = {0};

	name_router(&router, "follower", number);
	while (running(DRAIN))
	{
		bool		at_end = shared->phase == DRAIN;
		int			seen = 0;

		for (int slot = 0; slot < cluster_options.slots && running(DRAIN); slot++)
		{
			int			rows = read_slot(seer, &router, slot, &positions[slot]);

			at_end = at_end && rows == 0;
			seen += rows > 0 ? rows : 0;
		}
		if (at_end)
			cluster->done[number] = true;
		if (seen == 0)
			sleep_ms(10);
	}
	close_router(&router);
}

/* Run a reader. */
void
seer_main(int number)
{
	const Seer *seer = &seers[number];

	if (seer->kind == CURSOR)
		read_with_cursor(seer, number);
	else
		follow_slots(seer, number);
}
