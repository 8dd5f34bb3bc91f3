/*
 * cluster_consumer.c
 *		Consumers of a subscription, through a front: each event at least once, those of an
 *		aggregate in order, and none again after it was acknowledged.  Some consumers die
 *		or are slower than the lease.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster.h"

#define BATCH 40
#define LEASE_MS 3000			/* as main() creates the subscription */

/* Read the events of a delivery, which are processed at once.  Return the number. */
static int
handle_events(const Client *client, int64_t asked, SlotEvent *events)
{
	int			rows = PQntuples(client->result);

	for (int i = 0; i < rows; i++)
	{
		SlotEvent	event = {
			.slot = (int32_t) (client_number(client, i, 0) & 1023),
			.position = client_number(client, i, 1),
			.aggregate = aggregate_number(PQgetvalue(client->result, i, 2)),
			.version = (int32_t) client_number(client, i, 3),
			.asked = asked,
			.handled = cluster_tick()
		};

		events[i] = event;
	}
	return rows;
}

/* Acknowledge a delivery.  Call again while the slot moves or a server is down. */
static bool
acknowledge(Client *client, const char *delivery)
{
	const char *values[] = {delivery};

	for (int tries = 0; tries < 20 && client_connect(client); tries++)
	{
		if (client_call(client, "SELECT eventstore.ack('" SUBSCRIPTION "', $1)", 1, NULL, values) == OK)
			return true;
		if (client_sqlstate_is(client, "22V02"))
		{
			cluster->late_acks++;
			return false;
		}
		sleep_ms(50);
	}
	return false;
}

/* Poll once, process the events, and acknowledge them or not. */
static void
consume(Client *client, const char *name, FILE *log)
{
	const char *values[] = {name};
	SlotEvent	events[BATCH];
	int64_t		asked = cluster_tick();
	int			count;
	char		delivery[24];
	bool		acked = false;

	if (client_call(client, "SELECT delivery, position, aggregate_id, aggregate_version FROM "
					"eventstore.poll('" SUBSCRIPTION "', 40, $1, '0.2 s')", 1, NULL, values) != OK)
	{
		sleep_ms(50);
		return;
	}
	count = handle_events(client, asked, events);
	if (count == 0)
		return;
	cluster->deliveries++;
	snprintf(delivery, sizeof delivery, "%s", PQgetvalue(client->result, 0, 0));
	if (chance(1) && shared->phase == RUN)
		sleep_ms(LEASE_MS + 500);
	if (!chance(3))
		acked = acknowledge(client, delivery);
	for (int i = 0; i < count; i++)
	{
		events[i].acked = acked ? cluster_tick() : 0;
		log_event(log, &events[i]);
	}
}

/* Run a consumer, which sometimes dies and is replaced by one with another name. */
void
cluster_consumer_main(int number, FILE *log)
{
	Client		client = {0};
	char		name[40];
	int			life = 0;

	name_client(&client, cluster_options.fronts[number % cluster_options.nfronts], "consumer", number);
	snprintf(name, sizeof name, "consumer %d", number);
	while (running(DRAIN) && client_connect(&client))
	{
		consume(&client, name, log);
		if (!chance(1))
			continue;
		client_close(&client);
		snprintf(name, sizeof name, "consumer %d life %d", number, ++life);
	}
	client_close(&client);
}
