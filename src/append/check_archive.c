/*
 * check_archive.c
 *		Checks that the archive has no event with the id or version of a new event.
 *
 * The head of append.c explains why this check comes after the insert.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "append/append_steps.h"
#include "base/text.h"
#include "event/event.h"
#include "store/store.h"
#include "table/table.h"

static const PgesStatement archived_id_statement = {
	"SELECT event_id FROM %1$s "
	"WHERE event_id OPERATOR(pg_catalog.=) ANY ($1) LIMIT 1",
	1, {TEXTARRAYOID}
};

/* Raise an error if an event in the archive has an id of the inserted events. */
static void
check_archived_ids(const PgesStore *store, PgesBatch *batch)
{
	Datum		ids = pges_column_array(batch, PGES_EVENT_ID);
	text	   *id;

	if (!pges_fetch_one_now(store, PGES_ARCHIVED, &archived_id_statement, &ids))
		return;
	id = pges_found_text(batch->context, 1);
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < batch->nevents; i++)
	{
		if (pges_text_equal(batch->events[i].event_id, id))
		{
			batch->current = batch->events[i].ordinal;
			pges_report_duplicate(store, &batch->events[i],
								  "An event with this id is in the archive.");
		}
	}
}

/* Raise an error if an event in the archive has the version of a new event. */
static void
check_archived_versions(const PgesStore *store, const PgesBatch *batch)
{
	for (int i = 0; i < batch->naggregates; i++)
	{
		PgesAggregate *aggregate = &batch->aggregates[i];
		Datum		id = PointerGetDatum(aggregate->id);

		if (aggregate->id == NULL || aggregate->nevents == 0)
			continue;
		if (pges_fetch_one_now(store, PGES_ARCHIVED, &pges_version_statement, &id))
		{
			int32		version = pges_found_int32(1);

			if (version >= batch->events[aggregate->first_event].version)
				pges_report_archived(store, aggregate, version);
			SPI_freetuptable(SPI_tuptable);
		}
	}
}

/*
 * Raise an error if the archive has an id of the inserted events or, for an aggregate
 * that was not locked, a version of these events.
 */
void
pges_check_not_archived(const PgesStore *store, PgesBatch *batch)
{
	if (!OidIsValid(store->archive.relid))
		return;
	if (batch->any_id_given)
		check_archived_ids(store, batch);
	if (batch->unlocked)
		check_archived_versions(store, batch);
}
