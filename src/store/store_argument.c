/*
 * store_argument.c
 *		Finds the store that an argument of an SQL function names, or the default one.
 *
 * Any role can name any table.  So the privileges of the role are checked before a
 * table is locked: a role without privileges must not block others.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "storage/sinval.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "base/guc.h"
#include "base/own_object.h"
#include "store/store.h"

/* Callback of RangeVarGetRelidExtended(): check the privileges that "arg" points to. */
static void
check_found(const RangeVar *name, Oid relid, Oid old_relid, void *arg)
{
	if (OidIsValid(relid))
		pges_check_may_use(relid, *(AclMode *) arg);
}

/* Lock the table that the setting names; raise an error if there is none. */
static Oid
table_of_setting(LOCKMODE mode, AclMode privileges)
{
	char	   *schema;
	char	   *table;
	Oid			relid;

	pges_parse_store_name(pges_store_setting, &schema, &table);
	relid = RangeVarGetRelidExtended(makeRangeVar(schema, table, -1), mode, RVR_MISSING_OK,
									 check_found, &privileges);
	if (OidIsValid(relid))
		return relid;
	pges_check_schema();
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("store \"%s\" does not exist", pges_store_setting),
			 errdetail("The name is the value of the setting \"pg_eventstore.store\"."),
			 schema ? errhint("Create it with eventstore.create_store().") :
			 errhint("A name without a schema is looked up along the search_path. Create the store with eventstore.create_store(), or add its schema to the setting.")));
	return InvalidOid;			/* not reached */
}

/*
 * Lock a table by its OID; raise an error if there is none.  The user's privileges are
 * checked before the lock is requested, and again if an invalidation arrives meanwhile.
 */
static void
lock_table(Oid relid, LOCKMODE mode, AclMode privileges)
{
	uint64		seen = SharedInvalidMessageCounter;

	if (get_rel_relkind(relid) == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("store with OID %u does not exist", relid)));
	pges_check_may_use(relid, privileges);
	LockRelationOid(relid, mode);
	if (seen != SharedInvalidMessageCounter && get_rel_relkind(relid) != '\0')
		pges_check_may_use(relid, privileges);
}

/* Lock and return a store as pges_store_argument() does. */
const PgesStore *
pges_lock_store(Oid relid, LOCKMODE mode, AclMode privileges)
{
	lock_table(relid, mode, privileges);
	return pges_store(relid);
}

/*
 * Return the store of a function's argument; if that is null, the store of the setting.
 * Raise an error unless the user owns the store or has one of the privileges.  The lock is
 * held until the transaction ends, so the name in the description stays valid.
 */
const PgesStore *
pges_store_argument(FunctionCallInfo fcinfo, int arg, LOCKMODE mode, AclMode privileges)
{
	if (PG_ARGISNULL(arg))
		return pges_store(table_of_setting(mode, privileges));
	return pges_lock_store(PG_GETARG_OID(arg), mode, privileges);
}

/* Raise an error unless the user owns a store, and then return its description. */
const PgesStore *
pges_store_of_user(Oid relid)
{
	if (get_rel_relkind(relid) != '\0')
		pges_check_may_use(relid, ACL_NO_RIGHTS);
	return pges_store(relid);
}

/* Lock and return a store to alter.  Only the owner waits for the lock. */
const PgesStore *
pges_lock_owned_store(Oid relid, LOCKMODE mode)
{
	(void) pges_store_of_user(relid);
	LockRelationOid(relid, mode);
	return pges_store_of_user(relid);
}

/* Return the store of an argument; raise an error unless the user may read it. */
const PgesStore *
pges_readable_store_argument(FunctionCallInfo fcinfo, int arg)
{
	const PgesStore *store = pges_store_argument(fcinfo, arg, AccessShareLock, ACL_SELECT);

	if (pg_class_aclcheck(store->live.relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(store->live.relid, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, store->live.table);
	return store;
}
