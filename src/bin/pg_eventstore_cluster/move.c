/*
 * move.c
 *		Moves a slot to another node.
 *
 * A slot lives on one node.  The protocol keeps that true at every moment, whatever
 * crashes.  A copy that arrives has a mark, and every function refuses to use it.
 *
 *	M1	Claim the slot by an advisory lock on all nodes that can be reached, so that
 *		two moves of a slot do not overlap.  Look where the slot is.
 *	M2	Source: begin a transaction, which stays open until M8.  lock_slot(): archiving,
 *		erasing and restores of this slot wait until the end.  Appends and reads go on.
 *	M3	Target: begin a transaction.  Create the tables by pg_dump, without indexes and
 *		triggers.  Copy the archive and all events up to the high-water mark.  No event
 *		can appear at or below that mark any more.  Create the indexes, and copy what
 *		was appended meanwhile, until little is left.
 *	M4	Source: lock the subscriptions and the tables (fence.c).  Appends wait from here.
 *	M5	Target: copy the last events, create the triggers, set the sequence, and copy
 *		the rows about the slot (companions.c).  Compare both sides.
 *	M6	Source: drop the slot, in the open transaction.  All that can fail has been done
 *		before the target commits.  Target: mark the copy as arriving.
 *	M7	Target: COMMIT.
 *	M8	Source: COMMIT.  Appends that waited get 42P01, and call again by the new map.
 *	M9	Target: remove the mark.  From here the slot lives on the target.
 *	M10	Write the maps of all fronts.  ANALYZE.
 *
 * A crash of this program, of the source or of the target:
 *
 *	before M7	Both transactions are rolled back.  The slot lives on the source, and
 *				the target has nothing.
 *	M7 to M8	The source rolls back.  The slot lives on the source.  The target has a
 *				copy that nobody can use, and that lacks later events.  The next move
 *				drops this copy.  Under the lock of lock_slot() it knows that no move is
 *				between M7 and M8.
 *	M8 to M9	The only copy is the one that arrives, and it is complete: the source
 *				committed under the lock.  Appends fail until the next move removes the
 *				mark.  It does so only if all nodes can be reached and none of them has
 *				the slot.
 *	after M9	The slot lives on the target.  A front with the old map calls the source,
 *				and gets 42P01.  The next move to the same node writes the maps.
 *
 * If the answer of a COMMIT is lost, the program connects again and looks (commit.c).  The
 * order of M7 and M8 cannot be the opposite one: a crash between them would lose the slot.
 *
 * The slot is dropped under the lock.  If it was renamed instead, sessions that wait for
 * the lock would go on with the table that they have opened: they would append to the
 * retired table, and their events would be acknowledged and lost.
 */
#include "cluster.h"

#include "common/logging.h"

#define CLAIM_SECONDS 5			/* a killed program's session may last */

/* Return the key of the advisory lock of a slot. */
static char *
claim_key(Server *server, const SlicedStore *store, int slot)
{
	return psprintf("pg_catalog.hashtextextended(%s, 0)",
					literal(server, psprintf("pg_eventstore_cluster move %s %d", store->name, slot)));
}

/* M1: claim the slot on all nodes.  The locks last as long as the connections. */
static void
claim_slot(Cluster *cluster, const SlicedStore *store)
{
	for (int i = 0; i < cluster->n_nodes; i++)
	{
		Server	   *node = &cluster->nodes[i];

		for (int n = 0; node->conn != NULL; n++)
		{
			const char *got = query_value(node, "SELECT pg_catalog.pg_try_advisory_lock(%s)",
										  claim_key(node, store, options.slot));

			if (*got == 't')
				break;
			if (n == CLAIM_SECONDS)
			{
				pg_log_error("slot %d of store %s is being moved by another program", options.slot, store->name);
				pg_log_error_detail("A session on %s has the lock.", node->label);
				exit(1);
			}
			pg_usleep(1000000L);
		}
	}
}

/* Raise an error unless a node can be part of a move. */
static void
require_node(Server *node)
{
	if (node->conn == NULL)
		pg_fatal("%s: %s", node->label, node->problem);
	if (node->version == NULL)
		pg_fatal("%s: extension pg_eventstore is not created", node->label);
	if (!require_superuser(node))
		exit(1);
}

/* Return whether a node has the slot, alive or arriving. */
static bool
has_slot(Move *move, Server *node, bool arriving)
{
	return query_value(node, "SELECT 1 FROM eventstore.stores WHERE store = pg_catalog.to_regclass(%s)"
					   " AND arriving = %s", move->literal, arriving ? "true" : "false") != NULL;
}

/* End the program: the move has failed, and this is known about the slot. */
static void
__attribute__((noreturn))
give_up(Move *move, const char *detail)
{
	if (move->source->conn != NULL)
		PQclear(PQexec(move->source->conn, "ROLLBACK"));
	pg_log_error("slot %d of store %s was not moved", move->slot, move->store->name);
	pg_log_error_detail("%s", detail);
	pg_log_error_hint("Run the command again when both nodes can be reached.");
	exit(1);
}

/* M6 and M7: drop the slot on the source, but commit only the copy on the target. */
static void
commit_target(Move *move)
{
	char	   *xid;

	run_command(move->source, "SELECT eventstore.drop_store(%s, force => true)", move->literal);
	run_command(move->target, "SELECT eventstore.set_slot_arriving(%s, true)", move->literal);
	xid = transaction_id(move->target);
	test_point("dropped");
	hold_signals();
	switch (commit(move->target, xid))
	{
		case ANSWER_YES:
			if (commit_warned)
				give_up(move, psprintf("It lives on %s. There is a copy on %s, which nobody can use.",
									   move->source->label, move->target->label));
			break;
		case ANSWER_NO:
			give_up(move, psprintf("It lives on %s.", move->source->label));
		case ANSWER_LOOK:
			if (!has_slot(move, move->target, true))
				give_up(move, psprintf("It lives on %s.", move->source->label));
			break;
		case ANSWER_LOST:
			give_up(move, psprintf("It lives on %s. There may be a copy on %s, which nobody can use.",
								   move->source->label, move->target->label));
	}
	test_point("arrived");
}

/* M8: commit the drop on the source. */
static void
commit_source(Move *move, const char *xid)
{
	Answer		answer = commit(move->source, xid);

	if (answer == ANSWER_LOOK && !has_slot(move, move->source, false))
		answer = ANSWER_YES;
	if (answer == ANSWER_LOST)
		give_up(move, psprintf("%s cannot be reached. Either the slot lives there, or the copy on %s is the slot.",
							   move->source->label, move->target->label));
	if (answer != ANSWER_YES)
		give_up(move, psprintf("It lives on %s. There is a copy on %s, which nobody can use.",
							   move->source->label, move->target->label));
	move->blocked = Max(move->blocked, seconds_now() - move->fenced);
	test_point("left");
}

/* M9: remove the mark of the copy, so that the slot lives on the target. */
static void
activate(Move *move)
{
	const char *sql = psprintf("SELECT eventstore.set_slot_arriving(%s, false)", move->literal);
	PGresult   *result = PQexec(move->target->conn, sql);

	if (PQresultStatus(result) != PGRES_TUPLES_OK && connection_lost(move->target, result) &&
		reconnect(move->target))
	{
		PQclear(result);
		result = PQexec(move->target->conn, sql);
	}
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		if (move->target->conn != NULL)
			pg_log_error("%s: %s", move->target->label, result_message(move->target, result));
		pg_log_error("slot %d of store %s is on %s, but cannot be used yet", move->slot, move->store->name,
					 move->target->label);
		pg_log_error_hint("Run the command again when all nodes can be reached.");
		exit(1);
	}
	PQclear(result);
	test_point("activated");
}

/* M10: write the maps, and let the planner know the tables.  Return whether all maps are right. */
static bool
finish(Move *move)
{
	bool		all = write_maps(move->cluster, move->store, move->slot, move->target);

	if (move->archive == NULL)
		move->archive = query_value(move->target, "SELECT archive FROM eventstore.archives"
									" WHERE store = %s::pg_catalog.regclass", move->literal);
	run_command(move->target, "ANALYZE %s%s%s", move->table, move->archive ? ", " : "",
				move->archive ? move->archive : "");
	return all;
}

/*
 * Drop the copies of interrupted moves.  The caller holds the lock of lock_slot() on the
 * node where the slot lives.  The mark is removed in the transaction that drops the copy,
 * so no other session sees it without.
 */
static void
drop_copies(Move *move)
{
	for (int i = 0; i < move->cluster->n_nodes; i++)
	{
		Server	   *node = &move->cluster->nodes[i];

		if (presence_of(move->store, i, move->slot) != ARRIVING)
			continue;
		run_command(node, "BEGIN");
		run_command(node, "LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", move->table);
		run_command(node, "SELECT eventstore.set_slot_arriving(%s, false)", move->literal);
		run_command(node, "SELECT eventstore.drop_store(%s, force => true)", move->literal);
		run_command(node, "COMMIT");
		pg_log_info("%s: dropped the copy of an interrupted move", node->label);
	}
}

/* Move a slot that lives on the source.  Return whether all maps are right. */
static bool
move_all(Move *move)
{
	double		start = seconds_now();
	char	   *xid;
	bool		all;

	begin_source(move);
	drop_copies(move);
	create_tables(move);
	copy_most(move);
	raise_fence(move);
	test_point("fenced");
	copy_rest(move);
	xid = transaction_id(move->source);
	commit_target(move);
	commit_source(move, xid);
	activate(move);
	all = finish(move);
	if (!options.quiet)
		pg_log_info("slot %d of store %s moved from %s to %s: %lld events in %.1f s, appends waited at most %.0f ms",
					move->slot, move->store->name, move->source->label, move->target->label,
					(long long) move->events, seconds_now() - start, move->blocked * 1000);
	return all;
}

/* The slot lives on the target already: drop copies elsewhere, and write the maps. */
static bool
settle(Move *move)
{
	bool		all;

	run_command(move->target, "BEGIN");
	run_command(move->target, "SELECT eventstore.lock_slot(%s)", move->literal);
	drop_copies(move);
	run_command(move->target, "COMMIT");
	all = write_maps(move->cluster, move->store, move->slot, move->target);
	if (all && !options.quiet)
		pg_log_info("slot %d of store %s lives on %s", move->slot, move->store->name, move->target->label);
	return all;
}

/* The slot is nowhere, but a complete copy is on the target: finish the move. */
static bool
finish_interrupted(Move *move)
{
	bool		all;

	activate(move);
	all = finish(move);
	if (!options.quiet)
		pg_log_info("finished an interrupted move: slot %d of store %s lives on %s", move->slot,
					move->store->name, move->target->label);
	return all;
}

/*
 * End the program if the slot lives on no node that can be reached, unless a complete
 * copy is on the target: then the move can be finished, if no other node can have it.
 */
static void
check_copy(Move *move)
{
	int			n;
	Server	   *node = node_with(move->cluster, move->store, move->slot, UNKNOWN, &n);

	if (node != NULL)
	{
		pg_log_error("slot %d of store %s may be on %s, which cannot be reached", move->slot, move->store->name,
					 node->label);
		pg_log_error_detail("%s: %s", node->label, node->problem);
		exit(1);
	}
	node = node_with(move->cluster, move->store, move->slot, ARRIVING, &n);
	if (node == NULL)
		pg_fatal("no node has slot %d of store %s", move->slot, move->store->name);
	if (node != move->target || n > 1)
	{
		pg_log_error("a move of slot %d of store %s to %s was interrupted", move->slot, move->store->name,
					 node->label);
		pg_log_error_hint("First finish that move: pg_eventstore_cluster move \"%s\" %d %s --store=%s",
						  without_password(options.front), move->slot, node->name, move->store->name);
		exit(1);
	}
}

/*
 * End the program if a node cannot be reached that has the slot by a map, although the
 * slot also lives on another node: only after a look at both is it known which is right.
 */
static void
check_maps(Move *move)
{
	for (int i = 0; i < move->cluster->n_fronts; i++)
	{
		const char *name = map_of(move->store, i, move->slot);
		Server	   *node = name ? node_named(move->cluster, name) : NULL;

		if (node != NULL && node->conn == NULL && node != move->source)
			pg_fatal("slot %d of store %s lives on %s, but by the map of %s on %s, which cannot be reached: %s",
					 move->slot, move->store->name, move->source->label, move->cluster->fronts[i].label,
					 node->label, node->problem);
	}
	for (int i = 0; i < move->cluster->n_nodes; i++)
	{
		if (move->cluster->nodes[i].conn == NULL)
			pg_log_warning("%s: %s", move->cluster->nodes[i].label, move->cluster->nodes[i].problem);
	}
}

/* Find the source.  End the program if the slot cannot be moved from there to the target. */
static void
find_source(Move *move)
{
	int			n;

	look_for_slots(move->cluster, move->store);
	move->source = node_with(move->cluster, move->store, move->slot, LIVE, &n);
	if (n > 1)
	{
		pg_log_error("slot %d of store %s lives on more than one node", move->slot, move->store->name);
		pg_log_error_hint("Run: pg_eventstore_cluster check \"%s\"", without_password(options.front));
		exit(1);
	}
	if (move->source == NULL)
	{
		check_copy(move);
		return;
	}
	check_maps(move);
	require_node(move->source);
	if (strcmp(move->source->version, move->target->version) != 0)
	{
		pg_log_error("the versions of extension pg_eventstore differ: %s on %s, %s on %s", move->source->version,
					 move->source->label, move->target->version, move->target->label);
		pg_log_error_hint("Run ALTER EXTENSION pg_eventstore UPDATE on the node with the older one.");
		exit(1);
	}
}

/* Say what a move would do. */
static void
describe_move(Move *move)
{
	const char *slot = psprintf("slot %d of store %s", move->slot, move->store->name);

	if (move->source == NULL)
		pg_log_info("would finish an interrupted move: %s would live on %s", slot, move->target->label);
	else if (move->source == move->target)
		pg_log_info("%s lives on %s already; would write the maps", slot, move->target->label);
	else
	{
		check_projections(move);
		check_names(move);
		read_archive(move);
		check_trust(move, move->source);
		pg_log_info("would move %s from %s to %s: about %s events, %s subscriptions", slot, move->source->label,
					move->target->label,
					query_value(move->source, "SELECT pg_catalog.sum(GREATEST(reltuples, 0))::bigint FROM pg_catalog.pg_class"
								" WHERE oid = %s::pg_catalog.regclass OR oid IN (SELECT archive FROM eventstore.archives"
								" WHERE store = %s::pg_catalog.regclass)", move->literal, move->literal),
					query_value(move->source, "SELECT pg_catalog.count(*) FROM eventstore.subscription_definitions"
								" WHERE store = %s::pg_catalog.regclass", move->literal));
	}
}

/* Run command move.  Return the exit status. */
int
run_move(void)
{
	Move		move = {0};

	move.cluster = open_cluster(options.front);
	move.store = read_store(move.cluster);
	move.slot = options.slot;
	if (move.slot >= move.store->slots)
		pg_fatal("store %s has no slot %d: it has %d slots, from 0", move.store->name, move.slot, move.store->slots);
	move.target = node_named(move.cluster, options.target);
	if (move.target == NULL)
	{
		pg_log_error("%s has no node \"%s\"", move.cluster->fronts[0].label, options.target);
		pg_log_error_hint("Command status shows the nodes.");
		exit(1);
	}
	require_node(move.target);
	move.table = slot_name(move.target, move.store, move.slot);
	move.literal = literal(move.target, move.table);
	claim_slot(move.cluster, move.store);
	find_source(&move);
	if (options.dry_run)
	{
		describe_move(&move);
		return 0;
	}
	if (move.source == NULL)
		return finish_interrupted(&move) ? 0 : 1;
	if (move.source == move.target)
		return settle(&move) ? 0 : 1;
	return move_all(&move) ? 0 : 1;
}
