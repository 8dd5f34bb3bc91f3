/*
 * init.c
 *		Makes a cluster: the extension and the slots on the nodes, and the maps on the
 *		fronts.
 *
 * All is checked before anything is created.  A second run completes an interrupted one,
 * and adds nodes and fronts.  Slots that exist stay where they are: moving them is for
 * command move.
 */
#include "cluster.h"

#include "common/logging.h"

#define SLOTS_AT_ONCE 64

/* Connect to a server, and check its role. */
static void
open_server(Server *server)
{
	if (!connect_server(server))
		pg_fatal("%s: %s", server->label, server->problem);
	if (!require_superuser(server))
		exit(1);
}

/* Return whether a database has an extension. */
static bool
has_extension(Server *server, const char *extension)
{
	return query_value(server, "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = '%s'", extension) != NULL;
}

/* Create an extension in the current transaction; report an error with a hint. */
static void
create_extension(Server *server, const char *extension)
{
	bool		is_plproxy = strcmp(extension, "plproxy") == 0;
	PGresult   *result = try_query(server, psprintf("CREATE EXTENSION IF NOT EXISTS %s%s", extension,
													is_plproxy ? " SCHEMA public" : ""));

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
	{
		const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

		/* these mean that the files of the extension are missing */
		if (state == NULL || (strcmp(state, "0A000") != 0 && strcmp(state, "58P01") != 0))
			fail_query(server, result);
		pg_log_error("%s: %s", server->label, result_message(server, result));
		pg_log_error_hint(is_plproxy ?
						  "Install PL/Proxy on the server of the front: on Debian, package postgresql-NN-plproxy." :
						  "Install pg_eventstore on the server.");
		exit(1);
	}
	PQclear(result);
}

/*
 * Return the version of an extension of pg_eventstore in a database.  If the database does
 * not have the extension, create it for a try.
 */
static const char *
version_of(Server *server, const char *extension)
{
	const char *version;

	run_command(server, "BEGIN");
	if (strcmp(extension, "pg_eventstore_front") == 0)
		create_extension(server, "plproxy");
	create_extension(server, extension);
	version = query_value(server, "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = '%s'", extension);
	run_command(server, "ROLLBACK");
	return version;
}

/*
 * Add the nodes that a front knows but the command line does not name.  They may have
 * slots, which must not be created a second time.
 */
static void
add_known_nodes(Cluster *cluster, Server *front)
{
	PGresult   *result = run_query(front, "SELECT node, conninfo FROM eventstore.nodes");

	for (int row = 0; row < PQntuples(result); row++)
	{
		const char *name = PQgetvalue(result, row, 0);

		if (node_named(cluster, name) != NULL)
			continue;
		cluster->nodes = pg_realloc(cluster->nodes, sizeof(Server) * (cluster->n_nodes + 1));
		name_server(&cluster->nodes[cluster->n_nodes], pg_strdup(name), pg_strdup(PQgetvalue(result, row, 1)));
		open_server(&cluster->nodes[cluster->n_nodes++]);
	}
	PQclear(result);
}

/* Add the fronts that a front knows but the command line does not name. */
static void
add_known_fronts(Cluster *cluster, int number)
{
	PGresult   *result = run_query(&cluster->fronts[number], "SELECT conninfo FROM eventstore.fronts");

	for (int row = 0; row < PQntuples(result); row++)
	{
		Server	   *front;
		bool		known = false;

		cluster->fronts = pg_realloc(cluster->fronts, sizeof(Server) * (cluster->n_fronts + 1));
		front = &cluster->fronts[cluster->n_fronts];
		name_server(front, NULL, pg_strdup(PQgetvalue(result, row, 0)));
		for (int i = 0; i < cluster->n_fronts; i++)
			known = known || strcmp(cluster->fronts[i].conninfo, front->conninfo) == 0;
		if (known)
			continue;
		if (!connect_server(front))
		{
			pg_log_warning("%s: %s", front->label, front->problem);
			continue;
		}
		/* one of them by another connection string */
		for (int i = 0; i < cluster->n_fronts; i++)
			known = known || strcmp(cluster->fronts[i].identity, front->identity) == 0;
		if (known)
			disconnect_server(front);
		else
			cluster->n_fronts++;
	}
	PQclear(result);
}

/* Connect to all servers, also those that the fronts know. */
static void
open_servers(Cluster *cluster)
{
	for (int i = 0; i < cluster->n_nodes; i++)
		open_server(&cluster->nodes[i]);
	for (int i = 0; i < cluster->n_fronts; i++)
		open_server(&cluster->fronts[i]);
	for (int i = 0; i < cluster->n_fronts; i++)
	{
		if (!has_extension(&cluster->fronts[i], "pg_eventstore_front"))
			continue;
		add_known_nodes(cluster, &cluster->fronts[i]);
		add_known_fronts(cluster, i);
	}
}

/* End the program unless all servers have the same version of pg_eventstore. */
static void
check_versions(Cluster *cluster)
{
	const char *first = version_of(&cluster->nodes[0], "pg_eventstore");

	for (int i = 0; i < cluster->n_nodes + cluster->n_fronts; i++)
	{
		bool		is_node = i < cluster->n_nodes;
		Server	   *server = is_node ? &cluster->nodes[i] : &cluster->fronts[i - cluster->n_nodes];
		const char *version = version_of(server, is_node ? "pg_eventstore" : "pg_eventstore_front");

		if (strcmp(version, first) == 0)
			continue;
		pg_log_error("the versions of pg_eventstore differ: %s on %s, %s on %s", first, cluster->nodes[0].label,
					 version, server->label);
		pg_log_error_hint("Install the same version on all servers, and run ALTER EXTENSION ... UPDATE where an older one was created.");
		exit(1);
	}
}

/* End the program if two of the servers are one database, or a front has the wrong kind. */
static void
check_databases(Cluster *cluster)
{
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		for (int j = 0; j < i; j++)
		{
			if (strcmp(cluster->nodes[i].identity, cluster->nodes[j].identity) == 0)
				pg_fatal("%s and %s are the same database", cluster->nodes[j].label, cluster->nodes[i].label);
		}
		if (has_extension(&cluster->nodes[i], "pg_eventstore_front"))
			pg_fatal("%s: the database is a front, which cannot be a node", cluster->nodes[i].label);
	}
	for (int i = 0; i < cluster->n_fronts; i++)
	{
		Server	   *front = &cluster->fronts[i];
		bool		is_node = has_extension(front, "pg_eventstore");

		for (int j = 0; j < cluster->n_nodes; j++)
			is_node = is_node || strcmp(front->identity, cluster->nodes[j].identity) == 0;
		if (!is_node)
			continue;
		pg_log_error("%s: the database has event stores, or is a node, and cannot be a front", front->label);
		pg_log_error_hint("A front has functions of the same names in schema eventstore. Create another database for it, which may be on the same server.");
		exit(1);
	}
}

/*
 * End the program if a slot is on none of the nodes although other slots have events.  The
 * slot is on a node that was not named, and must not be created a second time.  An init
 * that was interrupted has left slots without events.
 */
static void
check_none_missing(Cluster *cluster, SlicedStore *store, int missing)
{
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		Server	   *node = &cluster->nodes[i];

		if (store->slots_of_node[i] == 0 ||
			query_value(node, "SELECT 1 FROM eventstore.slots(%s) s WHERE EXISTS"
						" (SELECT FROM eventstore.get_latest_events(1, s.slot_store)) LIMIT 1",
						literal(node, store->name)) == NULL)
			continue;
		pg_log_error("slot %d of store %s is on none of the nodes, although %s has events of the store",
					 missing, store->name, node->label);
		pg_log_error_hint("Name the node that has the slot by --node, or a front that knows this node by --front. If the slot is lost, restore its node.");
		exit(1);
	}
}

/*
 * Compare the places with the slots that exist.  A slot keeps its node: with --place that
 * is an error, otherwise the place is changed.
 */
static void
keep_slots(Cluster *cluster, SlicedStore *store, Server **places)
{
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		if (store->slots_of_node[i] != 0 && store->slots_of_node[i] != store->slots)
			pg_fatal("%s: store %s has %d slots, not %d", cluster->nodes[i].label, store->name,
					 store->slots_of_node[i], store->slots);
	}
	for (int slot = 0; slot < store->slots; slot++)
	{
		int			live;
		int			arriving;
		Server	   *node = node_with(cluster, store, slot, LIVE, &live);
		Server	   *copy = node_with(cluster, store, slot, ARRIVING, &arriving);

		if (live > 1 || (live == 0 && copy != NULL))
		{
			pg_log_error("slot %d of store %s %s", slot, store->name, live > 1 ? "lives on more than one node" :
						 "is between two nodes: a move was interrupted");
			pg_log_error_hint("Commands check and move mend this, with a front that was made before.");
			exit(1);
		}
		if (node == NULL)
			check_none_missing(cluster, store, slot);
		if (node == NULL || node == places[slot])
			continue;
		if (options.place != NULL)
		{
			pg_log_error("slot %d of store %s lives on %s, not on %s", slot, store->name, node->label,
						 places[slot]->label);
			pg_log_error_hint("Leave out --place, and move the slot by command move.");
			exit(1);
		}
		pg_log_info("slot %d of store %s stays on %s", slot, store->name, node->label);
		places[slot] = node;
	}
}

/*
 * Create slots of one node, from the given number on, in one transaction.  Return the
 * number after the last one.  A transaction holds several locks for each slot, so it
 * creates at most SLOTS_AT_ONCE.
 */
static int
create_some_slots(Server *node, SlicedStore *store, Server **places, int slot)
{
	PQExpBufferData numbers;
	int			n = 0;

	initPQExpBuffer(&numbers);
	for (; slot < store->slots && n < SLOTS_AT_ONCE; slot++)
	{
		if (places[slot] == node)
			appendPQExpBuffer(&numbers, "%s%d", n++ > 0 ? "," : "", slot);
	}
	if (n > 0)
		run_command(node, "SELECT eventstore.create_slots(%s, %d, '{%s}', notifications => %s)",
					literal(node, store->name), store->slots, numbers.data,
					literal(node, options.notifications ? options.notifications : "worker"));
	termPQExpBuffer(&numbers);
	return slot;
}

/* Create the missing slots of one node. */
static void
init_node(Server *node, SlicedStore *store, Server **places)
{
	int			n = 0;

	create_extension(node, "pg_eventstore");
	run_command(node, "CREATE SCHEMA IF NOT EXISTS %s", identifier(node, store->schema));
	for (int slot = 0; slot < store->slots;)
		slot = create_some_slots(node, store, places, slot);
	for (int slot = 0; slot < store->slots; slot++)
		n += places[slot] == node;
	if (!options.quiet)
		pg_log_info("%s: %d slots", node->label, n);
}

/* Let the front's sessions use the store by default, if it is the only one. */
static void
set_default_store(Server *front, SlicedStore *store)
{
	if (query_value(front, "SELECT 1 FROM eventstore.slot_map WHERE store <> %s",
					literal(front, store->name)) == NULL)
		run_command(front, "ALTER DATABASE %s SET pg_eventstore.store = %s", identifier(front, PQdb(front->conn)),
					literal(front, store->name));
}

/*
 * Create the map of one front.  PL/Proxy connects to a node as the role of the user
 * mapping, or else as the role that calls.  set_slot_map() creates a mapping for PUBLIC
 * without options, so each role calls the nodes as itself, with its privileges there.
 */
static void
init_front(Cluster *cluster, Server *front, SlicedStore *store, Server **places)
{
	PQExpBufferData names;

	initPQExpBuffer(&names);
	for (int slot = 0; slot < store->slots; slot++)
		appendPQExpBuffer(&names, "%s%s", slot > 0 ? "," : "", literal(front, places[slot]->name));
	run_command(front, "BEGIN");
	create_extension(front, "plproxy");
	create_extension(front, "pg_eventstore_front");
	for (int i = 0; i < cluster->n_nodes; i++)
		run_command(front, "SELECT eventstore.set_node(%s, %s)", literal(front, cluster->nodes[i].name),
					literal(front, cluster->nodes[i].conninfo));
	for (int i = 0; i < cluster->n_fronts; i++)
		run_command(front, "SELECT eventstore.set_front(%s)", literal(front, cluster->fronts[i].conninfo));
	run_command(front, "SELECT eventstore.set_slot_map(%s, ARRAY[%s]::text[])", literal(front, store->name), names.data);
	set_default_store(front, store);
	run_command(front, "COMMIT");
	if (!options.quiet)
		pg_log_info("%s: map of %d slots", front->label, store->slots);
	termPQExpBuffer(&names);
}

/* Say what the user still has to do. */
static void
print_rest(Cluster *cluster, SlicedStore *store)
{
	Server	   *front = &cluster->fronts[0];

	if (options.quiet)
		return;
	printf("For each role that calls the functions, here app, execute on every front:\n"
		   "  GRANT USAGE ON SCHEMA eventstore TO app;\n"
		   "  GRANT USAGE ON FOREIGN SERVER %s TO app;\n"
		   "Create the role on every node, too, with its privileges: on every node that has slots,\n"
		   "  GRANT USAGE ON SCHEMA eventstore, %s TO app;\n"
		   "  GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA %s TO app;\n"
		   "A front connects to a node as the role that calls. Let pg_hba.conf of the nodes ask for the\n"
		   "password of the role, and give it to every front:\n"
		   "  CREATE USER MAPPING FOR app SERVER %s OPTIONS (user 'app', password '...');\n",
		   identifier(front, store->name), identifier(front, store->schema), identifier(front, store->schema),
		   identifier(front, store->name));
}

/* Run command init.  Return the exit status. */
int
run_init(void)
{
	Cluster    *cluster = cluster_of_options();
	int			n_given = cluster->n_nodes;
	Server	  **places;
	SlicedStore *store;

	pg_free(places_of_options(cluster, n_given));	/* reports a wrong option
													 * early */
	open_servers(cluster);
	places = places_of_options(cluster, n_given);
	check_databases(cluster);
	check_versions(cluster);
	store = make_store(&cluster->nodes[0], options.store, options.slots);
	look_for_slots(cluster, store);
	keep_slots(cluster, store, places);
	for (int i = 0; i < cluster->n_nodes; i++)
		init_node(&cluster->nodes[i], store, places);
	for (int i = 0; i < cluster->n_fronts; i++)
		init_front(cluster, &cluster->fronts[i], store, places);
	print_rest(cluster, store);
	close_cluster(cluster);
	return 0;
}
