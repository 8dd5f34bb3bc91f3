/*
 * status.c
 *		Shows the fronts, the nodes and the slots, as tables of psql.
 */
#include "cluster.h"

#include "fe_utils/print.h"

/* Sizes and numbers of one slot of a node, by the number of the slot. */
#define SLOT_QUERY \
	"SELECT s.slot, GREATEST(s.estimated_events, 0)" \
	" + COALESCE((SELECT GREATEST(c.reltuples, 0)::bigint FROM pg_catalog.pg_class c WHERE c.oid = a.archive), 0)," \
	" pg_catalog.pg_total_relation_size(s.store) + COALESCE(pg_catalog.pg_total_relation_size(a.archive), 0)," \
	" NULLIF(b.subscriptions, 0), b.lag, b.parked" \
	" FROM eventstore.stores s LEFT JOIN eventstore.archives a ON a.store = s.store" \
	" JOIN pg_catalog.pg_class c ON c.oid = s.store JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace" \
	" CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS subscriptions, pg_catalog.max(u.lag) AS lag," \
	" pg_catalog.sum(u.parked) AS parked FROM eventstore.subscriptions u WHERE u.store = s.store) b" \
	" WHERE s.slot IS NOT NULL AND NOT s.arriving"

/* Begin a table. */
static void
begin_table(printTableContent *table, const printTableOpt *opt, const char *title, const char *const *headers,
			const char *aligns, int rows)
{
	int			columns = (int) strlen(aligns);

	printTableInit(table, opt, title, columns, rows);
	for (int i = 0; i < columns; i++)
		printTableAddHeader(table, pg_strdup(headers[i]), false, aligns[i]);
}

/* Add a text to a table; NULL is empty. */
static void
add_cell(printTableContent *table, const char *text)
{
	printTableAddCell(table, pg_strdup(text ? text : ""), false, false);
}

/* Print a table, and an empty line. */
static void
end_table(printTableContent *table)
{
	printTable(table, stdout, false, NULL);
	printTableCleanup(table);
}

/* Return a size for people. */
static char *
pretty_size(Cluster *cluster, int64 bytes)
{
	return query_value(&cluster->fronts[0], "SELECT pg_catalog.pg_size_pretty(" INT64_FORMAT "::bigint)", bytes);
}

/* Return the sum of a column. */
static int64
sum_of(const PGresult *result, int column)
{
	int64		sum = 0;

	for (int row = 0; row < PQntuples(result); row++)
		sum += strtoll(PQgetvalue(result, row, column), NULL, 10);
	return sum;
}

/* Print the table of fronts.  Return whether all can be used. */
static bool
print_fronts(Cluster *cluster, const printTableOpt *opt)
{
	static const char *const headers[] = {"front", "state", "version"};
	printTableContent table;
	bool		all = true;

	begin_table(&table, opt, "Fronts", headers, "lll", cluster->n_fronts);
	for (int i = 0; i < cluster->n_fronts; i++)
	{
		Server	   *front = &cluster->fronts[i];

		add_cell(&table, without_password(front->conninfo));
		add_cell(&table, front->conn ? "ok" : front->problem);
		add_cell(&table, front->version);
		all = all && front->conn != NULL;
	}
	end_table(&table);
	return all;
}

/* Print the table of nodes.  Return whether all can be used. */
static bool
print_nodes(Cluster *cluster, const printTableOpt *opt)
{
	static const char *const headers[] = {"node", "connection", "state", "version", "slots", "events", "size"};
	printTableContent table;
	bool		all = true;

	begin_table(&table, opt, "Nodes", headers, "llllrrr", cluster->n_nodes);
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		Server	   *node = &cluster->nodes[i];
		PGresult   *slots = node->conn && node->version ? run_query(node, SLOT_QUERY) : NULL;

		add_cell(&table, node->name);
		add_cell(&table, without_password(node->conninfo));
		add_cell(&table, node->conn ? "ok" : node->problem);
		add_cell(&table, node->version);
		add_cell(&table, slots ? psprintf("%d", PQntuples(slots)) : NULL);
		add_cell(&table, slots ? psprintf(INT64_FORMAT, sum_of(slots, 1)) : NULL);
		add_cell(&table, slots ? pretty_size(cluster, sum_of(slots, 2)) : NULL);
		PQclear(slots);
		all = all && node->conn != NULL;
	}
	end_table(&table);
	return all;
}

/* Return the names of the nodes that have a slot. */
static char *
places_of(Cluster *cluster, const SlicedStore *store, int slot)
{
	PQExpBufferData text;

	initPQExpBuffer(&text);
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		Presence	presence = presence_of(store, i, slot);

		if (presence == LIVE || presence == ARRIVING)
			appendPQExpBuffer(&text, "%s%s%s", text.len > 0 ? ", " : "", cluster->nodes[i].name,
							  presence == ARRIVING ? " (arriving)" : "");
	}
	return text.data;
}

/* Add the cells with the sizes and numbers of a slot, from the query of its node. */
static void
add_sizes(printTableContent *table, Cluster *cluster, const PGresult *slots, int slot)
{
	for (int row = 0; slots != NULL && row < PQntuples(slots); row++)
	{
		if (strtol(PQgetvalue(slots, row, 0), NULL, 10) != slot)
			continue;
		add_cell(table, PQgetvalue(slots, row, 1));
		add_cell(table, pretty_size(cluster, strtoll(PQgetvalue(slots, row, 2), NULL, 10)));
		for (int column = 3; column < 6; column++)
			add_cell(table, PQgetvalue(slots, row, column));
		return;
	}
	for (int column = 1; column < 6; column++)
		add_cell(table, NULL);
}

/* Print the table of the slots of a store. */
static void
print_slots(Cluster *cluster, SlicedStore *store, const printTableOpt *opt)
{
	static const char *const headers[] = {"slot", "map", "lives on", "events", "size", "subscriptions", "lag", "parked"};
	PGresult  **slots = pg_malloc0(sizeof(PGresult *) * Max(cluster->n_nodes, 1));
	printTableContent table;

	look_for_slots(cluster, store);
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		Server	   *node = &cluster->nodes[i];

		if (node->conn != NULL && node->version != NULL)
			slots[i] = run_query(node, psprintf(SLOT_QUERY " AND n.nspname = %s AND c.relname ~ ('^' || %s || '_[0-9]+$')",
												literal(node, store->schema), literal(node, store->table)));
	}
	begin_table(&table, opt, psprintf("Slots of store %s", store->name), headers, "rllrrrrr", store->slots);
	for (int slot = 0; slot < store->slots; slot++)
	{
		int			n;
		Server	   *node = node_with(cluster, store, slot, LIVE, &n);

		add_cell(&table, psprintf("%d", slot));
		add_cell(&table, map_of(store, 0, slot));
		add_cell(&table, places_of(cluster, store, slot));
		add_sizes(&table, cluster, node ? slots[node - cluster->nodes] : NULL, slot);
	}
	end_table(&table);
	for (int i = 0; i < cluster->n_nodes; i++)
		PQclear(slots[i]);
	pg_free(slots);
}

/* Run command status.  Return the exit status: 1 if a server cannot be reached. */
int
run_status(void)
{
	Cluster    *cluster = open_cluster(options.front);
	printTableOpt opt = {.format = PRINT_ALIGNED,.border = 1,.start_table = true,.stop_table = true,
	.default_footer = false,.encoding = pg_char_to_encoding("UTF8")};
	int			n;
	SlicedStore **stores = read_stores(cluster, &n);
	bool		all = print_fronts(cluster, &opt);

	all = print_nodes(cluster, &opt) && all;
	for (int i = 0; i < n; i++)
		print_slots(cluster, stores[i], &opt);
	close_cluster(cluster);
	return all ? 0 : 1;
}
