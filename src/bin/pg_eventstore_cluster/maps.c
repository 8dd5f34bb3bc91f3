/*
 * maps.c
 *		Writes the node of a slot into the maps of the fronts.
 */
#include "cluster.h"

#include "common/logging.h"

/* Write the map of one front.  Return whether the map is right now. */
static bool
write_map(Cluster *cluster, const SlicedStore *store, int slot, const Server *node, int front_number)
{
	Server	   *front = &cluster->fronts[front_number];
	const char *before = map_of(store, front_number, slot);
	const char *sql;
	PGresult   *result;
	bool		done;

	if (before != NULL && strcmp(before, node->name) == 0)
		return true;
	if (front->conn == NULL)
	{
		pg_log_warning("%s: %s", front->label, front->problem);
		return false;
	}
	sql = psprintf("SELECT eventstore.set_slot_node(%s, %d, %s)", literal(front, store->name), slot,
				   literal(front, node->name));
	result = try_query(front, sql);
	done = PQresultStatus(result) == PGRES_TUPLES_OK;
	if (!done)
		pg_log_warning("%s: %s", front->label, result_message(front, result));
	PQclear(result);
	return done;
}

/*
 * Write the maps of all fronts.  Return whether all of them are right now; warn of the
 * others.
 */
bool
write_maps(Cluster *cluster, const SlicedStore *store, int slot, const Server *node)
{
	bool		all = true;

	for (int i = 0; i < cluster->n_fronts; i++)
	{
		if (!write_map(cluster, store, slot, node, i))
			all = false;
		test_point("mapped");
	}
	if (all)
		return true;
	pg_log_warning("the map of a front does not have the node of slot %d of store %s yet", slot, store->name);
	pg_log_warning_hint("When the front can be reached, run: pg_eventstore_cluster move \"%s\" %d %s --store=%s",
						without_password(cluster->fronts[0].conninfo), slot, node->name, store->name);
	return false;
}
