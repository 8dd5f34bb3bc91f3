/*
 * check.c
 *		Compares the maps of the fronts with the places of the slots, and says how to mend
 *		what is wrong.
 */
#include "cluster.h"

#include "common/logging.h"

static int	problems = 0;

/* Print a problem, and the command that mends it, if there is one. */
static void
problem(const char *what, const char *command)
{
	problems++;
	printf("%s\n", what);
	if (command != NULL)
		printf("  %s\n", command);
}

/* Return the command that moves a slot. */
static char *
move_command(const SlicedStore *store, int slot, const Server *node)
{
	return psprintf("pg_eventstore_cluster move \"%s\" %d %s --store=%s", without_password(options.front), slot,
					node->name, store->name);
}

/* Return the command that runs SQL in the database of a server. */
static char *
psql_command(const Server *server, const char *sql)
{
	return psprintf("psql \"%s\" -c \"%s\"", without_password(server->conninfo), sql);
}

/* Check that all servers can be reached and have the same version. */
static void
check_servers(Cluster *cluster)
{
	const char *version = NULL;

	for (int i = 0; i < cluster->n_nodes + cluster->n_fronts; i++)
	{
		bool		is_node = i < cluster->n_nodes;
		Server	   *server = is_node ? &cluster->nodes[i] : &cluster->fronts[i - cluster->n_nodes];

		if (server->conn == NULL)
			problem(psprintf("%s cannot be reached, so %s: %s", server->label,
							 is_node ? "slots and copies on it are not known" : "its maps are not known",
							 server->problem), NULL);
		else if (server->version == NULL)
			problem(psprintf("%s does not have the extension", server->label),
					"pg_eventstore_cluster init ..., with the options of the first time");
		else if (version == NULL)
			version = server->version;
		else if (strcmp(version, server->version) != 0)
			problem(psprintf("%s has version %s of the extension, others have %s", server->label, server->version,
							 version),
					psql_command(server, is_node ? "ALTER EXTENSION pg_eventstore UPDATE" :
								 "ALTER EXTENSION pg_eventstore_front UPDATE"));
	}
	if (!cluster->front_is_listed)
		problem(psprintf("%s is not in its own table of fronts, so moves through other fronts do not write its map",
						 cluster->fronts[0].label),
				psql_command(&cluster->fronts[0], psprintf("SELECT eventstore.set_front('%s')",
														   without_password(options.front))));
}

/* Check that a table of all fronts has the same rows as that of the first. */
static void
check_table(Cluster *cluster, const char *table, const char *columns)
{
	const char *first = NULL;

	for (int i = 0; i < cluster->n_fronts; i++)
	{
		Server	   *front = &cluster->fronts[i];
		const char *rows;

		if (front->conn == NULL || front->version == NULL)
			continue;
		rows = query_value(front, "SELECT COALESCE(pg_catalog.string_agg(%s, E'\\n' ORDER BY %s COLLATE \"C\"), '')"
						   " FROM eventstore.%s", columns, columns, table);
		if (first == NULL)
			first = rows;
		else if (strcmp(first, rows) != 0)
			problem(psprintf("table eventstore.%s of %s differs from that of %s", table, front->label,
							 cluster->fronts[0].label),
					psprintf("pg_eventstore_cluster init ..., with the options of the first time, all nodes and all fronts"));
	}
}

/* Check the numbers of slots. */
static void
check_counts(Cluster *cluster, const SlicedStore *store)
{
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		if (store->slots_of_node[i] != 0 && store->slots_of_node[i] != store->slots)
			problem(psprintf("store %s has %d slots by the map of %s, but the slots of %s are of %d", store->name,
							 store->slots, cluster->fronts[0].label, cluster->nodes[i].label, store->slots_of_node[i]), NULL);
	}
	for (int i = 0; i < cluster->n_fronts; i++)
	{
		Server	   *front = &cluster->fronts[i];

		if (front->conn == NULL || front->version == NULL || store->slots_of_front[i] == store->slots)
			continue;
		if (store->slots_of_front[i] == 0)
			problem(psprintf("%s has no map of store %s", front->label, store->name),
					"pg_eventstore_cluster init ..., with the options of the first time, all nodes and all fronts");
		else
			problem(psprintf("store %s has %d slots by the map of %s, but %d by that of %s", store->name,
							 store->slots, cluster->fronts[0].label, store->slots_of_front[i], front->label), NULL);
	}
}

/* Describe each node that has a slot: the last position, which shows which of two is newer. */
static void
report_twice(Cluster *cluster, const SlicedStore *store, int slot)
{
	problem(psprintf("slot %d of store %s lives on more than one node; keep the one to which it was moved last,"
					 " after a look whether another one has events of its own:", slot, store->name), NULL);
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		Server	   *node = &cluster->nodes[i];
		const char *table;

		if (presence_of(store, i, slot) != LIVE)
			continue;
		table = slot_name(node, store, slot);
		printf("  %s: last position %s, last event of %s; if this is the wrong one:\n    %s\n", node->label,
			   query_value(node, "SELECT COALESCE(pg_catalog.max(position), 0) FROM %s", table),
			   query_value(node, "SELECT COALESCE((SELECT occurred_at::text FROM %s ORDER BY position DESC LIMIT 1), 'never')",
						   table),
			   psql_command(node, psprintf("SELECT eventstore.drop_store('%s_%03d', force => true)", store->name, slot)));
	}
}

/* Check a slot that lives on one node: copies, and the maps. */
static void
check_live(Cluster *cluster, const SlicedStore *store, int slot, const Server *node)
{
	int			n;
	Server	   *copy = node_with(cluster, store, slot, ARRIVING, &n);

	if (copy != NULL)
		problem(psprintf("a move of slot %d of store %s to %s was interrupted or is running: the slot on %s is right,"
						 " and nobody can use the copy; this command drops the copy, and the same move begins again",
						 slot, store->name, copy->label, node->label), move_command(store, slot, node));
	for (int i = 0; i < cluster->n_fronts; i++)
	{
		const char *name = map_of(store, i, slot);

		if (store->slots_of_front[i] != store->slots || (name != NULL && strcmp(name, node->name) == 0))
			continue;
		problem(psprintf("slot %d of store %s lives on %s, but the map of %s has %s%s%s", slot, store->name, node->label,
						 cluster->fronts[i].label, name ? "node \"" : "an unknown node", name ? name : "", name ? "\"" : ""),
				move_command(store, slot, node));
	}
}

/* Check a slot. */
static void
check_slot(Cluster *cluster, const SlicedStore *store, int slot)
{
	int			live;
	int			copies;
	int			unknown;
	Server	   *node = node_with(cluster, store, slot, LIVE, &live);
	Server	   *copy = node_with(cluster, store, slot, ARRIVING, &copies);

	(void) node_with(cluster, store, slot, UNKNOWN, &unknown);
	if (live > 1)
		report_twice(cluster, store, slot);
	else if (live == 1)
		check_live(cluster, store, slot, node);
	else if (unknown > 0)
		problem(psprintf("slot %d of store %s is on no node that can be reached%s", slot, store->name,
						 copy ? ", but for a copy that arrives" : ""), NULL);
	else if (copies == 1)
		problem(psprintf("a move of slot %d of store %s to %s was interrupted after the other node had dropped the slot:"
						 " the copy is complete, but nobody can use it (if the other node lost the slot in another way, restore that node first)",
						 slot, store->name, copy->label),
				move_command(store, slot, copy));
	else
		problem(psprintf(copies > 1 ? "slot %d of store %s lives on no node, but there are %d copies" :
						 "slot %d of store %s is on no node", slot, store->name, copies),
				copies > 1 ? NULL : "restore the node that had the slot, or name it by pg_eventstore_cluster init --node");
}

/* Run command check.  Return the exit status: 1 if there is a problem. */
int
run_check(void)
{
	Cluster    *cluster = open_cluster(options.front);
	int			n;
	SlicedStore **stores = read_stores(cluster, &n);

	check_servers(cluster);
	check_table(cluster, "nodes", "node || ' ' || conninfo");
	check_table(cluster, "fronts", "conninfo");
	for (int i = 0; i < n; i++)
	{
		look_for_slots(cluster, stores[i]);
		check_counts(cluster, stores[i]);
		for (int slot = 0; slot < stores[i]->slots; slot++)
			check_slot(cluster, stores[i], slot);
	}
	if (problems == 0)
		printf("ok: %d nodes, %d fronts, %d stores\n", cluster->n_nodes, cluster->n_fronts, n);
	close_cluster(cluster);
	return problems > 0 ? 1 : 0;
}
