/*
 * check_insert.c
 *		The trigger that checks the rows of plain INSERT, COPY and MERGE.
 *
 * A row whose position was assigned by the store is a new event, for every role.  The
 * trigger does the first steps of an append (append.c).  It locks the aggregate, and looks
 * up the version and type of the aggregate.  It compares them with those of the row, or
 * fills them in if the row leaves them out.  The position was taken before the lock.  If
 * another session has appended to the aggregate meanwhile, the row gets another position,
 * because the positions of an aggregate have the order of its versions.
 *
 * A row with any other position is a restored event, such as from a dump.  Only the owner
 * of the store may restore events.  A dump contains the events of an aggregate in any
 * order, and some of them may belong to the archive.  So a restored event is only checked
 * by itself.  If the store has an archive, no index covers both tables.  Then the trigger
 * rejects an id, a position or a version that is in the other table, and acquires a lock
 * that conflicts with archiving and with restores to the other table.
 *
 * The rows of the append functions are not checked again (pges_is_being_inserted()).  The
 * trigger does not fire for rows that logical replication applies.
 *
 * Duplicate keys in one table are left to the unique index, so that ON CONFLICT works.
 * But no index covers the archive.  If a store has an archive, the trigger rejects ids and
 * versions that are in either table: an event can move to the archive while the index
 * waits.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "append/append.h"
#include "append/append_steps.h"
#include "base/compat.h"
#include "base/sql_argument.h"
#include "base/text.h"
#include "event/event.h"
#include "position/position.h"
#include "slot/slot.h"
#include "store/store.h"
#include "table/table.h"

/* A row that is to be inserted, as an event; valid while the trigger runs. */
typedef struct NewRow
{
	ErrorContextCallback callback;
	const PgesStore *store;
	const PgesTable *table;		/* the store's or the archive's */
	TupleDesc	desc;
	HeapTuple	tuple;
	PgesEvent	event;
} NewRow;

/* Error context callback: name the event. */
static void
row_context(void *arg)
{
	const NewRow *row = arg;

	errcontext("inserting event \"%s\" into %s",
			   pges_shorten(text_to_cstring(row->event.event_id)), row->table->qualified_name);
}

/*
 * Read the event of a row.  Return false if a null or an invalid version makes the row
 * invalid: the constraints of the table then reject the row.
 */
static bool
read_inserted_row(NewRow *row)
{
	const AttrNumber *attnums = row->table->attnums;
	PgesEvent  *event = &row->event;
	Datum	   *values = palloc(sizeof(Datum) * row->desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * row->desc->natts);
	bool		has_version;

	heap_deform_tuple(row->tuple, row->desc, values, nulls);
	for (PgesColumn column = 0; column < PGES_NUM_COLUMNS; column++)
	{
		const PgesColumnShape *shape = &pges_columns[column];
		int			n = attnums[column] - 1;

		if (nulls[n] && shape->not_null)
			return false;
		if (!nulls[n] && shape->offset > 0)
			*pges_event_pointer(event, column) = shape->type == JSONBOID ?
				PG_DETOAST_DATUM(values[n]) : PG_DETOAST_DATUM_PACKED(values[n]);
	}
	event->position = DatumGetInt64(values[attnums[PGES_POSITION] - 1]);
	event->occurred_at = DatumGetTimestampTz(values[attnums[PGES_OCCURRED_AT] - 1]);
	event->occurred_at_given = event->event_id_given = true;
	has_version = !nulls[attnums[PGES_AGGREGATE_VERSION] - 1];
	if (has_version)
		event->given_version = DatumGetInt32(values[attnums[PGES_AGGREGATE_VERSION] - 1]);
	return !has_version || (event->given_version > 0 && event->aggregate_id != NULL);
}

/* Raise an error unless the user may restore events, whose positions are given. */
static void
check_may_restore(const NewRow *row)
{
	if (pges_owns_table_compat(row->table->relid, GetUserId()))
		return;
	if (row->table != &row->store->live)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to insert events into archive %s", row->table->qualified_name),
				 errdetail("Only its owner can insert %s.", pges_event_label(&row->event)),
				 errhint("Move events to the archive with eventstore.archive_events().")));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 err_generic_string(PG_DIAG_COLUMN_NAME, pges_column_name(PGES_POSITION)),
			 errmsg("permission denied to choose the position of an event of store %s",
					row->store->live.qualified_name),
			 errdetail("Column \"position\" of %s is " INT64_FORMAT ", which the store did not assign to this row.",
					   pges_event_label(&row->event), row->event.position),
			 errhint("Leave out column \"position\", or use an append function. Only the owner of the store can restore events with their positions.")));
}

/* Make the scan keys that find an event by a unique index; return their number. */
static int
make_keys(const PgesTable *table, PgesKey key, const PgesEvent *event, Oid collation, ScanKeyData keys[2])
{
	if (key == PGES_KEY_POSITION)
	{
		ScanKeyInit(&keys[0], table->attnums[PGES_POSITION], BTEqualStrategyNumber, F_INT8EQ,
					Int64GetDatum(event->position));
		return 1;
	}
	ScanKeyInit(&keys[0], table->attnums[key == PGES_KEY_ID ? PGES_EVENT_ID : PGES_AGGREGATE_ID],
				BTEqualStrategyNumber, F_TEXTEQ,
				PointerGetDatum(key == PGES_KEY_ID ? event->event_id : event->aggregate_id));
	keys[0].sk_collation = collation;
	ScanKeyInit(&keys[1], table->attnums[PGES_AGGREGATE_VERSION], BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(event->given_version));
	return key == PGES_KEY_ID ? 1 : 2;
}

/* Return whether a table has an event with a key of a row: id, position, or version. */
static bool
is_key_in(const PgesTable *table, PgesKey key, const PgesEvent *event, Snapshot snapshot)
{
	Relation	rel = table_open(table->relid, AccessShareLock);
	Relation	index = index_open(table->indexes[key], AccessShareLock);
	ScanKeyData keys[2];
	int			nkeys = make_keys(table, key, event, index->rd_indcollation[0], keys);
	SysScanDesc scan;
	bool		found;

	scan = systable_beginscan_ordered(rel, index, snapshot, nkeys, keys);
	found = HeapTupleIsValid(systable_getnext_ordered(scan, ForwardScanDirection));
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Raise an error if the id, position or version of a restored event is in the other table
 * of the store.  Otherwise readers could return the event twice.
 */
static void
check_not_in_other_table(const NewRow *row)
{
	const PgesStore *store = row->store;
	const PgesTable *other = row->table == &store->live ? &store->archive : &store->live;
	static const char *const key_names[PGES_NUM_KEYS] = {
		[PGES_KEY_ID] = "id",[PGES_KEY_VERSION] = "version",[PGES_KEY_POSITION] = "position"
	};
	Snapshot	snapshot;

	if (!OidIsValid(other->relid))
		return;
	pges_require_archive(store);
	pges_lock_restore(store, other == &store->live);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (PgesKey key = 0; key < PGES_NUM_KEYS; key++)
	{
		if ((key != PGES_KEY_VERSION || (row->event.aggregate_id && row->event.given_version > 0)) &&
			is_key_in(other, key, &row->event, snapshot))
			ereport(ERROR,
					(errcode(ERRCODE_UNIQUE_VIOLATION),
					 errmsg("table %s already has the %s of %s", other->qualified_name, key_names[key],
							pges_event_label(&row->event)),
					 errdetail("An event can be in store %s or in its archive, but not in both.",
							   store->live.qualified_name),
					 errhint("Restore only the events that neither table has.")));
	}
	UnregisterSnapshot(snapshot);
}

/* Return whether the store, or its archive if there is one, has the key of a row. */
static bool
is_key_taken(const NewRow *row, PgesKey key)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool		taken = is_key_in(&row->store->live, key, &row->event, snapshot) ||
		(OidIsValid(row->store->archive.relid) &&
		 is_key_in(&row->store->archive, key, &row->event, snapshot));

	UnregisterSnapshot(snapshot);
	return taken;
}

/*
 * Return whether the unique index of the store will reject the version of a row.  If the
 * store has an archive, raise the error here.
 */
static bool
is_version_taken(const NewRow *row, const PgesAggregate *aggregate)
{
	const PgesEvent *event = &row->event;

	if (event->given_version == 0 || event->given_version > aggregate->version ||
		!is_key_taken(row, PGES_KEY_VERSION))
		return false;
	if (OidIsValid(row->store->archive.relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("version %d of aggregate \"%s\" already exists in store %s or its archive",
						event->given_version, text_to_cstring(event->aggregate_id),
						row->store->live.qualified_name),
				 errdetail("Column \"aggregate_version\" of %s is %d; the aggregate is at version %d.",
						   pges_event_label(event), event->given_version, aggregate->version),
				 errhint("Leave out the version, and the store assigns it. ON CONFLICT does not apply: no index covers both tables.")));
	return true;
}

/*
 * Raise an error if a row does not fit its aggregate, and the user may not read the store.
 * The errors that follow would disclose the version and the type of the aggregate.
 */
static void
check_blind_row(const NewRow *row, const PgesAggregate *aggregate)
{
	const PgesEvent *event = &row->event;
	Oid			relid = row->table->relid;

	if ((event->given_version == 0 || event->given_version - 1 == aggregate->version) &&
		(event->aggregate_type == NULL || aggregate->type == NULL ||
		 pges_text_equal(event->aggregate_type, aggregate->type)))
		return;
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(relid, GetUserId(), ACL_SELECT, ACLMASK_ALL) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the version or type of an event does not fit its aggregate"),
			 errdetail("The version or type of %s is not what store %s would assign. Further details require SELECT on the store.",
					   pges_event_label(event), row->store->live.qualified_name),
			 errhint("Leave out columns \"aggregate_version\" and \"aggregate_type\".")));
}

/* Return the row with the version, type and position that its event has now. */
static HeapTuple
complete_row(const NewRow *row)
{
	const AttrNumber *attnums = row->table->attnums;
	int			columns[] = {
		attnums[PGES_AGGREGATE_VERSION], attnums[PGES_AGGREGATE_TYPE], attnums[PGES_POSITION]
	};
	bool		nulls[lengthof(columns)];
	Datum		values[] = {
		pges_event_value(&row->event, PGES_AGGREGATE_VERSION, &nulls[0]),
		pges_event_value(&row->event, PGES_AGGREGATE_TYPE, &nulls[1]),
		pges_event_value(&row->event, PGES_POSITION, &nulls[2])
	};

	return heap_modify_tuple_by_cols(row->tuple, row->desc, lengthof(columns), columns, values, nulls);
}

/*
 * Return whether the versions can be read from the index: no row security hides events from
 * the user, and the index compares aggregate ids as the column does.
 */
static bool
can_read_index(const NewRow *row)
{
	const PgesTable *table = row->table;
	Form_pg_attribute id = TupleDescAttr(row->desc, table->attnums[PGES_AGGREGATE_ID] - 1);

	return check_enable_rls(table->relid, InvalidOid, true) != RLS_ENABLED &&
		pges_index_collation(table->indexes[PGES_KEY_VERSION]) == id->attcollation;
}

/* Assign the version and position of a new event: steps 1 to 4 of an append. */
static HeapTuple
add_to_aggregate(NewRow *row)
{
	PgesEvent  *event = &row->event;
	PgesAggregate aggregate = {.id = event->aggregate_id,.nevents = 1};
	PgesBatch	batch = {
		.context = CurrentMemoryContext,.events = event,.nevents = 1,
		.aggregates = &aggregate,.naggregates = 1,
		.direct = can_read_index(row)
	};
	int64		position = event->position;
	text	   *type = event->aggregate_type;

	pges_lock_aggregates(row->store, &batch);
	CommandCounterIncrement();	/* make the rows before this one visible */
	if (!batch.direct)
		SPI_connect();
	pges_look_up_aggregates(row->store, &batch);
	if (!batch.direct)
		SPI_finish();
	check_blind_row(row, &aggregate);
	if (is_version_taken(row, &aggregate))
		return row->tuple;
	if (event->position <= aggregate.position)
		pges_allocate_positions(row->store, &event->position, 1);
	pges_add_to_aggregate(event, &aggregate);
	if (event->version == event->given_version && event->position == position &&
		event->aggregate_type == type)
		return row->tuple;
	return complete_row(row);
}

/* Check a row of a plain INSERT, and return the row to insert. */
static HeapTuple
check_row(NewRow *row)
{
	pges_check_event(&row->event);
	pges_check_slot(row->store, row->event.aggregate_id);
	if (row->table != &row->store->live || !pges_claim_position(row->store, row->event.position))
	{
		check_may_restore(row);
		check_not_in_other_table(row);
		return row->tuple;
	}
	if (OidIsValid(row->store->archive.relid))
	{
		pges_require_archive(row->store);
		if (is_key_taken(row, PGES_KEY_ID))
			pges_report_duplicate(row->store, &row->event,
								  "An event with this id is in the store or in its archive.");
	}
	return row->event.aggregate_id ? add_to_aggregate(row) : row->tuple;
}

/* Return the store of a table that is a store or an archive, with its archive locked. */
static const PgesStore *
store_of_table(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			store = pges_known_store(relid) ? InvalidOid : pges_store_of_archive(rel);

	return pges_store_with_archive_locked(OidIsValid(store) ? store : relid);
}

PG_FUNCTION_INFO_V1(pges_check_insert);

/* Trigger, before INSERT, for each row: checks the rows of plain INSERT, COPY and MERGE. */
Datum
pges_check_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	NewRow		row = {.callback.callback = row_context,.callback.arg = &row};
	HeapTuple	result;

	pges_require_trigger(fcinfo, "check_insert",
						 CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BEFORE(trigdata->tg_event) &&
						 TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) &&
						 TRIGGER_FIRED_BY_INSERT(trigdata->tg_event), "stores and archives",
						 "eventstore.create_store() creates the trigger.");
	result = row.tuple = trigdata->tg_trigtuple;
	if (pges_may_change(trigdata))
		return PointerGetDatum(result);
	row.store = store_of_table(trigdata->tg_relation);
	row.table = row.store->live.relid == RelationGetRelid(trigdata->tg_relation) ?
		&row.store->live : &row.store->archive;
	row.desc = RelationGetDescr(trigdata->tg_relation);
	if (!read_inserted_row(&row))
		return PointerGetDatum(result);
	row.callback.previous = error_context_stack;
	error_context_stack = &row.callback;
	if (row.table == &row.store->live && pges_is_being_inserted(row.store, &row.event))
		pges_check_event(&row.event);
	else
		result = check_row(&row);
	error_context_stack = row.callback.previous;
	return PointerGetDatum(result);
}
