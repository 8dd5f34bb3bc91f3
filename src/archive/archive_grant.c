/*
 * archive_grant.c
 *		Who may do what with the archive of a store.
 *
 * An archive belongs to the owner of its store, and whoever may read or erase
 * events in the store may do so in the archive: to be moved takes nothing from
 * anybody.  The privileges are granted when the archive is made.  After a later
 * GRANT or REVOKE on the store, its owner calls eventstore.sync_archive().  Until
 * then, a role that lacks a privilege on the archive gets an error that names it.
 *
 * The owner of a table may have linked it to a store of his own, and the TRIGGER
 * privilege suffices to link somebody else's.  So a link gives no rights: nothing
 * is moved to an archive, changed on it or dropped unless it has the owner of the
 * store, and nothing here gives a table to another owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "archive/create_archive.h"
#include "base/ddl.h"
#include "base/identity.h"
#include "event/event.h"
#include "store/store.h"

/* Who but the owner has SELECT or UPDATE on table $1, or on which columns of it. */
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

/* The commands that take this from everybody. */
static const char revokes[] =
"SELECT DISTINCT pg_catalog.concat('REVOKE SELECT, UPDATE ON ', $2, ' FROM ', " GRANTEE ", ' CASCADE') "
GRANTED;

/* The commands that grant it on another table, which has columns of the same names. */
static const char grants[] =
"SELECT DISTINCT pg_catalog.concat('GRANT ', g.privilege_type, "
"' (' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(t.attname) OPERATOR(pg_catalog.||) ')', "
"' ON ', $2, ' TO ', " GRANTEE ") "
GRANTED;

/*
 * Grant on an archive what is granted on its store for reading and erasing, and no
 * more of that.  A new archive, which the user has just made, is given to the owner
 * of the store, too.  Called between pges_begin_ddl() and pges_end_ddl().
 */
void
pges_copy_privileges(const PgesStore *store, Oid archive, const char *name)
{
	Oid			owner = pges_owner_of(store->relid);

	if (pges_owner_of(archive) != owner)
		pges_run_ddl(psprintf("ALTER TABLE %s OWNER TO %s", name,
							  quote_identifier(GetUserNameFromId(owner, false))));
	pges_run_commands(revokes, archive, name);
	pges_run_commands(grants, store->relid, name);
}

/* Raise unless a store has an archive. */
static void
check_has_archive(const PgesStore *store)
{
	if (!OidIsValid(store->archive.relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("store %s has no archive", store->qualified_name),
				 errhint("Create it with eventstore.create_archive().")));
}

PG_FUNCTION_INFO_V1(pges_sync_archive);

/* SQL: grant on the archive of a store what is granted on the store. */
Datum
pges_sync_archive(PG_FUNCTION_ARGS)
{
	const PgesStore *store;
	PgesIdentity caller;
	bool		as_owner;
	int			nestlevel;

	PreventCommandIfReadOnly("eventstore.sync_archive()");
	store = pges_store_owned_by_user(pges_store_argument(fcinfo, 0, AccessShareLock, ACL_NO_RIGHTS)->relid);
	store = pges_lock_archiving(store->relid);
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
