/*
 * describe.c
 *		Reads the description of a store from its table.
 *
 * A store is a table with a trigger whose function is eventstore.after_append().  The
 * arguments of the trigger are the store's options.  This file also checks all other
 * properties that the code relies on: the kind of table, the columns, the unique indexes,
 * the default of the positions, and their sequence.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/pg_am.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/primnodes.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/own_object.h"
#include "base/text.h"
#include "event/event.h"
#include "store/describe.h"
#include "store/store.h"

/* The columns of the unique indexes. */
typedef struct Key
{
	int			ncolumns;
	PgesColumn	columns[2];
} Key;

static const Key keys[PGES_NUM_KEYS] = {
	[PGES_KEY_ID] = {1, {PGES_EVENT_ID}},
	[PGES_KEY_VERSION] = {2, {PGES_AGGREGATE_ID, PGES_AGGREGATE_VERSION}},
	[PGES_KEY_POSITION] = {1, {PGES_POSITION}},
};

/* Return the OID of the function whose trigger makes a table a store. */
Oid
pges_append_trigger_function(void)
{
	return pges_function_oid("after_append", 0, NULL);
}

/*
 * Return the trigger that makes a table a store: after INSERT alone, for each statement
 * (the other bits of tgtype are 0); NULL if there is none.  The result is valid until the
 * next access to the catalogs: an invalidation, such as by set_notifications() in another
 * session, may replace the list of triggers in the relcache.
 */
static const Trigger *
append_trigger(Relation rel)
{
	Oid			function = pges_append_trigger_function();

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgfoid == function && trigger->tgnargs >= 2 && trigger->tgnargs <= 4 &&
			trigger->tgtype == TRIGGER_TYPE_INSERT)
			return trigger;
	}
	return NULL;
}

/* Raise the error that a table is not a store. */
void
pges_report_no_store(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("table %s is not a store", pges_relation_name(relid)),
			 errhint("Create stores with eventstore.create_store().")));
}

/*
 * Return whether a table has the triggers that keep its events immutable, and the trigger
 * that checks the rows of INSERT.
 */
bool
pges_is_protected(Relation rel)
{
	Oid			refuse = pges_function_oid("refuse_change", 0, NULL);
	Oid			check = pges_function_oid("check_insert", 0, NULL);
	int			missing = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE | TRIGGER_TYPE_TRUNCATE;

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (!TRIGGER_FOR_BEFORE(trigger->tgtype))
			continue;
		if (trigger->tgfoid == check && TRIGGER_FOR_ROW(trigger->tgtype))
			missing &= ~(trigger->tgtype & TRIGGER_TYPE_INSERT);
		if (trigger->tgfoid != refuse)
			continue;
		if (TRIGGER_FOR_ROW(trigger->tgtype))
			missing &= ~(trigger->tgtype & (TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE));
		else
			missing &= ~(trigger->tgtype & TRIGGER_TYPE_TRUNCATE);
	}
	return missing == 0;
}

/* Return whether a table is a store. */
bool
pges_is_store(Relation rel)
{
	return append_trigger(rel) != NULL;
}

/* Raise the error that a table does not have the shape of a store. */
static void
report_shape(Relation rel, const char *difference)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("table %s does not have the shape of a store",
					pges_relation_name(RelationGetRelid(rel))),
			 errdetail("%s", difference)));
}

/* Raise the error that a column has the wrong type, or a precision that rounds values. */
static void
report_type(Relation rel, Form_pg_attribute att, const PgesColumnShape *column)
{
	char	   *table = pges_relation_name(RelationGetRelid(rel));
	char	   *type = format_type_be(column->type);

	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("table %s does not have the shape of a store", table),
			 errdetail("Column \"%s\" has type %s instead of %s.", NameStr(att->attname),
					   format_type_with_typemod(att->atttypid, att->atttypmod), type),
			 errhint("To make the table a store, its owner can change the column: ALTER TABLE %s ALTER %s TYPE %s%s.",
					 table, NameStr(att->attname), type, column->type == VARCHAROID ? " COLLATE \"C\"" : "")));
}

/* Return the attribute of a store's column, or NULL. */
static Form_pg_attribute
look_for_column(Relation rel, const PgesColumnShape *column)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped &&
			strcmp(NameStr(att->attname), column->name) == 0)
			return att;
	}
	return NULL;
}

/* Return the attribute of a store's column; raise an error if there is none. */
static Form_pg_attribute
find_column(Relation rel, const PgesColumnShape *column)
{
	Form_pg_attribute att = look_for_column(rel, column);

	if (att == NULL)
		report_shape(rel, psprintf("Column \"%s\" is missing.", column->name));
	return att;
}

/* Return whether a table has the columns of a store, with their types. */
bool
pges_has_columns(Relation rel)
{
	bool		same = true;

	for (int i = 0; same && i < PGES_NUM_COLUMNS; i++)
	{
		const PgesColumnShape *column = &pges_columns[i];
		Form_pg_attribute att = look_for_column(rel, column);

		same = att && att->atttypid == column->type && (att->attnotnull || !column->not_null);
	}
	return same;
}

/* Open a table to describe it; raise an error if the OID is not that of a table. */
Relation
pges_open_table(Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("store with OID %u does not exist", relid)));
	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a table", pges_relation_name(relid)),
				 errdetail("A store is a table.")));
	return rel;
}

/*
 * Raise an error for the first column of a table that differs from that of a store.  Only
 * the maximum lengths of texts may differ; an append checks them.  A column with a lower
 * precision would round times, and a repeated call would not recognize its events.
 */
void
pges_check_columns(Relation rel)
{
	for (int i = 0; i < PGES_NUM_COLUMNS; i++)
	{
		const PgesColumnShape *column = &pges_columns[i];
		Form_pg_attribute att = find_column(rel, column);

		if (att->atttypid != column->type || (att->atttypmod != -1 && column->type != VARCHAROID))
			report_type(rel, att, column);
		if (column->not_null && !att->attnotnull)
			report_shape(rel, psprintf("Column \"%s\" allows null values.",
									   column->name));
		if (att->attgenerated || att->attidentity)
			report_shape(rel, psprintf("Column \"%s\" is generated.",
									   column->name));
	}
}

/* Return whether an index is unique, complete, and on exactly the columns of a key. */
static bool
index_is_on(Relation rel, Oid indexid, PgesKey key)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index index;
	bool		matches;

	if (!HeapTupleIsValid(tuple))
		return false;
	index = (Form_pg_index) GETSTRUCT(tuple);
	matches = index->indisunique && index->indisvalid &&
		index->indimmediate && index->indnkeyatts == keys[key].ncolumns &&
		heap_attisnull(tuple, Anum_pg_index_indexprs, NULL) &&
		heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
	for (int i = 0; matches && i < keys[key].ncolumns; i++)
		matches = index->indkey.values[i] ==
			find_column(rel, &pges_columns[keys[key].columns[i]])->attnum;
	ReleaseSysCache(tuple);
	return matches;
}

/* Return the unique index on a key, or InvalidOid. */
static Oid
look_for_index(Relation rel, PgesKey key)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		if (index_is_on(rel, lfirst_oid(lc), key))
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

/* Describe a table of events whose columns have been checked. */
static void
describe_table(Relation rel, PgesTable *table)
{
	table->relid = RelationGetRelid(rel);
	table->owner = rel->rd_rel->relowner;
	table->schema = get_namespace_name(RelationGetNamespace(rel));
	table->table = pstrdup(RelationGetRelationName(rel));
	table->qualified_name = pges_relation_name(table->relid);
	for (int i = 0; i < PGES_NUM_KEYS; i++)
		table->indexes[i] = look_for_index(rel, i);
	for (int i = 0; i < PGES_NUM_COLUMNS; i++)
	{
		Form_pg_attribute att = find_column(rel, &pges_columns[i]);

		table->attnums[i] = att->attnum;
		table->max_chars[i] = att->atttypmod >= VARHDRSZ ? att->atttypmod - VARHDRSZ : 0;
	}
}

/* Return the first key on which a table has no unique index; PGES_NUM_KEYS if none. */
static PgesKey
missing_index(const PgesTable *table)
{
	PgesKey		key = 0;

	while (key < PGES_NUM_KEYS && OidIsValid(table->indexes[key]))
		key++;
	return key;
}

/* Raise an error unless a table has all unique indexes. */
static void
check_indexes(Relation rel, const PgesTable *table)
{
	PgesKey		key = missing_index(table);
	StringInfoData names;

	if (key == PGES_NUM_KEYS)
		return;
	initStringInfo(&names);
	for (int i = 0; i < keys[key].ncolumns; i++)
		appendStringInfo(&names, "%s%s", i ? ", " : "", pges_columns[keys[key].columns[i]].name);
	report_shape(rel, psprintf("There is no unique index on (%s).", names.data));
}

/* Raise an error unless a table has what an archive needs. */
void
pges_check_archive(Relation rel)
{
	PgesTable	table;

	pges_check_kind(rel);
	pges_check_columns(rel);
	describe_table(rel, &table);
	check_indexes(rel, &table);
	if (rel->rd_rel->relrowsecurity)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("archive %s cannot have row security", table.qualified_name),
				 errdetail("New versions continue after all archived events, including those that row security would hide.")));
}

/* Return the sequence that a default of the position column names, or InvalidOid. */
Oid
pges_sequence_of_default(Node *expr)
{
	Oid			argtypes[] = {REGCLASSOID};
	FuncExpr   *func;
	Node	   *arg;

	if (expr == NULL || !IsA(expr, FuncExpr))
		return InvalidOid;
	func = (FuncExpr *) expr;
	if (func->funcid != pges_function_oid("next_position", 1, argtypes))
		return InvalidOid;
	arg = linitial(func->args);
	if (!IsA(arg, Const) || ((Const *) arg)->constisnull)
		return InvalidOid;
	return DatumGetObjectId(((Const *) arg)->constvalue);
}

/*
 * Raise an error unless a store's sequence has the right options.  With CACHE above 1, a
 * transaction could use a position that its session took before it acquired the guard.
 */
static void
check_sequence(Relation rel, Oid sequence)
{
	HeapTuple	tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
	Form_pg_sequence form;
	bool		ok;

	if (!HeapTupleIsValid(tuple))
		report_shape(rel, "The sequence of column \"position\" is missing.");
	form = (Form_pg_sequence) GETSTRUCT(tuple);
	ok = form->seqcache == 1 && form->seqincrement == 1 && !form->seqcycle;
	ReleaseSysCache(tuple);
	if (!ok)
		report_shape(rel, psprintf("Sequence %s must have CACHE 1, INCREMENT 1 and NO CYCLE.",
								   pges_relation_name(sequence)));
}

/* Return the sequence of a store's positions; raise an error if the column owns none. */
static Oid
sequence_of_positions(Relation rel)
{
	AttrNumber	attnum = find_column(rel, &pges_columns[PGES_POSITION])->attnum;
	Oid			sequence = pges_sequence_of_default(build_column_default(rel, attnum));
	Oid			owner_table;
	int32		owner_column;

	if (!OidIsValid(sequence))
		report_shape(rel, "The default of column \"position\" is not eventstore.next_position() of a sequence.");
	if (!sequenceIsOwned(sequence, DEPENDENCY_AUTO, &owner_table, &owner_column) ||
		owner_table != RelationGetRelid(rel) || owner_column != attnum)
		report_shape(rel, psprintf("Sequence %s is not owned by column \"position\".",
								   pges_relation_name(sequence)));
	check_sequence(rel, sequence);
	return sequence;
}

/* Raise an error if a rule replaces INSERT. */
static void
check_insert_rules(Relation rel)
{
	for (int i = 0; rel->rd_rules && i < rel->rd_rules->numLocks; i++)
	{
		const RewriteRule *rule = rel->rd_rules->rules[i];

		if (rule->event == CMD_INSERT && rule->isInstead)
			report_shape(rel, "A rule with INSTEAD replaces INSERT.");
	}
}

/* The names of the notification modes. */
static const char *const mode_names[] = {
	[PGES_NOTIFY_OFF] = "off",
	[PGES_NOTIFY_COMMIT] = "commit",
	[PGES_NOTIFY_WORKER] = "worker"
};

/* Return the notification mode with a name; off if the name is unknown. */
PgesNotifications
pges_mode_of_name(const char *name)
{
	PgesNotifications mode = PGES_NOTIFY_WORKER;

	while (mode != PGES_NOTIFY_OFF && strcmp(name, mode_names[mode]) != 0)
		mode--;
	return mode;
}

/* Return the notification mode with a name; raise an error if the name is unknown. */
PgesNotifications
pges_parse_notifications(const char *mode)
{
	PgesNotifications meaning = pges_mode_of_name(mode);

	if (meaning != PGES_NOTIFY_OFF || strcmp(mode, "off") == 0)
		return meaning;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized notification mode: \"%s\"", mode),
			 errhint("Valid modes are \"worker\", \"commit\" and \"off\".")));
	return PGES_NOTIFY_OFF;		/* not reached */
}

/* Return the name of a notification mode. */
const char *
pges_notifications_name(PgesNotifications notifications)
{
	return mode_names[notifications];
}

/*
 * Find and describe the archive of a store, if there is one; raise an error if its
 * columns differ.  During the restore of a dump, an archive has no indexes yet.  A caller
 * that needs the archive then gets the error of pges_require_archive().
 */
static void
describe_archive(PgesStore *store)
{
	PgesTable  *archive = &store->archive;
	bool		is_new;
	Oid			relid = pges_find_archive(store->live.relid, &is_new);
	Relation	rel = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : NULL;

	if (rel == NULL)
		return;
	pges_check_columns(rel);
	describe_table(rel, archive);
	store->archive_complete = pges_kind_obstacle(rel) == NULL && !rel->rd_rel->relrowsecurity &&
		missing_index(archive) == PGES_NUM_KEYS;
	archive->plain = store->archive_complete && rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		!rel->rd_rel->relhassubclass && pges_has_plain_index(archive->indexes[PGES_KEY_VERSION]);
	relation_close(rel, AccessShareLock);
}

/*
 * Parse the trigger argument about a slot, "NUMBER/COUNT" or "NUMBER/COUNT/arriving"; a
 * count of 0 means no slot.
 */
void
pges_parse_slot(const char *argument, PgesSlot *slot)
{
	char	   *end;
	long		number = strtol(argument, &end, 10);
	long		count = *end == '/' ? strtol(end + 1, &end, 10) : 0;
	bool		is_slot = count >= 2 && count <= PGES_MAX_STORE_SLOTS && number >= 0 && number < count;

	slot->number = is_slot ? (int) number : 0;
	slot->count = is_slot ? (int) count : 0;
	slot->arriving = is_slot && strcmp(end, "/arriving") == 0;
}

/* Return the argument of the append trigger of a slot. */
char *
pges_slot_argument(const PgesSlot *slot)
{
	return psprintf("%d/%d%s", slot->number, slot->count, slot->arriving ? "/arriving" : "");
}

/*
 * Read the slot of a store from its trigger.  Raise an error if the argument is invalid.
 * Also raise an error if the slot is arriving: until the move is complete, the slot is on
 * another server, and nobody may append to the copy here, or read it.
 */
static void
describe_slot(Relation rel, const Trigger *trigger, PgesSlot *slot)
{
	const char *argument = trigger->tgnargs > 3 ? trigger->tgargs[3] : "";

	pges_parse_slot(argument, slot);
	if (trigger->tgnargs > 3 && slot->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table %s is not a slot", pges_relation_name(RelationGetRelid(rel))),
				 errdetail("Argument \"%s\" of trigger \"%s\" is not the number of a slot and the number of all slots.",
						   argument, trigger->tgname),
				 errhint("Drop the trigger, and call eventstore.create_slots().")));
	if (slot->arriving)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("slot %s is not on this server yet", pges_relation_name(RelationGetRelid(rel))),
				 errdetail("A move copies the slot to this server, and is not complete."),
				 errhint("Repeat the call with the present map of the slots. If no move is running, pg_eventstore_cluster check shows how to complete it.")));
}

/* Describe a table in the current memory context; raise an error if it is not a store. */
PgesStore *
pges_describe_store(Relation rel)
{
	PgesStore  *store = palloc0(sizeof(PgesStore));
	const Trigger *trigger = append_trigger(rel);

	if (trigger == NULL)
	{
		pges_report_no_store(RelationGetRelid(rel));
		return NULL;			/* not reached */
	}
	store->trigger = pstrdup(trigger->tgname);
	store->notifications = pges_parse_notifications(trigger->tgargs[0]);
	store->channel = pstrdup(trigger->tgargs[1]);
	store->wants_archive = trigger->tgnargs > 2 && trigger->tgargs[2][0] != '\0';
	describe_slot(rel, trigger, &store->slot);
	pges_check_kind(rel);
	pges_check_columns(rel);
	check_insert_rules(rel);

	store->sequence = sequence_of_positions(rel);
	describe_table(rel, &store->live);
	check_indexes(rel, &store->live);
	for (int i = 0; i < PGES_NUM_KEYS; i++)
		store->index_names[i] = get_rel_name(store->live.indexes[i]);
	describe_archive(store);
	store->live.plain = pges_is_plain(rel, store);
	store->has_trigger_before = pges_has_trigger_before_insert(rel);
	store->only_own_check = pges_has_only_own_check(rel, store);
	return store;
}

/* Return the unique index on a table's column "position", or InvalidOid. */
Oid
pges_position_index(Relation rel)
{
	return look_for_index(rel, PGES_KEY_POSITION);
}
