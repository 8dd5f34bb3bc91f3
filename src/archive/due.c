/*
 * due.c
 *		Counts the events that are due for the archive by a rule, or moves a batch of
 *		them.
 *
 * A rule is a set of conditions that an event meets or does not meet.  A batch reads a
 * window: the next events that meet the conditions, in the order of their positions,
 * after the last position of the batch before.  The events of one aggregate in a window
 * are a span.  The cut is the first event of the aggregate that stays, because this event
 * does not meet the conditions or is not in the window.  The events of the span before
 * the cut are due.  Without a cut, the whole span is due.
 *
 * Versions are in the order of positions, unless a restore has inserted an event of a
 * lower version after others.  So an event may have to stay because of an event in a
 * later window.  A pass reads all positions once.  If a pass has met such an event and
 * has moved others, another pass follows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "archive/archive_steps.h"
#include "event/event.h"
#include "store/store.h"
#include "table/table.h"

#define RULE_TYPES {INT8OID, INT8OID, TIMESTAMPTZOID, TEXTARRAYOID, INT8OID, INT8OID, INT8OID}

/* The beginning of each statement, by which hide_statement() finds it. */
#define OPENING "WITH candidates AS MATERIALIZED ("

/*
 * Selects the events that are due by a rule.  "candidates" are the events in the
 * window, "seen" has the last of them.  In most aggregates, the span holds all events
 * of the store up to the last version of the span, so there is no cut.  For other
 * aggregates, "cuts" has the cut, and whether a later window may move that event.
 */
#define DUE \
	OPENING \
	"SELECT c.position, c.aggregate_id, c.aggregate_version FROM %1$s c " \
	"WHERE c.position OPERATOR(pg_catalog.>) $1 " \
	"AND c.position OPERATOR(pg_catalog.<=) $2 " \
	"AND ($3 IS NULL OR c.occurred_at OPERATOR(pg_catalog.<) $3) " \
	"AND ($4 IS NULL OR c.aggregate_id OPERATOR(pg_catalog.=) ANY ($4)) " \
	"AND ($5 IS NULL OR c.aggregate_version OPERATOR(pg_catalog.+) $5 " \
	"OPERATOR(pg_catalog.<=) (" \
	"SELECT n.aggregate_version FROM %1$s n " \
	"WHERE n.aggregate_id OPERATOR(pg_catalog.=) c.aggregate_id " \
	"ORDER BY n.aggregate_version DESC LIMIT 1)) " \
	"ORDER BY c.position LIMIT $6), " \
	"seen AS MATERIALIZED (" \
	"SELECT pg_catalog.max(position) AS last FROM candidates), " \
	"spans AS MATERIALIZED (" \
	"SELECT aggregate_id, pg_catalog.min(aggregate_version) AS first, " \
	"pg_catalog.max(aggregate_version) AS last, pg_catalog.count(*) AS events " \
	"FROM candidates WHERE aggregate_id IS NOT NULL GROUP BY aggregate_id), " \
	"cuts AS MATERIALIZED (" \
	"SELECT s.aggregate_id, y.version, y.moves_later FROM spans s CROSS JOIN LATERAL (" \
	"SELECT e.aggregate_version AS version, " \
	"e.position OPERATOR(pg_catalog.>) (SELECT last FROM seen) " \
	"AND e.position OPERATOR(pg_catalog.<=) $2 " \
	"AND ($3 IS NULL OR e.occurred_at OPERATOR(pg_catalog.<) $3) AS moves_later " \
	"FROM %1$s e WHERE e.aggregate_id OPERATOR(pg_catalog.=) s.aggregate_id " \
	"AND e.aggregate_version OPERATOR(pg_catalog.<) s.last " \
	"AND (e.position OPERATOR(pg_catalog.<=) $1 " \
	"OR e.position OPERATOR(pg_catalog.>) (SELECT last FROM seen) " \
	"OR e.occurred_at OPERATOR(pg_catalog.>=) $3) " \
	"ORDER BY e.aggregate_version LIMIT 1) y " \
	"WHERE s.last OPERATOR(pg_catalog.-) s.first OPERATOR(pg_catalog.+) 1 " \
	"OPERATOR(pg_catalog.<>) s.events " \
	"OR (SELECT 1 FROM %1$s b WHERE b.aggregate_id OPERATOR(pg_catalog.=) s.aggregate_id " \
	"AND b.aggregate_version OPERATOR(pg_catalog.<) s.first LIMIT 1) IS NOT NULL), " \
	"due AS MATERIALIZED (" \
	"SELECT c.position, c.aggregate_id, c.aggregate_version FROM candidates c LEFT JOIN cuts k " \
	"ON k.aggregate_id OPERATOR(pg_catalog.=) c.aggregate_id " \
	"WHERE k.version IS NULL OR c.aggregate_version OPERATOR(pg_catalog.<) k.version)"

/* Counts the events that are due. */
static const PgesStatement count_statement = {
	DUE " SELECT pg_catalog.count(*) FROM due",
	PGES_RULE_NUM_PARAMS, RULE_TYPES,.custom = true
};

/*
 * Moves the events that are due, the oldest first, but no event before one of its
 * aggregate with a lower version.  Returns the number of chosen events, the number of
 * stored events, the last candidate, and how many cuts a later window may move.
 */
static const PgesStatement move_statement = {
	DUE ", chosen AS MATERIALIZED ("
	"SELECT position FROM due "
	"ORDER BY CASE WHEN aggregate_id IS NULL THEN position ELSE pg_catalog.max(position) "
	"OVER (PARTITION BY aggregate_id ORDER BY aggregate_version) END, aggregate_version "
	"LIMIT $7), "
	"moved AS ("
	"DELETE FROM %1$s e USING chosen d "
	"WHERE e.position OPERATOR(pg_catalog.=) d.position "
	"RETURNING e.position, e.event_id, e.event_type, e.occurred_at, e.correlation_id, "
	"e.causation_id, e.aggregate_id, e.aggregate_type, e.aggregate_version, e.data, e.metadata), "
	"stored AS ("
	"INSERT INTO %2$s (" PGES_COLUMNS ") SELECT " PGES_COLUMNS " FROM moved RETURNING 1) "
	"SELECT (SELECT pg_catalog.count(*) FROM chosen), "
	"(SELECT pg_catalog.count(*) FROM stored), "
	"(SELECT last FROM seen), "
	"(SELECT pg_catalog.count(*) FROM cuts WHERE moves_later)",
	PGES_RULE_NUM_PARAMS, RULE_TYPES,.custom = true
};

/* Set a parameter of a rule. */
void
pges_set_rule_param(PgesRule *rule, PgesRuleParam param, Datum value)
{
	rule->values[param] = value;
	rule->nulls[param] = false;
}

/* Return a rule by which all events up to a position are due. */
PgesRule
pges_make_rule(const char *name, int64 up_to)
{
	PgesRule	rule = {.name = name};

	memset(rule.nulls, true, sizeof(rule.nulls));
	pges_set_rule_param(&rule, PGES_RULE_AFTER, Int64GetDatum(PG_INT64_MIN));
	pges_set_rule_param(&rule, PGES_RULE_UP_TO, Int64GetDatum(up_to));
	return rule;
}

/*
 * Raise a clearer error, with a hint, if an error is about a row of the archive;
 * otherwise return.  All names come from the description of the store, because the
 * catalogs cannot be read while an error is handled.
 */
static void
report_refused(const PgesStore *store, const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION &&
		error->table_name && strcmp(error->table_name, store->archive.table) == 0 &&
		error->schema_name && strcmp(error->schema_name, store->archive.schema) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("an event of store %s is in archive %s already",
						store->live.qualified_name, store->archive.qualified_name),
				 error->detail ? errdetail("%s", error->detail) : 0,
				 errhint("An event that was restored to the store, with its position, has an id, a version or a position that the archive already has.")));
}

/* Error context callback: name the store. */
static void
rule_context(void *arg)
{
	const PgesStore *store = arg;

	errcontext("archiving events of store %s", store->live.qualified_name);
}

/*
 * Remove the statement from the context of an error.  The statement is long, and less
 * clear than the next line, which comes from rule_context().
 */
static void
hide_statement(ErrorData *error, const PgesStore *store)
{
	char	   *statement = error->context ? strstr(error->context, "\"" OPENING) : NULL;
	char	   *next = statement == NULL ? NULL :
		strstr(statement, psprintf("\narchiving events of store %s", store->live.qualified_name));

	if (next == NULL)
		return;
	while (statement > error->context && statement[-1] != '\n')
		statement--;
	memmove(statement, next + 1, strlen(next + 1) + 1);
}

/* Run a statement with the parameters of a rule. */
static void
run_by_rule(const PgesStore *store, const PgesStatement *statement, const PgesRule *rule)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorContextCallback callback = {
		.callback = rule_context,.arg = unconstify(PgesStore *, store),
		.previous = error_context_stack
	};

	error_context_stack = &callback;
	PG_TRY();
	{
		if (statement == &count_statement)
			(void) pges_run_statement(store, PGES_LIVE, statement, rule->values, rule->nulls, true, NULL);
		else
			(void) pges_run_change(store, PGES_EACH, statement, rule->values, rule->nulls);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		report_refused(store, error);
		hide_statement(error, store);
		ReThrowError(error);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
}

/* Return how many events are due by a rule. */
int64
pges_count_due(const PgesStore *store, const PgesRule *rule)
{
	int64		count;

	SPI_connect();
	run_by_rule(store, &count_statement, rule);
	count = pges_found_int64(1, 0);
	SPI_finish();
	return count;
}

/* Raise the error that the archive has not stored all chosen events. */
static void
report_lost(const PgesStore *store, int64 stored, int64 chosen)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("not all events of store %s were stored in its archive", store->live.qualified_name),
			 errdetail("Stored " INT64_FORMAT " of " INT64_FORMAT " events.", stored, chosen),
			 errhint("Look for a trigger on the store or on the archive that discards rows.")));
}

/* Begin another pass, or return false if that pass would move nothing. */
static bool
begin_pass(PgesRule *rule)
{
	bool		again = rule->waits && rule->moved > rule->moved_before;

	rule->waits = false;
	rule->moved_before = rule->moved;
	pges_set_rule_param(rule, PGES_RULE_AFTER, Int64GetDatum(PG_INT64_MIN));
	return again;
}

/*
 * Move one batch: look at the next "window" events that meet the conditions of a rule,
 * move those that are due, and let the rule continue after the last candidate.  Return
 * false if nothing is left to move, or if max_count events have been moved.
 */
bool
pges_move_batch(const PgesStore *store, PgesRule *rule, int64 window, int64 max_count)
{
	int64		chosen;
	int64		stored;
	int64		last;

	pges_set_rule_param(rule, PGES_RULE_WINDOW, Int64GetDatum(window));
	pges_set_rule_param(rule, PGES_RULE_LIMIT, Int64GetDatum(max_count - rule->moved));
	SPI_connect();
	run_by_rule(store, &move_statement, rule);
	chosen = pges_found_int64(1, 0);
	stored = pges_found_int64(2, 0);
	last = pges_found_int64(3, PG_INT64_MIN);
	rule->waits |= pges_found_int64(4, 0) > 0;
	SPI_finish();
	if (stored != chosen)
		report_lost(store, stored, chosen);
	rule->moved += stored;
	if (last == PG_INT64_MIN)
		return begin_pass(rule);
	pges_set_rule_param(rule, PGES_RULE_AFTER, Int64GetDatum(last));
	return rule->moved < max_count;
}
