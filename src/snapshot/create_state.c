/*
 * create_state.c
 *		The SQL functions that create, alter, reset and drop named states.
 *
 * A function that changes a state locks its row.  get_state() reads the row without a
 * lock.  If a reducer, a role or the initial state changes meanwhile, get_state() saves a
 * snapshot with the old fingerprint, which later calls do not find and the next save
 * deletes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "snapshot/state.h"

#define MAX_NAME 255			/* of a state, in characters */

static PgesOwnStatement insert_definition = {
	{&pges_state_rows}, false,
	"INSERT INTO eventstore.state_definitions (name, store, owner, reducer, reducer_owner, initial, "
	"snapshot_every, epoch, created_at) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, pg_catalog.now()) ON CONFLICT DO NOTHING",
	8, {TEXTOID, REGCLASSOID, NAMEOID, TEXTOID, NAMEOID, JSONBOID, INT4OID, INT8OID}
};

static PgesOwnStatement lock_definition = {
	{&pges_state_rows}, false,
	"SELECT FROM eventstore.state_definitions WHERE name OPERATOR(pg_catalog.=) $1 "
	"AND store::pg_catalog.oid OPERATOR(pg_catalog.=) $2 FOR UPDATE",
	2, {TEXTOID, OIDOID}
};

static PgesOwnStatement update_definition = {
	{&pges_state_rows}, false,
	"UPDATE eventstore.state_definitions SET owner = $3, reducer = $4, reducer_owner = $5, initial = $6, "
	"snapshot_every = $7, epoch = $8 WHERE name OPERATOR(pg_catalog.=) $1 "
	"AND store::pg_catalog.oid OPERATOR(pg_catalog.=) $2",
	8, {TEXTOID, OIDOID, NAMEOID, TEXTOID, NAMEOID, JSONBOID, INT4OID, INT8OID}
};

static PgesOwnStatement delete_definition = {
	{&pges_state_rows}, false,
	"DELETE FROM eventstore.state_definitions WHERE name OPERATOR(pg_catalog.=) $1 "
	"AND store::pg_catalog.oid OPERATOR(pg_catalog.=) $2",
	2, {TEXTOID, OIDOID}
};

/* Deletes what DROP TABLE of a store has left. */
static PgesOwnStatement delete_lost = {
	{&pges_state_rows, &pges_snapshot_rows}, false,
	"WITH lost AS (DELETE FROM eventstore.state_definitions d WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c "
	"WHERE c.oid OPERATOR(pg_catalog.=) d.store::pg_catalog.oid)) "
	"DELETE FROM eventstore.snapshots s WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c "
	"WHERE c.oid OPERATOR(pg_catalog.=) s.store::pg_catalog.oid)",
	0
};

/* Run a statement, and return the number of rows. */
static uint64
run(PgesOwnStatement *statement, const Datum *values)
{
	uint64		rows;

	SPI_connect();
	rows = pges_run_own_statement(statement, values, NULL);
	SPI_finish();
	return rows;
}

/* Raise an error unless the argument is the name that a state can have. */
static void
check_name(const char *name)
{
	int			length = pg_mbstrlen(name);

	if (length == 0 || length > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"name\" must have from 1 to %d characters", MAX_NAME),
				 errdetail("It has %d.", length)));
}

/* Return argument snapshot_every; raise an error if it is negative. */
static int
snapshot_every_argument(FunctionCallInfo fcinfo, int arg)
{
	int			value = PG_GETARG_INT32(arg);

	if (value < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"snapshot_every\" must not be negative"),
				 errdetail("It is %d.", value)));
	return value;
}

/*
 * Set the reducer of a state; raise an error if the user may not execute it.  The owner of
 * the function is recorded, see the head of state.c.
 */
static void
set_reducer(PgesState *state, Oid function)
{
	pges_describe_reducer(function, &state->reducer);
	pges_check_may_execute(&state->reducer);
	state->reducer_name = state->reducer.name;
	state->reducer_owner = GetUserNameFromId(state->reducer.owner, false);
}

/* Run a statement that writes all columns of a state. */
static uint64
write_state(PgesOwnStatement *statement, const PgesState *state)
{
	NameData	owner;
	NameData	reducer_owner;
	Datum		values[8];

	namestrcpy(&owner, state->owner_name);
	namestrcpy(&reducer_owner, state->reducer_owner);
	values[0] = CStringGetTextDatum(state->name);
	values[1] = ObjectIdGetDatum(state->relid);
	values[2] = NameGetDatum(&owner);
	values[3] = CStringGetTextDatum(state->reducer_name);
	values[4] = NameGetDatum(&reducer_owner);
	values[5] = state->initial;
	values[6] = Int32GetDatum(state->snapshot_every);
	values[7] = Int64GetDatum(state->epoch);
	return run(statement, values);
}

/* Raise an error if the existing state has another definition, otherwise a notice. */
static void
report_existing(const PgesState *wanted, const PgesStore *store)
{
	const PgesState *existing = pges_find_state(wanted->name, store);
	const char *difference = strcmp(existing->reducer_name, wanted->reducer_name) != 0 ? "reducer" :
		!DatumGetBool(DirectFunctionCall2(jsonb_eq, existing->initial, wanted->initial)) ? "initial state" : NULL;

	if (difference)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("state \"%s\" of store %s already exists with another definition", wanted->name,
						store->live.qualified_name),
				 errdetail("The %s differs.", difference),
				 errhint("Change the state with eventstore.alter_state(), or choose another name.")));
	ereport(NOTICE,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("state \"%s\" of store %s already exists, skipping", wanted->name,
					store->live.qualified_name)));
}

/* Return a new epoch. */
static int64
make_epoch(void)
{
	return (int64) (pg_prng_uint64(&pg_global_prng_state) >> 1);
}

PG_FUNCTION_INFO_V1(pges_create_state);

/* SQL: create a named state. */
Datum
pges_create_state(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"name", "reducer", "initial", "snapshot_every"};
	const PgesStore *store;
	PgesState	state = {0};

	PreventCommandDuringRecovery("eventstore.create_state()");
	PreventCommandIfReadOnly("eventstore.create_state()");
	for (int i = 0; i < lengthof(required); i++)
		pges_require_argument(fcinfo, i, required[i]);
	state.name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	check_name(state.name);
	state.snapshot_every = snapshot_every_argument(fcinfo, 3);
	store = pges_readable_store_argument(fcinfo, 4);
	state.relid = store->live.relid;
	state.owner = GetUserId();
	state.owner_name = GetUserNameFromId(state.owner, false);
	set_reducer(&state, PG_GETARG_OID(1));
	state.initial = PG_GETARG_DATUM(2);
	state.epoch = make_epoch();
	(void) run(&delete_lost, NULL);
	if (write_state(&insert_definition, &state) == 0)
		report_existing(&state, store);
	else
		pges_check_state(&state);
	PG_RETURN_VOID();
}

/* Raise an error unless the user is a member of the owner of a state. */
static void
check_member(const PgesState *state)
{
	if (superuser() || (OidIsValid(state->owner) && has_privs_of_role(GetUserId(), state->owner)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for state \"%s\"", state->name),
			 OidIsValid(state->owner) ? errdetail("It belongs to role \"%s\".", state->owner_name) :
			 errdetail("It belongs to role \"%s\", which does not exist.", state->owner_name)));
}

/*
 * Lock the row of the state that the arguments "name", number 0, and "store" name.  Raise
 * an error if there is none, or if the user is not a member of its owner.
 */
static PgesState *
lock_state(FunctionCallInfo fcinfo, int store_arg, const char *function)
{
	char	   *name = pges_text_argument(fcinfo, 0, "name");
	const PgesStore *store;
	PgesState  *state;
	Datum		key[2];

	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	store = pges_readable_store_argument(fcinfo, store_arg);
	key[0] = CStringGetTextDatum(name);
	key[1] = ObjectIdGetDatum(store->live.relid);
	check_member(pges_find_state(name, store));
	(void) run(&lock_definition, key);
	state = pges_find_state(name, store);
	check_member(state);
	return state;
}

/* Set the new owner of a state; raise an error unless the user may give it away. */
static void
set_owner(PgesState *state, Name owner)
{
	state->owner_name = NameStr(*owner);
	state->owner = get_role_oid(state->owner_name, false);
	pges_check_may_give_compat(state->owner);
}

PG_FUNCTION_INFO_V1(pges_alter_state);

/* SQL: change a named state. */
Datum
pges_alter_state(PG_FUNCTION_ARGS)
{
	PgesState  *state = lock_state(fcinfo, 5, "eventstore.alter_state()");

	if (!PG_ARGISNULL(1))
		set_reducer(state, PG_GETARG_OID(1));
	if (!PG_ARGISNULL(2))
		state->initial = PG_GETARG_DATUM(2);
	if (!PG_ARGISNULL(3))
		state->snapshot_every = snapshot_every_argument(fcinfo, 3);
	if (!PG_ARGISNULL(4))
		set_owner(state, PG_GETARG_NAME(4));
	(void) write_state(&update_definition, state);
	pges_check_state(state);
	if (!PG_ARGISNULL(1) || !PG_ARGISNULL(2) || !PG_ARGISNULL(4))
		pges_delete_snapshots_of_state(state);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pges_reset_state);

/* SQL: delete the snapshots of a named state. */
Datum
pges_reset_state(PG_FUNCTION_ARGS)
{
	PgesState  *state = lock_state(fcinfo, 1, "eventstore.reset_state()");

	state->epoch = make_epoch();
	(void) write_state(&update_definition, state);
	pges_delete_snapshots_of_state(state);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pges_drop_state);

/* SQL: drop a named state and its snapshots. */
Datum
pges_drop_state(PG_FUNCTION_ARGS)
{
	PgesState  *state = lock_state(fcinfo, 1, "eventstore.drop_state()");
	Datum		key[] = {CStringGetTextDatum(state->name), ObjectIdGetDatum(state->relid)};

	(void) run(&delete_definition, key);
	pges_delete_snapshots_of_state(state);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pges_state_problem);

/* SQL: return why a named state cannot be computed, or null. */
Datum
pges_state_problem(PG_FUNCTION_ARGS)
{
	const PgesState *state = pges_look_up_state(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_OID(1));
	const char *problem = state ? pges_problem_of_state(state, NULL) : NULL;

	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
}
