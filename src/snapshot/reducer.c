/*
 * reducer.c
 *		Finds and checks reducers, and makes the fingerprints of their definitions.
 *
 * A reducer is a function (state jsonb, event eventstore.event) RETURNS jsonb.  A named
 * state stores the name of its reducer, not the OID, because pg_upgrade does not preserve
 * the OIDs of functions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/proclang.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/ddl.h"
#include "base/own_object.h"
#include "snapshot/state.h"

/* Return whether a function has the kind, the arguments and the result of a reducer. */
static bool
is_reducer(Form_pg_proc proc)
{
	return proc->prokind == PROKIND_FUNCTION && !proc->proretset && proc->prorettype == JSONBOID &&
		proc->pronargs == 2 && proc->proargtypes.values[0] == JSONBOID &&
		proc->proargtypes.values[1] == pges_own_type_oid("event");
}

/*
 * Return the name of a function with its schema, quoted where needed, whatever the setting
 * quote_all_identifiers of the session is.
 */
static char *
qualified_name(Form_pg_proc proc)
{
	int			nestlevel = NewGUCNestLevel();
	char	   *name;

	pges_set_locally("quote_all_identifiers", "off");
	name = quote_qualified_identifier(get_namespace_name(proc->pronamespace), NameStr(proc->proname));
	AtEOXact_GUC(false, nestlevel);
	return name;
}

/* Describe the reducer that an argument names; raise an error if it is none. */
void
pges_describe_reducer(Oid function, PgesReducer *reducer)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function with OID %u does not exist", function)));
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	if (!is_reducer(proc))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot be a reducer", format_procedure(function)),
				 errdetail("A reducer is a function (state jsonb, event eventstore.event) RETURNS jsonb.")));
	reducer->oid = function;
	reducer->owner = proc->proowner;
	reducer->event_type = proc->proargtypes.values[1];
	reducer->schema = get_namespace_name(proc->pronamespace);
	reducer->name = qualified_name(proc);
	ReleaseSysCache(tuple);
}

/*
 * Find the function with a qualified name that has the arguments of a reducer; its oid is
 * InvalidOid if there is none that is a reducer.  No privilege on its schema is needed.
 */
void
pges_find_reducer(const char *name, PgesReducer *reducer)
{
	Oid			types[] = {JSONBOID, pges_own_type_oid("event")};
	oidvector  *args = buildoidvector(types, lengthof(types));
	char	   *schema;
	char	   *function;
	HeapTuple	tuple;

	reducer->oid = InvalidOid;
	DeconstructQualifiedName(textToQualifiedNameList(cstring_to_text(name)), &schema, &function);
	if (schema == NULL)
		return;
	tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum(function), PointerGetDatum(args),
							ObjectIdGetDatum(get_namespace_oid(schema, true)));
	if (!HeapTupleIsValid(tuple))
		return;
	if (is_reducer((Form_pg_proc) GETSTRUCT(tuple)))
	{
		reducer->oid = ((Form_pg_proc) GETSTRUCT(tuple))->oid;
		reducer->owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
		reducer->event_type = types[1];
		reducer->schema = schema;
		reducer->name = pstrdup(name);
	}
	ReleaseSysCache(tuple);
}

/* Raise an error unless the user may execute a reducer. */
void
pges_check_may_execute(const PgesReducer *reducer)
{
	if (!pges_may_execute_compat(reducer->oid, GetUserId()))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(reducer->oid));
}

/* Add a value to a hash, with its length, so that values cannot run into each other. */
static void
add_to_hash(pg_cryptohash_ctx *hash, const void *value, int32 length)
{
	if (pg_cryptohash_update(hash, (const uint8 *) &length, sizeof(length)) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) value, Max(length, 0)) < 0)
		elog(ERROR, "could not update SHA-256: %s", pg_cryptohash_error(hash));
}

/* Add a variable-length value to a hash. */
static void
add_varlena(pg_cryptohash_ctx *hash, Datum value, bool isnull)
{
	struct varlena *bytes;

	if (isnull)
	{
		add_to_hash(hash, "", -1);
		return;
	}
	bytes = PG_DETOAST_DATUM_PACKED(value);
	add_to_hash(hash, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* Add what defines a function to a hash. */
static void
add_function(pg_cryptohash_ctx *hash, Oid function)
{
	static const AttrNumber columns[] = {Anum_pg_proc_prosrc, Anum_pg_proc_probin, Anum_pg_proc_prosqlbody,
	Anum_pg_proc_proconfig, Anum_pg_proc_proargnames};
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	const char *language;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	language = get_language_name(proc->prolang, false);
	add_to_hash(hash, language, strlen(language));
	add_to_hash(hash, &proc->prosecdef, sizeof(proc->prosecdef));
	add_to_hash(hash, &proc->proisstrict, sizeof(proc->proisstrict));
	for (int i = 0; i < lengthof(columns); i++)
	{
		bool		isnull;
		Datum		value = SysCacheGetAttr(PROCOID, tuple, columns[i], &isnull);

		add_varlena(hash, value, isnull);
	}
	ReleaseSysCache(tuple);
}

/*
 * Return the fingerprint of a state: a SHA-256 of all that its snapshots depend on.  That
 * is the definition of the reducer, the role that runs it, the initial state, and the
 * epoch, which changes if snapshots are to be dropped for another reason.
 */
Datum
pges_fingerprint(const PgesState *state)
{
	bytea	   *result = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);

	if (pg_cryptohash_init(hash) < 0)
		elog(ERROR, "could not initialize SHA-256: %s", pg_cryptohash_error(hash));
	add_to_hash(hash, &state->epoch, sizeof(state->epoch));
	add_to_hash(hash, state->owner_name, strlen(state->owner_name));
	add_to_hash(hash, state->reducer_owner, strlen(state->reducer_owner));
	add_to_hash(hash, state->reducer.name, strlen(state->reducer.name));
	add_varlena(hash, state->initial, false);
	add_function(hash, state->reducer.oid);
	if (pg_cryptohash_final(hash, (uint8 *) VARDATA(result), PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not finalize SHA-256: %s", pg_cryptohash_error(hash));
	pg_cryptohash_free(hash);
	SET_VARSIZE(result, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	return PointerGetDatum(result);
}
