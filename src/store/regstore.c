/*
 * regstore.c
 *		Type eventstore.regstore: a store in a record that may outlive the store.
 *
 * The value is the OID of a table, like a regclass.  So the value follows renames, and a
 * dump contains the name that the table has at the time of the dump.  Unlike a regclass,
 * the value can be dumped and restored if the table does not exist:
 *
 *	-	The OID of a table that does not exist is printed as "-".  A regclass is printed
 *		as a number, which may be the OID of another table after a restore.
 *	-	A name without a table is read as "-".  For a regclass, such a name is an error,
 *		which would end a restore without that table, or a subscription.
 *
 * Names are printed with their schemas, so they do not depend on a search_path.  The
 * binary form is the text, because an OID is not valid in another database.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "base/text.h"

#define NO_TABLE "-"

/* Return the OID of the table with a name, or InvalidOid. */
static Oid
table_of_name(const char *name)
{
	if (strcmp(name, NO_TABLE) == 0)
		return InvalidOid;
	return RangeVarGetRelid(makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name))),
							NoLock, true);
}

/* Return the name of a table, with its schema, or NO_TABLE. */
static const char *
name_of_table(Oid relid)
{
	const char *name = pges_relation_name(relid);

	return name ? name : NO_TABLE;
}

PG_FUNCTION_INFO_V1(pges_regstore_in);

/* SQL: the input function. */
Datum
pges_regstore_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(table_of_name(PG_GETARG_CSTRING(0)));
}

PG_FUNCTION_INFO_V1(pges_regstore_out);

/* SQL: the output function. */
Datum
pges_regstore_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(pstrdup(name_of_table(PG_GETARG_OID(0))));
}

PG_FUNCTION_INFO_V1(pges_regstore_recv);

/* SQL: the binary input function. */
Datum
pges_regstore_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buffer = (StringInfo) PG_GETARG_POINTER(0);
	int			length;

	PG_RETURN_OID(table_of_name(pq_getmsgtext(buffer, buffer->len - buffer->cursor, &length)));
}

PG_FUNCTION_INFO_V1(pges_regstore_send);

/* SQL: the binary output function. */
Datum
pges_regstore_send(PG_FUNCTION_ARGS)
{
	const char *name = name_of_table(PG_GETARG_OID(0));
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendtext(&buffer, name, strlen(name));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}
