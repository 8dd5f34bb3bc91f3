/*
 * repeated_call.c
 *		Recognizes a retry: a call that repeats an earlier call.
 *
 * A client that did not receive the result of an append repeats the call.  The call is a
 * retry if all its event ids are stored with the same content, one after another in their
 * aggregates, at the versions that follow the expected versions.  A retry returns what the
 * first call returned, and stores nothing.  Content that the call left to the store (time,
 * position, version, aggregate type) is not compared.  The data and metadata of an erased
 * event are not compared either, because the first call returned before the erasure.  If
 * redact_event() was called with new metadata, the data and metadata are compared.  The
 * stored events may be in the archive.
 *
 * An import that is restarted repeats many calls, and the last of them was not completed.
 * So an import compares each event by itself.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "append/append_steps.h"
#include "base/text.h"
#include "event/event.h"
#include "store/store.h"
#include "table/table.h"

static const PgesStatement exists_statement = {
	"SELECT 1 FROM %1$s WHERE event_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

static const PgesStatement get_statement = {
	"SELECT " PGES_COLUMNS " FROM %1$s "
	"WHERE event_id OPERATOR(pg_catalog.=) $1",
	1, {TEXTOID}
};

/* Return whether an event with this id is stored, archived or not. */
bool
pges_event_exists(const PgesStore *store, const text *event_id)
{
	Datum		id = PointerGetDatum(event_id);

	if (!pges_fetch_one_now(store, pges_scope_of_all(store), &exists_statement, &id))
		return false;
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/* Return the value of a column of the row that SPI found. */
static Datum
stored_value(PgesColumn column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
						 column + 1, isnull);
}

/* Return whether a text column of the stored event has the wanted value. */
static bool
same_text(PgesColumn column, const text *wanted)
{
	bool		isnull;
	Datum		value = stored_value(column, &isnull);

	return pges_text_equal(isnull ? NULL : DatumGetTextPP(value), wanted);
}

/* Return whether a jsonb column of the stored event has the wanted value. */
static bool
same_json(PgesColumn column, Jsonb *wanted)
{
	bool		isnull;
	Datum		value = stored_value(column, &isnull);

	if (!isnull && column == PGES_METADATA)
		isnull = pges_is_json_null(DatumGetJsonbP(value));	/* by an INSERT */
	if (isnull || wanted == NULL)
		return isnull && wanted == NULL;
	return compareJsonbContainers(&DatumGetJsonbP(value)->root, &wanted->root) == 0;
}

/*
 * Return whether the data and metadata of the stored event were erased.  The tombstone in
 * one of the two is not sufficient, because an application may store such metadata itself.
 */
static bool
is_erased(const PgesStore *store, const PgesEvent *event)
{
	bool		no_data;
	bool		no_metadata;
	Datum		data = stored_value(PGES_DATA, &no_data);
	Datum		metadata = stored_value(PGES_METADATA, &no_metadata);

	return !no_metadata && pges_is_tombstone(metadata) &&
		((!no_data && pges_is_tombstone(data)) ||
		 pges_was_redacted(store->live.relid, event->event_id));
}

/* Return the first column in which the stored event differs, or PGES_NUM_COLUMNS. */
static PgesColumn
first_difference(const PgesStore *store, const PgesEvent *event)
{
	if (!same_text(PGES_AGGREGATE_ID, event->aggregate_id))
		return PGES_AGGREGATE_ID;
	if (!same_text(PGES_EVENT_TYPE, event->event_type))
		return PGES_EVENT_TYPE;
	if (!same_json(PGES_DATA, event->data) && !is_erased(store, event))
		return PGES_DATA;
	if (!same_json(PGES_METADATA, event->metadata) && !is_erased(store, event))
		return PGES_METADATA;
	if (!same_text(PGES_CORRELATION_ID, event->correlation_id))
		return PGES_CORRELATION_ID;
	if (!same_text(PGES_CAUSATION_ID, event->causation_id))
		return PGES_CAUSATION_ID;
	if (event->aggregate_type && !same_text(PGES_AGGREGATE_TYPE, event->aggregate_type))
		return PGES_AGGREGATE_TYPE;
	if (event->occurred_at_given &&
		pges_found_int64(PGES_OCCURRED_AT + 1, 0) != event->occurred_at)
		return PGES_OCCURRED_AT;
	return PGES_NUM_COLUMNS;
}

/*
 * Return whether an event of the batch is stored; if so, copy its version and position.
 * Raise an error if its id is stored with other content.
 */
static bool
find_stored_event(const PgesStore *store, PgesEvent *event)
{
	Datum		id = PointerGetDatum(event->event_id);
	PgesColumn	difference;

	if (!pges_fetch_one_now(store, pges_scope_of_all(store), &get_statement, &id))
		return false;
	event->version = pges_found_int32(PGES_AGGREGATE_VERSION + 1);
	event->position = pges_found_int64(PGES_POSITION + 1, 0);
	difference = first_difference(store, event);
	if (difference != PGES_NUM_COLUMNS)
		pges_report_duplicate(store, event,
							  psprintf("The event at position " INT64_FORMAT " has the same id but a different \"%s\".",
									   event->position, pges_column_name(difference)));
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/* Return whether the stored events have the versions that this call would assign. */
static bool
stand_in_order(const PgesBatch *batch)
{
	int32	   *last = palloc0(sizeof(int32) * Max(batch->naggregates, 1));
	bool		ok = true;

	for (int i = 0; ok && i < batch->nevents; i++)
	{
		const PgesEvent *event = &batch->events[i];
		const PgesAggregate *aggregate = &batch->aggregates[event->aggregate];

		if (event->aggregate_id == NULL)
			continue;
		if (last[event->aggregate] > 0)
			ok = event->version == last[event->aggregate] + 1;
		else if (aggregate->expected_given)
			ok = event->version == aggregate->expected + 1;
		ok = ok && (event->given_version == 0 || event->given_version == event->version);
		last[event->aggregate] = event->version;
	}
	pfree(last);
	return ok;
}

/*
 * Return whether a batch is a retry; if so, its events have the versions and positions of
 * the first call.  Raise an error if an event id is stored with other content.
 */
bool
pges_is_retry(const PgesStore *store, PgesBatch *batch)
{
	int			found = 0;

	if (!batch->all_ids_given || batch->nevents == 0)
		return false;
	for (int i = 0; i < batch->nevents; i++)
		found += find_stored_event(store, &batch->events[i]);
	if (found == batch->nevents && stand_in_order(batch))
		return true;
	for (int i = 0; i < batch->nevents; i++)
		batch->events[i].version = 0;
	return false;
}

/*
 * Return whether an imported event is already stored.  Raise an error if its version is
 * taken by another event.  If the version is higher than that of the aggregate, or the
 * aggregate has no events, the event is not searched for: the unique index would find it.
 */
static bool
is_stored(const PgesStore *store, PgesEvent *event, const PgesAggregate *aggregate)
{
	int32		given = event->given_version;

	if (given > aggregate->version || (event->aggregate_id && aggregate->version == 0))
		return false;
	if (event->event_id_given && find_stored_event(store, event))
	{
		if (given > 0 && given != event->version)
			pges_report_duplicate(store, event,
								  psprintf("It is stored as version %d of its aggregate, not %d.",
										   event->version, given));
		return true;
	}
	if (given > 0)
		pges_report_taken(store, event, aggregate);
	return false;
}

/*
 * Remove from a batch the events that are already stored, by event id and content.  The
 * versions of the aggregates have been looked up.
 */
void
pges_leave_out_stored(const PgesStore *store, PgesBatch *batch)
{
	int			n = 0;

	for (int i = 0; i < batch->naggregates; i++)
		batch->aggregates[i].nevents = 0;
	for (int i = 0; i < batch->nevents; i++)
	{
		PgesEvent  *event = &batch->events[i];
		PgesAggregate *aggregate = &batch->aggregates[event->aggregate];

		CHECK_FOR_INTERRUPTS();
		batch->current = event->ordinal;
		if (is_stored(store, event, aggregate))
			continue;
		if (aggregate->nevents++ == 0)
			aggregate->first_event = n;
		batch->events[n++] = *event;
	}
	batch->current = 0;
	batch->nevents = n;
}
