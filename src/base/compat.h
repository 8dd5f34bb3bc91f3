/*
 * compat.h
 *		Hides the differences between versions of PostgreSQL; no other file tests
 *		the version.
 */
#ifndef PGES_COMPAT_H
#define PGES_COMPAT_H

#include "postgres.h"

#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
#if PG_VERSION_NUM >= 190000
#include "nodes/miscnodes.h"
#endif

#if PG_VERSION_NUM < 150000
#error "pg_eventstore needs PostgreSQL 15 or later"
#endif

/* Return the number of this backend's current top transaction; 0 if there is none. */
static inline LocalTransactionId
pges_current_lxid_compat(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

/* Return whether this backend holds a lock, for the session or the transaction. */
static inline bool
pges_lock_held_by_me_compat(const LOCKTAG *tag, LOCKMODE mode)
{
#if PG_VERSION_NUM >= 170000
	return LockHeldByMe(tag, mode, false);
#else
	return LockHeldByMe(tag, mode);
#endif
}

/* Insert a row that is already in a table into the table's indexes. */
static inline void
pges_insert_index_tuples_compat(ResultRelInfo *table, TupleTableSlot *slot,
								EState *estate)
{
	if (table->ri_NumIndices == 0)
		return;
#if PG_VERSION_NUM >= 190000
	(void) ExecInsertIndexTuples(table, estate, 0, slot, NIL, NULL);
#elif PG_VERSION_NUM >= 160000
	(void) ExecInsertIndexTuples(table, slot, estate, false, false, NULL, NIL, false);
#else
	(void) ExecInsertIndexTuples(table, slot, estate, false, false, NULL, NIL);
#endif
}

/*
 * Write a new version of a locked row.  Return whether it needs index entries of its own.
 */
static inline bool
pges_update_tuple_compat(Relation rel, ItemPointer tid, TupleTableSlot *slot)
{
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes update;

	simple_table_tuple_update(rel, tid, slot, GetActiveSnapshot(), &update);
	return update == TU_All;
#else
	bool		update;

	simple_table_tuple_update(rel, tid, slot, GetActiveSnapshot(), &update);
	return update;
#endif
}

/* Return the index of a table's primary key, or InvalidOid. */
static inline Oid
pges_primary_key_compat(Relation rel)
{
#if PG_VERSION_NUM >= 180000
	return RelationGetPrimaryKeyIndex(rel, false);
#else
	return RelationGetPrimaryKeyIndex(rel);
#endif
}

/* Return whether a role owns a table. */
static inline bool
pges_owns_table_compat(Oid relid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, roleid);
#else
	return pg_class_ownercheck(relid, roleid);
#endif
}

/* Return whether the user has a privilege on a schema. */
static inline bool
pges_may_in_schema_compat(Oid schema, AclMode privilege)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(NamespaceRelationId, schema, GetUserId(), privilege) == ACLCHECK_OK;
#else
	return pg_namespace_aclcheck(schema, GetUserId(), privilege) == ACLCHECK_OK;
#endif
}

/* Return whether a role may execute a function. */
static inline bool
pges_may_execute_compat(Oid function, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

/* Return whether the user may create schemas in this database. */
static inline bool
pges_may_create_schemas_compat(void)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(DatabaseRelationId, MyDatabaseId, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
#else
	return pg_database_aclcheck(MyDatabaseId, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
#endif
}

/* Raise an error unless the user may give objects to a role. */
static inline void
pges_check_may_give_compat(Oid role)
{
#if PG_VERSION_NUM >= 160000
	check_can_set_role(GetUserId(), role);
#else
	check_is_member_of_role(GetUserId(), role);
#endif
}

/* Return the status of the n-th process, counted from 1; NULL if there is none. */
static inline const PgBackendStatus *
pges_backend_status_compat(int n)
{
#if PG_VERSION_NUM >= 160000
	LocalPgBackendStatus *local = pgstat_get_local_beentry_by_index(n);
#else
	LocalPgBackendStatus *local = pgstat_fetch_stat_local_beentry(n);
#endif

	return local ? &local->backendStatus : NULL;
}

/* Round a number to an integer; return false if the result does not fit into int32. */
static inline bool
pges_numeric_int4_compat(Numeric number, int32 *result)
{
#if PG_VERSION_NUM >= 190000
	ErrorSaveContext context = {T_ErrorSaveContext};

	*result = numeric_int4_safe(number, (Node *) &context);
	return !context.error_occurred;
#else
	bool		failed = false;

	*result = numeric_int4_opt_error(number, &failed);
	return !failed;
#endif
}

/* A JSON value under construction. */
typedef struct PgesJsonBuilder
{
#if PG_VERSION_NUM >= 190000
	JsonbInState state;
#else
	JsonbParseState *state;
#endif
	JsonbValue *result;			/* of the last step; complete after the end */
} PgesJsonBuilder;

/* Add a step to a JSON value under construction. */
static inline void
pges_json_push_compat(PgesJsonBuilder *builder, JsonbIteratorToken token,
					  JsonbValue *value)
{
#if PG_VERSION_NUM >= 190000
	pushJsonbValue(&builder->state, token, value);
	builder->result = builder->state.result;
#else
	builder->result = pushJsonbValue(&builder->state, token, value);
#endif
}

#endif							/* PGES_COMPAT_H */
