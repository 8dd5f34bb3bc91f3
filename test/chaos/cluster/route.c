/*
 * route.c
 *		The slot of an aggregate, as doc/slots.md defines it, and connections to the node
 *		that has the slot by the map of a front.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster.h"

/* Return the CRC-32 of a string. */
static uint32_t
crc32_of(const char *text)
{
	uint32_t	crc = ~0U;

	for (; *text; text++)
	{
		crc ^= (unsigned char) *text;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
	}
	return ~crc;
}

/* Return the slot of an aggregate. */
int
slot_of_aggregate(int aggregate)
{
	char		name[20];

	snprintf(name, sizeof name, "a%d", aggregate);
	return (int) ((uint64_t) crc32_of(name) * (uint64_t) cluster_options.slots >> 32);
}

/* Give a client the server and the name of its connections. */
void
name_client(Client *client, const char *conninfo, const char *role, int number)
{
	client->dbname = conninfo;
	snprintf(client->name, sizeof client->name, "chaos %s %d", role, number);
}

/* Give a router the names of its connections. */
void
name_router(Router *router, const char *role, int number)
{
	for (int i = 0; i < cluster_options.nnodes; i++)
		name_client(&router->nodes[i], cluster_options.conninfos[i], role, number);
	name_client(&router->front, cluster_options.fronts[number % cluster_options.nfronts], role, number);
}

/* Read the map of the front. */
static void
read_map(Router *router)
{
	if (!client_connect(&router->front) ||
		client_run(&router->front, "SELECT slot, node FROM eventstore.slot_map WHERE store = '" STORE "'") != OK)
		return;
	for (int row = 0; row < PQntuples(router->front.result); row++)
		for (int i = 0; i < cluster_options.nnodes; i++)
			if (strcmp(PQgetvalue(router->front.result, row, 1), cluster_options.nodes[i]) == 0)
				router->node_of[client_number(&router->front, row, 0)] = i;
	router->has_map = true;
}

/* Return a connection to the node of a slot; NULL at the end of the run. */
Client *
route(Router *router, int slot)
{
	Client	   *client;

	while (!router->has_map && running(DRAIN))
	{
		read_map(router);
		if (!router->has_map)
			sleep_ms(20);
	}
	client = &router->nodes[router->node_of[slot]];
	return router->has_map && client_connect(client) ? client : NULL;
}

/*
 * After a call on a slot has failed: if the slot has moved, or its node is down, the next
 * call reads the map again.
 */
void
route_failed(Router *router, const Client *client)
{
	if (client->conn != NULL && !client_sqlstate_is(client, "42P01"))
		return;
	cluster->moved += client->conn != NULL;
	router->has_map = false;
	sleep_ms(10 + random_below(20));
}

/* Close all connections. */
void
close_router(Router *router)
{
	for (int i = 0; i < cluster_options.nnodes; i++)
		client_close(&router->nodes[i]);
	client_close(&router->front);
}
