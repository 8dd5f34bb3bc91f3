/*
 * guc.c
 *		The settings of pg_eventstore.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"
#include "utils/varlena.h"

#include "base/guc.h"

/* The values of the settings; PostgreSQL maintains them. */
char	   *pges_store_setting = NULL;
int			pges_max_aggregate_locks = 1000;
int			pges_notifier_tick = 1;
bool		pges_direct_append = true;
bool		pges_durable_reads = false;
bool		pges_test_database = false;
int			pges_projection_workers = 2;
int			pges_projection_timeout = 60000;

/* Only pg_dump looks at it, by name. */
static bool dump_snapshots = false;

/* Check hook: return false if a store name cannot name a table. */
static bool
check_store_setting(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names;
	bool		ok;

	ok = SplitIdentifierString(copy, '.', &names) &&
		(list_length(names) == 1 || list_length(names) == 2);
	list_free(names);
	pfree(copy);
	if (!ok)
		GUC_check_errdetail("The name of a store is the name of its table, with or without the schema.");
	return ok;
}

/*
 * Check hook: return false for a value of a role or a session.  Such a value would let a
 * session that is connected to the wrong database empty its stores.
 */
static bool
check_test_database(bool *newval, void **extra, GucSource source)
{
	if (!*newval || source <= PGC_S_DATABASE || source == PGC_S_DATABASE_USER || source == PGC_S_TEST)
		return true;
	GUC_check_errmsg("parameter \"pg_eventstore.test_database\" cannot be set for a session or a role");
	GUC_check_errdetail("The parameter marks a database for tests, so that tests cannot empty the stores of another database.");
	GUC_check_errhint("The owner of a database for tests can set it: ALTER DATABASE ... SET pg_eventstore.test_database = on. New sessions then use the value.");
	return false;
}

/* Define the settings of projections: for the whole server, whose workers serve all sessions. */
static void
define_projection_settings(void)
{
	DefineCustomIntVariable("pg_eventstore.projection_workers",
							"Sets the maximum number of background workers that run projections in a database.",
							"A projection that waits or computes for long occupies one of them. "
							"With 0, projections are run only by run_projection().",
							&pges_projection_workers, 2, 0, PGES_MAX_PROJECTION_WORKERS,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_eventstore.projection_timeout",
							"Sets the maximum duration of a run of a projection by a worker.",
							"A run of several events that takes longer is repeated with fewer events. "
							"A run of one event that takes longer has failed. 0 disables the timeout.",
							&pges_projection_timeout, 60000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
}

/* Define the settings. */
void
pges_guc_init(void)
{
	/* the store of calls that pass none; set per role, database or session */
	DefineCustomStringVariable("pg_eventstore.store",
							   "Sets the store of calls that name no store.",
							   "A name without a schema is looked up along the search_path.",
							   &pges_store_setting, "eventstore.events",
							   PGC_USERSET, 0,
							   check_store_setting, NULL, NULL);

	/* for readers whose writers commit asynchronously */
	DefineCustomBoolVariable("pg_eventstore.durable_reads",
							 "Makes readers of the ordered log flush the WAL of what they return.",
							 "If the server crashes, no event that a reader has returned is lost, "
							 "even if the event was committed asynchronously.",
							 &pges_durable_reads, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	/*
	 * Each lock takes a place in the shared lock table until commit.  Other
	 * sessions' checks rely on the locks, so not every role may lower this.
	 */
	DefineCustomIntVariable("pg_eventstore.max_aggregate_locks",
							"Sets the maximum number of aggregates that one transaction locks.",
							"For further aggregates, the unique index decides: "
							"a concurrent append to one of them is then a version conflict.",
							&pges_max_aggregate_locks, 1000, 0, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);

	/* for tests and comparisons; both ways must have equal results */
	DefineCustomBoolVariable("pg_eventstore.direct_append",
							 "Lets appends to plain stores bypass the executor.",
							 "If it is off, each append runs an INSERT statement, which has the same result.",
							 &pges_direct_append, true,
							 PGC_USERSET, GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);

	/* keeps empty_store() from emptying stores by accident */
	DefineCustomBoolVariable("pg_eventstore.test_database",
							 "Allows empty_store() to delete all events of a store.",
							 "Can be set for a database or a server, not for a session, or for a role in all databases.",
							 &pges_test_database, false,
							 PGC_USERSET, GUC_NOT_IN_SAMPLE,
							 check_test_database, NULL, NULL);

	/*
	 * the condition of table eventstore.snapshots in
	 * pg_extension.extcondition
	 */
	DefineCustomBoolVariable("pg_eventstore.dump_snapshots",
							 "Makes pg_dump include snapshots.",
							 "Snapshots can be computed again from the events, so dumps have none unless it is on in the session of pg_dump.",
							 &dump_snapshots, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	/* only for the whole server: one notifier serves all sessions */
	DefineCustomIntVariable("pg_eventstore.notifier_tick",
							"Sets the minimum time between two notifications of a store.",
							"Events that are appended meanwhile are announced together.",
							&pges_notifier_tick, 1, 0, 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	define_projection_settings();
	MarkGUCPrefixReserved("pg_eventstore");
}
