/*
 * placement.c
 *		Where the slots of a store shall be, for init: the nodes of the command line, and
 *		option --place.
 */
#include "cluster.h"

#include "common/logging.h"

/* Return the cluster of the command line, not connected. */
Cluster *
cluster_of_options(void)
{
	Cluster    *cluster = pg_malloc0(sizeof(Cluster));

	for (const SimpleStringListCell *cell = options.nodes.head; cell; cell = cell->next)
	{
		const char *equals = strchr(cell->val, '=');
		const char *name = pnstrdup(cell->val, equals - cell->val);

		if (node_named(cluster, name) != NULL)
			usage_error("option --node is given twice for node \"%s\"", name);
		cluster->nodes = pg_realloc(cluster->nodes, sizeof(Server) * (cluster->n_nodes + 1));
		name_server(&cluster->nodes[cluster->n_nodes++], name, equals + 1);
	}
	for (const SimpleStringListCell *cell = options.fronts.head; cell; cell = cell->next)
	{
		cluster->fronts = pg_realloc(cluster->fronts, sizeof(Server) * (cluster->n_fronts + 1));
		name_server(&cluster->fronts[cluster->n_fronts++], NULL, cell->val);
	}
	return cluster;
}

/* Return the number of a slot in option --place, and move *at behind it. */
static int
place_number(const char **at)
{
	char	   *end;
	long		number;

	if (!isdigit((unsigned char) **at))
		usage_error("option --place must be such as 0-7=a,8-15=b, not \"%s\"", options.place);
	number = strtol(*at, &end, 10);
	if (number >= options.slots)
		usage_error("option --place: there is no slot %ld, as --slots is %d", number, options.slots);
	*at = end;
	return (int) number;
}

/* Read one part of option --place, such as 0-7=a, and return what follows it. */
static const char *
read_part(Cluster *cluster, const char *at, Server **places)
{
	int			first = place_number(&at);
	int			last = first;
	size_t		length;
	char	   *name;
	Server	   *node;

	if (*at == '-')
	{
		at++;
		last = place_number(&at);
	}
	if (*at != '=' || last < first)
		usage_error("option --place must be such as 0-7=a,8-15=b, not \"%s\"", options.place);
	at++;
	length = strcspn(at, ",");
	name = pnstrdup(at, length);
	node = node_named(cluster, name);
	if (node == NULL)
		usage_error("option --place: there is no node \"%s\" among the options --node", name);
	for (int slot = first; slot <= last; slot++)
	{
		if (places[slot] != NULL)
			usage_error("option --place names slot %d twice", slot);
		places[slot] = node;
	}
	return at[length] == ',' ? at + length + 1 : at + length;
}

/* Return the node of each slot, by option --place or in equal parts of the first nodes. */
Server	  **
places_of_options(Cluster *cluster, int n_nodes)
{
	Server	  **places = pg_malloc0(sizeof(Server *) * options.slots);
	const char *at = options.place;

	if (at == NULL)
	{
		for (int slot = 0; slot < options.slots; slot++)
			places[slot] = &cluster->nodes[(int64) slot * n_nodes / options.slots];
		return places;
	}
	do
	{
		at = read_part(cluster, at, places);
	} while (*at != '\0');
	for (int slot = 0; slot < options.slots; slot++)
	{
		if (places[slot] == NULL)
			usage_error("option --place does not name slot %d", slot);
	}
	return places;
}
