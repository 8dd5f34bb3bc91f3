/*
 * empty_store.c
 *		Deletes all events of a store, between two tests.
 *
 * The events of the store and of its archive are deleted, its holds, its parked events
 * and its snapshots.  The sequence is not reset, so positions continue.  For readers, the deleted
 * positions are gaps, like those of appends that were rolled back.  So checkpoints,
 * watermarks and the notifier need no change, and the proof of the ordered log holds
 * (doc/ordered-log.md).
 *
 * The lock on snapshots waits for transactions that have saved one, which may be of events
 * that are deleted here.  The table lock waits for open appends and blocks new ones.  Readers are not blocked:
 * each snapshot sees all events or none.  Foreign keys that reference the store are
 * enforced as by any DELETE.  TRUNCATE would be faster for many events, but has none of
 * these properties.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"

#include "archive/archive.h"
#include "base/ddl.h"
#include "base/guc.h"
#include "base/sql_argument.h"
#include "lifecycle/lifecycle.h"
#include "snapshot/snapshot.h"
#include "store/store.h"
#include "subscription/subscription.h"
#include "table/table.h"

static const PgesStatement delete_all = {
	"DELETE FROM %1$s", 0, {0},.latest = true
};

/* Raise an error unless the database is for tests. */
static void
require_test_database(const PgesStore *store)
{
	if (!pges_test_database)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot empty store %s", store->live.qualified_name),
				 errdetail("The database is not declared to be one for tests."),
				 errhint("The owner of a database for tests can execute ALTER DATABASE ... SET pg_eventstore.test_database = on, and connect again.")));
}

/* Raise an error if events were not deleted. */
static void
check_deleted(const PgesStore *store)
{
	if (pges_has_events(store))
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("not all events of store %s were deleted", store->live.qualified_name),
				 errdetail("Nothing was deleted."),
				 errhint("Look for a trigger on the store or its archive that keeps rows from being deleted.")));
}

/* Delete all events of a store and its archive, and return how many there were. */
static int64
delete_events(const PgesStore *store)
{
	int			nestlevel = pges_begin_ddl();
	int64		deleted;

	/* a policy that hides events must raise an error, not hide them */
	pges_set_locally("row_security", "off");
	/* make earlier changes of this transaction visible */
	CommandCounterIncrement();
	(void) pges_run_change(store, PGES_LIVE, &delete_all, NULL, NULL);
	deleted = SPI_processed;
	if (OidIsValid(store->archive.relid))
	{
		(void) pges_run_change(store, PGES_ARCHIVED, &delete_all, NULL, NULL);
		deleted += SPI_processed;
	}
	CommandCounterIncrement();
	check_deleted(store);
	pges_end_ddl(nestlevel);
	return deleted;
}

PG_FUNCTION_INFO_V1(pges_empty_store);

/* SQL: delete all events of a store in a database for tests. */
Datum
pges_empty_store(PG_FUNCTION_ARGS)
{
	const PgesStore *store;
	int64		deleted;

	PreventCommandIfReadOnly("eventstore.empty_store()");
	pges_require_argument(fcinfo, 0, "store");
	store = pges_store_of_user(PG_GETARG_OID(0));
	require_test_database(store);
	/* before the table: a saver of a snapshot may append later */
	pges_lock_snapshots(store->live.relid);
	store = pges_lock_owned_store(store->live.relid, ShareRowExclusiveLock);
	store = pges_store_with_archive_locked(store->live.relid);
	pges_check_archive_owner(store);
	deleted = delete_events(store);
	pges_forget_holds(store->live.relid);
	pges_forget_parked(store->live.relid);
	pges_forget_snapshots(store->live.relid);
	PG_RETURN_INT64(deleted);
}
