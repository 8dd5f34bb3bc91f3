/*
 * create_slots.c
 *		Creates the slots of a sliced store.
 *
 * Each slot is an ordinary store, which create_store.c creates.  Its append trigger has the
 * number of the slot (slot.c).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/own_object.h"
#include "base/sql_argument.h"
#include "lifecycle/lifecycle.h"
#include "slot/slot.h"
#include "store/store.h"

/* Return the numbers of the slots that an argument names; if it is null, all of them. */
static Bitmapset *
slots_argument(FunctionCallInfo fcinfo, int arg, int count)
{
	Bitmapset  *chosen = NULL;
	Datum	   *numbers;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(arg))
		return bms_add_range(NULL, 0, count - 1);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &numbers, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		int			number = nulls[i] ? -1 : DatumGetInt32(numbers[i]);

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("number of a slot must not be null")));
		if (number < 0 || number >= count)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("there is no slot %d", number),
					 errdetail("The slots of a store with %d slots have the numbers 0 to %d.", count, count - 1)));
		chosen = bms_add_member(chosen, number);
	}
	return chosen;
}

/* Raise an error unless a store is the slot that it has to be. */
static void
check_is_slot(Oid relid, const PgesSlot *slot)
{
	const PgesStore *store = pges_store(relid);

	if (store->slot.number == slot->number && store->slot.count == slot->count)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("store %s is not slot %d of %d", store->live.qualified_name, slot->number, slot->count),
			 store->slot.count == 0 ? errdetail("It exists, and is not a slot.") :
			 errdetail("It exists, and is slot %d of %d.", store->slot.number, store->slot.count),
			 errhint("Choose another name for the sliced store.")));
}

/*
 * Raise an error if slots of a sliced store have another count.  The caller has created
 * its slots, so it holds the lock on the creation of stores in the schema, and sees what
 * other sessions have created.
 */
static void
check_only_count(const char *name, char *schema, const char *table, int count)
{
	int			other = pges_find_slot_count(schema, table, count);

	if (other != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("store \"%s\" has %d slots", name, other),
				 errdetail("The number of slots cannot be changed to %d.", count)));
}

PG_FUNCTION_INFO_V1(pges_create_slots);

/* SQL: create slots of a sliced store. */
Datum
pges_create_slots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = pges_text_argument(fcinfo, 0, "name");
	Bitmapset  *chosen;
	char	   *channel;
	PgesNewStore store;
	char	   *schema;
	char	   *table;
	int			count;
	int			number = -1;

	PreventCommandIfReadOnly("eventstore.create_slots()");
	pges_check_schema();
	pges_require_argument(fcinfo, 1, "slots");
	count = PG_GETARG_INT32(1);
	pges_check_slot_count(count);
	chosen = slots_argument(fcinfo, 2, count);
	store = pges_new_store_arguments(fcinfo, 3, &channel);
	pges_parse_store_name(name, &schema, &table);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	store.slot.count = count;
	while ((number = bms_next_member(chosen, number)) >= 0)
	{
		Datum		value;
		bool		isnull = false;

		CHECK_FOR_INTERRUPTS();
		store.slot.number = number;
		value = ObjectIdGetDatum(pges_ensure_store(&store, schema, pges_slot_name(table, number), channel,
												   pges_bool_argument(fcinfo, 5, true)));
		check_is_slot(DatumGetObjectId(value), &store.slot);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	check_only_count(name, schema, table, count);
	return (Datum) 0;
}
