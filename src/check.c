/*
 * check.c
 *		The CHECK constraints of a store, compiled once.
 *
 * PostgreSQL reads and compiles the constraints of a table anew for each
 * statement, which would be a tenth of the work of appending one event.  So
 * the description of a store keeps them compiled, as the type cache does with
 * the constraints of domains.  Only constraints that call nothing but built-in
 * functions are kept, since any other function may be replaced without the
 * table noticing.
 *
 * What is asked here is only whether an event passes.  One that does not, and
 * one whose constraints are not kept, goes to ExecConstraints(), which raises
 * PostgreSQL's own errors.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/tupdesc.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

#include "check.h"
#include "compat.h"

/* Whether a function is none of PostgreSQL's own. */
static bool
is_replaceable(Oid function, void *context)
{
	return function >= FirstUnpinnedObjectId;
}

/* Whether an expression calls any function that may be replaced. */
static bool
calls_replaceable(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_replaceable, context) ||
		expression_tree_walker(node, calls_replaceable, context);
}

/*
 * Compile the constraints of a table in the current memory context, into a
 * list of ExprState; false when they cannot be kept.
 */
bool
pges_compile_checks(Relation rel, List **checks)
{
	const TupleConstr *constr = RelationGetDescr(rel)->constr;

	*checks = NIL;
	for (int i = 0; constr != NULL && i < constr->num_check; i++)
	{
		Expr	   *expression = stringToNode(constr->check[i].ccbin);

		if (!pges_check_is_enforced_compat(&constr->check[i]))
			continue;
		if (calls_replaceable((Node *) expression, NULL))
			return false;
		*checks = lappend(*checks, ExecInitExpr(expression_planner(expression), NULL));
	}
	return true;
}

/* Whether a row has a value in each column that needs one. */
static bool
has_needed_values(TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;

	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attnotnull && slot->tts_isnull[i])
			return false;
	}
	return true;
}

/* Whether a row, all of whose values are in the slot, is known to pass. */
bool
pges_passes_checks(const PgesStore *store, TupleTableSlot *slot,
				   ExprContext *econtext)
{
	ListCell   *lc;

	if (!store->checks_compiled || !has_needed_values(slot))
		return false;
	econtext->ecxt_scantuple = slot;
	foreach(lc, store->checks)
	{
		if (!ExecCheck(lfirst(lc), econtext))
			return false;
	}
	return true;
}
