/*
 * privilege.c
 *		Checks what a role may do with a store and its archive.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/act_as.h"
#include "base/compat.h"
#include "event/event.h"
#include "store/store.h"

/* Return the owner of a table. */
Oid
pges_owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Raise an error unless the user owns a table, or has one of some privileges on the
 * table or on one of its columns.  With ACL_NO_RIGHTS, the user must own the table.
 */
void
pges_check_may_use(Oid relid, AclMode privileges)
{
	Oid			user = GetUserId();
	bool		for_owner = privileges == ACL_NO_RIGHTS;

	if (pges_owns_table_compat(relid, user) ||
		(!for_owner &&
		 (pg_class_aclmask(relid, user, privileges, ACLMASK_ANY) != 0 ||
		  pg_attribute_aclcheck_all(relid, user, privileges, ACLMASK_ANY) == ACLCHECK_OK)))
		return;
	aclcheck_error(for_owner ? ACLCHECK_NOT_OWNER : ACLCHECK_NO_PRIV,
				   get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

/* Return whether the user may insert into a table, or into some of its columns. */
bool
pges_may_insert(Oid relid)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(relid, GetUserId(), ACL_INSERT, ACLMASK_ANY) == ACLCHECK_OK;
}

/*
 * Take the rights of the owner of a store by pges_act_as(), and return its result.  If a
 * superuser owns the store and another role its archive, take the rights of that role.
 */
bool
pges_act_as_owner(PgesIdentity *saved, const PgesStore *store)
{
	Oid			owner = store->live.owner;

	if (OidIsValid(store->archive.relid) && store->archive.owner != owner && superuser_arg(owner))
		owner = store->archive.owner;
	return pges_act_as(saved, owner);
}

/* Return whether the user has a privilege on a table, or on all of its columns. */
static bool
has_privilege(Oid relid, AclMode privilege)
{
	return pg_class_aclcheck(relid, GetUserId(), privilege) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(relid, GetUserId(), privilege, ACLMASK_ALL) == ACLCHECK_OK;
}

/* Return whether the user may erase events in a table. */
bool
pges_may_erase(const PgesTable *table)
{
	return pg_class_aclcheck(table->relid, GetUserId(), ACL_UPDATE) == ACLCHECK_OK ||
		(pg_attribute_aclcheck(table->relid, table->attnums[PGES_DATA],
							   GetUserId(), ACL_UPDATE) == ACLCHECK_OK &&
		 pg_attribute_aclcheck(table->relid, table->attnums[PGES_METADATA],
							   GetUserId(), ACL_UPDATE) == ACLCHECK_OK);
}

/*
 * Raise the error that the user lacks a privilege on an archive.  The hint contains a
 * GRANT command for the owner; if is_copied, also a call of sync_archive().  If the
 * archive has another owner than the store, raise the error about the owner instead,
 * because sync_archive() could not grant the privilege.
 */
static void
report_privilege(const PgesStore *store, const char *privilege, bool is_copied)
{
	char	   *grant = psprintf("GRANT %s ON %s TO %s;", privilege, store->archive.qualified_name,
								 quote_identifier(GetUserNameFromId(GetUserId(), false)));
	char	   *sync = psprintf("SELECT eventstore.sync_archive(%s);",
								quote_literal_cstr(store->live.qualified_name));

	pges_check_archive_owner(store);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for table %s", store->archive.table),
			 errdetail("It is the archive of store %s.", store->live.qualified_name),
			 is_copied ? errhint("The owner can grant it, as on the store: %s or: %s", sync, grant) :
			 errhint("The owner can grant it: %s", grant)));
}

/*
 * Raise an error unless the user has a privilege on the archive of a store: INSERT, UPDATE
 * of the columns that an erasure changes, or SELECT.  If the user may not read all columns
 * of the store, return: PostgreSQL then raises its own error.
 */
void
pges_check_archive_privilege(const PgesStore *store, AclMode privilege)
{
	Oid			archive = store->archive.relid;

	if (pg_class_aclcheck(archive, GetUserId(), privilege) == ACLCHECK_OK)
		return;
	if (privilege == ACL_UPDATE && !pges_may_erase(&store->archive))
		report_privilege(store, "UPDATE (data, metadata)", true);
	if (privilege == ACL_SELECT && has_privilege(store->live.relid, ACL_SELECT) &&
		!has_privilege(archive, ACL_SELECT))
		report_privilege(store, "SELECT", true);
	if (privilege == ACL_INSERT && !has_privilege(archive, ACL_INSERT))
		report_privilege(store, "INSERT", pges_owns_table_compat(store->live.relid, GetUserId()));
}

/* Raise an error if the archive of a store has another owner than the store. */
void
pges_check_archive_owner(const PgesStore *store)
{
	Oid			owner = pges_owner_of(store->live.relid);

	if (!OidIsValid(store->archive.relid) || pges_owner_of(store->archive.relid) == owner)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("archive %s has another owner than its store", store->archive.qualified_name),
			 errdetail("Store %s belongs to role \"%s\", the archive to role \"%s\".",
					   store->live.qualified_name, GetUserNameFromId(owner, true),
					   GetUserNameFromId(pges_owner_of(store->archive.relid), true)),
			 errhint("Give it to the owner of the store: ALTER TABLE %s OWNER TO %s;",
					 store->archive.qualified_name,
					 quote_identifier(GetUserNameFromId(owner, false)))));
}
