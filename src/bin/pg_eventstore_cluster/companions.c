/*
 * companions.c
 *		The rows about a slot in the tables of the extension: its subscriptions with
 *		their progress, holds, erasures, and watermark.
 *
 * A slot that has projections is not moved.  A projection needs its handler and its tables,
 * which belong to the user, and whose rows a move does not know.  If the target lacked one
 * of the rows, the projection would be wrong without notice.
 *
 * A column of type regstore or regclass is copied as the name of the slot, which is the
 * same on both nodes.  The rows are inserted by an ordinary session: the triggers that
 * decide what logical replication may bring let them pass.
 */
#include "cluster.h"

#include "common/logging.h"

/* A table, and which of its rows are about the store %s. */
typedef struct Companion
{
	const char *table;
	const char *condition;
} Companion;

#define OF_STORE "store = %s::pg_catalog.regclass"
#define OF_SUBSCRIPTIONS \
	"subscription IN (SELECT subscription FROM eventstore.subscription_definitions WHERE " OF_STORE ")"

static const Companion companions[] = {
	{"subscription_definitions", OF_STORE},
	{"subscription_progress", OF_SUBSCRIPTIONS},
	{"subscription_consumers", OF_SUBSCRIPTIONS},
	{"subscription_parked", OF_SUBSCRIPTIONS},
	{"archive_holds", OF_STORE},
	{"state_definitions", OF_STORE},
	{"watermarks", OF_STORE},
};

/*
 * End the program if the slot has projections.  A projection that is created after this
 * check is found by the check under the lock: its creation locks the slot.
 */
void
check_projections(Move *move)
{
	const char *names = query_value(move->source, "SELECT pg_catalog.string_agg(pg_catalog.concat('\"', projection, '\"'), ', ' ORDER BY projection)"
									" FROM eventstore.projection_definitions JOIN eventstore.subscription_definitions"
									" ON subscription = projection WHERE " OF_STORE, move->literal);

	if (names == NULL)
		return;
	pg_log_error("slot %d of store %s has projections, so it cannot be moved: %s", move->slot, move->store->name, names);
	pg_log_error_detail("A move does not know their handlers and tables. Nothing was moved.");
	pg_log_error_hint("Drop them on %s, by drop_projection(). After the move, create the handlers, the tables and the projections on %s.",
					  move->source->label, move->target->label);
	exit(1);
}

/*
 * Report subscriptions of the target that have the name of one of the slot.  Those of the
 * copy of an interrupted move do not count: the move drops that copy.
 */
void
check_names(Move *move)
{
	PGresult   *names = run_query(move->source, psprintf("SELECT subscription FROM"
														 " eventstore.subscription_definitions WHERE " OF_STORE,
														 move->literal));

	for (int i = 0; i < PQntuples(names); i++)
	{
		const char *name = PQgetvalue(names, i, 0);
		const char *other = query_value(move->target, "SELECT store FROM eventstore.subscription_definitions"
										" WHERE subscription = %s AND store <> COALESCE(pg_catalog.to_regclass(%s), 0::pg_catalog.regclass)",
										literal(move->target, name), move->literal);

		if (other == NULL)
			continue;
		pg_log_error("%s has a subscription \"%s\" already", move->target->label, name);
		pg_log_error_detail("There it is of store %s, on %s of store %s. A database has one subscription of a name.",
							other, move->source->label, move->table);
		pg_log_error_hint("Drop one of the two, by drop_subscription(), and create it again with another name.");
		exit(1);
	}
	PQclear(names);
}

/* Return the columns of a table of the extension. */
static char *
columns_of(Server *server, const char *table)
{
	return query_value(server, "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ' ORDER BY attnum)"
					   " FROM pg_catalog.pg_attribute WHERE attrelid = 'eventstore.%s'::pg_catalog.regclass"
					   " AND attnum > 0 AND NOT attisdropped", table);
}

/* Copy the rows of one table into a table of the target. */
static void
copy_companion(Move *move, const Companion *companion, const char *into)
{
	char	   *columns = columns_of(move->source, companion->table);
	char	   *condition = psprintf(companion->condition, move->literal);

	(void) relay_rows(move->source,
					  psprintf("COPY (SELECT %s FROM eventstore.%s WHERE %s) TO STDOUT",
							   columns, companion->table, condition),
					  move->target, psprintf("COPY %s (%s) FROM STDIN", into, columns), false);
}

/*
 * Copy the records of erasures.  If the slot was on the target before, the target has
 * older records, which have lost their store.  They get it back.  The trigger that
 * protects the table does not fire for a replica.
 */
static void
copy_erasures(Move *move)
{
	static const Companion erasures = {"erasures", OF_STORE};

	run_command(move->target, "CREATE TEMPORARY TABLE moved_erasures (LIKE eventstore.erasures) ON COMMIT DROP");
	copy_companion(move, &erasures, "pg_temp.moved_erasures");
	run_command(move->target, "SET LOCAL session_replication_role = replica;"
				" UPDATE eventstore.erasures e SET store = m.store"
				" FROM pg_temp.moved_erasures m WHERE m.erasure_id = e.erasure_id;"
				" SET LOCAL session_replication_role = origin;"
				" INSERT INTO eventstore.erasures SELECT * FROM pg_temp.moved_erasures ON CONFLICT DO NOTHING");
}

/* Copy all rows about the slot. */
void
copy_companions(Move *move)
{
	run_command(move->target, "DELETE FROM eventstore.watermarks WHERE " OF_STORE, move->literal);
	for (int i = 0; i < lengthof(companions); i++)
		copy_companion(move, &companions[i], psprintf("eventstore.%s", companions[i].table));
	copy_erasures(move);
}
