/*
 * create_store.c
 *		Creates and drops stores.
 *
 * No other room calls the room "lifecycle": users and the install script call its SQL
 * functions, and DDL commands call ddl_trigger.c. create_store() and pges_drop_store()
 * show the order of the steps.
 *
 * All names in DDL are quoted, and DDL runs with a safe search path (ddl.c).  So no
 * object of the caller can take the place of another.  But if a schema is renamed, a name
 * may refer to another table.  Therefore commands on an existing table run with the
 * rights of its owner.  The owner can run the same commands without this extension.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "archive/archive.h"
#include "base/act_as.h"
#include "base/compat.h"
#include "base/ddl.h"
#include "base/lock_tag.h"
#include "base/own_object.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "erase/erase.h"
#include "lifecycle/lifecycle.h"
#include "position/position.h"
#include "projection/projection.h"
#include "snapshot/snapshot.h"
#include "store/store.h"
#include "subscription/subscription.h"
#include "table/table.h"

static const PgesStatement any_event = {
	"SELECT 1 FROM %1$s LIMIT 1", 0, {0}
};

/* Return the name of a channel; raise an error if NOTIFY does not accept the name. */
char *
pges_channel_argument(FunctionCallInfo fcinfo, int arg)
{
	char	   *channel = pges_text_argument(fcinfo, arg, "channel");

	if (channel[0] == '\0' || strlen(channel) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid channel name: \"%s\"", channel),
				 errdetail("A channel name has from 1 to %d bytes.", NAMEDATALEN - 1)));
	return channel;
}

/*
 * Serialize the creation of stores in a schema, because two sessions may both find that a
 * store is missing.  The caller has checked that the user may create a store there.
 */
static void
lock_creation(const char *schema)
{
	LOCKTAG		tag;
	Oid			namespace = get_namespace_oid(schema, true);

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, namespace,
						 OidIsValid(namespace) ? 0 : string_hash(schema, NAMEDATALEN), PGES_LOCK_CREATE);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	AcceptInvalidationMessages();	/* see what another session has created */
}

/* If the schema of a store is missing, create the schema or raise an error. */
static void
ensure_schema(const PgesNewStore *store, bool create_if_missing)
{
	if (OidIsValid(get_namespace_oid(store->schema, true)))
		return;
	if (!create_if_missing)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" does not exist", store->schema),
				 errhint("Create the schema, or set create_schema_if_missing to true.")));
	pges_run_ddl(psprintf("CREATE SCHEMA %s", quote_identifier(store->schema)));
	CommandCounterIncrement();
}

/*
 * Restore the defaults of a table that was a store before the extension was dropped.
 * DROP EXTENSION has dropped the defaults, but not the sequence.  Without exactly one
 * sequence, do nothing.
 */
static void
restore_defaults(const PgesNewStore *store, Oid relid)
{
	List	   *sequences = getOwnedSequences(relid);

	if (list_length(sequences) == 1)
		pges_set_defaults(store, pges_relation_name(linitial_oid(sequences)));
}

/* The parts of a store that an existing table has. */
typedef struct ExistingTable
{
	bool		is_store;
	bool		is_protected;
	bool		has_default;
} ExistingTable;

/* Raise an error if a table is partitioned: it cannot have the indexes of a store. */
static void
check_not_partitioned(Relation rel)
{
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table %s cannot be a store", pges_relation_name(RelationGetRelid(rel))),
				 errdetail("It is partitioned, and a partitioned table cannot have unique indexes on both (event_id) and (position)."),
				 errhint("To keep a store small, move its old events to an archive with eventstore.archive_events().")));
}

/* Return which parts of a store a table has; raise an error if its shape is wrong. */
static ExistingTable
inspect_table(Oid relid)
{
	Relation	rel = pges_open_table(relid);
	ExistingTable table;

	check_not_partitioned(rel);
	pges_check_kind(rel);
	pges_check_columns(rel);
	table.is_store = pges_is_store(rel);
	table.is_protected = pges_is_protected(rel);
	table.has_default = TupleDescAttr(RelationGetDescr(rel),
									  get_attnum(relid, "position") - 1)->atthasdef;
	relation_close(rel, AccessShareLock);
	return table;
}

/*
 * Make an existing table a store by adding the missing parts.  Raise an error if it has
 * another shape.  The columns are checked first, one by one, and then the shape as that
 * of any store.
 */
static void
make_store_of_table(const PgesNewStore *store, Oid relid)
{
	ExistingTable table = inspect_table(relid);
	bool		is_new;

	if (!table.has_default)
		restore_defaults(store, relid);
	if (!table.is_protected)
		pges_create_protecting_triggers(store->qualified_name);
	if (!table.is_store)
		pges_create_append_trigger("eventstore_append", store->qualified_name,
								   store->notifications, store->channel,
								   OidIsValid(pges_find_archive(relid, &is_new)), &store->slot);
	(void) pges_store(relid);
	if (!table.is_store)
		pges_adopt_former_archive(relid);
}

/*
 * Return the OID of the table of a store to create, or InvalidOid if there is none.
 * Raise an error unless the user has some privilege on the table.  Otherwise a role could
 * lock a table that it may not use, or find out that the table exists.
 */
static Oid
existing_table(const PgesNewStore *store)
{
	Oid			schema = get_namespace_oid(store->schema, true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid(store->table, schema) : InvalidOid;

	if (OidIsValid(relid))
		pges_check_may_use(relid, ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE);
	return relid;
}

/* Return whether a store is there with all its parts, and raise a notice if it is. */
static bool
is_complete(const PgesNewStore *store, Oid relid)
{
	ExistingTable table;

	if (!OidIsValid(relid))
		return false;
	table = inspect_table(relid);
	if (!table.is_store || !table.is_protected || !table.has_default)
		return false;
	(void) pges_store(relid);
	ereport(NOTICE,
			(errcode(ERRCODE_DUPLICATE_TABLE),
			 errmsg("store %s already exists, skipping", store->qualified_name)));
	return true;
}

/* Raise an error unless the user may create a store. */
static void
check_may_create_store(const PgesNewStore *store)
{
	Oid			schema = get_namespace_oid(store->schema, true);

	if (OidIsValid(schema) && !pges_may_in_schema_compat(schema, ACL_CREATE))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, store->schema);
	if (!OidIsValid(schema) && !pges_may_create_schemas_compat())
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_DATABASE, get_database_name(MyDatabaseId));
}

/* Delete the rows of the extension's own tables that are about a store. */
void
pges_forget_store(Oid relid)
{
	pges_forget_watermark(relid);
	pges_forget_holds(relid);
	pges_forget_projections(relid);
	pges_forget_states(relid);
	pges_forget_snapshots(relid);
	pges_forget_subscriptions(relid);
}

/* Create a store, or add the missing parts to an existing table, and return its OID. */
static Oid
create_store(const PgesNewStore *store, bool create_schema_if_missing)
{
	Oid			relid;
	int			nestlevel;

	check_may_create_store(store);
	lock_creation(store->schema);
	relid = existing_table(store);
	if (is_complete(store, relid))
		return relid;

	nestlevel = pges_begin_ddl();
	if (OidIsValid(relid))
	{
		PgesIdentity caller;
		bool		as_owner;

		if (!pges_owns_table_compat(relid, GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, store->table);
		as_owner = pges_act_as(&caller, pges_owner_of(relid));
		make_store_of_table(store, relid);
		if (as_owner)
			pges_become_again(&caller);
	}
	else
	{
		ensure_schema(store, create_schema_if_missing);
		pges_create_table(store);
		pges_create_append_trigger("eventstore_append", store->qualified_name,
								   store->notifications, store->channel, false, &store->slot);
		pges_create_protecting_triggers(store->qualified_name);
		CommandCounterIncrement();
		relid = existing_table(store);
		(void) pges_store(relid);
		pges_forget_store(relid);	/* rows of a dropped table with this OID */
		pges_detach_erasures(relid);
	}
	pges_end_ddl(nestlevel);
	return relid;
}

/*
 * Create a store with a name, or find it, and return its OID.  If the store is complete,
 * as for most starts of an application, no lock is acquired.
 */
Oid
pges_ensure_store(PgesNewStore *store, char *schema, char *table, char *channel, bool create_schema_if_missing)
{
	Oid			relid;

	store->table = table;
	if (schema == NULL)			/* the schema that CREATE TABLE uses */
		schema = get_namespace_name(RangeVarGetCreationNamespace(makeRangeVar(NULL, table, -1)));
	store->schema = schema;
	store->channel = channel ? channel : makeObjectName(store->schema, table, NULL);
	store->qualified_name = quote_qualified_identifier(store->schema, table);
	relid = existing_table(store);
	if (is_complete(store, relid))
		return relid;
	return create_store(store, create_schema_if_missing);
}

/* Read the arguments that create_store() and create_slots() have in common. */
PgesNewStore
pges_new_store_arguments(FunctionCallInfo fcinfo, int first, char **channel)
{
	PgesNewStore store = {0};

	store.notifications = pges_parse_notifications(pges_text_argument(fcinfo, first, "notifications"));
	*channel = PG_ARGISNULL(first + 1) ? NULL : pges_channel_argument(fcinfo, first + 1);
	store.indexes = pges_index_argument(fcinfo, first + 3);
	return store;
}

PG_FUNCTION_INFO_V1(pges_create_store);

/* SQL: create a store. */
Datum
pges_create_store(PG_FUNCTION_ARGS)
{
	char	   *name = pges_text_argument(fcinfo, 0, "name");
	char	   *channel;
	PgesNewStore store = pges_new_store_arguments(fcinfo, 1, &channel);
	char	   *schema;
	char	   *table;

	PreventCommandIfReadOnly("eventstore.create_store()");
	pges_check_schema();
	pges_parse_store_name(name, &schema, &table);
	PG_RETURN_OID(pges_ensure_store(&store, schema, table, channel, pges_bool_argument(fcinfo, 3, true)));
}

/* Return whether a store or its archive holds events.  SPI must be connected. */
bool
pges_has_events(const PgesStore *store)
{
	return pges_fetch_one_now(store, pges_scope_of_all(store), &any_event, NULL);
}

/* Raise an error if a store or its archive holds events. */
static void
check_empty(const PgesStore *store)
{
	if (pges_has_events(store))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot drop store %s because it holds events",
						store->live.qualified_name),
				 errhint("Use eventstore.drop_store(..., force => true) to drop the store and all its events.")));
}

PG_FUNCTION_INFO_V1(pges_drop_store);

/* SQL: drop a store and its archive. */
Datum
pges_drop_store(PG_FUNCTION_ARGS)
{
	const PgesStore *store;
	bool		force = pges_bool_argument(fcinfo, 1, false);
	PgesIdentity caller;
	bool		as_owner;
	int			nestlevel;

	PreventCommandIfReadOnly("eventstore.drop_store()");
	pges_require_argument(fcinfo, 0, "store");
	store = pges_lock_owned_store(PG_GETARG_OID(0), AccessExclusiveLock);
	store = pges_lock_any_archive(store->live.relid);
	pges_check_archive_owner(store);
	nestlevel = pges_begin_ddl();
	if (!force)
	{
		/* a policy that hides events must raise an error, not hide them */
		pges_set_locally("row_security", "off");
		check_empty(store);
	}
	pges_forget_store(store->live.relid);
	as_owner = pges_act_as_owner(&caller, store);
	if (OidIsValid(store->archive.relid))
		pges_run_ddl(psprintf("DROP TABLE %s", store->archive.qualified_name));
	pges_run_ddl(psprintf("DROP TABLE %s", store->live.qualified_name));
	if (as_owner)
		pges_become_again(&caller);
	pges_end_ddl(nestlevel);
	PG_RETURN_VOID();
}
