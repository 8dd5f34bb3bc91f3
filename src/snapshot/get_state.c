/*
 * get_state.c
 *		The SQL functions that return the state of an aggregate.
 *
 * aggregate_state() runs the reducer that it is given with the rights of the user.
 * get_state() runs the reducer of a named state with the rights of the owner of the state,
 * and saves a snapshot if there are enough events after the last one.  Whatever keeps the
 * snapshot from being saved is no error: a standby, a read-only transaction, an erasure or
 * another saver.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/sql_argument.h"
#include "snapshot/state.h"

/*
 * Begin to read an aggregate up to the bounds in the arguments to_version and at, which
 * are consecutive, from number "arg" on.
 */
static void
begin_bounded_read(PgesAggregateRead *read, const PgesStore *store, FunctionCallInfo fcinfo,
				   int aggregate_arg, int arg)
{
	pges_require_argument(fcinfo, aggregate_arg, "aggregate_id");
	if (!PG_ARGISNULL(arg) && PG_GETARG_INT32(arg) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"to_version\" must not be negative"),
				 errdetail("It is %d.", PG_GETARG_INT32(arg))));
	pges_begin_read(read, store, PG_GETARG_TEXT_PP(aggregate_arg));
	if (!PG_ARGISNULL(arg))
		read->to_version = PG_GETARG_INT32(arg);
	if (!PG_ARGISNULL(arg + 1))
		read->at = PG_GETARG_TIMESTAMPTZ(arg + 1);
}

/*
 * Make the snapshot that a fold begins with: the newest one of a state that can be used,
 * or the initial state.  "state" is NULL if there is no state.
 */
static void
find_start(const PgesAggregateRead *read, const PgesState *state, Datum initial,
		   PgesSnapshotKey *key, PgesSnapshot *snapshot)
{
	snapshot->version = 0;
	if (state)
		pges_make_key(state, key);
	if (state && pges_find_snapshot(read, key, snapshot))
		return;
	pges_note_read();
	snapshot->state = initial;
	snapshot->event_id = NULL;
	snapshot->occurred_until = DT_NOBEGIN;
}

PG_FUNCTION_INFO_V1(pges_aggregate_state);

/* SQL: return the state that a reducer computes from the events of an aggregate. */
Datum
pges_aggregate_state(PG_FUNCTION_ARGS)
{
	PgesAggregateRead read;
	PgesReducer reducer;
	PgesSnapshotKey key;
	PgesSnapshot snapshot;
	const PgesStore *store;

	pges_require_argument(fcinfo, 1, "reducer");
	pges_require_argument(fcinfo, 2, "initial");
	store = pges_readable_store_argument(fcinfo, 5);
	begin_bounded_read(&read, store, fcinfo, 0, 3);
	pges_describe_reducer(PG_GETARG_OID(1), &reducer);
	pges_check_may_execute(&reducer);
	find_start(&read, read.snapshots ? pges_find_state_of(&reducer, PG_GETARG_DATUM(2), read.store) : NULL,
			   PG_GETARG_DATUM(2), &key, &snapshot);
	pges_fold(&read, &reducer, InvalidOid, &snapshot);
	PG_RETURN_DATUM(snapshot.state);
}

/*
 * Return whether to save the snapshot of a state that was computed from a snapshot at
 * version "first".
 */
static bool
is_due(const PgesState *state, const PgesAggregateRead *read, const PgesSnapshot *snapshot, int32 first)
{
	return state->snapshot_every > 0 && snapshot->version - first >= state->snapshot_every &&
		read->snapshots && read->to_version == PG_INT32_MAX && TIMESTAMP_IS_NOEND(read->at) &&
		!XactReadOnly && !RecoveryInProgress() && !IsInParallelMode();
}

PG_FUNCTION_INFO_V1(pges_get_state);

/* SQL: return a named state of an aggregate. */
Datum
pges_get_state(PG_FUNCTION_ARGS)
{
	char	   *name = pges_text_argument(fcinfo, 0, "name");
	PgesAggregateRead read;
	PgesState  *state;
	PgesSnapshotKey key;
	PgesSnapshot snapshot;
	int32		first;

	begin_bounded_read(&read, pges_readable_store_argument(fcinfo, 4), fcinfo, 1, 2);
	state = pges_find_state(name, read.store);
	pges_check_state(state);
	pges_check_may_execute(&state->reducer);
	find_start(&read, state, state->initial, &key, &snapshot);
	first = snapshot.version;
	pges_fold(&read, &state->reducer, state->owner, &snapshot);
	if (is_due(state, &read, &snapshot, first))
		pges_try_to_save(&read, &key, &snapshot);
	PG_RETURN_DATUM(snapshot.state);
}
