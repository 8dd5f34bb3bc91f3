/*
 * verify_events.c
 *		Compares the events of two ends.
 *
 * One end is a store, or the slots of a sliced store.  The events of the other end, the given events, are sent to
 * the stage in the store's database.  The server finds each by its id, and compares
 * it key by key.  It also checks that positions follow versions in each aggregate.
 * The store chooses the value of a key that an event lacks, so such a key is not
 * compared.
 *
 * In the slots of a target, each event must be in the slot to which it belongs.  Events
 * that the source lacks are checked, too, if they have an aggregate: an append may store
 * an event of no aggregate in any slot.
 */
#include "migrate.h"

#include "common/logging.h"

#define SHOWN 10

#define DIFFERENCES "pg_temp.eventstore_migrate_differences"

/*
 * The time of an event, e.  An import also takes a comma before the fraction, and a zone
 * with seconds but without colons, which PostgreSQL's parser does not.
 */
#define GIVEN_TIME \
	"pg_catalog.regexp_replace(pg_catalog.replace(e ->> 'occurred_at', ',', '.')," \
	" '([+-][0-9]{2})([0-9]{2})([0-9]{2})( BC)?$', E'\\\\1:\\\\2:\\\\3\\\\4')::pg_catalog.timestamptz"

/* The given events, with a key "data" or not, as columns.  OFFSET: parse the JSON once. */
#define GIVEN \
	"SELECT line, e ->> 'event_id' AS event_id," \
	" e ->> 'event_type' AS event_type," \
	" " GIVEN_TIME " AS occurred_at," \
	" e ->> 'correlation_id' AS correlation_id," \
	" e ->> 'causation_id' AS causation_id," \
	" e ->> 'aggregate_id' AS aggregate_id," \
	" e ->> 'aggregate_type' AS aggregate_type," \
	" (e ->> 'aggregate_version')::pg_catalog.numeric AS aggregate_version," \
	" CASE WHEN e ? 'data' THEN e -> 'data' ELSE" \
	" e - '{event_id,event_type,occurred_at,correlation_id,causation_id," \
	"aggregate_id,aggregate_type,aggregate_version,metadata}'::pg_catalog.text[] END AS data," \
	" COALESCE(e -> 'metadata', 'null') AS metadata" \
	" FROM (SELECT line, event::pg_catalog.jsonb AS e FROM " STAGE " OFFSET 0) events"

/* The events of a slot or store, archived or not. */
#define STORED \
	"SELECT %d AS slot, %s AS right_slot, *, position < pg_catalog.lag(position)" \
	" OVER (PARTITION BY aggregate_id ORDER BY aggregate_version) AS too_early" \
	" FROM eventstore.get_latest_events(NULL, %s)"

/* NAME, if the key differs. */
#define DIFFERS(name) \
	"CASE WHEN g." name " IS DISTINCT FROM s." name " THEN '" name "' END"

/* NAME, if the key differs, and was given or is required. */
#define GIVEN_DIFFERS(name) \
	"CASE WHEN (g." name " IS NOT NULL OR %2$s) AND g." name " IS DISTINCT FROM s." name \
	" THEN '" name "' END"

#define COMPARE \
	"CREATE TEMPORARY TABLE eventstore_migrate_differences AS" \
	" SELECT g.line, COALESCE(g.event_id, s.event_id) AS event_id," \
	" %2$s AND g.line IS NULL AS lacks_given, s.position IS NULL AS lacks_stored," \
	" pg_catalog.concat_ws(', '," \
	" CASE WHEN g.line IS NOT NULL THEN NULLIF(pg_catalog.concat_ws(', '," \
	DIFFERS("event_type") "," GIVEN_DIFFERS("occurred_at") "," \
	DIFFERS("correlation_id") "," DIFFERS("causation_id") "," \
	DIFFERS("aggregate_id") "," GIVEN_DIFFERS("aggregate_type") "," \
	GIVEN_DIFFERS("aggregate_version") "," DIFFERS("data") "," \
	"CASE WHEN g.metadata <> COALESCE(s.metadata, 'null') THEN 'metadata' END," \
	"CASE WHEN (s.too_early AND s.aggregate_id IS NOT NULL) OR (%2$s AND s.position <" \
	" pg_catalog.lag(s.position) OVER (PARTITION BY s.slot ORDER BY g.line)) OR" \
	" (g.aggregate_version IS NULL AND pg_catalog.lag(g.aggregate_version) OVER aggregate IS NULL" \
	" AND s.position < pg_catalog.lag(s.position) OVER aggregate" \
	" AND pg_catalog.row_number() OVER (PARTITION BY g.event_id ORDER BY g.line) = 1) THEN 'order' END," \
	"CASE WHEN %2$s AND pg_catalog.row_number() OVER (PARTITION BY g.event_id ORDER BY g.line) > 1" \
	" THEN 'repeated' END), '') END," \
	"CASE WHEN s.slot <> s.right_slot" \
	" THEN pg_catalog.format('slot %%s instead of %%s', s.slot, s.right_slot) END) AS keys" \
	" FROM (" GIVEN ") g FULL JOIN (%3$s) s ON s.event_id = g.event_id" \
	" WHERE %1$s OR (s.slot <> s.right_slot AND s.aggregate_id IS NOT NULL)" \
	" WINDOW aggregate AS (PARTITION BY s.slot, g.aggregate_id ORDER BY g.line)"

/* Parses each event like the comparison, to find the one that fails. */
#define READ_EACH \
	"DO $$DECLARE given record; e pg_catalog.jsonb; at pg_catalog.int8; BEGIN" \
	" FOR given IN SELECT line, event FROM " STAGE " ORDER BY line LOOP" \
	" at := given.line; e := given.event::pg_catalog.jsonb;" \
	" PERFORM " GIVEN_TIME "," \
	" (e ->> 'aggregate_version')::pg_catalog.numeric;" \
	" IF pg_catalog.jsonb_typeof(e) <> 'object' THEN RAISE 'an event must be a JSON object'; END IF;" \
	" END LOOP; EXCEPTION WHEN OTHERS THEN" \
	" RAISE USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, COLUMN = at::pg_catalog.text; END$$"

/* Report the first differences, and return how many events differ. */
static int64
report_differences(const Source *given, const End *store)
{
	PGresult   *result = check_result(store, run_query(store, psprintf("SELECT line, event_id, lacks_given, lacks_stored, keys, pg_catalog.count(*) OVER () FROM " DIFFERENCES
																	   " WHERE lacks_given OR lacks_stored OR keys <> ''"
																	   " ORDER BY line, event_id LIMIT %d", SHOWN)));
	int64		differences = PQntuples(result) > 0 ? strtoll(PQgetvalue(result, 0, 5), NULL, 10) : 0;

	for (int row = 0; row < PQntuples(result); row++)
	{
		const char *id = PQgetvalue(result, row, 1);
		const char *at = PQgetisnull(result, row, 0) ? "" :
			psprintf("%s: %s %s: ", given->name, given->unit, PQgetvalue(result, row, 0));

		if (*PQgetvalue(result, row, 2) == 't')
			pg_log_error("event \"%s\" is not in %s", id, given->name);
		else if (*PQgetvalue(result, row, 3) == 't')
			pg_log_error("%sevent \"%s\" is not in %sstore %s of %s", at, id,
						 store->slots ? "the slots of " : "", store_name(store), store->name);
		else
			pg_log_error("%sevent \"%s\" differs: %s", at, id, PQgetvalue(result, row, 4));
	}
	if (differences > SHOWN)
		pg_log_error("and %lld more", (long long) differences - SHOWN);
	PQclear(result);
	return differences;
}

/* Report why the comparison failed, with the line of the event, and end the program. */
static void
fail_comparison(const Source *given, const End *store, const PGresult *result)
{
	End			place = *store;
	PGresult   *error = run_query(store, READ_EACH);
	const char *line = PQresultErrorField(error, PG_DIAG_COLUMN_NAME);

	if (line == NULL)
		fail_query(store, result);
	place.name = psprintf("%s: %s %s", given->name, given->unit, line);
	fail_query(&place, error);
}

/* Return a query of the events of a store, or of its chosen slots. */
static char *
stored_query(const End *store)
{
	PQExpBufferData query;

	initPQExpBuffer(&query);
	for (int slot = 0; slot < MAX_SLOTS; slot++)
	{
		const char *right = "0";

		if (!has_slot(store, slot))
			continue;
		if (store->slots != NULL && store == &options.target)
			right = psprintf("eventstore.slot_of(COALESCE(aggregate_id, event_id), %d)", store->slots->count);
		else if (store->slots != NULL)
			right = psprintf("%d", slot);
		appendPQExpBuffer(&query, "%s" STORED, query.len > 0 ? " UNION ALL " : "",
						  slot, right, slot_literal(store, slot));
	}
	return query.data;
}

/* Compare the stage with the store, and return how many events differ. */
static int64
compare_events(const Source *given, const End *store, bool given_is_source)
{
	/*
	 * an event that only the target has is no difference, because it may be
	 * new
	 */
	PGresult   *result = run_query(store, psprintf(COMPARE, given_is_source ? "g.line IS NOT NULL" : "s.position IS NOT NULL",
												   given_is_source ? "false" : "true", stored_query(store)));

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail_comparison(given, store, result);
	PQclear(result);
	return report_differences(given, store);
}

/* Compare the source with the target, and return how many events differ. */
int64
verify_events(void)
{
	bool		given_is_source = !options.target.is_file;
	const End  *store = given_is_source ? &options.target : &options.source;
	Source	   *given;
	int64		differences;

	if (store->slots != NULL)
		(void) require_slots(store);
	else if (!store_exists(store))
	{
		pg_log_error("%s has no store %s", store->name, store_name(store));
		pg_log_error_detail("The source or the target must be a store.");
		exit(1);
	}
	/* compiling the query of many slots takes longer than its run */
	run_command(store, "SET row_security = off; SET jit = off");
	given = open_source(given_is_source ? &options.source : &options.target);
	if (given_is_source && store->slots != NULL)
		given = create_slot_source(given, store->slots);
	create_stage(store);
	fill_stage_with_all(store, create_batches(given, MAX_SLOTS), given, "read");
	differences = compare_events(given, store, given_is_source);
	if (!options.quiet)
		pg_log_info("%lld events compared, %lld differ%s",
					(long long) query_number(store, "SELECT pg_catalog.count(*) FROM " DIFFERENCES),
					(long long) differences, in_other_slots(given->skipped));
	return differences;
}
