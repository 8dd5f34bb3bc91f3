/*
 * trust.c
 *		Finds functions of other roles that a move would call with the rights of a
 *		superuser.
 *
 * A move reads and inserts the rows of a slot in the sessions of a superuser.  These
 * evaluate constraints, generated columns, expressions of indexes and statistics, and the
 * constraints of domains, all of which the owner of the table can define.  A function in
 * them could do anything, and SET ROLE would not confine it, as the function could execute
 * RESET ROLE.  So a slot is moved only if superusers own these functions, and the domains,
 * whose owners can add constraints at any time.  Triggers do not count: they are created
 * after the last row.
 */
#include "cluster.h"

#include "common/logging.h"

/*
 * All that the tables consist of or use, found by their dependencies.  A function ends the
 * search: its owner vouches for what it calls.
 */
#define PARTS \
	"WITH RECURSIVE parts (classid, objid) AS (" \
	" SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, c.oid FROM pg_catalog.pg_class c" \
	"  WHERE c.oid IN (%s::pg_catalog.regclass, %s::pg_catalog.regclass)" \
	" UNION" \
	" SELECT x.classid, x.objid FROM parts p CROSS JOIN LATERAL (" \
	"  SELECT d.classid, d.objid FROM pg_catalog.pg_depend d" \
	"   WHERE d.refclassid = p.classid AND d.refobjid = p.objid AND d.deptype IN ('a', 'i')" \
	"   AND d.classid IN ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass," \
	"    'pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass)" \
	"  UNION ALL" \
	"  SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d" \
	"   WHERE d.classid = p.classid AND d.objid = p.objid" \
	"   AND d.refclassid IN ('pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass," \
	"    'pg_catalog.pg_proc'::pg_catalog.regclass)) x" \
	"  WHERE p.classid <> 'pg_catalog.pg_proc'::pg_catalog.regclass)"

#define NOT_TRUSTED(owner) "NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid = " owner ")"

/* End the program if the tables of the slot on a node use a function of another role. */
void
check_trust(Move *move, Server *node)
{
	PGresult   *result = run_query(node, psprintf(PARTS
												  " SELECT pg_catalog.pg_describe_object(p.classid, p.objid, 0), pg_catalog.pg_get_userbyid(o.owner)"
												  " FROM parts p CROSS JOIN LATERAL ("
												  "  SELECT f.proowner FROM pg_catalog.pg_proc f WHERE f.oid = p.objid"
												  "   AND p.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND " NOT_TRUSTED("f.proowner")
												  "  UNION ALL"
												  "  SELECT t.typowner FROM pg_catalog.pg_type t WHERE t.oid = p.objid AND t.typtype = 'd'"
												  "   AND p.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND " NOT_TRUSTED("t.typowner") ") o (owner)"
												  " ORDER BY 1 LIMIT 1",
												  move->literal, move->archive ? literal(node, move->archive) : "NULL"));

	if (PQntuples(result) > 0)
	{
		pg_log_error("%s: %s of role \"%s\" is used by %s, its archive, or their indexes", node->label,
					 PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1), move->table);
		pg_log_error_detail("A move would run it with the rights of a superuser. Nothing was moved.");
		pg_log_error_hint("Drop the constraint, column or index for the move, or let a superuser own the function or domain on all nodes.");
		exit(1);
	}
	PQclear(result);
}
