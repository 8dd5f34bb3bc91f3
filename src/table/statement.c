/*
 * statement.c
 *		The cache of saved plans: one for each statement, scope and store.
 *
 * It works in the manner of ri_triggers.c: a plan is found by its key, used
 * while SPI says that it is valid, and made anew from the store's present name
 * otherwise.  A relcache invalidation of the store (any ALTER, RENAME, new
 * index) makes its plans invalid, as does one of pg_namespace.  The same goes for
 * the archive of a store, in the plans of statements that are about it.
 *
 * All plans are generic, and planned as soon as they are prepared, with
 * sequential and bitmap scans and full sorts off: a plan made while the store
 * is empty must still be right when the store holds millions of events, and
 * every statement here has an index that yields its rows in order or nearly
 * so.  JIT is off because a disabled node's price would switch it on.  Only a
 * statement that asks for it is planned for each execution.
 *
 * PostgreSQL's own cache plans again before it executes, under the settings of
 * the session, when it finds that another search_path, role or the like is in
 * force.  So we look for that first, and then plan ahead once more.  Where it
 * has planned by itself all the same, since something changed between our look
 * and the execution, the numbers of the plans differ, and ours is made anew by
 * the next call.  A session with plan_cache_mode = force_custom_plan gets what
 * it asks for: each execution is planned under its own settings.
 */
#include "postgres.h"

#include "nodes/params.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/ddl.h"
#include "base/identity.h"
#include "event/event.h"
#include "store/store.h"
#include "table/table.h"

typedef struct PlanKey
{
	Oid			relid;
	Oid			archive;		/* InvalidOid when the statement is not about
								 * it */
	PgesScope	scope;
	const PgesStatement *statement;
} PlanKey;

typedef struct PlanEntry
{
	PlanKey		key;
	SPIPlanPtr	plan;
	int			generation;		/* number of the generic plan made by us */
} PlanEntry;

/* Lives as long as the backend; an error leaves at worst an entry with no plan. */
static HTAB *plans = NULL;

/*
 * Plans to be freed, and the transaction that made them stale.  One of them
 * may be running further up the call stack, below a trigger that appends, so
 * they are freed in a later transaction.
 */
static List *stale_plans = NIL;
static LocalTransactionId stale_since = InvalidLocalTransactionId;

/* Create the hash table. */
static void
create_plan_table(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(PlanKey);
	ctl.entrysize = sizeof(PlanEntry);
	plans = hash_create("pg_eventstore plans", 64, &ctl,
						HASH_ELEM | HASH_BLOBS);
}

/* Make the generic plan now, under the settings the file comment explains. */
static void
plan_ahead(SPIPlanPtr plan)
{
	int			nestlevel = NewGUCNestLevel();
	CachedPlan *cplan;

	pges_set_locally("enable_seqscan", "off");
	pges_set_locally("enable_bitmapscan", "off");
	pges_set_locally("enable_sort", "off");
	pges_set_locally("jit", "off");
	cplan = SPI_plan_get_cached_plan(plan);
	if (cplan)
		ReleaseCachedPlan(cplan, CurrentResourceOwner);
	AtEOXact_GUC(true, nestlevel);
}

/* Where PostgreSQL keeps the query and the generic plan of the one statement. */
static CachedPlanSource *
source_of(SPIPlanPtr plan)
{
	return linitial(SPI_plan_get_plan_sources(plan));
}

/*
 * Whether PostgreSQL would plan again before it executes: what plancache.c looks
 * at, in RevalidateCachedQuery() and CheckCachedPlan().
 */
static bool
would_be_planned_again(CachedPlanSource *source)
{
	CachedPlan *plan = source->gplan;

	return !CachedPlanIsSimplyValid(source, plan, NULL) ||
		(source->dependsOnRLS &&
		 (source->rewriteRoleId != GetUserId() || source->rewriteRowSecurity != row_security)) ||
		(plan->dependsOnRole && plan->planRoleId != GetUserId()) ||
		(TransactionIdIsValid(plan->saved_xmin) && plan->saved_xmin != TransactionXmin);
}

/* The number of the present generic plan of a statement; -1 when there is none. */
static int
generation_of(SPIPlanPtr plan)
{
	CachedPlan *generic = source_of(plan)->gplan;

	return generic ? generic->generation : -1;
}

/*
 * Whether the relation that a statement names is a table of a store: it comes first in
 * the dependencies, before what a view or a rule brings.  A view that has taken the name,
 * and reads the store, would bring functions of its owner.
 */
static bool
names_table_of(const CachedPlanSource *source, const PgesStore *store)
{
	Oid			first = source->relationOids == NIL ? InvalidOid : linitial_oid(source->relationOids);

	return first == store->relid || (OidIsValid(first) && first == store->archive.relid);
}

/* Whether a plan is about the tables of a store, and not others of their names. */
static bool
is_plan_about(SPIPlanPtr plan, const PgesStore *store, PgesScope scope)
{
	CachedPlanSource *source = source_of(plan);

	return (scope == PGES_ARCHIVED || list_member_oid(source->relationOids, store->relid)) &&
		(scope == PGES_LIVE || list_member_oid(source->relationOids, store->archive.relid)) &&
		names_table_of(source, store);
}

/* Raise the error that a name has come to stand for another table. */
static void
report_renamed(const PgesStore *store)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("store %s was renamed concurrently", store->qualified_name),
			 errhint("Call again.")));
}

/*
 * The name of a table of a store.  It is looked up anew: while the caller waited
 * for a lock, the schema may have got another one, and nothing has kept an
 * archive from being dropped.
 */
static char *
present_name(const PgesStore *store, Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the archive of store %s was dropped concurrently",
						store->qualified_name),
				 errhint("Call again.")));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

/* The text of a statement on a store. */
static char *
statement_text(const PgesStore *store, PgesScope scope, const PgesStatement *statement)
{
	char	   *live = present_name(store, store->relid);
	char	   *archive = scope == PGES_LIVE ? NULL : present_name(store, store->archive.relid);

	switch (scope)
	{
		case PGES_LIVE:
			return psprintf(statement->sql, live);
		case PGES_ARCHIVED:
			return psprintf(statement->sql, archive);
		case PGES_ALL:
			return psprintf(statement->sql,
							psprintf("(SELECT " PGES_COLUMNS " FROM %s "
									 "UNION ALL SELECT " PGES_COLUMNS " FROM %s) e",
									 live, archive));
		case PGES_EACH:
			break;
	}
	return psprintf(statement->sql, live, archive);
}

/* Parse a statement on a store. */
static SPIPlanPtr
parse(const PgesStore *store, PgesScope scope, const PgesStatement *statement)
{
	SPIPlanPtr	plan;

	plan = SPI_prepare_cursor(statement_text(store, scope, statement), statement->nparams,
							  (Oid *) statement->types,
							  statement->custom ? CURSOR_OPT_CUSTOM_PLAN : CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not prepare a statement: %s",
						SPI_result_code_string(SPI_result))));
	return plan;
}

/* Prepare a statement on a store and keep the plan. */
static SPIPlanPtr
prepare(const PgesStore *store, PgesScope scope, const PgesStatement *statement)
{
	SPIPlanPtr	plan = parse(store, scope, statement);

	if (!is_plan_about(plan, store, scope))
		report_renamed(store);
	SPI_keepplan(plan);
	PG_TRY();
	{
		if (!statement->custom)
			plan_ahead(plan);
	}
	PG_CATCH();
	{
		SPI_freeplan(plan);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return plan;
}

/* Put a plan aside to be freed, and forget it. */
static void
retire(PlanEntry *entry)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

	stale_plans = lappend(stale_plans, entry->plan);
	stale_since = pges_current_lxid_compat();
	entry->plan = NULL;
	MemoryContextSwitchTo(caller);
}

/* Free the plans that went stale in earlier transactions. */
static void
free_stale_plans(void)
{
	List	   *list = stale_plans;
	ListCell   *lc;

	if (list == NIL || stale_since == pges_current_lxid_compat())
		return;
	stale_plans = NIL;
	foreach(lc, list)
		SPI_freeplan(lfirst(lc));
	list_free(list);
}

/* Retire all plans that are not valid: those of dropped stores among them. */
static void
sweep_plans(void)
{
	HASH_SEQ_STATUS status;
	PlanEntry  *entry;

	hash_seq_init(&status, plans);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->plan && SPI_plan_is_valid(entry->plan))
			continue;
		if (entry->plan)
			retire(entry);
		hash_search(plans, &entry->key, HASH_REMOVE, NULL);
	}
}

/* Find or make the entry of a statement on a store. */
static PlanEntry *
plan_entry(const PgesStore *store, PgesScope scope, const PgesStatement *statement)
{
	PlanKey		key;
	PlanEntry  *entry;
	bool		found;

	if (plans == NULL)
		create_plan_table();
	memset(&key, 0, sizeof(key));	/* the key is hashed with its padding */
	key.relid = store->relid;
	key.archive = scope == PGES_LIVE ? InvalidOid : store->archive.relid;
	key.scope = scope;
	key.statement = statement;
	entry = hash_search(plans, &key, HASH_FIND, NULL);
	if (entry)
		return entry;
	sweep_plans();
	entry = hash_search(plans, &key, HASH_ENTER, &found);
	entry->plan = NULL;
	return entry;
}

/* Whether the plan of an entry is as it was made. */
static bool
is_good(const PlanEntry *entry)
{
	return SPI_plan_is_valid(entry->plan) &&
		(entry->key.statement->custom || generation_of(entry->plan) == entry->generation);
}

/* The plan of a statement on a store, for whoever executes it at once. */
static SPIPlanPtr
find_plan(const PgesStore *store, PgesScope scope, const PgesStatement *statement)
{
	PlanEntry  *entry;

	free_stale_plans();
	entry = plan_entry(store, scope, statement);
	if (entry->plan && !is_good(entry))
		retire(entry);
	if (entry->plan == NULL)
		entry->plan = prepare(store, scope, statement);
	else if (!statement->custom && would_be_planned_again(source_of(entry->plan)))
		plan_ahead(entry->plan);
	entry->generation = generation_of(entry->plan);
	return entry->plan;
}

/* The parameters of a statement as the executor wants them. */
static ParamListInfo
make_params(const PgesStatement *statement, const Datum *values,
			const bool *nulls)
{
	ParamListInfo list = makeParamList(statement->nparams);

	for (int i = 0; i < statement->nparams; i++)
	{
		list->params[i].value = values[i];
		list->params[i].isnull = nulls != NULL && nulls[i];
		list->params[i].pflags = PARAM_FLAG_CONST;
		list->params[i].ptype = statement->types[i];
	}
	return list;
}

/*
 * Run a plan that changes rows, under a snapshot of now.  What others changed
 * since is waited for, and in REPEATABLE READ then is a serialization failure.
 */
static int
execute_latest(SPIPlanPtr plan, const Datum *values)
{
	return SPI_execute_snapshot(plan, unconstify(Datum *, values), NULL,
								GetLatestSnapshot(), InvalidSnapshot, false, true, 0);
}

/*
 * Run a statement on a store; SPI must be connected.  Rows go to a receiver,
 * or without one to SPI_tuptable.  "nulls" may be NULL.  Returns SPI's code.
 *
 * PostgreSQL may parse the plan again on the way, when something has changed.
 * If the name stands for another table by then, what was done is undone.
 *
 * What belongs to the owner of the store may run, also when a plan is made: see
 * pges_act_as_owner().
 */
int
pges_run_statement(const PgesStore *store, PgesScope scope, const PgesStatement *statement,
				   const Datum *values, const bool *nulls, bool read_only,
				   DestReceiver *receiver)
{
	SPIPlanPtr	plan;
	SPIExecuteOptions options = {.read_only = read_only,.dest = receiver};
	PgesIdentity caller;
	bool		as_owner = pges_act_as_owner(&caller, store);
	int			result;

	if (scope != PGES_LIVE)
		pges_require_archive(store);
	if (scope == PGES_ARCHIVED || scope == PGES_ALL)
		pges_check_archive_privilege(store, ACL_SELECT);
	plan = find_plan(store, scope, statement);
	options.params = make_params(statement, values, nulls);
	result = statement->latest ? execute_latest(plan, values) :
		SPI_execute_plan_extended(plan, &options);
	pfree(options.params);
	if (!is_plan_about(plan, store, scope))
		report_renamed(store);
	if (as_owner)
		pges_become_again(&caller);
	return result;
}

/*
 * Run a query on a store for at most one row, under a snapshot of now: what
 * others have committed is seen also in REPEATABLE READ.  Whether there is one;
 * it is in SPI_tuptable then, which the caller frees, and otherwise NULL.
 */
bool
pges_fetch_one_now(const PgesStore *store, PgesScope scope,
				   const PgesStatement *statement, const Datum *values)
{
	bool		found;

	PushActiveSnapshot(GetLatestSnapshot());
	(void) pges_run_statement(store, scope, statement, values, NULL, true, NULL);
	found = SPI_processed > 0;
	PopActiveSnapshot();
	if (!found)
	{
		SPI_freetuptable(SPI_tuptable);
		SPI_tuptable = NULL;
	}
	return found;
}

/* A number in a column of the row that SPI found, of type bigint; null is what it says. */
int64
pges_found_int64(int column, int64 if_null)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
									  column, &isnull);

	return isnull ? if_null : DatumGetInt64(value);
}

/* The same of type integer; 0 for null. */
int32
pges_found_int32(int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
									  column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/*
 * The text in a column of the row that SPI found, copied to a memory context; NULL for
 * null.
 */
text *
pges_found_text(MemoryContext context, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
									  column, &isnull);
	MemoryContext caller = MemoryContextSwitchTo(context);
	text	   *result = isnull ? NULL : DatumGetTextPCopy(value);

	MemoryContextSwitchTo(caller);
	return result;
}
