/*
 * own_function.c
 *		Finds the functions of the extension itself.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "base/own_function.h"

/* Return the OID of a function of the extension; InvalidOid if it is gone. */
Oid
pges_function_oid(const char *name, int nargs, Oid *argtypes)
{
	oidvector  *args = buildoidvector(argtypes, nargs);
	Oid			schema = get_namespace_oid("eventstore", true);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(name), PointerGetDatum(args),
						   ObjectIdGetDatum(schema));
}
