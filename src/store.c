/*
 * store.c
 *		Describes stores.
 *
 * The catalog is the registry: a store is a table that carries a trigger whose
 * function is eventstore.after_append(), and that trigger's arguments are the
 * store's options.  Nothing is recorded anywhere else, so nothing can go
 * stale when the table is dumped, renamed, moved or dropped.
 *
 * A description is made on first use and cached.  Invalidations of the table's
 * relcache entry, of namespaces and of sequences mark it; the next use makes
 * it anew.  The old one may still be in use further up the call stack, so it
 * is handed to the transaction's memory context, which frees it at the end.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "nodes/primnodes.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "guc.h"
#include "store.h"

typedef struct ColumnShape
{
	const char *name;
	Oid			type;
	bool		not_null;
} ColumnShape;

static const ColumnShape columns[PGES_NUM_COLUMNS] = {
	[PGES_POSITION] = {"position", INT8OID, true},
	[PGES_EVENT_ID] = {"event_id", VARCHAROID, true},
	[PGES_EVENT_TYPE] = {"event_type", VARCHAROID, true},
	[PGES_OCCURRED_AT] = {"occurred_at", TIMESTAMPTZOID, true},
	[PGES_CORRELATION_ID] = {"correlation_id", VARCHAROID, false},
	[PGES_CAUSATION_ID] = {"causation_id", VARCHAROID, false},
	[PGES_AGGREGATE_ID] = {"aggregate_id", VARCHAROID, false},
	[PGES_AGGREGATE_TYPE] = {"aggregate_type", VARCHAROID, false},
	[PGES_AGGREGATE_VERSION] = {"aggregate_version", INT4OID, false},
	[PGES_DATA] = {"data", JSONBOID, true},
	[PGES_METADATA] = {"metadata", JSONBOID, false},
};

typedef struct StoreEntry
{
	Oid			relid;			/* hash key */
	bool		valid;
	MemoryContext context;		/* holds the description, or NULL */
	PgesStore  *store;
} StoreEntry;

/*
 * Both live as long as the backend.  An error while a description is made
 * leaves an entry that is not valid.
 */
static HTAB *stores = NULL;
static uint64 invalidations = 0;

/* The name of a store's column. */
const char *
pges_column_name(PgesColumn column)
{
	return columns[column].name;
}

/* Mark the description of one table, or all of them, as to be made anew. */
static void
invalidate(Oid relid)
{
	HASH_SEQ_STATUS status;
	StoreEntry *entry;

	invalidations++;
	if (OidIsValid(relid))
	{
		entry = hash_search(stores, &relid, HASH_FIND, NULL);
		if (entry)
			entry->valid = false;
		return;
	}
	hash_seq_init(&status, stores);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->valid = false;
}

/* Relcache callback: something about a table changed. */
static void
relcache_changed(Datum arg, Oid relid)
{
	invalidate(relid);
}

/* Syscache callback: a schema may have a new name, a sequence other options. */
static void
syscache_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	invalidate(InvalidOid);
}

/* Create the cache of descriptions. */
void
pges_store_init(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(StoreEntry);
	stores = hash_create("pg_eventstore stores", 16, &ctl,
						 HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(relcache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, syscache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(SEQRELID, syscache_changed, (Datum) 0);
}

/* The OID of one of the extension's functions. */
Oid
pges_function_oid(const char *name, int nargs, Oid *argtypes)
{
	oidvector  *args = buildoidvector(argtypes, nargs);
	Oid			schema = get_namespace_oid("eventstore", false);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(name), PointerGetDatum(args),
						   ObjectIdGetDatum(schema));
}

/* The trigger that makes a table a store, or NULL. */
static Trigger *
find_append_trigger(Relation rel)
{
	Oid			function = pges_function_oid("after_append", 0, NULL);

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgfoid == function && trigger->tgnargs == 2)
			return trigger;
	}
	return NULL;
}

/* Whether a table is a store. */
bool
pges_is_store(Relation rel)
{
	return find_append_trigger(rel) != NULL;
}

/* Raise the error that a table differs from a store's shape. */
static void
report_shape(Relation rel, const char *difference)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("table \"%s\" does not have the shape of a store",
					RelationGetRelationName(rel)),
			 errdetail("%s", difference)));
}

/* The attribute of a store's column, which must be there. */
static Form_pg_attribute
find_column(Relation rel, const ColumnShape *column)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped &&
			strcmp(NameStr(att->attname), column->name) == 0)
			return att;
	}
	report_shape(rel, psprintf("Column \"%s\" is missing.", column->name));
	return NULL;				/* not reached */
}

/* Check that a table has the columns of a store; name the first that differs. */
void
pges_check_columns(Relation rel)
{
	for (int i = 0; i < PGES_NUM_COLUMNS; i++)
	{
		const ColumnShape *column = &columns[i];
		Form_pg_attribute att = find_column(rel, column);

		if (att->atttypid != column->type)
			report_shape(rel, psprintf("Column \"%s\" has type %s instead of %s.",
									   column->name,
									   format_type_be(att->atttypid),
									   format_type_be(column->type)));
		if (column->not_null && !att->attnotnull)
			report_shape(rel, psprintf("Column \"%s\" allows null values.",
									   column->name));
		if (att->attgenerated || att->attidentity)
			report_shape(rel, psprintf("Column \"%s\" is generated.",
									   column->name));
	}
}

/* Whether an index is unique, complete, and on just these columns. */
static bool
index_is_on(Relation rel, Oid indexid, const PgesColumn *wanted, int nwanted)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index index;
	bool		matches;

	if (!HeapTupleIsValid(tuple))
		return false;
	index = (Form_pg_index) GETSTRUCT(tuple);
	matches = index->indisunique && index->indisvalid &&
		index->indimmediate && index->indnkeyatts == nwanted &&
		heap_attisnull(tuple, Anum_pg_index_indexprs, NULL) &&
		heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
	for (int i = 0; matches && i < nwanted; i++)
		matches = index->indkey.values[i] ==
			find_column(rel, &columns[wanted[i]])->attnum;
	ReleaseSysCache(tuple);
	return matches;
}

/* The name of the unique index on some columns, which must be there. */
static char *
find_unique_index(Relation rel, const PgesColumn *wanted, int nwanted)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	StringInfoData names;

	foreach(lc, indexes)
	{
		if (index_is_on(rel, lfirst_oid(lc), wanted, nwanted))
			return get_rel_name(lfirst_oid(lc));
	}

	initStringInfo(&names);
	for (int i = 0; i < nwanted; i++)
		appendStringInfo(&names, "%s%s", i ? ", " : "",
						 columns[wanted[i]].name);
	report_shape(rel, psprintf("There is no unique index on (%s).", names.data));
	return NULL;				/* not reached */
}

/* The sequence that the default of the position column names, or InvalidOid. */
static Oid
sequence_of_default(Relation rel, AttrNumber attnum)
{
	Oid			argtypes[] = {REGCLASSOID};
	Node	   *expr = build_column_default(rel, attnum);
	FuncExpr   *func;
	Const	   *arg;

	if (expr == NULL || !IsA(expr, FuncExpr))
		return InvalidOid;
	func = (FuncExpr *) expr;
	if (func->funcid != pges_function_oid("next_position", 1, argtypes))
		return InvalidOid;
	arg = linitial_node(Const, func->args);
	return arg->constisnull ? InvalidOid : DatumGetObjectId(arg->constvalue);
}

/*
 * Check the options of a store's sequence.  CACHE would hand out positions
 * long before they are used, so later events could become visible earlier.
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
		report_shape(rel, psprintf("Sequence \"%s\" must have CACHE 1, INCREMENT 1 and NO CYCLE.",
								   get_rel_name(sequence)));
}

/* The sequence of a store's positions, which must belong to the column. */
static Oid
find_sequence(Relation rel)
{
	AttrNumber	attnum = find_column(rel, &columns[PGES_POSITION])->attnum;
	Oid			sequence = sequence_of_default(rel, attnum);
	Oid			owner_table;
	int32		owner_column;

	if (!OidIsValid(sequence))
		report_shape(rel, "The default of column \"position\" is not eventstore.next_position() of a sequence.");
	if (!sequenceIsOwned(sequence, DEPENDENCY_AUTO, &owner_table, &owner_column) ||
		owner_table != RelationGetRelid(rel) || owner_column != attnum)
		report_shape(rel, psprintf("Sequence \"%s\" is not owned by column \"position\".",
								   get_rel_name(sequence)));
	check_sequence(rel, sequence);
	return sequence;
}

/* The meaning of the name of a notification mode. */
PgesNotifications
pges_parse_notifications(const char *mode)
{
	if (strcmp(mode, "commit") == 0)
		return PGES_NOTIFY_COMMIT;
	if (strcmp(mode, "off") == 0)
		return PGES_NOTIFY_OFF;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized notification mode: \"%s\"", mode),
			 errhint("Valid modes are \"commit\" and \"off\".")));
	return PGES_NOTIFY_OFF;		/* not reached */
}

/* The name of a notification mode. */
const char *
pges_notifications_name(PgesNotifications notifications)
{
	return notifications == PGES_NOTIFY_COMMIT ? "commit" : "off";
}

/* Describe a table in the current memory context; raise if it is no store. */
static PgesStore *
describe(Relation rel)
{
	static const PgesColumn id[] = {PGES_EVENT_ID};
	static const PgesColumn version[] = {PGES_AGGREGATE_ID, PGES_AGGREGATE_VERSION};
	static const PgesColumn position[] = {PGES_POSITION};
	PgesStore  *store = palloc0(sizeof(PgesStore));
	Trigger    *trigger = find_append_trigger(rel);

	if (trigger == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is not a store",
						RelationGetRelationName(rel)),
				 errhint("Create stores with eventstore.create_store().")));
	pges_check_columns(rel);

	store->relid = RelationGetRelid(rel);
	store->schema = get_namespace_name(RelationGetNamespace(rel));
	store->table = pstrdup(RelationGetRelationName(rel));
	store->qualified_name = quote_qualified_identifier(store->schema, store->table);
	store->sequence = find_sequence(rel);
	store->event_id_index = find_unique_index(rel, id, lengthof(id));
	store->version_index = find_unique_index(rel, version, lengthof(version));
	(void) find_unique_index(rel, position, lengthof(position));
	store->trigger = pstrdup(trigger->tgname);
	store->notifications = pges_parse_notifications(trigger->tgargs[0]);
	store->channel = pstrdup(trigger->tgargs[1]);
	for (int i = 0; i < PGES_NUM_COLUMNS; i++)
	{
		Form_pg_attribute att = find_column(rel, &columns[i]);

		if (att->atttypid == VARCHAROID && att->atttypmod >= VARHDRSZ)
			store->max_chars[i] = att->atttypmod - VARHDRSZ;
	}
	return store;
}

/* Open a table to describe it; raise if it is gone or no table. */
static Relation
open_table(Oid relid)
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
				 errmsg("\"%s\" is not a table", RelationGetRelationName(rel)),
				 errdetail("A store is a table.")));
	return rel;
}

/* Make or remake the description of an entry. */
static void
refresh(StoreEntry *entry)
{
	Relation	rel = open_table(entry->relid);
	uint64		generation = invalidations;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "pg_eventstore store",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	PgesStore  *store = describe(rel);

	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, CacheMemoryContext);
	if (entry->context)
		MemoryContextSetParent(entry->context, TopTransactionContext);
	entry->context = context;
	entry->store = store;
	entry->valid = (generation == invalidations);
	relation_close(rel, AccessShareLock);
}

/* Forget the descriptions of tables that are gone. */
static void
sweep_stores(void)
{
	HASH_SEQ_STATUS status;
	StoreEntry *entry;

	hash_seq_init(&status, stores);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->valid ||
			SearchSysCacheExists1(RELOID, ObjectIdGetDatum(entry->relid)))
			continue;
		if (entry->context)
			MemoryContextSetParent(entry->context, TopTransactionContext);
		hash_search(stores, &entry->relid, HASH_REMOVE, NULL);
	}
}

/* Find or make the entry of a table. */
static StoreEntry *
store_entry(Oid relid)
{
	StoreEntry *entry = hash_search(stores, &relid, HASH_FIND, NULL);
	bool		found;

	if (entry)
		return entry;
	sweep_stores();
	entry = hash_search(stores, &relid, HASH_ENTER, &found);
	entry->valid = false;
	entry->context = NULL;
	entry->store = NULL;
	return entry;
}

/* The description of a store; raises when the table is none. */
const PgesStore *
pges_store(Oid relid)
{
	StoreEntry *entry = store_entry(relid);

	if (!entry->valid)
		refresh(entry);
	return entry->store;
}

/* Raise when a part of a name would be cut to fit. */
static void
check_name_lengths(const char *name)
{
	List	   *names = NIL;
	ListCell   *lc;

	(void) SplitGUCList(pstrdup(name), '.', &names);	/* cuts nothing */
	foreach(lc, names)
	{
		if (strlen(lfirst(lc)) >= NAMEDATALEN)
			ereport(ERROR,
					(errcode(ERRCODE_NAME_TOO_LONG),
					 errmsg("store name \"%s\" is too long", name),
					 errdetail("Names of tables and schemas have at most %d bytes.",
							   NAMEDATALEN - 1)));
	}
}

/* Split the name of a store; without a schema it is in schema eventstore. */
void
pges_parse_store_name(const char *name, char **schema, char **table)
{
	List	   *names = NIL;

	if (!SplitIdentifierString(pstrdup(name), '.', &names) ||
		list_length(names) < 1 || list_length(names) > 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid store name: \"%s\"", name),
				 errdetail("A store is named by a table, with or without its schema."),
				 errhint("Quote names like SQL identifiers.")));
	check_name_lengths(name);
	*schema = list_length(names) == 2 ? linitial(names) : pstrdup("eventstore");
	*table = llast(names);
}

/* The table that a name stands for, or InvalidOid. */
Oid
pges_store_lookup(const char *name)
{
	char	   *schema;
	char	   *table;
	Oid			namespace;

	pges_parse_store_name(name, &schema, &table);
	namespace = LookupExplicitNamespace(schema, true);
	if (!OidIsValid(namespace))
		return InvalidOid;
	return get_relname_relid(table, namespace);
}

/* The store a caller named, or else the one of the setting. */
const PgesStore *
pges_store_or_setting(Oid relid)
{
	if (!OidIsValid(relid))
		relid = pges_store_lookup(pges_store_setting);
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("store \"%s\" does not exist", pges_store_setting),
				 errdetail("It is named by the setting \"pg_eventstore.store\"."),
				 errhint("Create it with eventstore.create_store().")));
	return pges_store(relid);
}

/* The store whose positions a sequence gives; raises when there is none. */
Oid
pges_store_of_sequence(Oid sequence)
{
	Oid			relid;
	int32		column;

	if (!sequenceIsOwned(sequence, DEPENDENCY_AUTO, &relid, &column) ||
		pges_store(relid)->sequence != sequence)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation with OID %u is not the sequence of a store",
						sequence)));
	return relid;
}

PG_FUNCTION_INFO_V1(pges_store_options);

/* SQL: the options of a store. */
Datum
pges_store_options(PG_FUNCTION_ARGS)
{
	const PgesStore *store = pges_store(PG_GETARG_OID(0));
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(pges_notifications_name(store->notifications));
	values[1] = CStringGetTextDatum(store->channel);
	values[2] = ObjectIdGetDatum(store->sequence);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}
