/*
 * read_support.c
 *		Estimates for the planner how many rows a function that reads events returns.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/syscache.h"

#include "base/guc.h"

/*
 * Return the index of a function's argument "max_count", or -1 if it has none.  Set
 * *rows to its declared rows, and *batch to whether a null max_count means a batch.
 */
static int
find_max_count(Oid function, double *rows, bool *batch)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			n;
	int			found = -1;

	if (!HeapTupleIsValid(tuple))
		return -1;
	*rows = ((Form_pg_proc) GETSTRUCT(tuple))->prorows;
	n = get_func_arg_info(tuple, &types, &names, &modes);
	for (int i = 0; names && i < n; i++)
	{
		if (strcmp(names[i], "max_count") == 0)
			found = i;
	}
	*batch = found == 0 || (names && strcmp(names[0], "after_position") == 0);
	ReleaseSysCache(tuple);
	return found;
}

/*
 * Estimate the rows of a call.  Return false if that is not possible.  The estimate is at
 * most max_count, and exactly max_count if the call has no other condition, as calls of
 * get_latest_events() and read_events().
 */
static bool
estimate_rows(SupportRequestRows *request)
{
	List	   *args;
	Node	   *node;
	int			arg;
	double		declared;
	double		max_count;
	bool		batch;

	if (!is_funcclause(request->node))
		return false;
	args = ((FuncExpr *) request->node)->args;
	arg = find_max_count(request->funcid, &declared, &batch);
	if (arg < 0 || arg >= list_length(args))
		return false;
	node = estimate_expression_value(request->root, list_nth(args, arg));
	if (!IsA(node, Const) || (((Const *) node)->constisnull && !batch))
		return false;
	max_count = ((Const *) node)->constisnull ? pges_batch_size :
		DatumGetInt32(((Const *) node)->constvalue);
	request->rows = Max(batch ? max_count : Min(max_count, declared), 1);
	return true;
}

PG_FUNCTION_INFO_V1(pges_read_support);

/* SQL: estimate the rows of a function that reads events.  Planner support function. */
Datum
pges_read_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestRows) &&
		estimate_rows((SupportRequestRows *) request))
		PG_RETURN_POINTER(request);
	PG_RETURN_POINTER(NULL);
}
