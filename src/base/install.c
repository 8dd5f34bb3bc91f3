/*
 * install.c
 *		Functions of the install script: check that schema eventstore is safe, and
 *		give the extension's objects to the bootstrap superuser.
 *
 * A role that may create objects in the schema could add a function to which a call in the
 * extension resolves, such as append_events(text, integer) for an untyped literal.  So the
 * schema must be empty when the extension is created, and only superusers may own the
 * schema or create objects in it.  From then on the bootstrap superuser owns the schema,
 * and all objects of the extension except the default store.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

#include "base/ddl.h"

/* Query: return the commands that give the members of extension $1 to role $2. */
static const char ownership[] =
"SELECT pg_catalog.concat('ALTER ', CASE o.type WHEN 'composite type' THEN 'type' ELSE o.type END, "
"' ', o.identity, ' OWNER TO ', $2) "
"FROM pg_catalog.pg_depend d "
"CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) o "
"WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass "
"AND d.refobjid OPERATOR(pg_catalog.=) $1 AND d.deptype OPERATOR(pg_catalog.=) 'e' "
"AND o.type OPERATOR(pg_catalog.=) ANY ('{function,procedure,table,view,composite type,event trigger}')";

/*
 * Query: return the commands that revoke what ALTER DEFAULT PRIVILEGES has granted to
 * other roles on the tables of extension $1, except SELECT.  C code trusts the contents of
 * these tables.
 */
static const char revokes[] =
"SELECT DISTINCT pg_catalog.concat('REVOKE ALL ON ', o.identity, ' FROM ', g.name, "
"CASE WHEN pg_catalog.bool_or(a.privilege_type OPERATOR(pg_catalog.=) 'SELECT') "
"THEN pg_catalog.concat('; GRANT SELECT ON ', o.identity, ' TO ', g.name) END) "
"FROM pg_catalog.pg_depend d "
"JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) d.objid "
"CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) o "
"CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a "
"CROSS JOIN LATERAL (SELECT CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0 THEN 'PUBLIC' "
"ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END) g (name) "
"WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass "
"AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass "
"AND d.refobjid OPERATOR(pg_catalog.=) $1 AND d.deptype OPERATOR(pg_catalog.=) 'e' "
"AND a.grantee OPERATOR(pg_catalog.<>) c.relowner AND $2 IS NOT NULL "
"GROUP BY o.identity, g.name";

/* Return the extension being created; raise an error outside of an install script. */
static Oid
require_install(void)
{
	if (!creating_extension)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this function is for the install script of pg_eventstore only")));
	return CurrentExtensionObject;
}

/* Raise the error that schema eventstore is not safe. */
static void
report_schema(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("schema \"eventstore\" cannot be used for extension pg_eventstore"),
			 errdetail("%s", detail),
			 errhint("Rename or drop the schema; the extension creates its own.")));
}

/*
 * Raise an error if a schema contains anything but the calling function.  Objects in a
 * schema, and settings made for a schema, depend on the schema.
 */
static void
check_empty_schema(Oid schema, Oid function)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress object;

		ObjectAddressSubSet(object, form->classid, form->objid, form->objsubid);
		if ((object.classId == ProcedureRelationId && object.objectId == function) ||
			(object.classId == ExtensionRelationId && object.objectId == CurrentExtensionObject))
			continue;
		report_schema(psprintf("The schema is not empty: it has %s %s.", getObjectTypeDescription(&object, false),
							   getObjectIdentity(&object, false)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Raise an error unless a superuser owns a schema and only the owner may create in it. */
static void
check_rights(HeapTuple schema)
{
	Oid			owner = ((Form_pg_namespace) GETSTRUCT(schema))->nspowner;
	bool		isnull;
	Datum		value = SysCacheGetAttr(NAMESPACEOID, schema, Anum_pg_namespace_nspacl, &isnull);
	Acl		   *acl = isnull ? NULL : DatumGetAclP(value);

	if (!superuser_arg(owner))
		report_schema(psprintf("It belongs to role \"%s\", which is not a superuser.",
							   GetUserNameFromId(owner, false)));
	for (int i = 0; acl && i < ACL_NUM(acl); i++)
	{
		const AclItem *item = &ACL_DAT(acl)[i];

		if (item->ai_grantee != owner && (ACLITEM_GET_RIGHTS(*item) & ACL_CREATE) != 0)
			report_schema("A role other than its owner has privilege CREATE on the schema.");
	}
}

PG_FUNCTION_INFO_V1(pges_begin_install);

/* SQL, for the install script: check that the schema is safe, and change its owner. */
Datum
pges_begin_install(PG_FUNCTION_ARGS)
{
	Oid			schema = get_namespace_oid("eventstore", false);
	HeapTuple	tuple;
	int			nestlevel;

	(void) require_install();
	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	check_rights(tuple);
	ReleaseSysCache(tuple);
	check_empty_schema(schema, fcinfo->flinfo->fn_oid);
	nestlevel = pges_begin_ddl();
	pges_run_ddl(psprintf("ALTER SCHEMA eventstore OWNER TO %s",
						  quote_identifier(GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false))));
	pges_end_ddl(nestlevel);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pges_end_install);

/* SQL, for the install script: give its objects to the bootstrap superuser. */
Datum
pges_end_install(PG_FUNCTION_ARGS)
{
	Oid			extension = require_install();
	int			nestlevel = pges_begin_ddl();

	pges_run_commands(ownership, extension,
					  quote_identifier(GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false)));
	CommandCounterIncrement();
	pges_run_commands(revokes, extension, "");
	pges_end_ddl(nestlevel);
	PG_RETURN_VOID();
}
