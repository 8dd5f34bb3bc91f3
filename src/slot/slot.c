/*
 * slot.c
 *		Slots: the parts of a store that is spread over several servers.
 *
 * A sliced store has a number of slots, a power of two.  Each slot is an ordinary store.
 * The name of its table is the name of the sliced store, an underscore, and the number of
 * the slot with at least three digits.  The number and the count are the fourth argument
 * of the append trigger (store/store_options.c), so dumps contain them.
 *
 * The slot of an aggregate is given by the first bits of the CRC-32 of its id in UTF-8.
 * This is the CRC-32 of zlib, which the libraries of most languages have, so clients can
 * find the slot without a server.  The partitions of subscriptions use CRC-32C, so that
 * the aggregates of one slot are spread over all partitions.  If the count is doubled, a
 * slot is divided into two that follow each other.
 *
 * A call with an aggregate of another slot fails: the client has an old map of the slots,
 * or routes wrongly.  An event of no aggregate may be in any slot.
 *
 * A slot that a move copies to this server is arriving.  It is no store to any function,
 * until the move is complete (move_slot.c).
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/pg_crc.h"
#include "utils/tuplestore.h"

#include "base/own_object.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "slot/slot.h"

/* Return the slot of an aggregate. */
int
pges_slot_of_aggregate(const text *aggregate_id, int count)
{
	const char *id = VARDATA_ANY(aggregate_id);
	int			length = VARSIZE_ANY_EXHDR(aggregate_id);
	char	   *utf8 = pg_server_to_any(id, length, PG_UTF8);
	pg_crc32	crc;

	if (utf8 != id)
		length = strlen(utf8);
	INIT_TRADITIONAL_CRC32(crc);
	COMP_TRADITIONAL_CRC32(crc, utf8, length);
	FIN_TRADITIONAL_CRC32(crc);
	return (int) ((uint64) crc * count >> 32);
}

/* Raise an error unless a number of slots is possible. */
void
pges_check_slot_count(int count)
{
	if (count < 2 || count > PGES_MAX_STORE_SLOTS || (count & (count - 1)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid number of slots: %d", count),
				 errdetail("A sliced store has 2, 4, 8 or another power of two up to %d slots.", PGES_MAX_STORE_SLOTS)));
}

/* Return the name of the table of a slot; raise an error if it is too long. */
char *
pges_slot_name(const char *table, int number)
{
	char	   *name = psprintf("%s_%03d", table, number);

	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("name of a slot is too long: \"%s\"", name),
				 errdetail("It would have %zu bytes, and a table takes at most %d.", strlen(name), NAMEDATALEN - 1)));
	return name;
}

/*
 * Raise an error if an aggregate belongs to another slot than that of the store.  NULL is
 * no aggregate, and belongs to any slot.
 */
void
pges_check_slot(const PgesStore *store, const text *aggregate_id)
{
	const PgesSlot *slot = &store->slot;
	int			number;

	if (slot->count == 0 || aggregate_id == NULL ||
		(number = pges_slot_of_aggregate(aggregate_id, slot->count)) == slot->number)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("aggregate \"%s\" does not belong to store %s",
					pges_shorten(text_to_cstring(aggregate_id)), store->live.qualified_name),
			 errdetail("The store is slot %d of %d, and the aggregate belongs to slot %d.",
					   slot->number, slot->count, number),
			 errhint("Call the function for the store that eventstore.slot_store() returns. If the slot is on another server, read the map of the slots again.")));
}

/*
 * Return the table with the name of a slot, and what slot it is, with count 0 if it is
 * none; InvalidOid if there is no such table.  A session that uses the slot has its
 * description, so the catalogs are not read again.
 */
static Oid
find_table(char *schema, const char *table, int number, PgesSlot *slot)
{
	char	   *name = psprintf("%s_%03d", table, number);
	const PgesStore *known;
	PgesStoreOptions options;
	Oid			relid = InvalidOid;

	memset(slot, 0, sizeof(*slot));
	if (strlen(name) < NAMEDATALEN)
		relid = RangeVarGetRelid(makeRangeVar(schema, name, -1), NoLock, true);
	known = OidIsValid(relid) ? pges_known_store(relid) : NULL;
	if (known)
		*slot = known->slot;
	else if (OidIsValid(relid) && pges_find_options(relid, &options))
		*slot = options.slot;
	return relid;
}

/* Return the store that is a slot of a sliced store, or InvalidOid if it is not here. */
static Oid
find_slot(char *schema, const char *table, int number, int count, PgesSlot *slot)
{
	Oid			relid = find_table(schema, table, number, slot);

	return slot->number == number && slot->count == count ? relid : InvalidOid;
}

/* Return the store that is a slot and can be used, or InvalidOid if there is none. */
static Oid
find_usable_slot(char *schema, const char *table, int number, int count)
{
	PgesSlot	slot;
	Oid			relid = find_slot(schema, table, number, count, &slot);

	return slot.arriving ? InvalidOid : relid;
}

/*
 * Return how many slots a sliced store has, of which at least one is here; 0 if none is.
 * A store that was created with two different numbers is looked for by "other_than".
 */
int
pges_find_slot_count(char *schema, const char *table, int other_than)
{
	PgesSlot	slot;

	for (int count = 2; count <= PGES_MAX_STORE_SLOTS; count *= 2)
	{
		for (int number = 0; number < count && count != other_than; number++)
		{
			if (OidIsValid(find_slot(schema, table, number, count, &slot)))
				return count;
		}
	}
	return 0;
}

PG_FUNCTION_INFO_V1(pges_slot_of_id);

/* SQL: return the slot of an aggregate. */
Datum
pges_slot_of_id(PG_FUNCTION_ARGS)
{
	int			count = PG_GETARG_INT32(1);

	pges_check_slot_count(count);
	PG_RETURN_INT32(pges_slot_of_aggregate(PG_GETARG_TEXT_PP(0), count));
}

/*
 * Raise the error that a slot is not on this server.  The number of the slot is given, or
 * follows from the aggregate.
 */
static void
report_no_slot(const char *name, char *schema, const char *table, int number, const text *aggregate_id)
{
	int			count = pges_find_slot_count(schema, table, 0);
	PgesSlot	slot;

	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("no slot of store \"%s\" is on this server", name),
				 errhint("If other servers have slots of the store, call the server that has the slot: pg_eventstore_cluster check shows where it is. Otherwise create slots with eventstore.create_slots().")));
	if (aggregate_id)
		number = pges_slot_of_aggregate(aggregate_id, count);
	if (!OidIsValid(find_slot(schema, table, number, count, &slot)))
		slot.arriving = false;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("slot %d of store \"%s\" is not on this server%s", number, name, slot.arriving ? " yet" : ""),
			 slot.arriving ? errdetail("A move copies the slot to this server, and is not complete.") :
			 aggregate_id ? errdetail("Aggregate \"%s\" belongs to this slot of %d.",
									  pges_shorten(text_to_cstring(aggregate_id)), count) :
			 errdetail("The store has %d slots.", count),
			 errhint("Repeat the call with the present map of the slots. If the error stays, pg_eventstore_cluster check shows where the slot is.")));
}

/*
 * Return the slot of an aggregate if it is here and can be used, or InvalidOid.  The number
 * of slots is not known.  It is that of any table with the name of a slot, and most often
 * that of the call before, so the search does not depend on the number.
 */
static Oid
find_slot_of(char *schema, const char *table, const text *aggregate_id)
{
	static int	likely_count = 2;
	PgesSlot	slot;
	int			next = 2;

	for (int count = likely_count; count <= PGES_MAX_STORE_SLOTS; count = next, next *= 2)
	{
		Oid			relid = find_slot(schema, table, pges_slot_of_aggregate(aggregate_id, count), count, &slot);

		if (!OidIsValid(relid) && slot.count > 0)
			relid = find_slot(schema, table, pges_slot_of_aggregate(aggregate_id, slot.count), slot.count, &slot);
		if (!OidIsValid(relid))
			continue;
		likely_count = slot.count;
		return slot.arriving ? InvalidOid : relid;
	}
	return InvalidOid;
}

/* Return the slot with a number if it is here and can be used, or InvalidOid. */
static Oid
find_slot_number(char *schema, const char *table, int number)
{
	PgesSlot	slot;
	Oid			relid = find_table(schema, table, number, &slot);

	return slot.count > 0 && slot.number == number && !slot.arriving ? relid : InvalidOid;
}

/* Return the slot of a sliced store, given by an aggregate or its number, or raise an error. */
static Oid
slot_argument(FunctionCallInfo fcinfo, int number, const text *aggregate_id)
{
	char	   *name = pges_text_argument(fcinfo, 0, "store");
	char	   *schema;
	char	   *table;
	Oid			relid;

	pges_parse_store_name(name, &schema, &table);
	relid = aggregate_id ? find_slot_of(schema, table, aggregate_id) : find_slot_number(schema, table, number);
	if (OidIsValid(relid))
		return relid;
	pges_check_schema();
	report_no_slot(name, schema, table, number, aggregate_id);
	return InvalidOid;			/* not reached */
}

PG_FUNCTION_INFO_V1(pges_slot_store);

/* SQL: return the store that is the slot of an aggregate. */
Datum
pges_slot_store(PG_FUNCTION_ARGS)
{
	pges_require_argument(fcinfo, 1, "aggregate_id");
	PG_RETURN_OID(slot_argument(fcinfo, 0, PG_GETARG_TEXT_PP(1)));
}

PG_FUNCTION_INFO_V1(pges_store_of_slot);

/* SQL: return the store that is a slot, given by its number. */
Datum
pges_store_of_slot(PG_FUNCTION_ARGS)
{
	pges_require_argument(fcinfo, 1, "slot");
	PG_RETURN_OID(slot_argument(fcinfo, PG_GETARG_INT32(1), NULL));
}

PG_FUNCTION_INFO_V1(pges_slots);

/* SQL: return the slots of a sliced store that are on this server. */
Datum
pges_slots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *schema;
	char	   *table;
	int			count;

	pges_check_schema();
	pges_parse_store_name(pges_text_argument(fcinfo, 0, "store"), &schema, &table);
	count = pges_find_slot_count(schema, table, 0);
	InitMaterializedSRF(fcinfo, 0);
	for (int number = 0; number < count; number++)
	{
		Oid			relid = find_usable_slot(schema, table, number, count);
		Datum		values[] = {Int32GetDatum(number), Int32GetDatum(count), ObjectIdGetDatum(relid)};
		bool		nulls[lengthof(values)] = {false};

		if (OidIsValid(relid))
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
