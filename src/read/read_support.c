/*
 * read_support.c
 *		Planner support function: estimates the number of rows that a reader of events
 *		returns.
 *
 * If max_count is given, it is the estimate for poll() and for the functions that read
 * the log.  The other functions have a further condition, so max_count is their upper
 * limit.  Without max_count, the estimate for a function that reads the log is the
 * number of rows of the store and its archive after the position, according to the
 * statistics.  For all other functions, it is the number of rows in the declaration
 * (ROWS).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/syscache.h"

#include "base/guc.h"
#include "read/read.h"
#include "store/store.h"

/* A function call in the query that is being planned. */
typedef struct Call
{
	PlannerInfo *root;
	List	   *args;
	char	  **names;			/* of the arguments */
	double		declared;		/* rows of the function */
} Call;

/* Describe the call of a request.  Return false if that is not possible. */
static bool
describe_call(const SupportRequestRows *request, Call *call)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(request->funcid));
	Oid		   *types;
	char	   *modes;

	if (!HeapTupleIsValid(tuple))
		return false;
	(void) get_func_arg_info(tuple, &types, &call->names, &modes);
	call->declared = ((Form_pg_proc) GETSTRUCT(tuple))->prorows;
	ReleaseSysCache(tuple);
	if (!is_funcclause(request->node) || call->names == NULL)
		return false;
	call->root = request->root;
	call->args = ((FuncExpr *) request->node)->args;
	return true;
}

/*
 * Return whether the value of an argument is known, and set *value to the value.  An
 * argument that is null, or that the function does not have, counts as if_null.
 */
static bool
find_value(const Call *call, const char *name, Datum if_null, Datum *value)
{
	Node	   *node;

	*value = if_null;
	for (int i = 0; i < list_length(call->args); i++)
	{
		if (strcmp(call->names[i], name) != 0)
			continue;
		node = estimate_expression_value(call->root, list_nth(call->args, i));
		if (IsA(node, Const) && !((Const *) node)->constisnull)
			*value = ((Const *) node)->constvalue;
		return IsA(node, Const);
	}
	return true;
}

/* Return the table of the setting pg_eventstore.store, or InvalidOid if there is none. */
static Oid
default_table(void)
{
	char	   *schema;
	char	   *table;

	pges_parse_store_name(pges_store_setting, &schema, &table);
	return RangeVarGetRelid(makeRangeVar(schema, table, -1), NoLock, true);
}

/* Return the rows of a table according to the statistics; 0 if they are not known. */
double
pges_rows_of_table(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double		rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		rows = Max(((Form_pg_class) GETSTRUCT(tuple))->reltuples, 0);
		ReleaseSysCache(tuple);
	}
	return rows;
}

/* Return the rows of a store, and of its archive if that is included and known. */
static double
rows_of_store(Oid relid, bool include_archived)
{
	const PgesStore *store = pges_known_store(relid);

	return pges_rows_of_table(relid) +
		(include_archived && store ? pges_rows_of_table(store->archive.relid) : 0);
}

/* Estimate the rows of a call that reads the log, without max_count. */
static double
estimate_log(const Call *call)
{
	Datum		after;
	Datum		backwards;
	Datum		store;
	Datum		include_archived;
	double		total;
	int64		position;

	if (!find_value(call, "after_position", Int64GetDatum(0), &after) ||
		!find_value(call, "backwards", BoolGetDatum(false), &backwards) ||
		!find_value(call, "store", ObjectIdGetDatum(InvalidOid), &store) ||
		!find_value(call, "include_archived", BoolGetDatum(true), &include_archived))
		return call->declared;
	if (!OidIsValid(DatumGetObjectId(store)))
		store = ObjectIdGetDatum(default_table());
	total = rows_of_store(DatumGetObjectId(store), DatumGetBool(include_archived));
	position = Max(DatumGetInt64(after), 0);
	if (!DatumGetBool(backwards))
		total -= position;
	else if (position > 0)
		total = Min(total, position);
	return Max(total, call->declared);
}

/* Estimate the rows of a call. */
static double
estimate_rows(const Call *call)
{
	bool		is_log = strcmp(call->names[0], "after_position") == 0 ||
		strcmp(call->names[0], "max_count") == 0;
	bool		is_poll = strcmp(call->names[0], "subscription") == 0;
	Datum		value;
	int32		max_count;

	if (!find_value(call, "max_count", Int32GetDatum(-1), &value))
		return call->declared;
	max_count = DatumGetInt32(value);
	if (max_count < 0)
		return is_log ? estimate_log(call) : call->declared;
	return Max(is_log || is_poll ? max_count : Min(max_count, call->declared), 1);
}

PG_FUNCTION_INFO_V1(pges_read_support);

/* SQL: estimate the rows of a function that reads events.  Planner support function. */
Datum
pges_read_support(PG_FUNCTION_ARGS)
{
	SupportRequestRows *request = (SupportRequestRows *) PG_GETARG_POINTER(0);
	Call		call;

	if (!IsA(request, SupportRequestRows) || !describe_call(request, &call))
		PG_RETURN_POINTER(NULL);
	request->rows = estimate_rows(&call);
	PG_RETURN_POINTER(request);
}
