/*
 * archive_grant.c
 *		Copies the privileges on a store to its archive.
 *
 * An archive belongs to the owner of its store.  A role that may read or erase events in
 * the store may do so in the archive, so no role loses access when events move.  The
 * privileges are granted when the archive is created.  After a later GRANT or REVOKE on
 * the store, its owner calls eventstore.sync_archive().  Until then, a role that lacks a
 * privilege on the archive gets an error that names the privilege.
 *
 * A link to a store gives no rights.  A role can link its own table to its own store, and
 * can link a table of another owner with the TRIGGER privilege on it.  So an archive is
 * filled, changed or dropped only if it has the owner of the store.  No function here
 * changes the owner of an existing table.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "archive/archive_steps.h"
#include "base/act_as.h"
#include "base/ddl.h"
#include "event/event.h"
#include "store/store.h"

/* The roles, without the owner, that have SELECT or UPDATE on table $1 or its columns. */
#define GRANTED \
	"FROM (SELECT c.oid, c.relowner, NULL::pg_catalog.name AS attname, c.relacl AS acl " \
	"FROM pg_catalog.pg_class c " \
	"UNION ALL SELECT c.oid, c.relowner, a.attname, a.attacl " \
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a " \
	"ON a.attrelid OPERATOR(pg_catalog.=) c.oid " \
	"AND a.attname OPERATOR(pg_catalog.=) ANY ('{" PGES_COLUMNS "}')) t " \
	"CROSS JOIN LATERAL pg_catalog.aclexplode(t.acl) g " \
	"LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) g.grantee " \
	"WHERE t.oid OPERATOR(pg_catalog.=) $1 " \
	"AND g.grantee OPERATOR(pg_catalog.<>) t.relowner " \
	"AND (r.oid IS NOT NULL OR g.grantee OPERATOR(pg_catalog.=) 0) " \
	"AND g.privilege_type OPERATOR(pg_catalog.=) ANY ('{SELECT,UPDATE}')"

#define GRANTEE "COALESCE(pg_catalog.quote_ident(r.rolname), 'PUBLIC')"

/* Returns the commands that revoke SELECT and UPDATE on table $2 from these roles. */
static const char revokes[] =
"SELECT DISTINCT pg_catalog.concat('REVOKE SELECT, UPDATE ON ', $2, ' FROM ', " GRANTEE ", ' CASCADE') "
GRANTED;

/* Returns the commands that grant them on table $2, which has the same column names. */
static const char grants[] =
"SELECT DISTINCT pg_catalog.concat('GRANT ', g.privilege_type, "
"' (' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(t.attname) OPERATOR(pg_catalog.||) ')', "
"' ON ', $2, ' TO ', " GRANTEE ") "
GRANTED;

/*
 * Grant on an archive the SELECT and UPDATE privileges that are granted on its store,
 * and revoke all others of these two kinds.  Give a new archive, which the user has
 * just created, to the owner of the store.  Must be called between pges_begin_ddl() and
 * pges_end_ddl().
 */
void
pges_copy_privileges(const PgesStore *store, Oid archive, const char *name)
{
	Oid			owner = pges_owner_of(store->live.relid);

	if (pges_owner_of(archive) != owner)
		pges_run_ddl(psprintf("ALTER TABLE %s OWNER TO %s", name,
							  quote_identifier(GetUserNameFromId(owner, false))));
	pges_run_commands(revokes, archive, name);
	pges_run_commands(grants, store->live.relid, name);
}

/* Raise an error unless a store has an archive. */
static void
check_has_archive(const PgesStore *store)
{
	if (!OidIsValid(store->archive.relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("store %s has no archive", store->live.qualified_name),
				 errhint("Create it with eventstore.create_archive().")));
}

PG_FUNCTION_INFO_V1(pges_sync_archive);

/* SQL: copy the privileges on a store to its archive. */
Datum
pges_sync_archive(PG_FUNCTION_ARGS)
{
	const PgesStore *store;
	PgesIdentity caller;
	bool		as_owner;
	int			nestlevel;

	PreventCommandIfReadOnly("eventstore.sync_archive()");
	store = pges_store_argument(fcinfo, 0, AccessShareLock, ACL_NO_RIGHTS);
	store = pges_lock_archiving(store->live.relid);
	pges_require_link(store);
	check_has_archive(store);
	pges_check_archive_owner(store);
	as_owner = pges_act_as_owner(&caller, store);
	nestlevel = pges_begin_ddl();
	pges_copy_privileges(store, store->archive.relid, store->archive.qualified_name);
	pges_end_ddl(nestlevel);
	if (as_owner)
		pges_become_again(&caller);
	PG_RETURN_VOID();
}
