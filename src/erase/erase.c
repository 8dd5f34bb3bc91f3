/*
 * erase.c
 *		Erases personal data from events, and keeps a record of each erasure.
 *
 * This is the main file of the room "erase".  It has the SQL functions and the protocol;
 * erasure_record.c writes the records.
 *
 * A tombstone (tombstone.c) or other values replace the data and the metadata of an
 * event.  The row stays, with its position, identity, type, version, time and links.  So
 * readers of the log and appends are not affected.  The steps:
 *
 *	1	Check the privilege, before any lock that other sessions may have to wait
 *		for.  The privilege is UPDATE on both columns.  It permits nothing else,
 *		because a trigger rejects every other UPDATE (immutable.c).
 *	2	Delete the snapshots of the aggregate, and block savers of new ones.  This comes
 *		before the lock on the aggregate, see snapshot.c.
 *	3	Lock the aggregate as an append does (append.c).  The erasure waits for an
 *		open append and erases its events, too.  An append that begins meanwhile
 *		waits for the erasure, and its events are not erased.
 *	4	Change the rows under a snapshot taken after the lock.  So all that other
 *		sessions have committed is erased, even in REPEATABLE READ.  Events that are
 *		already erased stay as they are: a repeated call changes nothing.
 *	5	Check that no event is left.  An UPDATE silently skips rows that row security
 *		hides or a trigger suppresses.  A partial erasure must raise an error,
 *		because the caller would take it for a complete one.
 *	6	If any event was changed, record the erasure in table eventstore.erasures.
 *
 * The change runs with the rights of the caller.  Only the record is written as the owner
 * of its table, so the caller needs no rights on that table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "rewrite/prs2lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "base/sql_argument.h"
#include "base/text.h"
#include "erase/erasure.h"
#include "event/event.h"
#include "snapshot/snapshot.h"
#include "store/store.h"
#include "table/table.h"

/* Whether an event does not have the new values yet; "data" is never NULL. */
#define IS_LEFT \
	"(data OPERATOR(pg_catalog.<>) $2 OR metadata IS NULL OR " \
	"metadata OPERATOR(pg_catalog.<>) $3)"

/* Replaces the values of all events that have a key. */
#define CHANGE(key) { \
	"UPDATE %1$s SET data = $2, metadata = $3 " \
	"WHERE " key " OPERATOR(pg_catalog.=) $1 AND " IS_LEFT, \
	3, {TEXTOID, JSONBOID, JSONBOID}, .latest = true \
}

/* Counts the events that have a key, and how many of them are left. */
#define COUNT(key) { \
	"SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE " IS_LEFT ") " \
	"FROM %1$s WHERE " key " OPERATOR(pg_catalog.=) $1", \
	3, {TEXTOID, JSONBOID, JSONBOID} \
}

static const PgesStatement change_aggregate = CHANGE("aggregate_id");
static const PgesStatement count_aggregate = COUNT("aggregate_id");
static const PgesStatement change_event = CHANGE("event_id");
static const PgesStatement count_event = COUNT("event_id");

static const PgesStatement aggregate_of_event = {
	"SELECT aggregate_id FROM %1$s WHERE event_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

/* Add the current erasure to the CONTEXT of an error.  Error context callback. */
static void
erase_context(void *arg)
{
	const PgesErasure *erasure = arg;

	if (erasure->event_id)
		errcontext("redacting event \"%s\" of store %s",
				   pges_shorten(text_to_cstring(erasure->event_id)),
				   erasure->store->live.qualified_name);
	else
		errcontext("erasing aggregate \"%s\" of store %s",
				   pges_shorten(text_to_cstring(erasure->aggregate_id)),
				   erasure->store->live.qualified_name);
}

/* Raise an error unless the user may erase events of a store. */
static void
check_privilege(const PgesStore *store)
{
	if (pges_may_erase(&store->live))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for table %s", store->live.table),
			 errdetail("Erasing needs UPDATE on columns \"data\" and \"metadata\"."),
			 errhint("The owner of the store can grant it: GRANT UPDATE (data, metadata) ON %s TO %s;",
					 store->live.qualified_name,
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/* Return the reason of an erasure.  Raise an error if it is null or only white space. */
static text *
reason_argument(FunctionCallInfo fcinfo, int arg)
{
	char	   *reason = pges_text_argument(fcinfo, arg, "reason");

	if (reason[strspn(reason, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"reason\" must not be empty"),
				 errdetail("It is recorded in table eventstore.erasures.")));
	return PG_GETARG_TEXT_PP(arg);
}

/*
 * Raise an error if the store has a rule ON UPDATE DO INSTEAD.  The rewritten statement
 * might not update the store at all.
 */
static void
check_update_rules(const PgesStore *store)
{
	Relation	rel = table_open(store->live.relid, NoLock);

	for (int i = 0; rel->rd_rules && i < rel->rd_rules->numLocks; i++)
	{
		const RewriteRule *rule = rel->rd_rules->rules[i];

		if (rule->event == CMD_UPDATE && rule->isInstead)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
					 errmsg("a rule of store %s keeps events from being erased",
							store->live.qualified_name),
					 errdetail("The rule has INSTEAD, so no UPDATE takes place. Nothing was erased.")));
	}
	table_close(rel, NoLock);
}

/*
 * Begin an erasure: find the store, check the privilege, lock the store in the mode of
 * the UPDATE that follows, and add the erasure to the CONTEXT of errors.
 */
static void
begin_erasure(PgesErasure *erasure, FunctionCallInfo fcinfo, int store_arg)
{
	erasure->store = pges_store_argument(fcinfo, store_arg, AccessShareLock, ACL_SELECT | ACL_UPDATE);
	erasure->callback.callback = erase_context;
	erasure->callback.arg = erasure;
	erasure->callback.previous = error_context_stack;
	error_context_stack = &erasure->callback;

	PreventCommandIfReadOnly("erasing of events");
	check_privilege(erasure->store);
	pges_check_not_moving(erasure->store->live.relid);
	erasure->store = pges_open_for_change(erasure->store->live.relid);
	if (OidIsValid(erasure->store->archive.relid))
		pges_check_archive_privilege(erasure->store, ACL_UPDATE);
	check_update_rules(erasure->store);
}

/*
 * Return the last of the scopes in which events are searched, from PGES_LIVE on: the
 * store, and its archive if it has one.  Each scope is read under a later snapshot than
 * the scope before, so an event that moves to the archive meanwhile is found.
 */
static PgesScope
last_scope(const PgesStore *store)
{
	return OidIsValid(store->archive.relid) ? PGES_ARCHIVED : PGES_LIVE;
}

/* Raise the error that the event does not exist or the aggregate has no events. */
static void
report_missing(const PgesErasure *erasure)
{
	const char *hint = check_enable_rls(erasure->store->live.relid, InvalidOid, true) == RLS_ENABLED ?
		"Row security may hide the event or aggregate from the current role." :
		"Ids are compared exactly, including case and white space.";

	if (erasure->event_id)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("event \"%s\" does not exist in store %s",
						text_to_cstring(erasure->event_id), erasure->store->live.qualified_name),
				 errdetail("Nothing was erased."),
				 errhint("%s", hint)));
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("aggregate \"%s\" has no events in store %s",
					text_to_cstring(erasure->aggregate_id), erasure->store->live.qualified_name),
			 errdetail("Nothing was erased."),
			 errhint("%s", hint)));
}

/*
 * Set the aggregate of the event, NULL for an event of no aggregate.  Raise an error if
 * the event does not exist.  SPI must be connected.
 */
static void
find_aggregate_of_event(PgesErasure *erasure, MemoryContext context)
{
	Datum		id = PointerGetDatum(erasure->event_id);

	if (!pges_fetch_one_now(erasure->store, pges_scope_of_all(erasure->store), &aggregate_of_event, &id))
		report_missing(erasure);
	erasure->aggregate_id = pges_found_text(context, 1);
	SPI_freetuptable(SPI_tuptable);
}

/* Replace the values, and return how many events were changed. */
static int64
change_events(const PgesErasure *erasure)
{
	int64		changed = 0;

	for (PgesScope scope = PGES_LIVE; scope <= last_scope(erasure->store); scope++)
	{
		(void) pges_run_change(erasure->store, scope,
							   erasure->event_id ? &change_event : &change_aggregate,
							   erasure->values, NULL);
		changed += SPI_processed;
	}
	return changed;
}

/*
 * Return how many events of an aggregate a table has under the active snapshot, also
 * those that row security hides.  The executor is bypassed, because it would apply row
 * security.
 *
 * The count must agree with the statements of an erasure, so ids are compared by the
 * collation of the column, which may differ from "C".  The index on the versions is used
 * only if it has that collation; otherwise the whole table is read.
 */
static int64
count_past_security(const PgesTable *table, const text *aggregate_id)
{
	AttrNumber	attnum = table->attnums[PGES_AGGREGATE_ID];
	Oid			index = table->indexes[PGES_KEY_VERSION];
	Relation	rel = table_open(table->relid, AccessShareLock);
	Oid			collation = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attcollation;
	int64		count = 0;
	ScanKeyData key;
	SysScanDesc scan;

	ScanKeyEntryInitialize(&key, 0, attnum, BTEqualStrategyNumber, InvalidOid, collation,
						   F_TEXTEQ, PointerGetDatum(aggregate_id));
	scan = systable_beginscan(rel, index, pges_index_collation(index) == collation,
							  GetActiveSnapshot(), 1, &key);
	while (HeapTupleIsValid(systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		count++;
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	return count;
}

/* Raise the error that some events could not be erased. */
static void
report_left(const char *table, int64 left, bool by_security)
{
	char	   *detail = psprintf("Events that could not be erased: " INT64_FORMAT ". Nothing was erased.",
								  left);

	if (by_security)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row security of table %s keeps events from being erased", table),
				 errdetail("%s", detail),
				 errhint("The policies of the store must let you see and change all events of an aggregate, or none.")));
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("a trigger of table %s keeps events from being erased", table),
			 errdetail("%s", detail)));
}

/*
 * Return how many events in a table the caller sees.  Raise an error unless all events
 * have the new values.  For an aggregate, the events that row security hides from the
 * caller are checked, too, under the same snapshot.  If the caller sees no event, they
 * are not checked, so that the caller cannot find out whether they exist.
 */
static int64
check_scope(const PgesErasure *erasure, PgesScope scope)
{
	const PgesStore *store = erasure->store;
	const PgesTable *table = scope == PGES_LIVE ? &store->live : &store->archive;
	bool		secured = check_enable_rls(table->relid, InvalidOid, true) == RLS_ENABLED;
	int64		visible;
	int64		left;

	PushActiveSnapshot(GetLatestSnapshot());
	(void) pges_run_statement(store, scope, erasure->event_id ? &count_event : &count_aggregate,
							  erasure->values, NULL, true, NULL);
	visible = pges_found_int64(1, 0);
	left = pges_found_int64(2, 0);
	if (secured && erasure->event_id == NULL && visible > 0)
		left += count_past_security(table, erasure->aggregate_id) - visible;
	PopActiveSnapshot();
	SPI_freetuptable(SPI_tuptable);
	if (left > 0)
		report_left(table->qualified_name, left, secured);
	return visible;
}

/* Raise an error unless all events are erased and there is at least one event. */
static void
check_erased(const PgesErasure *erasure)
{
	int64		visible = 0;

	for (PgesScope scope = PGES_LIVE; scope <= last_scope(erasure->store); scope++)
		visible += check_scope(erasure, scope);
	if (visible == 0)
		report_missing(erasure);
}

/* Erase events, check and record the erasure, and return how many were changed. */
static int64
erase(PgesErasure *erasure)
{
	MemoryContext caller = CurrentMemoryContext;
	int64		changed;

	/* make earlier changes of this transaction visible */
	CommandCounterIncrement();
	SPI_connect();
	if (erasure->event_id)
		find_aggregate_of_event(erasure, caller);
	if (erasure->aggregate_id)
		pges_forget_snapshots_of(erasure->store, erasure->aggregate_id);
	pges_lock_aggregate(erasure->store, erasure->aggregate_id, erasure->event_id);
	changed = change_events(erasure);
	check_erased(erasure);
	if (changed > 0)
		pges_record_erasure(erasure, changed);
	SPI_finish();
	error_context_stack = erasure->callback.previous;
	return changed;
}

PG_FUNCTION_INFO_V1(pges_erase_aggregate);

/* SQL: erase the data of all events of an aggregate; return how many were changed. */
Datum
pges_erase_aggregate(PG_FUNCTION_ARGS)
{
	PgesErasure erasure = {0};

	pges_require_argument(fcinfo, 0, "aggregate_id");
	erasure.aggregate_id = PG_GETARG_TEXT_PP(0);
	erasure.reason = reason_argument(fcinfo, 1);
	erasure.values[0] = PointerGetDatum(erasure.aggregate_id);
	erasure.values[1] = erasure.values[2] = JsonbPGetDatum(pges_tombstone());
	begin_erasure(&erasure, fcinfo, 2);
	PG_RETURN_INT32((int32) erase(&erasure));
}

PG_FUNCTION_INFO_V1(pges_redact_event);

/* SQL: erase or replace the data of one event; return whether it was changed. */
Datum
pges_redact_event(PG_FUNCTION_ARGS)
{
	PgesErasure erasure = {0};
	PgesEvent	redacted = {0};

	pges_require_argument(fcinfo, 0, "event_id");
	erasure.event_id = PG_GETARG_TEXT_PP(0);
	erasure.reason = reason_argument(fcinfo, 1);
	erasure.values[0] = PointerGetDatum(erasure.event_id);
	erasure.values[1] = JsonbPGetDatum(PG_ARGISNULL(2) ? pges_tombstone() : PG_GETARG_JSONB_P(2));
	erasure.values[2] = JsonbPGetDatum(PG_ARGISNULL(3) ? pges_tombstone() : PG_GETARG_JSONB_P(3));
	erasure.values_given = !PG_ARGISNULL(2) || !PG_ARGISNULL(3);
	redacted.event_id = erasure.event_id;
	redacted.data = DatumGetJsonbP(erasure.values[1]);
	redacted.metadata = DatumGetJsonbP(erasure.values[2]);
	pges_check_size(&redacted);
	begin_erasure(&erasure, fcinfo, 4);
	PG_RETURN_BOOL(erase(&erasure) > 0);
}
