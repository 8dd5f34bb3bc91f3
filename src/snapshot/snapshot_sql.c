/*
 * snapshot_sql.c
 *		The SQL functions with which clients save and load snapshots of their own.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/own_object.h"
#include "base/sql_argument.h"
#include "event/event.h"
#include "position/position.h"
#include "snapshot/state.h"

/* The columns of load_aggregate(): those of an event, and the state of a snapshot. */
#define STATE_COLUMN PGES_NUM_COLUMNS
#define NUM_LOADED (PGES_NUM_COLUMNS + 1)

static const PgesStatement events_after = {
	"SELECT " PGES_COLUMNS ", NULL::pg_catalog.jsonb FROM %1$s "
	"WHERE aggregate_id OPERATOR(pg_catalog.=) $1 "
	"AND aggregate_version OPERATOR(pg_catalog.>) $2 ORDER BY aggregate_version",
	2, {TEXTOID, INT4OID}
};

/* Deletes snapshots of clients: of an aggregate, or before a version, if these are given. */
static PgesOwnStatement delete_of_clients = {
	{&pges_snapshot_rows}, false,
	"DELETE FROM eventstore.snapshots WHERE store::pg_catalog.oid OPERATOR(pg_catalog.=) $1 "
	"AND state_name OPERATOR(pg_catalog.=) '' "
	"AND ($2 IS NULL OR aggregate_id OPERATOR(pg_catalog.=) $2) "
	"AND ($3 IS NULL OR aggregate_version OPERATOR(pg_catalog.<) $3)",
	3, {OIDOID, TEXTOID, INT4OID}
};

/* Return the store of an argument; raise an error unless the user may insert into it. */
static const PgesStore *
store_to_save(FunctionCallInfo fcinfo, int arg, const char *function)
{
	const PgesStore *store;

	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	store = pges_store_argument(fcinfo, arg, AccessShareLock, ACL_INSERT);
	if (!pges_may_insert(store->live.relid))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, store->live.table);
	return store;
}

/* Raise an error if the store, or the row security of the store, permits no snapshots. */
static void
check_can_have_snapshots(const PgesAggregateRead *read)
{
	if (read->snapshots)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot save snapshots of store %s", read->store->live.qualified_name),
			 pges_is_subscribed(read->store->live.relid) ?
			 errdetail("A subscription of logical replication fills the store, so erasures would not delete the snapshots.") :
			 errdetail("Row security of the store applies to role \"%s\". A snapshot would show what the policies hide from other roles.",
					   GetUserNameFromId(GetUserId(), false))));
}

PG_FUNCTION_INFO_V1(pges_save_snapshot);

/* SQL: save a snapshot of a client; return whether it was saved. */
Datum
pges_save_snapshot(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"aggregate_id", "aggregate_version", "state"};
	const PgesStore *store;
	PgesAggregateRead read;
	PgesSnapshot snapshot = {0};

	for (int i = 0; i < lengthof(required); i++)
		pges_require_argument(fcinfo, i, required[i]);
	store = store_to_save(fcinfo, 3, "eventstore.save_snapshot()");
	pges_begin_read(&read, store, PG_GETARG_TEXT_PP(0));
	check_can_have_snapshots(&read);
	snapshot.version = PG_GETARG_INT32(1);
	snapshot.state = PG_GETARG_DATUM(2);
	PG_RETURN_BOOL(pges_save_client_snapshot(&read, &snapshot));
}

PG_FUNCTION_INFO_V1(pges_delete_snapshots);

/* SQL: delete snapshots of clients, and return how many. */
Datum
pges_delete_snapshots(PG_FUNCTION_ARGS)
{
	const PgesStore *store = store_to_save(fcinfo, 2, "eventstore.delete_snapshots()");
	Datum		values[] = {ObjectIdGetDatum(store->live.relid), PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	bool		nulls[] = {false, PG_ARGISNULL(0), PG_ARGISNULL(1)};
	uint64		deleted;

	SPI_connect();
	deleted = pges_run_own_statement(&delete_of_clients, values, nulls);
	SPI_finish();
	PG_RETURN_INT64(deleted);
}

/* Find the newest snapshot of the client for a read. */
static bool
find_client_snapshot(const PgesAggregateRead *read, PgesSnapshot *snapshot)
{
	PgesSnapshotKey key;

	pges_make_client_key(&key);
	return pges_find_snapshot(read, &key, snapshot);
}

PG_FUNCTION_INFO_V1(pges_get_snapshot);

/* SQL: return the newest snapshot of a client, or no row. */
Datum
pges_get_snapshot(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PgesAggregateRead read;
	PgesSnapshot snapshot;

	pges_require_argument(fcinfo, 0, "aggregate_id");
	pges_begin_read(&read, pges_readable_store_argument(fcinfo, 2), PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(1))
		read.to_version = PG_GETARG_INT32(1);
	pges_check_readable(&read);
	InitMaterializedSRF(fcinfo, 0);
	if (find_client_snapshot(&read, &snapshot))
	{
		Datum		values[] = {Int32GetDatum(snapshot.version), snapshot.state,
		TimestampTzGetDatum(snapshot.saved_at)};
		bool		nulls[lengthof(values)] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Add the row of a snapshot to the result of load_aggregate(). */
static void
put_snapshot(ReturnSetInfo *rsinfo, const PgesAggregateRead *read, const PgesSnapshot *snapshot)
{
	Datum		values[NUM_LOADED] = {0};
	bool		nulls[NUM_LOADED];

	memset(nulls, true, sizeof(nulls));
	values[PGES_AGGREGATE_ID] = PointerGetDatum(read->aggregate_id);
	values[PGES_AGGREGATE_VERSION] = Int32GetDatum(snapshot->version);
	values[STATE_COLUMN] = snapshot->state;
	nulls[PGES_AGGREGATE_ID] = nulls[PGES_AGGREGATE_VERSION] = nulls[STATE_COLUMN] = false;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(pges_load_aggregate);

/* SQL: return the newest snapshot of a client, and the events after it. */
Datum
pges_load_aggregate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DestReceiver *receiver = CreateDestReceiver(DestTuplestore);
	PgesAggregateRead read;
	PgesSnapshot snapshot;
	Datum		values[2];

	pges_require_argument(fcinfo, 0, "aggregate_id");
	pges_begin_read(&read, pges_readable_store_argument(fcinfo, 1), PG_GETARG_TEXT_PP(0));
	InitMaterializedSRF(fcinfo, 0);
	if (find_client_snapshot(&read, &snapshot))
		put_snapshot(rsinfo, &read, &snapshot);
	SetTuplestoreDestReceiverParams(receiver, rsinfo->setResult, rsinfo->econtext->ecxt_per_query_memory,
									false, NULL, NULL);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = Int32GetDatum(snapshot.version);
	SPI_connect();
	(void) pges_run_statement(read.store, read.scope, &events_after, values, NULL, true, receiver);
	SPI_finish();
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(pges_skip_lost_snapshot);

/*
 * Trigger, before INSERT, for each row whose store does not exist: skip the row.  Several
 * such rows could have the same key.
 */
Datum
pges_skip_lost_snapshot(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	pges_require_trigger(fcinfo, "skip_lost_snapshot",
						 CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BEFORE(trigdata->tg_event) &&
						 TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) &&
						 TRIGGER_FIRED_BY_INSERT(trigdata->tg_event),
						 "the tables of snapshots and states", NULL);
	return PointerGetDatum(NULL);
}
