/*
 * state.c
 *		Finds named states, the rows of eventstore.state_definitions, and checks whether
 *		their reducers can be run.
 *
 * A state belongs to a role, and its reducer runs with the rights of this role.  The owner
 * of the reducer can change its code.  So the owner is recorded when the state is created
 * or altered: a function of another role that has got the name of the reducer is not run.
 * The reducer of a superuser's state must belong to a superuser.
 *
 * The owners are stored by name, because a dump can be restored where a role does not
 * exist.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "base/compat.h"
#include "base/own_object.h"
#include "base/text.h"
#include "snapshot/snapshot.h"
#include "snapshot/state.h"

const PgesOwnTable pges_state_rows = {
	"state_definitions", 8,
	{
		{"name", TEXTOID},
		{"store", InvalidOid},
		{"owner", NAMEOID},
		{"reducer", TEXTOID},
		{"reducer_owner", NAMEOID},
		{"initial", JSONBOID},
		{"snapshot_every", INT4OID},
		{"epoch", INT8OID}
	}
};

static PgesOwnStatement states_of_reducer = {
	{&pges_state_rows}, true,
	"SELECT name FROM eventstore.state_definitions WHERE store::pg_catalog.oid OPERATOR(pg_catalog.=) $1 "
	"AND reducer OPERATOR(pg_catalog.=) $2 AND initial OPERATOR(pg_catalog.=) $3 "
	"AND owner OPERATOR(pg_catalog.=) reducer_owner ORDER BY name",
	3, {OIDOID, TEXTOID, JSONBOID}
};

static PgesOwnStatement forget_states = {
	{&pges_state_rows}, false,
	"DELETE FROM eventstore.state_definitions WHERE store::pg_catalog.oid OPERATOR(pg_catalog.=) $1",
	1, {OIDOID}
};

static PgesOwnStatement delete_snapshots = {
	{&pges_snapshot_rows}, false,
	"DELETE FROM eventstore.snapshots WHERE store::pg_catalog.oid OPERATOR(pg_catalog.=) $1 "
	"AND state_name OPERATOR(pg_catalog.=) $2",
	2, {OIDOID, TEXTOID}
};

/* Read a row of state_definitions, if it is about the store of the result. */
static void
read_definition(HeapTuple row, TupleDesc desc, void *arg)
{
	PgesState  *result = arg;
	Datum		values[8];
	bool		isnull;

	for (int i = 0; i < lengthof(values); i++)
		values[i] = heap_getattr(row, i + 1, desc, &isnull);
	if (DatumGetObjectId(values[1]) != result->relid)
		return;
	result->owner_name = pstrdup(NameStr(*DatumGetName(values[2])));
	result->reducer_name = TextDatumGetCString(values[3]);
	result->reducer_owner = pstrdup(NameStr(*DatumGetName(values[4])));
	result->initial = PointerGetDatum(PG_DETOAST_DATUM_COPY(values[5]));
	result->snapshot_every = DatumGetInt32(values[6]);
	result->epoch = DatumGetInt64(values[7]);
}

/*
 * Find a state of a store, and its reducer; return NULL if there is no such state.  The
 * user's rights are not checked.
 */
PgesState *
pges_look_up_state(const char *name, Oid store)
{
	PgesState  *state = palloc0(sizeof(PgesState));

	state->name = pstrdup(name);
	state->relid = store;
	pges_scan_own_rows(&pges_state_rows, CStringGetTextDatum(name), read_definition, state);
	if (state->owner_name == NULL)
		return NULL;
	state->owner = get_role_oid(state->owner_name, true);
	pges_find_reducer(state->reducer_name, &state->reducer);
	return state;
}

/* Find a state of a store; raise an error if there is none. */
PgesState *
pges_find_state(const char *name, const PgesStore *store)
{
	PgesState  *state = pges_look_up_state(name, store->live.relid);

	if (state == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("state \"%s\" of store %s does not exist", name, store->live.qualified_name),
				 errhint("View eventstore.states shows the states; eventstore.create_state() creates one.")));
	return state;
}

/*
 * Find a state whose snapshots a caller of a reducer can use: one with this reducer and
 * this initial state, which belongs to the owner of the reducer.  That owner could as well
 * change the reducer, so the caller trusts the owner anyway.  Return NULL if there is none.
 */
PgesState *
pges_find_state_of(const PgesReducer *reducer, Datum initial, const PgesStore *store)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[] = {ObjectIdGetDatum(store->live.relid), CStringGetTextDatum(reducer->name), initial};
	text	   *name = NULL;
	PgesState  *state;

	if (pges_is_own_table_empty(&pges_state_rows))
		return NULL;
	SPI_connect();
	if (pges_run_own_statement(&states_of_reducer, values, NULL) > 0)
		name = pges_found_text(context, 1);
	SPI_finish();
	state = name ? pges_look_up_state(text_to_cstring(name), store->live.relid) : NULL;
	if (state == NULL || state->reducer.oid != reducer->oid || pges_problem_of_state(state, NULL))
		return NULL;
	return state;
}

/* Make the key of the snapshots of a state, which must have no problem. */
void
pges_make_key(const PgesState *state, PgesSnapshotKey *key)
{
	key->state_name = CStringGetTextDatum(state->name);
	key->fingerprint = pges_fingerprint(state);
}

/* Return the problem with the reducer of a state, or NULL. */
static const char *
problem_of_reducer(const PgesState *state)
{
	const PgesReducer *reducer = &state->reducer;

	if (!OidIsValid(reducer->oid))
		return psprintf("reducer %s(jsonb, eventstore.event) does not exist", state->reducer_name);
	if (reducer->owner != get_role_oid(state->reducer_owner, true))
		return psprintf("reducer %s does not belong to role \"%s\" any more", reducer->name, state->reducer_owner);
	if (superuser_arg(state->owner) && !superuser_arg(reducer->owner))
		return psprintf("reducer %s of a superuser's state does not belong to a superuser", reducer->name);
	return NULL;
}

/*
 * Return why the reducer of a state cannot be run, or NULL.  If the reason is a missing
 * privilege of the owner of the state, set *sqlstate accordingly.  The owner gets the
 * events of the store, whatever role reads the state, so the owner must be able to read
 * all of them.
 */
const char *
pges_problem_of_state(const PgesState *state, int *sqlstate)
{
	const PgesStore *store;
	const char *problem;

	if (sqlstate)
		*sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	if (get_rel_relkind(state->relid) == '\0')
		return "the store does not exist";
	if (!OidIsValid(state->owner))
		return psprintf("role \"%s\", the owner of the state, does not exist", state->owner_name);
	problem = problem_of_reducer(state);
	if (problem)
		return problem;
	if (sqlstate)
		*sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
	if (!pges_may_execute_compat(state->reducer.oid, state->owner))
		return psprintf("permission denied for reducer %s for role \"%s\", the owner of the state",
						state->reducer.name, state->owner_name);
	store = pges_known_store(state->relid);
	if (!pges_may_read(state->relid, state->owner) ||
		(store && OidIsValid(store->archive.relid) && !pges_may_read(store->archive.relid, state->owner)))
		return psprintf("permission denied for store %s for role \"%s\", the owner of the state",
						pges_relation_name(state->relid), state->owner_name);
	if (check_enable_rls(state->relid, state->owner, true) == RLS_ENABLED)
		return psprintf("row security of store %s applies to role \"%s\", the owner of the state",
						pges_relation_name(state->relid), state->owner_name);
	return NULL;
}

/* Raise an error if the reducer of a state cannot be run. */
void
pges_check_state(const PgesState *state)
{
	int			sqlstate;
	const char *problem = pges_problem_of_state(state, &sqlstate);

	if (problem)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("state \"%s\" cannot be computed", state->name),
				 errdetail_internal("Reason: %s.", problem),
				 errhint("Correct it, or change the state with eventstore.alter_state().")));
}

/* Delete the snapshots of a state. */
void
pges_delete_snapshots_of_state(const PgesState *state)
{
	Datum		values[] = {ObjectIdGetDatum(state->relid), CStringGetTextDatum(state->name)};

	SPI_connect();
	(void) pges_run_own_statement(&delete_snapshots, values, NULL);
	SPI_finish();
}

/* Delete the states of a store that is being created or dropped. */
void
pges_forget_states(Oid store)
{
	Datum		value = ObjectIdGetDatum(store);

	SPI_connect();
	(void) pges_run_own_statement(&forget_states, &value, NULL);
	SPI_finish();
}
