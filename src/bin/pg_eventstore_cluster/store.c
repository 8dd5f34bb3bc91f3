/*
 * store.c
 *		The sliced stores of a cluster, and the nodes of their slots.
 *
 * The slots that exist are the truth.  The maps of the fronts only say where calls go.
 */
#include "cluster.h"

#include "common/logging.h"

/*
 * Return a sliced store.  A name without a schema is rejected: it would depend on the
 * search path of each server.
 */
SlicedStore *
make_store(Server *server, const char *name, int slots)
{
	SlicedStore *store = pg_malloc0(sizeof(SlicedStore));
	PGresult   *result = try_query(server,
								   psprintf("SELECT n[1], n[2], pg_catalog.cardinality(n)"
											" FROM pg_catalog.parse_ident(%s) n", literal(server, name)));

	if (PQresultStatus(result) != PGRES_TUPLES_OK || strcmp(PQgetvalue(result, 0, 2), "2") != 0)
	{
		pg_log_error("\"%s\" is not the name of a sliced store", name);
		pg_log_error_hint("The name has a schema, such as shop.orders, and quotes as in SQL.");
		exit(1);
	}
	store->name = pg_strdup(name);
	store->schema = pg_strdup(PQgetvalue(result, 0, 0));
	store->table = pg_strdup(PQgetvalue(result, 0, 1));
	store->slots = slots;
	PQclear(result);
	return store;
}

/* Read the maps of a store from all fronts that can be reached. */
static void
read_maps(Cluster *cluster, SlicedStore *store)
{
	store->slots_of_front = pg_malloc0(sizeof(int) * cluster->n_fronts);
	store->map = pg_malloc0(sizeof(char *) * cluster->n_fronts * store->slots);
	for (int i = 0; i < cluster->n_fronts; i++)
	{
		Server	   *front = &cluster->fronts[i];
		PGresult   *result;

		if (front->conn == NULL || front->version == NULL)
			continue;
		result = run_query(front, psprintf("SELECT slot, slots, node FROM eventstore.slot_map"
										   " WHERE store = %s", literal(front, store->name)));
		for (int row = 0; row < PQntuples(result); row++)
		{
			int			slot = (int) strtol(PQgetvalue(result, row, 0), NULL, 10);

			store->slots_of_front[i] = (int) strtol(PQgetvalue(result, row, 1), NULL, 10);
			if (slot < store->slots && !PQgetisnull(result, row, 2))
				store->map[i * store->slots + slot] = pg_strdup(PQgetvalue(result, row, 2));
		}
		PQclear(result);
	}
}

/* Return the stores in the map of any front; with option --store, only this one. */
SlicedStore **
read_stores(Cluster *cluster, int *n)
{
	SlicedStore **stores = pg_malloc0(sizeof(SlicedStore *));

	*n = 0;
	for (int i = 0; i < cluster->n_fronts; i++)
	{
		Server	   *front = &cluster->fronts[i];
		PGresult   *result;

		if (front->conn == NULL || front->version == NULL)
			continue;
		result = run_query(front, "SELECT DISTINCT store, slots FROM eventstore.slot_map ORDER BY 1");
		for (int row = 0; row < PQntuples(result); row++)
		{
			const char *name = PQgetvalue(result, row, 0);
			int			known = 0;

			while (known < *n && strcmp(stores[known]->name, name) != 0)
				known++;
			if (known < *n || (options.store != NULL && strcmp(options.store, name) != 0))
				continue;
			stores = pg_realloc(stores, sizeof(SlicedStore *) * (*n + 1));
			stores[(*n)++] = make_store(front, name, (int) strtol(PQgetvalue(result, row, 1), NULL, 10));
		}
		PQclear(result);
	}
	if (*n == 0 && options.store != NULL)
		pg_fatal("no front has a map of store \"%s\"", options.store);
	for (int i = 0; i < *n; i++)
		read_maps(cluster, stores[i]);
	return stores;
}

/* Return the store of option --store, or the only one. */
SlicedStore *
read_store(Cluster *cluster)
{
	int			n;
	SlicedStore **stores = read_stores(cluster, &n);

	if (n == 0)
		pg_fatal("%s: there is no map of a store", cluster->fronts[0].label);
	if (n > 1)
	{
		pg_log_error("%s has maps of %d stores", cluster->fronts[0].label, n);
		pg_log_error_hint("Name one of them by option --store, such as --store=%s.", stores[0]->name);
		exit(2);
	}
	return stores[0];
}

/*
 * Look which slots of a store a node has.  View eventstore.stores would wait for the lock
 * of a move, so read the arguments of the triggers: the last one is such as '7/16', or
 * '7/16/arriving'.
 */
static void
look_on_node(Server *node, SlicedStore *store, int *slots, Presence *presence)
{
	PGresult   *result;

	if (node->version == NULL)
		return;
	result = run_query(node, psprintf("SELECT s.a[1], s.a[2], s.a[3] FROM pg_catalog.pg_trigger t"
									  " JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid"
									  " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
									  " CROSS JOIN LATERAL (SELECT pg_catalog.regexp_match(pg_catalog.pg_get_triggerdef(t.oid),"
									  " '''(\\d+)/(\\d+)(/arriving)?''\\)$')) s (a)"
									  " WHERE t.tgfoid = 'eventstore.after_append()'::pg_catalog.regprocedure"
									  " AND n.nspname = %s AND c.relname = %s || '_' || pg_catalog.lpad(s.a[1],"
									  " GREATEST(3, pg_catalog.length(s.a[1])), '0')",
									  literal(node, store->schema), literal(node, store->table)));
	for (int row = 0; row < PQntuples(result); row++)
	{
		int			slot = (int) strtol(PQgetvalue(result, row, 0), NULL, 10);

		*slots = (int) strtol(PQgetvalue(result, row, 1), NULL, 10);
		if (slot < store->slots)
			presence[slot] = PQgetisnull(result, row, 2) ? LIVE : ARRIVING;
	}
	PQclear(result);
}

/* Look which nodes have the slots of a store. */
void
look_for_slots(Cluster *cluster, SlicedStore *store)
{
	size_t		n = (size_t) Max(cluster->n_nodes, 1);

	pg_free(store->presence);
	pg_free(store->slots_of_node);
	store->presence = pg_malloc0(sizeof(Presence) * n * store->slots);
	store->slots_of_node = pg_malloc0(sizeof(int) * n);
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		Presence   *presence = store->presence + (size_t) i * store->slots;

		if (cluster->nodes[i].conn != NULL)
			look_on_node(&cluster->nodes[i], store, &store->slots_of_node[i], presence);
		else
		{
			for (int slot = 0; slot < store->slots; slot++)
				presence[slot] = UNKNOWN;
		}
	}
}

/* Return what a node has of a slot, by the last look. */
Presence
presence_of(const SlicedStore *store, int node, int slot)
{
	return store->presence[(size_t) node * store->slots + slot];
}

/* Return the name of the node of a slot in the map of a front; NULL if it is not known. */
const char *
map_of(const SlicedStore *store, int front, int slot)
{
	return store->map[(size_t) front * store->slots + slot];
}

/* Return the first node with this presence of a slot, or NULL; set *n to how many there are. */
Server *
node_with(Cluster *cluster, const SlicedStore *store, int slot, Presence presence, int *n)
{
	Server	   *found = NULL;

	*n = 0;
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		if (presence_of(store, i, slot) != presence)
			continue;
		if (found == NULL)
			found = &cluster->nodes[i];
		(*n)++;
	}
	return found;
}

/* Return the name of the table of a slot, without its schema and quotes. */
char *
slot_table(const SlicedStore *store, int slot)
{
	return psprintf("%s_%03d", store->table, slot);
}

/* Return the quoted name of the table of a slot. */
char *
slot_name(Server *server, const SlicedStore *store, int slot)
{
	return psprintf("%s.%s", identifier(server, store->schema), identifier(server, slot_table(store, slot)));
}
