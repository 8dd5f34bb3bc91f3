/*
 * check_cluster.c
 *		Compares what the writers, readers and consumers have noted with the tables of the
 *		slots.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster.h"

/* Flags of an event id; the lower bits count how often it is stored. */
#define STORED_MASK 15
#define WAS_COMMITTED 16
#define WAS_ABORTED 32

/* The events of a slot, by position. */
typedef struct SlotTable
{
	SlotEvent  *events;
	int64_t		count;
	int64_t		room;
} SlotTable;

static SlotTable tables[MAX_CLUSTER_SLOTS];
static uint8_t *ids[MAX_WRITERS];
static int64_t misplaced;		/* aggregates in a slot that is not theirs */
static int64_t disorder;		/* versions out of the order of positions */

/* Allocate zeroed memory; on failure end the program. */
static void *
allocate(int64_t count, size_t size)
{
	void	   *memory = calloc(count > 0 ? (size_t) count : 1, size);

	if (memory == NULL)
		die("out of memory");
	return memory;
}

/* Note that an event id of a writer, such as "w3-14", is in a table. */
static void
note_id(const char *id)
{
	char	   *end;
	long		writer = id[0] == 'w' ? strtol(id + 1, &end, 10) : -1;
	long		number = writer >= 0 && *end == '-' ? strtol(end + 1, NULL, 10) : -1;

	if (writer < 0 || writer >= cluster_options.writers || number < 0 || number >= cluster->first_id_free[writer])
		die("event %s is of no writer", id);
	if ((ids[writer][number] & STORED_MASK) < STORED_MASK)
		ids[writer][number]++;
}

/* Add an event to the table of a slot, and check its version. */
static void
add_event_to_table(int slot, SlotEvent event, int32_t *last)
{
	SlotTable  *table = &tables[slot];

	if (table->count == table->room)
	{
		table->room = table->room ? table->room * 2 : 4096;
		table->events = realloc(table->events, (size_t) table->room * sizeof *table->events);
		if (table->events == NULL)
			die("out of memory");
	}
	if (event.aggregate < 0 || slot_of_aggregate(event.aggregate) != slot)
		misplaced++;
	else if (event.version != ++last[event.aggregate])
	{
		disorder++;
		last[event.aggregate] = event.version;
	}
	table->events[table->count++] = event;
}

/* Load the table of a slot from its node. */
static void
load_slot(Client *client, int slot, int32_t *last)
{
	char		sql[200];

	snprintf(sql, sizeof sql, "SELECT position, aggregate_id, aggregate_version, event_id FROM " STORE "_%03d ORDER BY position", slot);
	run_or_die(client, sql);
	for (int row = 0; row < PQntuples(client->result); row++)
	{
		SlotEvent	event = {
			.slot = slot,
			.position = client_number(client, row, 0),
			.aggregate = aggregate_number(PQgetvalue(client->result, row, 1)),
			.version = (int32_t) client_number(client, row, 2)
		};

		note_id(PQgetvalue(client->result, row, 3));
		add_event_to_table(slot, event, last);
	}
}

/* Find the nodes of the slots.  Return false unless each is on one node, and no copy is left. */
static bool
find_slots(Client *nodes, int *node_of)
{
	int			found[MAX_CLUSTER_SLOTS] = {0};
	bool		well = true;

	for (int i = 0; i < cluster_options.nnodes; i++)
	{
		run_or_die(&nodes[i], "SELECT slot, arriving FROM eventstore.stores WHERE slot IS NOT NULL");
		for (int row = 0; row < PQntuples(nodes[i].result); row++)
		{
			int			slot = (int) client_number(&nodes[i], row, 0);

			found[slot]++;
			node_of[slot] = i;
			if (strcmp(PQgetvalue(nodes[i].result, row, 1), "f") != 0)
			{
				printf("slot %d is still arriving on node %s\n", slot, cluster_options.nodes[i]);
				well = false;
			}
		}
	}
	for (int slot = 0; slot < cluster_options.slots; slot++)
		if (found[slot] != 1)
		{
			printf("slot %d is on %d nodes\n", slot, found[slot]);
			well = false;
		}
	return well;
}

/* Return whether the map of each front names the node of each slot. */
static bool
check_maps(const int *node_of)
{
	bool		well = true;

	for (int i = 0; i < cluster_options.nfronts; i++)
	{
		Client		front = {0};

		name_client(&front, cluster_options.fronts[i], "check", i);
		if (!client_connect(&front))
			die("could not connect");
		run_or_die(&front, "SELECT slot, node FROM eventstore.slot_map WHERE store = '" STORE "'");
		for (int row = 0; row < PQntuples(front.result); row++)
		{
			int			slot = (int) client_number(&front, row, 0);

			if (strcmp(PQgetvalue(front.result, row, 1), cluster_options.nodes[node_of[slot]]) == 0)
				continue;
			printf("front %d has slot %d on node %s, not %s\n", i + 1, slot, PQgetvalue(front.result, row, 1),
				   cluster_options.nodes[node_of[slot]]);
			well = false;
		}
		client_close(&front);
	}
	return well;
}

/* Load all tables.  Return whether every slot is where it should be. */
static bool
load_tables(void)
{
	Client		nodes[MAX_NODES] = {0};
	int			node_of[MAX_CLUSTER_SLOTS] = {0};
	int32_t    *last = allocate(CLUSTER_AGGREGATES, sizeof *last);
	bool		well;

	for (int i = 0; i < cluster_options.nnodes; i++)
	{
		name_client(&nodes[i], cluster_options.conninfos[i], "check", i);
		if (!client_connect(&nodes[i]))
			die("could not connect");
	}
	well = find_slots(nodes, node_of);
	well = check_maps(node_of) && well;
	for (int slot = 0; well && slot < cluster_options.slots; slot++)
		load_slot(&nodes[node_of[slot]], slot, last);
	for (int i = 0; i < cluster_options.nnodes; i++)
		client_close(&nodes[i]);
	free(last);
	return well;
}

/* Note the fates that the writers have logged. */
static void
load_fates(FILE *log)
{
	CallFate	entry;

	rewind(log);
	while (fread(&entry, sizeof entry, 1, log) == 1)
		for (int64_t id = entry.first; id < entry.first + entry.count; id++)
			if (entry.fate != UNKNOWN)
				ids[entry.writer][id] |= entry.fate == COMMITTED ? WAS_COMMITTED : WAS_ABORTED;
}

/* Compare the events that the writers know of with those that are stored. */
static bool
check_writers(void)
{
	int64_t		acknowledged = 0,
				stored = 0,
				missing = 0,
				twice = 0,
				undead = 0,
				unknown = 0;

	for (int writer = 0; writer < cluster_options.writers; writer++)
		for (int64_t id = 0; id < cluster->first_id_free[writer]; id++)
		{
			uint8_t		state = ids[writer][id];
			int			times = state & STORED_MASK;

			stored += times > 0;
			acknowledged += (state & WAS_COMMITTED) != 0;
			missing += (state & WAS_COMMITTED) && times == 0;
			twice += times > 1;
			undead += (state & WAS_ABORTED) && times > 0;
			unknown += !(state & (WAS_COMMITTED | WAS_ABORTED)) && times > 0;
		}
	printf("acknowledged %lld, stored %lld: lost %lld, doubled %lld, refused but stored %lld; "
		   "%lld are stored whose answers were lost\n",
		   (long long) acknowledged, (long long) stored, (long long) missing, (long long) twice, (long long) undead,
		   (long long) unknown);
	printf("in the tables: inverted %lld, in the wrong slot %lld\n", (long long) disorder, (long long) misplaced);
	return missing + twice + undead + disorder + misplaced == 0 && acknowledged > 0;
}

/* Return the index of an event in the table of its slot; -1 if it is not there. */
static int64_t
find_position(const SlotTable *table, int64_t position)
{
	int64_t		low = 0,
				high = table->count - 1;

	while (low <= high)
	{
		int64_t		middle = low + (high - low) / 2;

		if (table->events[middle].position == position)
			return middle;
		if (table->events[middle].position < position)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return -1;
}

/* Return the index of an event in the table of its slot; -1 if that has no such event. */
static int64_t
find_seen(const SlotEvent *seen)
{
	const SlotTable *table;
	int64_t		at;

	if (seen->slot < 0 || seen->slot >= cluster_options.slots)
		return -1;
	table = &tables[seen->slot];
	at = find_position(table, seen->position);
	if (at >= 0 && (table->events[at].aggregate != seen->aggregate || table->events[at].version != seen->version))
		return -1;
	return at;
}

/*
 * Compare the list of a reader with the tables.  The lists are equal if it has seen each
 * event of each slot once, in the order of the positions.  Return the number of events
 * that it has lost; print all errors, and add up the others.
 */
static int64_t
check_seer(int number, int64_t *others)
{
	const Seer *seer = &seers[number];
	int64_t		last[MAX_CLUSTER_SLOTS] = {0};
	int64_t		seen = 0,
				lost = 0,
				twice = 0,
				inverted = 0,
				vanished = 0;
	uint8_t    *marks[MAX_CLUSTER_SLOTS];
	SlotEvent	event;

	for (int slot = 0; slot < cluster_options.slots; slot++)
		marks[slot] = allocate(tables[slot].count, 1);
	rewind(seer->log);
	while (fread(&event, sizeof event, 1, seer->log) == 1)
	{
		int64_t		at = find_seen(&event);

		seen++;
		if (at < 0)
		{
			vanished++;
			continue;
		}
		twice += marks[event.slot][at];
		marks[event.slot][at] = 1;
		inverted += event.position <= last[event.slot];
		last[event.slot] = event.position;
	}
	for (int slot = 0; slot < cluster_options.slots; slot++)
	{
		for (int64_t i = 0; i < tables[slot].count; i++)
			lost += !marks[slot][i];
		free(marks[slot]);
	}
	*others += twice + inverted + vanished + !cluster->done[number];
	printf("%-26s %9lld %7lld %7lld %9lld %9lld%s\n", seer->name, (long long) seen, (long long) lost, (long long) twice,
		   (long long) inverted, (long long) vanished, cluster->done[number] ? "" : "  did not reach the end");
	return lost;
}

/* Compare all readers.  Return whether all but the naive one have seen all. */
static bool
check_seers(long *naive_lost)
{
	int64_t		wrong = 0;

	printf("%-26s %9s %7s %7s %9s %9s\n", "reader", "events", "lost", "twice", "inverted", "vanished");
	for (int i = 0; i < nseers; i++)
	{
		int64_t		others = 0;
		int64_t		lost = check_seer(i, &others);

		if (seers[i].kind == NAIVE_FOLLOWER)
			*naive_lost = (long) lost;
		else
			wrong += lost + others;
	}
	return wrong == 0;
}

/* Compare two events by the time at which they were processed. */
static int
compare_handled(const void *a, const void *b)
{
	int64_t		x = ((const SlotEvent *) a)->handled,
				y = ((const SlotEvent *) b)->handled;

	return (x > y) - (x < y);
}

/* Load what the consumers have processed, in its order. */
static SlotEvent *
load_handled(FILE *const *logs, int nlogs, int64_t *count)
{
	int64_t		room = 65536;
	SlotEvent  *events = allocate(room, sizeof *events);

	*count = 0;
	for (int i = 0; i < nlogs; i++)
	{
		rewind(logs[i]);
		while (fread(&events[*count], sizeof *events, 1, logs[i]) == 1)
			if (++*count == room)
			{
				room *= 2;
				events = realloc(events, (size_t) room * sizeof *events);
				if (events == NULL)
					die("out of memory");
			}
	}
	qsort(events, (size_t) *count, sizeof *events, compare_handled);
	return events;
}

/*
 * Check the consumers: each event was processed at least once, the events of an aggregate
 * in order, and no event was delivered again after its acknowledgement.
 */
static bool
check_consumers_of_cluster(FILE *const *logs, int nlogs)
{
	int64_t		count,
				total = 0,
				lost = 0,
				inverted = 0,
				vanished = 0,
				repeated = 0,
				after_ack = 0;
	SlotEvent  *handled = load_handled(logs, nlogs, &count);
	int32_t    *last = allocate(CLUSTER_AGGREGATES, sizeof *last);

	for (int64_t i = 0; i < count; i++)
	{
		SlotEvent  *event = &handled[i],
				   *stored;
		int64_t		at = find_seen(event);

		if (at < 0)
		{
			vanished++;
			continue;
		}
		stored = &tables[event->slot].events[at];
		repeated += stored->handled != 0;
		after_ack += stored->acked != 0 && event->asked > stored->acked;
		stored->handled = event->handled;
		if (event->acked != 0 && (stored->acked == 0 || event->acked < stored->acked))
			stored->acked = event->acked;
		inverted += event->version > last[event->aggregate] + 1;
		if (event->version > last[event->aggregate])
			last[event->aggregate] = event->version;
	}
	for (int slot = 0; slot < cluster_options.slots; slot++)
	{
		total += tables[slot].count;
		for (int64_t i = 0; i < tables[slot].count; i++)
			lost += tables[slot].events[i].handled == 0;
	}
	printf("consumers: %lld events of %lld, %ld deliveries, %lld events repeated, %ld acknowledgements after the lease: "
		   "lost %lld, inverted %lld, vanished %lld, repeated although acknowledged %lld\n",
		   (long long) (total - lost), (long long) total, (long) cluster->deliveries, (long long) repeated,
		   (long) cluster->late_acks, (long long) lost, (long long) inverted, (long long) vanished, (long long) after_ack);
	free(handled);
	free(last);
	return lost + inverted + vanished + after_ack == 0;
}

/* Print all results.  Return whether all is right, except for the naive reader. */
bool
check_cluster(FILE *const *fates, int nfates, FILE *const *consumers, int nconsumers_of_cluster, long *naive_lost)
{
	bool		well;

	for (int i = 0; i < cluster_options.writers; i++)
		ids[i] = allocate(cluster->first_id_free[i], 1);
	for (int i = 0; i < nfates; i++)
		load_fates(fates[i]);
	if (!load_tables())
		return false;
	well = check_writers();
	well = check_seers(naive_lost) && well;
	well = check_consumers_of_cluster(consumers, nconsumers_of_cluster) && well;
	return print_errors("42P01") == 0 && well;
}
