/*
 * plain.c
 *		Recognizes plain stores, to which events can be appended without the executor, and
 *		the CHECK constraint that every store has.
 *
 * See insert_direct.c for the definition of a plain store.
 *
 * PostgreSQL reads and compiles the constraints of a table for each statement, which is a
 * considerable part of the work of appending one event.  An append assigns a version, 1 or
 * more, exactly to the events that have an aggregate.  So the constraint of create_store()
 * holds by construction.  If a table has no other constraint, none is evaluated.
 *
 * The constraint is recognised by its expression:
 *
 *		(aggregate_id IS NULL) = (aggregate_version IS NULL)
 *		AND aggregate_version > 0
 *
 * If a table has any other constraint, the executor evaluates all of its constraints.
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "nodes/primnodes.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/own_object.h"
#include "event/event.h"
#include "store/describe.h"
#include "store/store.h"

/* Return whether a trigger other than that of the extension fires before each new row. */
bool
pges_has_trigger_before_insert(Relation rel)
{
	Oid			check = pges_function_oid("check_insert", 0, NULL);

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (TRIGGER_FOR_INSERT(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype) &&
			TRIGGER_FOR_ROW(trigger->tgtype) && trigger->tgfoid != check)
			return true;
	}
	return false;
}

/*
 * Return whether the store's own trigger is enabled, and no other trigger fires on INSERT,
 * except the one that checks the rows: for an append, that trigger does nothing.
 */
static bool
has_plain_triggers(Relation rel, const char *own)
{
	Oid			check = pges_function_oid("check_insert", 0, NULL);

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (!TRIGGER_FOR_INSERT(trigger->tgtype) || trigger->tgfoid == check)
			continue;
		if (strcmp(trigger->tgname, own) != 0 ||
			(trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN &&
			 trigger->tgenabled != TRIGGER_FIRES_ALWAYS))
			return false;
	}
	return true;
}

/*
 * Return whether a table has only the columns of a store, and all collations are
 * deterministic.  Look-ups in the indexes compare the bytes of texts.
 */
static bool
has_plain_columns(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			live = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		if (OidIsValid(att->attcollation) && !get_collation_isdeterministic(att->attcollation))
			return false;
		live++;
	}
	return live == PGES_NUM_COLUMNS;
}

/* Return the collation of the first column of an index. */
Oid
pges_index_collation(Oid indexid)
{
	Relation	index = index_open(indexid, AccessShareLock);
	Oid			collation = index->rd_indcollation[0];

	index_close(index, NoLock);
	return collation;
}

/* Return whether an index on the versions is like the one that create_store() makes. */
bool
pges_has_plain_index(Oid indexid)
{
	Relation	index = index_open(indexid, AccessShareLock);
	bool		plain = index->rd_rel->relam == BTREE_AM_OID &&
		index->rd_indcollation[0] == C_COLLATION_OID &&
		index->rd_indoption[0] == 0 && index->rd_indoption[1] == 0;

	index_close(index, AccessShareLock);
	return plain;
}

/* Return whether a store is plain, as defined in insert_direct.c. */
bool
pges_is_plain(Relation rel, const PgesStore *store)
{
	const FormData_pg_class *form = rel->rd_rel;

	return form->relkind == RELKIND_RELATION && form->relam == HEAP_TABLE_AM_OID &&
		!form->relrowsecurity && !form->relhasrules &&
		!form->relispartition && has_plain_columns(rel) &&
		has_plain_triggers(rel, store->trigger) &&
		pges_has_plain_index(store->live.indexes[PGES_KEY_VERSION]) &&
		(!OidIsValid(store->archive.relid) || store->archive.plain);
}

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
	AttrNumber	id = store->live.attnums[PGES_AGGREGATE_ID];
	AttrNumber	version = store->live.attnums[PGES_AGGREGATE_VERSION];
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
