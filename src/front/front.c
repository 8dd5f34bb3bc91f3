/*
 * front.c
 *		The front: finds the slots that a call of a front function goes to.
 *
 * A front is a database with the extension pg_eventstore_front.  It has no events.  Its
 * functions have the names and arguments of those of pg_eventstore, and PL/Proxy runs them
 * on the nodes, which are the servers that have the slots.  sql/front/ has the functions.
 *
 * The map of a sliced store is a foreign server of PL/Proxy with the name of the store.
 * Its partitions p0, p1 ... are the slots, and the value of each is the connection string
 * of a node.  PL/Proxy notices a change of the map at the next call.  So does the cache
 * here, which remembers how many slots a store has.
 *
 * A name may also be that of the store of one slot, such as shop.orders_003.  The call goes
 * to this slot then.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/syscache.h"

#include "base/guc.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "slot/slot.h"
#include "store/store.h"

#define MAX_NAME 256			/* of two quoted identifiers */

/* What a name of a store means on this front. */
typedef struct FrontStore
{
	char		name[MAX_NAME]; /* as given; the key */
	char		server[NAMEDATALEN];	/* the sliced store */
	int			count;			/* of its slots */
	int			slot;			/* the slot that is named; -1: all */
	Oid			serverid;		/* the foreign server that is the map */
} FrontStore;

static HTAB *front_stores = NULL;
static bool front_stores_stale = false;

/* Syscache callback: the map of a store has changed. */
static void
maps_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	front_stores_stale = true;
}

/* Create the cache, or empty it if a map has changed. */
static void
prepare_cache(void)
{
	HASHCTL		ctl = {.keysize = MAX_NAME,.entrysize = sizeof(FrontStore)};

	if (front_stores && !front_stores_stale)
		return;
	if (front_stores)
		hash_destroy(front_stores);
	else
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, maps_changed, (Datum) 0);
	front_stores_stale = false;
	front_stores = hash_create("pg_eventstore fronts", 16, &ctl, HASH_ELEM | HASH_STRINGS);
}

/*
 * Return the number of slots that the map of a store has, and the map; 0 if there is no
 * map.
 */
static int
count_slots(const char *server_name, Oid *serverid)
{
	ForeignServer *server = strlen(server_name) < NAMEDATALEN ? GetForeignServerByName(server_name, true) : NULL;
	int			count = 0;
	ListCell   *lc;

	if (server == NULL || strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, "plproxy") != 0)
		return 0;
	*serverid = server->serverid;
	foreach(lc, server->options)
	{
		const char *option = ((DefElem *) lfirst(lc))->defname;

		if (option[0] == 'p' && option[1] >= '0' && option[1] <= '9')
			count++;
	}
	return count;
}

/*
 * If the name of a table is that of a slot, return the number of the slot and cut it off
 * the name; otherwise -1.
 */
static int
cut_slot(char *table)
{
	char	   *end = strrchr(table, '_');
	int			number = 0;

	if (end == NULL || strlen(end + 1) < 3 || strlen(end + 1) > 4)
		return -1;
	for (const char *at = end + 1; *at; at++)
	{
		if (*at < '0' || *at > '9')
			return -1;
		number = number * 10 + (*at - '0');
	}
	*end = '\0';
	return number;
}

/* Raise the error that this front has no such store. */
static void
report_no_store(const char *name, bool from_setting, bool has_schema)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("this front has no map of store \"%s\"", name),
			 from_setting ? errdetail("The name is the value of the setting \"pg_eventstore.store\".") : 0,
			 has_schema ? errhint("View eventstore.slot_map shows the stores of this front. pg_eventstore_cluster init adds one.") :
			 errhint("Write the name with its schema, as in view eventstore.slot_map.")));
}

/* Find what a name means. */
static void
resolve(const char *name, bool from_setting, FrontStore *found)
{
	char	   *schema;
	char	   *table;
	char	   *server;

	pges_parse_store_name(name, &schema, &table);
	if (schema == NULL)
		report_no_store(name, from_setting, false);
	server = quote_qualified_identifier(schema, table);
	found->slot = -1;
	found->count = count_slots(server, &found->serverid);
	if (found->count == 0)
	{
		found->slot = cut_slot(table);
		server = quote_qualified_identifier(schema, table);
		found->count = found->slot >= 0 ? count_slots(server, &found->serverid) : 0;
	}
	if (found->count == 0 || found->slot >= found->count)
		report_no_store(name, from_setting, true);
	strlcpy(found->server, server, NAMEDATALEN);
}

/*
 * Raise an error if the user mapping of the current role names another role.  A role with
 * USAGE on the map can create such a mapping for itself.  If the nodes let the front in
 * without a password, the role would be any role there.
 */
static void
check_user_mapping(const FrontStore *store)
{
	const char *role;
	ListCell   *lc;

	if (!SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(GetUserId()), ObjectIdGetDatum(store->serverid)))
		return;
	role = GetUserNameFromId(GetUserId(), false);
	foreach(lc, GetUserMapping(GetUserId(), store->serverid)->options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "user") == 0 && strcmp(strVal(option->arg), role) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("user mapping of role \"%s\" for store \"%s\" names role \"%s\"", role, store->server, strVal(option->arg)),
					 errdetail("A role has the same name on fronts and nodes."),
					 errhint("Alter the user mapping, or call the function as this role.")));
	}
}

/* Return what the argument "store" of a front function means; NULL means the setting. */
static FrontStore *
front_store_argument(FunctionCallInfo fcinfo, int arg)
{
	bool		from_setting = PG_ARGISNULL(arg);
	const char *name = from_setting ? pges_store_setting : text_to_cstring(PG_GETARG_TEXT_PP(arg));
	FrontStore	resolved;
	FrontStore *found;

	prepare_cache();
	if (strlen(name) >= MAX_NAME)
		report_no_store(name, from_setting, true);
	found = hash_search(front_stores, name, HASH_FIND, NULL);
	if (found == NULL)
	{
		resolve(name, from_setting, &resolved);
		found = hash_search(front_stores, name, HASH_ENTER, NULL);
		found->count = resolved.count;
		found->slot = resolved.slot;
		found->serverid = resolved.serverid;
		strlcpy(found->server, resolved.server, NAMEDATALEN);
	}
	check_user_mapping(found);
	return found;
}

/* Return a text argument, or NULL. */
static const text *
optional_text(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : PG_GETARG_TEXT_PP(arg);
}

PG_FUNCTION_INFO_V1(pges_front_store);

/*
 * SQL: return the sliced store that a name means, which is the name of the map.  If the
 * function that is called writes, it is named, and must not be called in a transaction
 * block: the call is a transaction of its own on the node, and a later ROLLBACK would not
 * undo it.
 */
Datum
pges_front_store(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(1) && (IsTransactionBlock() || (!IsSubTransaction() && IsInTransactionBlock(true))))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s() of a front cannot run inside a transaction block", text_to_cstring(PG_GETARG_TEXT_PP(1))),
				 errdetail("The call is a transaction of its own on the server of the slot, and a ROLLBACK here would not undo it."),
				 errhint("Call the function outside of a transaction block, with autocommit on.")));
	if (!PG_ARGISNULL(1))
		MyXactFlags |= XACT_FLAGS_NEEDIMMEDIATECOMMIT;	/* in a pipeline, too */
	PG_RETURN_TEXT_P(cstring_to_text(front_store_argument(fcinfo, 0)->server));
}

PG_FUNCTION_INFO_V1(pges_front_slot);

/*
 * SQL: return the slot that a call for an aggregate goes to, or for the event with an id.
 * If the store is one slot, it is this slot, which checks the aggregate itself.  An event
 * without both ids goes to any slot.
 */
Datum
pges_front_slot(PG_FUNCTION_ARGS)
{
	const FrontStore *store = front_store_argument(fcinfo, 0);
	const text *id = optional_text(fcinfo, 1);

	if (id == NULL)
		id = optional_text(fcinfo, 2);
	if (store->slot >= 0)
		PG_RETURN_INT32(store->slot);
	if (id == NULL)
		PG_RETURN_INT32(pg_prng_uint64_range(&pg_global_prng_state, 0, store->count - 1));
	PG_RETURN_INT32(pges_slot_of_aggregate(id, store->count));
}

PG_FUNCTION_INFO_V1(pges_front_slots);

/* SQL: return the slots that a call goes to: the slot that is named, or all. */
Datum
pges_front_slots(PG_FUNCTION_ARGS)
{
	const FrontStore *store = front_store_argument(fcinfo, 0);
	int			n = store->slot >= 0 ? 1 : store->count;
	Datum	   *slots = palloc(n * sizeof(Datum));

	for (int i = 0; i < n; i++)
		slots[i] = Int32GetDatum(store->slot >= 0 ? store->slot : i);
	PG_RETURN_ARRAYTYPE_P(construct_array(slots, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

PG_FUNCTION_INFO_V1(pges_front_one_slot);

/*
 * SQL: return the slot that a call goes to which has a meaning for one slot only.  Raise an
 * error if the store is not one slot.
 */
Datum
pges_front_one_slot(PG_FUNCTION_ARGS)
{
	const FrontStore *store = front_store_argument(fcinfo, 0);
	const char *what = pges_text_argument(fcinfo, 1, "what");

	if (store->slot < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s works on one slot, and store \"%s\" has %d", what, store->server, store->count),
				 errdetail("Each slot has its own positions and its own log. Between slots there is no order."),
				 errhint("Name the store of a slot, from slots(). read_events_all() reads all slots.")));
	PG_RETURN_INT32(store->slot);
}

/* The ids that determine the slot of a call of append(). */
typedef struct Ids
{
	const FrontStore *store;
	const text *first;			/* the first aggregate; NULL: none yet */
	int			slot;			/* of the first aggregate */
	const text *event_id;		/* of the first event that has one, for events
								 * of no aggregate */
	bool		only_first;		/* other aggregates are not compared */
} Ids;

/* Return a string of a JSON object as a text, or NULL. */
static text *
string_of(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(object, key, strlen(key), &value) == NULL || value.type != jbvString)
		return NULL;
	return cstring_to_text_with_len(value.val.string.val, value.val.string.len);
}

/* Note an aggregate of the call; raise an error if it belongs to another slot. */
static void
note_aggregate(Ids *ids, const text *aggregate_id)
{
	int			slot = pges_slot_of_aggregate(aggregate_id, ids->store->count);

	if (ids->first == NULL)
	{
		ids->first = aggregate_id;
		ids->slot = slot;
	}
	if (slot == ids->slot || ids->only_first)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("one call cannot append to two slots of store \"%s\"", ids->store->server),
			 errdetail("Aggregate \"%s\" belongs to slot %d, and aggregate \"%s\" to slot %d. Slots may be on two servers, and a call is one transaction on one server.",
					   pges_shorten(text_to_cstring(ids->first)), ids->slot,
					   pges_shorten(text_to_cstring(aggregate_id)), slot),
			 errhint("Append the events of each slot by a call of its own.")));
}

/* Note the ids of an event.  The node checks all other keys. */
static void
note_event(Ids *ids, JsonbContainer *event)
{
	text	   *aggregate_id = string_of(event, "aggregate_id");

	if (aggregate_id)
		note_aggregate(ids, aggregate_id);
	if (ids->event_id == NULL)
		ids->event_id = string_of(event, "event_id");
}

/* Note the ids of the events, which are an array of objects or one object. */
static void
note_events(Ids *ids, Jsonb *events)
{
	if (JB_ROOT_IS_OBJECT(events))
		note_event(ids, &events->root);
	if (!JB_ROOT_IS_ARRAY(events))
		return;
	for (uint32 i = 0; i < JB_ROOT_COUNT(events); i++)
	{
		JsonbValue *event = getIthJsonbValueFromContainer(&events->root, i);

		if (event->type == jbvBinary && JsonContainerIsObject(event->val.binary.data))
			note_event(ids, event->val.binary.data);
	}
}

/* Note the aggregates of the expected versions, which are the keys of an object. */
static void
note_expected(Ids *ids, Jsonb *expected)
{
	JsonbIterator *it = JsonbIteratorInit(&expected->root);
	JsonbValue	value;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(expected))
		return;
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			note_aggregate(ids, cstring_to_text_with_len(value.val.string.val, value.val.string.len));
	}
}

PG_FUNCTION_INFO_V1(pges_front_slot_of_events);

/*
 * SQL: return the slot that a call with events as JSON goes to.  Without expected versions
 * the call is one of append_events(), whose events belong to one aggregate: the node raises
 * the error if they do not.
 */
Datum
pges_front_slot_of_events(PG_FUNCTION_ARGS)
{
	Ids			ids = {.store = front_store_argument(fcinfo, 0)};

	ids.only_first = PG_ARGISNULL(2);
	if (ids.store->slot >= 0)
		PG_RETURN_INT32(ids.store->slot);
	if (!PG_ARGISNULL(1))
		note_events(&ids, PG_GETARG_JSONB_P(1));
	if (!PG_ARGISNULL(2))
		note_expected(&ids, PG_GETARG_JSONB_P(2));
	if (ids.first)
		PG_RETURN_INT32(ids.slot);
	if (ids.event_id)
		PG_RETURN_INT32(pges_slot_of_aggregate(ids.event_id, ids.store->count));
	PG_RETURN_INT32(pg_prng_uint64_range(&pg_global_prng_state, 0, ids.store->count - 1));
}
