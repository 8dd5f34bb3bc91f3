/*
 * archive.c
 *		Moves events from a store to its archive.
 *
 * One statement moves a batch, so in every snapshot an event is in exactly one of the two
 * tables.  A reader of both tables reads them under one snapshot.  So no event is missed
 * or repeated while events move.
 *
 * Events move in the order of their positions, up to the lowest of these positions:
 *
 *	-	the high-water mark, because no event can appear at or below the mark later
 *	-	the position that the notifier has announced, in mode worker
 *	-	the positions of the holds of the store (rows of eventstore.archive_holds)
 *	-	the checkpoints of the subscriptions to the store
 *
 * Only the oldest events of an aggregate move, without a gap: an event stays if an event
 * of its aggregate with a lower version stays, see due.c.
 *
 * A batch and an append take no lock that the other waits for.  A batch deletes rows that
 * no append touches.  An append looks up ids and versions in both tables under one
 * snapshot.  Some appends rely on the unique indexes of the store, without a lock on the
 * aggregate.  For these, the archive is checked again after the insert, see append.c.
 *
 * Only one transaction at a time archives events of a store.  A batch begins after the
 * last position of the batch before, so events that have to stay are not read again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "archive/archive.h"
#include "archive/archive_steps.h"
#include "base/compat.h"
#include "base/progress.h"
#include "base/sql_argument.h"
#include "position/position.h"
#include "read/read.h"
#include "store/store.h"
#include "subscription/subscription.h"

/* Events that one statement looks at, unless archive_all() is given a batch size. */
#define BATCH 10000

/* Return the position up to which events of a store may be archived now. */
static int64
archive_limit(const PgesStore *store)
{
	int64		limit = Min(pges_mark_to_read(store), pges_lowest_hold(store->live.relid));
	PgesWatermark watermark;

	limit = Min(limit, pges_lowest_checkpoint(store->live.relid));
	if (store->notifications == PGES_NOTIFY_WORKER)
	{
		(void) pges_read_watermark(store->live.relid, true, &watermark);
		limit = Min(limit, watermark.announced);
	}
	return limit;
}

PG_FUNCTION_INFO_V1(pges_archive_limit);

/* SQL: return the position up to which events of a store may be archived now. */
Datum
pges_archive_limit(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(archive_limit(pges_readable_store_argument(fcinfo, 0)));
}

/* Error context callback: name the argument. */
static void
query_context(void *arg)
{
	errcontext("running argument \"aggregate_query\" of eventstore.archive_all()");
}

/* Return a cursor on a query that returns one column; raise an error for any other. */
static Portal
open_query_of_ids(const char *query)
{
	SPIParseOpenOptions options = {.read_only = false};
	Portal		portal = SPI_cursor_parse_open(NULL, query, &options);

	if (portal->tupDesc->natts != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"aggregate_query\" must be a query that returns one column"),
				 errdetail("It returns %d columns.", portal->tupDesc->natts)));
	return portal;
}

/*
 * Return the aggregate ids that a query of the user returns, as an array of text.  The
 * query runs with the rights of the user.  It runs once, before the first batch, because
 * a batch moves events that the query may read.  The transaction is read-only meanwhile,
 * so neither the query nor a function in it can write.  After an error, the abort of the
 * transaction or subtransaction restores XactReadOnly.  The portal is pinned, because
 * code in the query could close it.
 */
static Datum
ids_of_query(const char *query)
{
	MemoryContext caller = CurrentMemoryContext;
	ArrayBuildState *ids = initArrayResult(TEXTOID, caller, true);
	ErrorContextCallback callback = {.callback = query_context,.previous = error_context_stack};
	bool		read_only = XactReadOnly;
	Portal		portal;

	error_context_stack = &callback;
	XactReadOnly = true;
	SPI_connect();
	portal = open_query_of_ids(query);
	PinPortal(portal);
	do
	{
		SPI_cursor_fetch(portal, true, BATCH);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			char	   *id = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

			if (id)
				accumArrayResult(ids, CStringGetTextDatum(id), false, TEXTOID, caller);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	UnpinPortal(portal);
	SPI_cursor_close(portal);
	SPI_finish();
	XactReadOnly = read_only;
	error_context_stack = callback.previous;
	return makeArrayResult(ids, caller);
}

/*
 * Return the rule of the arguments before_position, before_time and aggregate_ids.
 * "arg" is the number of the first; the other two follow it.
 */
static PgesRule
rule_of_arguments(FunctionCallInfo fcinfo, int arg, int64 limit)
{
	PgesRule	rule = pges_make_rule(NULL, limit);

	if (!PG_ARGISNULL(arg) && PG_GETARG_INT64(arg) <= limit)
		pges_set_rule_param(&rule, PGES_RULE_UP_TO, Int64GetDatum(Max(PG_GETARG_INT64(arg), PG_INT64_MIN + 1) - 1));
	if (!PG_ARGISNULL(arg + 1))
		pges_set_rule_param(&rule, PGES_RULE_BEFORE_TIME, PG_GETARG_DATUM(arg + 1));
	if (!PG_ARGISNULL(arg + 2))
		pges_set_rule_param(&rule, PGES_RULE_AGGREGATES, PointerGetDatum(PG_GETARG_ARRAYTYPE_P_COPY(arg + 2)));
	return rule;
}

/* Return whether three arguments, from number "arg" on, are all null. */
static bool
no_conditions(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) && PG_ARGISNULL(arg + 1) && PG_ARGISNULL(arg + 2);
}

/*
 * Move the events that are due by a rule, at most max_count, and return how many were
 * moved.  The first window has at most max_count events.  Each later window is twice as
 * large, up to BATCH, because events in a window may have to stay.
 */
static int64
move_due(const PgesStore *store, PgesRule *rule, int64 max_count)
{
	int64		window = Min(max_count, BATCH);
	PgesProgress progress;

	pges_progress_begin(&progress, PGES_ARCHIVE, store->live.relid);
	while (rule->moved < max_count && pges_move_batch(store, rule, window, max_count))
	{
		CHECK_FOR_INTERRUPTS();
		pges_progress_update(&progress, rule->moved, 0);
		window = Min(window * 2, BATCH);
	}
	pges_progress_end(&progress);
	return rule->moved;
}

/* Raise an error unless the user has SELECT and DELETE on a store. */
static void
check_may_archive(const PgesStore *store)
{
	AclMode		wanted = ACL_DELETE | ACL_SELECT;

	if (pg_class_aclmask(store->live.relid, GetUserId(), wanted, ACLMASK_ALL) != wanted)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, store->live.table);
}

/*
 * Lock a store exclusively, to exclude readers.  Raise an error if another transaction
 * uses the store, because all other sessions would wait behind this lock request.
 */
static void
lock_out_readers(const PgesStore *store)
{
	if (!ConditionalLockRelationOid(store->live.relid, AccessExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("cannot create and fill the archive of store %s in one transaction", store->live.qualified_name),
				 errdetail("Other transactions use the store."),
				 errhint("Call eventstore.create_archive(), commit, and archive events then.")));
}

/* Raise an error unless the user owns a store, and so may create its archive. */
static void
check_may_create(const PgesStore *store)
{
	if (!pges_owns_table_compat(store->live.relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("store %s has no archive", store->live.qualified_name),
				 errdetail("Only the owner of the store, role \"%s\", can create an archive.",
						   GetUserNameFromId(pges_owner_of(store->live.relid), true)),
				 errhint("Ask the owner to call eventstore.create_archive(%s), and to grant INSERT on the archive.",
						 quote_literal_cstr(store->live.qualified_name))));
}

/*
 * Raise an error if a subscription of logical replication fills a store or its archive.
 * The subscription also applies what the publisher archives, and would fail on duplicate
 * keys.
 */
static void
check_not_subscribed(const PgesStore *store)
{
	if (pges_is_subscribed(store->live.relid) ||
		(OidIsValid(store->archive.relid) && pges_is_subscribed(store->archive.relid)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot archive events of store %s", store->live.qualified_name),
				 errdetail("A subscription of logical replication fills the store or its archive."),
				 errhint("Archive events on the publisher, or drop the subscription first.")));
}

/*
 * Lock a store for archiving, create its archive if there is none, and return the
 * description of the store.  Raise an error if the user may not archive, or if the
 * archive cannot take the events of the store.  If this transaction has created the
 * archive, lock out readers, because they do not know the archive; see
 * create_archive.c.
 */
static const PgesStore *
begin_archiving(Oid relid)
{
	const PgesStore *store;
	bool		is_new;
	Oid			archive;

	LockRelationOid(relid, AccessShareLock);
	check_may_archive(pges_store(relid));
	store = pges_lock_archiving(relid);
	pges_require_link(store);
	check_not_subscribed(store);
	if (!OidIsValid(store->archive.relid))
	{
		check_may_create(store);
		(void) pges_create_archive_of(store, NULL, NULL, false);
	}
	archive = pges_find_archive(relid, &is_new);
	if (is_new)
		lock_out_readers(store);
	LockRelationOid(relid, RowExclusiveLock);
	LockRelationOid(archive, RowExclusiveLock);
	store = pges_store_with_archive_locked(relid);
	pges_check_archive_owner(store);
	pges_check_can_be_archived(store);
	pges_require_archive(store);
	pges_check_widths(store);
	pges_check_archive_privilege(store, ACL_INSERT);
	return store;
}

/* Raise the error that no condition says which events to archive. */
static void
report_no_condition(const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("no condition given for the events to archive"),
			 errhint("%s", hint)));
}

PG_FUNCTION_INFO_V1(pges_archive_events);

/* SQL: move events to the archive, in one transaction. */
Datum
pges_archive_events(PG_FUNCTION_ARGS)
{
	const PgesStore *store = pges_store_argument(fcinfo, 0, AccessShareLock, ACL_SELECT | ACL_DELETE);
	int64		max_count = pges_count_argument(fcinfo, 4, "max_count", PG_INT64_MAX);
	bool		dry_run = pges_bool_argument(fcinfo, 5, false);
	PgesRule	rule;

	pges_require_link(store);
	if (no_conditions(fcinfo, 1))
		report_no_condition("Give one or more of before_position, before_time and aggregate_ids, or use eventstore.apply_retention().");
	if (!dry_run)
	{
		PreventCommandIfReadOnly("eventstore.archive_events()");
		store = begin_archiving(store->live.relid);
	}
	rule = rule_of_arguments(fcinfo, 1, archive_limit(store));
	if (dry_run)
		PG_RETURN_INT64(Min(pges_count_due(store, &rule), max_count));
	PG_RETURN_INT64(move_due(store, &rule, max_count));
}

PG_FUNCTION_INFO_V1(pges_apply_retention);

/* SQL: move the events that are due by the retention of a store, or count them. */
Datum
pges_apply_retention(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const PgesStore *store = pges_store_argument(fcinfo, 0, AccessShareLock, ACL_SELECT | ACL_DELETE);
	bool		dry_run = pges_bool_argument(fcinfo, 1, true);
	int64		left = pges_count_argument(fcinfo, 2, "max_count", PG_INT64_MAX);
	PgesRule	rules[2];
	int			n;

	pges_require_link(store);
	n = pges_retention_rules(store, archive_limit(store), rules);
	InitMaterializedSRF(fcinfo, 0);
	if (n > 0 && !dry_run)
	{
		PreventCommandIfReadOnly("eventstore.apply_retention()");
		store = begin_archiving(store->live.relid);
		n = pges_retention_rules(store, archive_limit(store), rules);
	}
	for (int i = 0; i < n; i++)
	{
		int64		count = dry_run ? Min(pges_count_due(store, &rules[i]), left) :
			move_due(store, &rules[i], left);
		Datum		values[] = {CStringGetTextDatum(rules[i].name), Int64GetDatum(count)};
		bool		nulls[] = {false, false};

		left -= dry_run ? 0 : count;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Raise an error unless this procedure may commit. */
static void
check_may_commit(FunctionCallInfo fcinfo)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		((CallContext *) fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("eventstore.archive_all() cannot run in a transaction block"),
				 errdetail("It commits each batch."),
				 errhint("Call it by itself, or use eventstore.archive_events().")));
}

/* Report how many events have been moved, after a batch. */
static void
report_progress(const PgesStore *store, const PgesProgress *progress, int64 moved)
{
	pges_progress_update(progress, moved, 0);
	ereport(NOTICE,
			(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
			 errmsg("archived " INT64_FORMAT " events of store %s",
					moved, store->live.qualified_name)));
}

/*
 * Move the events that are due by a rule, one batch in each transaction.  "moved" is
 * the number of events that earlier rules have moved.  Return this number plus the
 * number of events that this rule has moved.
 */
static int64
archive_by_rule(Oid relid, PgesRule *rule, int64 batch_size, const PgesProgress *progress, int64 moved)
{
	int64		up_to = DatumGetInt64(rule->values[PGES_RULE_UP_TO]);
	bool		more = true;

	while (more)
	{
		const PgesStore *store;

		CHECK_FOR_INTERRUPTS();
		PushActiveSnapshot(GetTransactionSnapshot());
		store = begin_archiving(relid);
		pges_set_rule_param(rule, PGES_RULE_UP_TO, Int64GetDatum(Min(up_to, archive_limit(store))));
		more = pges_move_batch(store, rule, batch_size, PG_INT64_MAX);
		if (more)
			report_progress(store, progress, moved + rule->moved);
		PopActiveSnapshot();
		SPI_commit();
	}
	return moved + rule->moved;
}

/*
 * Return the ids that the query of argument "arg" returns.  Raise an error if the argument
 * before it, aggregate_ids, is given, too.
 */
static Datum
query_argument(FunctionCallInfo fcinfo, int arg)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(arg));

	if (!PG_ARGISNULL(arg - 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments \"aggregate_ids\" and \"aggregate_query\" cannot be given together"),
				 errhint("Give the ids, or the query that returns them.")));
	if (query[strspn(query, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"aggregate_query\" must not be empty")));
	return ids_of_query(query);
}

PG_FUNCTION_INFO_V1(pges_archive_all);

/*
 * SQL: move events to the archive, and commit each batch.  The first transaction sets
 * the last position and the time of each rule; later transactions do not raise them.
 * The rules are in the memory of the call, which outlives these transactions.
 */
Datum
pges_archive_all(PG_FUNCTION_ARGS)
{
	Oid			relid = pges_store_argument(fcinfo, 0, AccessShareLock, ACL_SELECT | ACL_DELETE)->live.relid;
	int64		batch_size = pges_count_argument(fcinfo, 5, "batch_size", BATCH);
	bool		by_query = !PG_ARGISNULL(4);
	Datum		ids = (Datum) 0;
	PgesRule	rules[2];
	int			n = 1;
	int64		moved = 0;
	const PgesStore *store;
	PgesProgress progress;

	check_may_commit(fcinfo);
	PreventCommandIfReadOnly("eventstore.archive_all()");
	check_may_archive(pges_store(relid));
	if (by_query)
		ids = query_argument(fcinfo, 4);
	store = begin_archiving(relid);
	if (no_conditions(fcinfo, 1) && !by_query)
		n = pges_retention_rules(store, archive_limit(store), rules);
	else
		rules[0] = rule_of_arguments(fcinfo, 1, archive_limit(store));
	if (by_query)
		pges_set_rule_param(&rules[0], PGES_RULE_AGGREGATES, ids);
	if (n == 0)
		report_no_condition("Give one or more of before_position, before_time, aggregate_ids and aggregate_query, or set rules with eventstore.set_retention().");

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	SPI_commit();				/* other sessions see a new archive now */
	pges_progress_begin(&progress, PGES_ARCHIVE, relid);
	for (int i = 0; i < n; i++)
		moved = archive_by_rule(relid, &rules[i], batch_size, &progress, moved);
	pges_progress_end(&progress);
	SPI_finish();
	PG_RETURN_VOID();
}
