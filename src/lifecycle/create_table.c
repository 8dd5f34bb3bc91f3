/*
 * create_table.c
 *		Creates the table of a store: columns, constraints, indexes, sequence.
 *
 * Every store has three unique indexes: on event ids, on the versions of aggregates,
 * and on positions, the order of the log.  Each further index serves one kind of read,
 * slows down every append, and can be left out.  bench/RESULTS.md shows the cost of
 * each.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/ddl.h"
#include "event/event.h"
#include "lifecycle/lifecycle.h"
#include "store/store.h"

/*
 * Creates the table.  1 is its name.  The others are names of constraints: 2 primary
 * key, 3 unique aggregate version, 4 unique position, 5 check.
 */
static const char table_ddl[] =
"CREATE TABLE %1$s (\n"
"  position bigint NOT NULL,\n"
"  event_id varchar(36) COLLATE \"C\" NOT NULL,\n"
"  event_type varchar(255) COLLATE \"C\" NOT NULL,\n"
"  occurred_at timestamptz NOT NULL DEFAULT pg_catalog.now(),\n"
"  correlation_id varchar(36) COLLATE \"C\",\n"
"  causation_id varchar(36) COLLATE \"C\",\n"
"  aggregate_id varchar(36) COLLATE \"C\",\n"
"  aggregate_type varchar(255) COLLATE \"C\",\n"
"  aggregate_version integer,\n"
"  data jsonb NOT NULL,\n"
"  metadata jsonb,\n"
"  CONSTRAINT %2$s PRIMARY KEY (event_id),\n"
"  CONSTRAINT %3$s UNIQUE (aggregate_id, aggregate_version),\n"
"  CONSTRAINT %4$s UNIQUE (position),\n"
"  CONSTRAINT %5$s CHECK\n"
"    ((aggregate_id IS NULL) OPERATOR(pg_catalog.=) (aggregate_version IS NULL)\n"
"    AND aggregate_version OPERATOR(pg_catalog.>) 0)\n"
")";

/* A further index: label, definition after the table name, whether it is a default. */
typedef struct IndexShape
{
	const char *label;
	const char *definition;
	bool		by_default;
} IndexShape;

static const IndexShape indexes[] = {
	{"event_type", "(event_type, occurred_at)", true},
	{"aggregate_type", "(aggregate_type, occurred_at)", true},
	{"occurred_at", "USING brin (occurred_at) WITH (autosummarize = on)", true},
	{"correlation_id", "(correlation_id) WHERE correlation_id IS NOT NULL", true},
	{"causation_id", "(causation_id) WHERE causation_id IS NOT NULL", true},
	{"event_type_position", "(event_type, position)", false},
	{"aggregate_type_position", "(aggregate_type, position)", false},
};

/* Return the labels of all further indexes, for an error message. */
static char *
list_indexes(void)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < lengthof(indexes); i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", indexes[i].label);
	return list.data;
}

/* Return the number of a further index.  Raise an error if there is no such index. */
static int
find_index(const char *name)
{
	for (int i = 0; i < lengthof(indexes); i++)
	{
		if (strcmp(name, indexes[i].label) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown store index \"%s\"", name),
			 errdetail("The indexes to choose from are %s.", list_indexes()),
			 errhint("Any other index can be added with CREATE INDEX.")));
	return -1;					/* not reached */
}

/* Return the indexes that are created by default. */
static Bitmapset *
default_indexes(void)
{
	Bitmapset  *chosen = NULL;

	for (int i = 0; i < lengthof(indexes); i++)
	{
		if (indexes[i].by_default)
			chosen = bms_add_member(chosen, i);
	}
	return chosen;
}

/* Return the further indexes that an argument names; if it is null, the default ones. */
Bitmapset *
pges_index_argument(FunctionCallInfo fcinfo, int arg)
{
	Bitmapset  *chosen = NULL;
	Datum	   *names;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(arg))
		return default_indexes();
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), TEXTOID, -1, false,
					  TYPALIGN_INT, &names, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"indexes\" must not hold nulls")));
		chosen = bms_add_member(chosen, find_index(TextDatumGetCString(names[i])));
	}
	return chosen;
}

/*
 * Return the quoted name for an object of a store: the name of the table, cut to fit,
 * and a label.  If the name is taken, a number is added to the label.
 */
static char *
derived_name(const PgesNewStore *store, const char *prefix, const char *label)
{
	Oid			schema = get_namespace_oid(store->schema, false);

	return pstrdup(quote_identifier(ChooseRelationName(psprintf("%s%s", prefix, store->table),
													   NULL, label, schema, true)));
}

/* Set those defaults of a store's columns that are functions of this extension. */
void
pges_set_defaults(const PgesNewStore *store, const char *sequence)
{
	pges_run_ddl(psprintf("ALTER TABLE %s "
						  "ALTER position SET DEFAULT eventstore.next_position(%s::pg_catalog.regclass), "
						  "ALTER event_id SET DEFAULT eventstore.new_event_id()",
						  store->qualified_name, quote_literal_cstr(sequence)));
}

/* Create the sequence of a store's positions, and make it the default of the column. */
static void
create_sequence(const PgesNewStore *store)
{
	const char *name = derived_name(store, "", "position_seq");
	char	   *sequence = psprintf("%s.%s", quote_identifier(store->schema), name);

	pges_run_ddl(psprintf("CREATE SEQUENCE %s AS bigint CACHE 1 OWNED BY %s.position",
						  sequence, store->qualified_name));
	pges_comment_on(psprintf("SEQUENCE %s", sequence), "the positions of a store");
	pges_set_defaults(store, sequence);
}

/* Create the table of a store with its indexes and its sequence. */
void
pges_create_table(const PgesNewStore *store)
{
	pges_run_ddl(psprintf(table_ddl, store->qualified_name,
						  derived_name(store, "", "pkey"),
						  derived_name(store, "idx_", "aggregate_id"),
						  derived_name(store, "", "position_key"),
						  derived_name(store, "", "aggregate_version_check")));
	for (int i = -1; (i = bms_next_member(store->indexes, i)) >= 0;)
		pges_run_ddl(psprintf("CREATE INDEX %s ON %s %s",
							  derived_name(store, "idx_", indexes[i].label),
							  store->qualified_name, indexes[i].definition));
	for (int i = 0; i < PGES_NUM_COLUMNS; i++)
		pges_comment_on(psprintf("COLUMN %s.%s", store->qualified_name, pges_column_name(i)),
						pges_columns[i].comment);
	pges_comment_on(psprintf("TABLE %s", store->qualified_name), "a store of events");
	create_sequence(store);
}
