/*
 * own_check.c
 *		Recognises the CHECK constraint that every store has.
 *
 * PostgreSQL reads and compiles the constraints of a table anew for each statement.
 * This would be a tenth of the work of appending one event.  An append gives an event a
 * version, 1 or more, exactly if the event has an aggregate.  So the constraint of
 * create_store() holds by construction.  If a table has no other constraint, nothing
 * has to be evaluated.
 *
 * The constraint is recognised by its expression:
 *
 *		(aggregate_id IS NULL) = (aggregate_version IS NULL)
 *		AND aggregate_version > 0
 *
 * If a table has any other constraint, the executor evaluates all of its constraints.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "nodes/primnodes.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "event/event.h"
#include "store/own_check.h"
#include "store/store.h"

/* Return whether an expression is a column. */
static bool
is_column(const void *node, AttrNumber attnum)
{
	return IsA(node, Var) && ((const Var *) node)->varattno == attnum;
}

/* Return whether an expression is the number 0. */
static bool
is_zero(const void *node)
{
	const Const *constant = node;

	return IsA(node, Const) && constant->consttype == INT4OID &&
		!constant->constisnull && DatumGetInt32(constant->constvalue) == 0;
}

/* Return whether an expression is: column IS NULL. */
static bool
is_null_test(const void *node, AttrNumber attnum)
{
	const NullTest *test = node;

	return IsA(node, NullTest) && test->nulltesttype == IS_NULL &&
		is_column(test->arg, attnum);
}

/* Return the operands of a binary operator that calls a function; NIL if it is none. */
static const List *
operands(const void *node, Oid function)
{
	const OpExpr *operation = node;

	if (!IsA(node, OpExpr) || list_length(operation->args) != 2 ||
		get_opcode(operation->opno) != function)
		return NIL;
	return operation->args;
}

/* Return whether an expression is that of the constraint of create_store(). */
static bool
is_own_check(const void *node, const PgesStore *store)
{
	AttrNumber	id = store->attnums[PGES_AGGREGATE_ID];
	AttrNumber	version = store->attnums[PGES_AGGREGATE_VERSION];
	const BoolExpr *both = node;
	const List *same;
	const List *positive;

	if (!IsA(node, BoolExpr) || both->boolop != AND_EXPR || list_length(both->args) != 2)
		return false;
	same = operands(linitial(both->args), F_BOOLEQ);
	positive = operands(lsecond(both->args), F_INT4GT);
	return same != NIL && positive != NIL &&
		is_null_test(linitial(same), id) && is_null_test(lsecond(same), version) &&
		is_column(linitial(positive), version) && is_zero(lsecond(positive));
}

/* Return whether a table has no CHECK constraint but that of create_store(). */
bool
pges_has_only_own_check(Relation rel, const PgesStore *store)
{
	const TupleConstr *constr = RelationGetDescr(rel)->constr;

	for (int i = 0; constr != NULL && i < constr->num_check; i++)
	{
		if (!is_own_check(stringToNode(constr->check[i].ccbin), store))
			return false;
	}
	return true;
}

/*
 * Return whether an event is known to satisfy the constraints of the store's table.  The
 * slot holds all values of the event.
 */
bool
pges_is_known_to_pass(const PgesStore *store, const TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;

	for (int i = 0; store->only_own_check && i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attnotnull && slot->tts_isnull[i])
			return false;
	}
	return store->only_own_check;
}
