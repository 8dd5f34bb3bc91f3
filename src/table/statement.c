/*
 * statement.c
 *		The cache of saved plans: one for each statement, scope and store.
 *
 * The cache works like that of ri_triggers.c.  A plan is found by its key, and used while
 * SPI reports it as valid.  Otherwise a new plan is made from the present name of the
 * store.  A relcache invalidation of the store (any ALTER, RENAME, new index) makes its
 * plans invalid, as does a change of pg_namespace.  An invalidation of the archive does
 * the same to the plans of statements that use the archive.
 *
 * All plans are generic, and made as soon as they are prepared, with sequential scans,
 * bitmap scans and full sorts off.  A plan made while the store is empty must still be
 * efficient when the store has millions of events.  For every statement that runs here, an
 * index returns the rows in order or nearly in order.  JIT is off because the cost of a
 * disabled node would enable JIT.  Only a statement with "custom" is planned for each
 * execution.
 *
 * If for example search_path or the role has changed, PostgreSQL's plan cache makes a new
 * plan before the execution, under the settings of the session.  So this file checks for
 * such changes first, and makes the plan itself.  If something changes between this check
 * and the execution, PostgreSQL still makes a plan.  The generations of the plans then
 * differ, and the next call makes a new plan.  In a session with plan_cache_mode =
 * force_custom_plan, each execution is planned under the settings of the session.
 */
#include "postgres.h"

#include "miscadmin.h"
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

#include "base/act_as.h"
#include "base/compat.h"
#include "base/ddl.h"
#include "base/text.h"
#include "event/event.h"
#include "store/store.h"
#include "table/table.h"

typedef struct PlanKey
{
	Oid			relid;
	Oid			archive;		/* InvalidOid if the scope excludes it */
	PgesScope	scope;
	const PgesStatement *statement;
} PlanKey;

typedef struct PlanEntry
{
	PlanKey		key;
	SPIPlanPtr	plan;
	int			generation;		/* number of the generic plan made here */
} PlanEntry;

/* Lives as long as the backend.  An error can leave an entry without a plan. */
static HTAB *plans = NULL;

/*
 * The plans to be freed, and the transaction that retired the last of them.  A trigger
 * that appends can retire a plan that still runs further up the call stack.  So the
 * plans are freed in a later transaction.
 */
static List *stale_plans = NIL;
static LocalTransactionId stale_since = InvalidLocalTransactionId;

/* Make the generic plan now, under the settings that the head of this file explains. */
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

/* Return PostgreSQL's entry for the only statement of a plan: query and generic plan. */
static CachedPlanSource *
source_of(SPIPlanPtr plan)
{
	return linitial(SPI_plan_get_plan_sources(plan));
}

/*
 * Return whether PostgreSQL would plan again before it executes.  The conditions are
 * those of RevalidateCachedQuery() and CheckCachedPlan() in plancache.c.
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

/* Return the number of a statement's present generic plan, or -1 if there is none. */
static int
generation_of(SPIPlanPtr plan)
{
	CachedPlan *generic = source_of(plan)->gplan;

	return generic ? generic->generation : -1;
}

/*
 * Return whether the relation that a statement names is the store or its archive.  That
 * relation is the first dependency of the plan; relations that a view or a rule adds come
 * later.  A view that now has the name, and reads the store, could call functions of its
 * owner.
 */
static bool
names_table_of(const CachedPlanSource *source, const PgesStore *store)
{
	Oid			first = source->relationOids == NIL ? InvalidOid : linitial_oid(source->relationOids);

	return first == store->live.relid || (OidIsValid(first) && first == store->archive.relid);
}

/* Return whether a plan uses the tables of a store, and not others with their names. */
static bool
is_plan_about(SPIPlanPtr plan, const PgesStore *store, PgesScope scope)
{
	CachedPlanSource *source = source_of(plan);

	return (scope == PGES_ARCHIVED || list_member_oid(source->relationOids, store->live.relid)) &&
		(scope == PGES_LIVE || list_member_oid(source->relationOids, store->archive.relid)) &&
		names_table_of(source, store);
}

/* Raise the error that the name of a store now denotes another table. */
static void
report_renamed(const PgesStore *store)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("store %s was renamed concurrently", store->live.qualified_name),
			 errhint("Retry the call.")));
}

/* Raise an error unless the user may use the schema of a table. */
static void
check_schema(Oid relid)
{
	Oid			schema = get_rel_namespace(relid);
	char	   *name = get_namespace_name(schema);

	if (name == NULL || pges_may_in_schema_compat(schema, ACL_USAGE))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for schema %s", quote_identifier(name)),
			 errdetail("Table %s is in that schema.", pges_relation_name(relid)),
			 errhint("Its owner can grant it: GRANT USAGE ON SCHEMA %s TO %s;", quote_identifier(name),
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/*
 * Return the qualified name of a table of a store.  The name is looked up each time: the
 * schema may have been renamed while the caller waited for a lock.  Raise an error if an
 * archive was dropped, which can happen before the archive is locked.
 */
static char *
present_name(const PgesStore *store, Oid relid)
{
	char	   *name = pges_relation_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the archive of store %s was dropped concurrently",
						store->live.qualified_name),
				 errhint("Retry the call.")));
	check_schema(relid);
	return name;
}

/* Return the text of a statement on a store, with the present names of the tables. */
static char *
statement_text(const PgesStore *store, PgesScope scope, const PgesStatement *statement)
{
	char	   *live = present_name(store, store->live.relid);
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

/* Parse a statement on a store; raise an error if SPI cannot prepare it. */
static SPIPlanPtr
parse(const PgesStore *store, PgesScope scope, const PgesStatement *statement)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(statement_text(store, scope, statement),
										  statement->nparams, (Oid *) statement->types,
										  statement->custom ? CURSOR_OPT_CUSTOM_PLAN : CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not prepare a statement: %s",
						SPI_result_code_string(SPI_result))));
	return plan;
}

/* Prepare a statement on a store and keep the plan; raise an error if a name changed. */
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

/* Move the plan of an entry to the plans to be freed. */
static void
retire(PlanEntry *entry)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

	stale_plans = lappend(stale_plans, entry->plan);
	stale_since = pges_current_lxid_compat();
	entry->plan = NULL;
	MemoryContextSwitchTo(caller);
}

/* Free the plans that earlier transactions retired. */
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

/* Remove entries whose plans are not valid, as of dropped stores; retire the plans. */
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

/* Find or create the entry of a statement on a store. */
static PlanEntry *
plan_entry(const PgesStore *store, PgesScope scope, const PgesStatement *statement)
{
	PlanKey		key;
	PlanEntry  *entry;
	HASHCTL		ctl = {.keysize = sizeof(PlanKey),.entrysize = sizeof(PlanEntry)};

	if (plans == NULL)
		plans = hash_create("pg_eventstore plans", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	memset(&key, 0, sizeof(key));	/* the key is hashed with its padding */
	key.relid = store->live.relid;
	key.archive = scope == PGES_LIVE ? InvalidOid : store->archive.relid;
	key.scope = scope;
	key.statement = statement;
	entry = hash_search(plans, &key, HASH_FIND, NULL);
	if (entry)
		return entry;
	sweep_plans();
	entry = hash_search(plans, &key, HASH_ENTER, NULL);
	entry->plan = NULL;
	return entry;
}

/* Return whether a plan is valid, and PostgreSQL has not replaced the generic plan. */
static bool
is_good(const PlanEntry *entry)
{
	return SPI_plan_is_valid(entry->plan) &&
		(entry->key.statement->custom || generation_of(entry->plan) == entry->generation);
}

/* Return the plan of a statement on a store.  The caller must execute the plan at once. */
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

/* Return the parameters of a statement in the form that the executor needs. */
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
 * Run a plan that changes rows, under the latest snapshot, and return SPI's code.  If
 * another transaction changes such a row after the snapshot was taken, the statement waits
 * for that transaction, and in REPEATABLE READ raises a serialization failure.
 */
static int
execute_latest(SPIPlanPtr plan, const Datum *values)
{
	return SPI_execute_snapshot(plan, unconstify(Datum *, values), NULL,
								GetLatestSnapshot(), InvalidSnapshot, false, true, 0);
}

/*
 * Run a statement on a store and return SPI's code.  SPI must be connected.  Rows go to
 * the receiver, or to SPI_tuptable if the receiver is NULL.  "nulls" may be NULL.
 * Raise an error if the scope needs an archive that is missing, or that the user may
 * not read.
 *
 * If something has changed, PostgreSQL may parse the statement again before it executes
 * the plan.  If a name then denotes another table, an error rolls the statement back.
 *
 * Code of the store's owner may run here, also while a plan is made: see
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
 * Run a query on a store for at most one row, under the latest snapshot, also in
 * REPEATABLE READ.  Return whether there is a row.  The row is in SPI_tuptable, which
 * the caller frees; without a row, SPI_tuptable is NULL.
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

/* Return a bigint column of the row that SPI found, or if_null for null. */
int64
pges_found_int64(int column, int64 if_null)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
									  column, &isnull);

	return isnull ? if_null : DatumGetInt64(value);
}

/* Return an integer column of the row that SPI found, or 0 for null. */
int32
pges_found_int32(int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
									  column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/* Return a text column of the row that SPI found, copied to "context"; NULL for null. */
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
