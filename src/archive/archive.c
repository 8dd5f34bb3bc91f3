/*
 * archive.c
 *		Moves events from a store to its archive.
 *
 * A batch is moved by one statement, so an event is in exactly one of the two
 * tables for every snapshot.  Whoever reads both reads them under one snapshot,
 * and so misses and repeats nothing while events move.
 *
 * Events go in the order of their positions, and only those at or below a limit:
 * below the high-water mark, so that nothing can appear among them later, below
 * what the notifier has announced, and below what others hold back by rows of
 * eventstore.archive_holds.  Of an aggregate only the oldest events go, without
 * a gap: an event stays where one of a lower version stays; see
 * due.c.
 *
 * An append takes no lock that a batch waits for, nor the other way round: a
 * batch deletes rows that no append touches.  What an append has to look up, it
 * looks up in both tables under one snapshot.  What is decided by the unique
 * indexes of the store alone, without a lock on the aggregate, is checked again
 * in the archive after the insert, see append.c.
 *
 * One transaction at a time archives events of a store.  The rows of one batch
 * are found by going on from the last position of the batch before, so that
 * events which have to stay are not looked at again and again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "archive/archive.h"
#include "archive/create_archive.h"
#include "archive/due.h"
#include "archive/retention.h"
#include "base/progress.h"
#include "base/sql_argument.h"
#include "position/position.h"
#include "read/read.h"
#include "store/store.h"

/* So many events are looked at by one statement. */
#define BATCH 10000

/* The position up to which events of a store may be archived now. */
static int64
archive_limit(const PgesStore *store)
{
	int64		limit = Min(pges_mark_to_read(store), pges_lowest_hold(store->relid));
	PgesWatermark watermark;

	if (store->notifications == PGES_NOTIFY_WORKER)
	{
		(void) pges_read_watermark(store->relid, true, &watermark);
		limit = Min(limit, watermark.announced);
	}
	return limit;
}

PG_FUNCTION_INFO_V1(pges_archive_limit);

/* SQL: the position up to which events of a store may be archived now. */
Datum
pges_archive_limit(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(archive_limit(pges_readable_store_argument(fcinfo, 0)));
}

/*
 * The rule that the arguments before_position, before_time and aggregate_ids
 * make, from one of them on.
 */
static PgesRule
rule_of_arguments(FunctionCallInfo fcinfo, int arg, int64 limit)
{
	PgesRule	rule = pges_make_rule(limit);

	if (!PG_ARGISNULL(arg) && PG_GETARG_INT64(arg) <= limit)
		pges_set_rule_param(&rule, PGES_RULE_UP_TO, Int64GetDatum(Max(PG_GETARG_INT64(arg), PG_INT64_MIN + 1) - 1));
	if (!PG_ARGISNULL(arg + 1))
		pges_set_rule_param(&rule, PGES_RULE_BEFORE_TIME, PG_GETARG_DATUM(arg + 1));
	if (!PG_ARGISNULL(arg + 2))
		pges_set_rule_param(&rule, PGES_RULE_AGGREGATES, PointerGetDatum(PG_GETARG_ARRAYTYPE_P_COPY(arg + 2)));
	return rule;
}

/* Whether none of these arguments is given. */
static bool
no_conditions(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) && PG_ARGISNULL(arg + 1) && PG_ARGISNULL(arg + 2);
}

/*
 * Move what is due by a rule, at most so many events; how many it were.  To move
 * few, few are looked at, and more where those have to stay.
 */
static int64
move_due(const PgesStore *store, PgesRule *rule, int64 max_count)
{
	int64		window = Min(max_count, BATCH);
	PgesProgress progress;

	pges_progress_begin(&progress, PGES_ARCHIVE, store->relid);
	while (rule->moved < max_count && pges_move_batch(store, rule, window, max_count))
	{
		CHECK_FOR_INTERRUPTS();
		pges_progress_update(&progress, rule->moved, 0);
		window = Min(window * 2, BATCH);
	}
	pges_progress_end(&progress);
	return rule->moved;
}

/* Raise unless the user may take events out of a store. */
static void
check_may_archive(const PgesStore *store)
{
	AclMode		wanted = ACL_DELETE | ACL_SELECT;

	if (pg_class_aclmask(store->relid, GetUserId(), wanted, ACLMASK_ALL) != wanted)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, store->table);
}

/*
 * Lock out the readers of a store, if there are none just now: to wait for them
 * would make others wait, too.
 */
static void
lock_out_readers(const PgesStore *store)
{
	if (!ConditionalLockRelationOid(store->relid, AccessExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("cannot make and fill the archive of store %s in one transaction", store->qualified_name),
				 errdetail("Others use the store."),
				 errhint("Call eventstore.create_archive(), commit, and archive events then.")));
}

/*
 * Get ready to move events of a store, and make its archive if there is none.
 * If this transaction has made it, readers are locked out, as they would not
 * know that there is one; see create_archive.c.
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
	if (!OidIsValid(store->archive.relid))
		(void) pges_create_archive_of(store, NULL, NULL, false);
	archive = pges_find_archive(relid, &is_new);
	if (is_new)
		lock_out_readers(store);
	LockRelationOid(relid, RowExclusiveLock);
	LockRelationOid(archive, RowExclusiveLock);
	store = pges_store_with_archive_locked(relid);
	pges_check_archive_owner(store);
	pges_check_can_be_archived(store);
	pges_require_archive(store);
	pges_check_archive_privilege(store, ACL_INSERT);
	return store;
}

/* Raise the error that nothing tells what to archive. */
static void
report_no_condition(const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("no condition tells which events to archive"),
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

	if (no_conditions(fcinfo, 1))
		report_no_condition("Give one or more of before_position, before_time and aggregate_ids, or use eventstore.apply_retention().");
	if (!dry_run)
	{
		PreventCommandIfReadOnly("eventstore.archive_events()");
		store = begin_archiving(store->relid);
	}
	rule = rule_of_arguments(fcinfo, 1, archive_limit(store));
	if (dry_run)
		PG_RETURN_INT64(Min(pges_count_due(store, &rule), max_count));
	PG_RETURN_INT64(move_due(store, &rule, max_count));
}

PG_FUNCTION_INFO_V1(pges_apply_retention);

/* SQL: move what is over by the retention of a store, or count it. */
Datum
pges_apply_retention(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const PgesStore *store = pges_store_argument(fcinfo, 0, AccessShareLock, ACL_SELECT | ACL_DELETE);
	bool		dry_run = pges_bool_argument(fcinfo, 1, true);
	int64		left = pges_count_argument(fcinfo, 2, "max_count", PG_INT64_MAX);
	PgesRule	rules[2];
	const char *names[2];
	int			n = pges_retention_rules(store, archive_limit(store), rules, names);

	InitMaterializedSRF(fcinfo, 0);
	if (n > 0 && !dry_run)
	{
		PreventCommandIfReadOnly("eventstore.apply_retention()");
		store = begin_archiving(store->relid);
		n = pges_retention_rules(store, archive_limit(store), rules, names);
	}
	for (int i = 0; i < n; i++)
	{
		int64		count = dry_run ? Min(pges_count_due(store, &rules[i]), left) :
			move_due(store, &rules[i], left);
		Datum		values[] = {CStringGetTextDatum(names[i]), Int64GetDatum(count)};
		bool		nulls[] = {false, false};

		left -= dry_run ? 0 : count;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Raise unless a procedure may commit. */
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

/* Tell how far archiving has come, once a batch is done. */
static void
report_progress(const PgesStore *store, const PgesProgress *progress, int64 moved)
{
	pges_progress_update(progress, moved, 0);
	ereport(NOTICE,
			(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
			 errmsg("archived " INT64_FORMAT " events of store %s",
					moved, store->qualified_name)));
}

/*
 * Move what is due by a rule, a batch in each transaction; how many events are
 * moved by then, with those of the rules before.
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

PG_FUNCTION_INFO_V1(pges_archive_all);

/*
 * SQL: move events to the archive, batch after batch.  What the first
 * transaction finds is due, also when the clock goes on.  Memory of the call
 * outlives its transactions.
 */
Datum
pges_archive_all(PG_FUNCTION_ARGS)
{
	Oid			relid = pges_store_argument(fcinfo, 0, AccessShareLock, ACL_SELECT | ACL_DELETE)->relid;
	int64		batch_size = pges_count_argument(fcinfo, 4, "batch_size", BATCH);
	PgesRule	rules[2];
	const char *names[2];
	int			n = 1;
	int64		moved = 0;
	const PgesStore *store;
	PgesProgress progress;

	check_may_commit(fcinfo);
	PreventCommandIfReadOnly("eventstore.archive_all()");
	store = begin_archiving(relid);
	if (no_conditions(fcinfo, 1))
		n = pges_retention_rules(store, archive_limit(store), rules, names);
	else
		rules[0] = rule_of_arguments(fcinfo, 1, archive_limit(store));
	if (n == 0)
		report_no_condition("Give one or more of before_position, before_time and aggregate_ids, or set rules with eventstore.set_retention().");

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	SPI_commit();				/* a new archive is there for all from here on */
	pges_progress_begin(&progress, PGES_ARCHIVE, relid);
	for (int i = 0; i < n; i++)
		moved = archive_by_rule(relid, &rules[i], batch_size, &progress, moved);
	pges_progress_end(&progress);
	SPI_finish();
	PG_RETURN_VOID();
}
