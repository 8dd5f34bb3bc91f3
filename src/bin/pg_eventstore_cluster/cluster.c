/*
 * cluster.c
 *		The nodes and fronts of a cluster, as a front has them.
 */
#include "cluster.h"

#include "common/logging.h"

/* Return a text that names a server in messages. */
static const char *
label_of(const char *name, const char *conninfo)
{
	if (name != NULL)
		return psprintf("node \"%s\"", name);
	return psprintf("front \"%s\"", without_password(conninfo));
}

/* Set the names of a server. */
void
name_server(Server *server, const char *name, const char *conninfo)
{
	memset(server, 0, sizeof(*server));
	server->name = name;
	server->conninfo = conninfo;
	server->label = label_of(name, conninfo);
}

/* Read the table of the nodes from the first front, and connect to them. */
static void
open_nodes(Cluster *cluster)
{
	PGresult   *result = run_query(&cluster->fronts[0],
								   "SELECT node, conninfo FROM eventstore.nodes ORDER BY node COLLATE \"C\"");

	cluster->n_nodes = PQntuples(result);
	cluster->nodes = pg_malloc0(sizeof(Server) * Max(cluster->n_nodes, 1));
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		name_server(&cluster->nodes[i], pg_strdup(PQgetvalue(result, i, 0)),
					pg_strdup(PQgetvalue(result, i, 1)));
		(void) connect_server(&cluster->nodes[i]);
	}
	PQclear(result);
}

/*
 * Read the table of the fronts from the first front, and connect to the others.  The
 * table may have the first one by another connection string.
 */
static void
open_other_fronts(Cluster *cluster)
{
	const Server *first;
	PGresult   *result = run_query(&cluster->fronts[0],
								   "SELECT conninfo FROM eventstore.fronts ORDER BY conninfo COLLATE \"C\"");
	int			n = PQntuples(result);

	cluster->fronts = pg_realloc(cluster->fronts, sizeof(Server) * (n + 1));
	first = &cluster->fronts[0];
	for (int i = 0; i < n; i++)
	{
		Server	   *front = &cluster->fronts[cluster->n_fronts];

		name_server(front, NULL, pg_strdup(PQgetvalue(result, i, 0)));
		if (connect_server(front) && strcmp(front->identity, first->identity) == 0)
		{
			disconnect_server(front);
			cluster->front_is_listed = true;
		}
		else
			cluster->n_fronts++;
	}
	PQclear(result);
}

/* Return the cluster of a front.  Nodes and other fronts may be unreachable. */
Cluster *
open_cluster(const char *conninfo)
{
	Cluster    *cluster = pg_malloc0(sizeof(Cluster));
	Server	   *front = pg_malloc0(sizeof(Server));

	cluster->fronts = front;
	cluster->n_fronts = 1;
	name_server(front, NULL, conninfo);
	if (!connect_server(front))
		pg_fatal("%s: %s", front->label, front->problem);
	/* the default for the other servers */
	if (options.username == NULL)
		options.username = PQuser(front->conn);
	if (query_value(front, "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'pg_eventstore_front'") == NULL)
	{
		pg_log_error("%s: the database is not a front", front->label);
		pg_log_error_hint("Command init makes fronts. A front is a database of its own, not one of a node.");
		exit(1);
	}
	open_nodes(cluster);
	open_other_fronts(cluster);
	return cluster;
}

/* Return the node with a name; NULL if there is none. */
Server *
node_named(Cluster *cluster, const char *name)
{
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		if (strcmp(cluster->nodes[i].name, name) == 0)
			return &cluster->nodes[i];
	}
	return NULL;
}

/* Close all connections. */
void
close_cluster(Cluster *cluster)
{
	for (int i = 0; i < cluster->n_nodes; i++)
		disconnect_server(&cluster->nodes[i]);
	for (int i = 0; i < cluster->n_fronts; i++)
		disconnect_server(&cluster->fronts[i]);
}
