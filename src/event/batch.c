/*
 * batch.c
 *		Builds and checks batches of events, without access to the database.
 *
 * Every append function and every import makes a batch, so the same rules apply to all of
 * them.  This file checks the rules about a single event and about a batch.  append.c
 * checks the rules that depend on the store.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "base/text.h"
#include "event/event.h"

/* Return a batch of nevents empty events, in the current memory context. */
PgesBatch *
pges_batch_create(int nevents)
{
	PgesBatch  *batch = palloc0(sizeof(PgesBatch));

	batch->context = CurrentMemoryContext;
	batch->nevents = nevents;
	batch->events = MemoryContextAllocExtended(CurrentMemoryContext,
											   sizeof(PgesEvent) * Max(nevents, 1),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int n = 0; n < nevents; n++)
		batch->events[n].ordinal = n + 1;
	return batch;
}

/* Return whether a JSON value is a whole number that fits int32, and set *number. */
bool
pges_whole_number(const JsonbValue *value, int32 *number)
{
	if (value->type != jbvNumeric)
		return false;
	return pges_numeric_int4_compat(value->val.numeric, number) &&
		DatumGetBool(DirectFunctionCall2(numeric_eq,
										 NumericGetDatum(value->val.numeric),
										 NumericGetDatum(int64_to_numeric(*number))));
}

/* Raise an error if the value of a key is an empty string; NULL passes. */
static void
check_not_empty(const PgesEvent *event, PgesColumn key)
{
	const text *value = *pges_event_pointer(event, key);

	if (value && VARSIZE_ANY_EXHDR(value) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key \"%s\" of an event must not be empty",
						pges_column_name(key)),
				 errdetail("Key \"%s\" of %s is an empty string.",
						   pges_column_name(key), pges_event_label(event))));
}

/* Raise an error if a key that every event needs has no value. */
static void
check_not_null(int ordinal, PgesColumn key, const void *value)
{
	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("key \"%s\" of an event must not be null",
						pges_column_name(key)),
				 errdetail("Key \"%s\" of event %d is null.", pges_column_name(key), ordinal)));
}

/* Raise an error if an event breaks a rule about a single event. */
void
pges_check_event(const PgesEvent *event)
{
	int			ordinal = event->ordinal;

	check_not_null(ordinal, PGES_EVENT_TYPE, event->event_type);
	check_not_null(ordinal, PGES_DATA, event->data);
	check_not_empty(event, PGES_EVENT_ID);
	check_not_empty(event, PGES_EVENT_TYPE);
	check_not_empty(event, PGES_AGGREGATE_ID);
	if (event->given_version > 0 && event->aggregate_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an aggregate version requires an aggregate id"),
				 errdetail("Event %d has key \"aggregate_version\" but no \"aggregate_id\".", ordinal)));
	if (event->occurred_at_given && TIMESTAMP_NOT_FINITE(event->occurred_at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key \"occurred_at\" of an event must be a finite time"),
				 errdetail("Key \"occurred_at\" of %s is infinite.", pges_event_label(event))));
	pges_check_size(event);
}

/* The column of type text by which the events of a batch are sorted. */
typedef struct SortKey
{
	const PgesEvent *events;
	PgesColumn	column;
} SortKey;

/* qsort_arg comparator: indexes of events, by a text, then by index. */
static int
compare_events(const void *a, const void *b, void *arg)
{
	const SortKey *key = arg;
	int			i = *(const int *) a;
	int			j = *(const int *) b;
	int			order = pges_text_compare(*pges_event_pointer(&key->events[i], key->column),
										  *pges_event_pointer(&key->events[j], key->column));

	return order != 0 ? order : (i > j) - (i < j);
}

/* Return the indexes of a batch's events, sorted by a text, then by index. */
static int *
sorted_events(PgesBatch *batch, PgesColumn column)
{
	SortKey		key = {batch->events, column};
	int		   *index = palloc(sizeof(int) * Max(batch->nevents, 1));

	for (int i = 0; i < batch->nevents; i++)
		index[i] = i;
	qsort_arg(index, batch->nevents, sizeof(int), compare_events, &key);
	return index;
}

/*
 * Return the index of the first event whose id an earlier event has, or the number of
 * events if all ids differ.
 */
int
pges_first_repeated(PgesBatch *batch)
{
	int		   *index = sorted_events(batch, PGES_EVENT_ID);
	int			first = batch->nevents;

	for (int i = 1; i < batch->nevents; i++)
	{
		const text *id = batch->events[index[i]].event_id;

		if (id && pges_text_equal(id, batch->events[index[i - 1]].event_id))
			first = Min(first, index[i]);
	}
	pfree(index);
	return first;
}

/* Raise an error if two events of a batch have equal event ids. */
static void
check_ids(PgesBatch *batch)
{
	int			n = pges_first_repeated(batch);
	const PgesEvent *earlier = batch->events;
	const PgesEvent *event = &batch->events[n];

	if (n == batch->nevents)
		return;
	while (!pges_text_equal(earlier->event_id, event->event_id))
		earlier++;
	batch->current = event->ordinal;
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("duplicate event id \"%s\" in one append",
					pges_shorten(text_to_cstring(event->event_id))),
			 errdetail("Key \"event_id\" of event %d is that of event %d.",
					   event->ordinal, earlier->ordinal)));
}

/* Return whether a JSON value is null. */
bool
pges_is_json_null(Jsonb *json)
{
	JsonbValue	value;

	return JB_ROOT_IS_SCALAR(json) &&
		JsonbExtractScalar(&json->root, &value) && value.type == jbvNull;
}

/* Check the rules about single events; JSON null metadata becomes NULL. */
static void
check_events(PgesBatch *batch)
{
	batch->all_ids_given = true;
	for (int i = 0; i < batch->nevents; i++)
	{
		PgesEvent  *event = &batch->events[i];

		CHECK_FOR_INTERRUPTS();
		batch->current = event->ordinal;
		pges_check_event(event);
		if (event->metadata && pges_is_json_null(event->metadata))
			event->metadata = NULL;
		event->event_id_given = event->event_id != NULL;
		batch->any_id_given |= event->event_id_given;
		batch->all_ids_given &= event->event_id_given;
	}
	batch->current = 0;
	if (batch->any_id_given && batch->nevents > 1)
		check_ids(batch);
}

/* Raise an error if an expected version is negative. */
static void
check_expected(int32 expected)
{
	if (expected < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("expected version must not be negative"),
				 errdetail("The expected version is %d.", expected),
				 errhint("Use 0 for an aggregate without events, and null for any version.")));
}

/*
 * Check the events of a batch, and make it a batch of one aggregate.  If id is NULL, the
 * events have no aggregate.  Raise an error if an event has another aggregate.  A batch
 * without events still checks the expected version of its aggregate.
 */
void
pges_batch_one_aggregate(PgesBatch *batch, text *id, bool expected_given,
						 int32 expected)
{
	PgesAggregate *aggregate = palloc0(sizeof(PgesAggregate));

	check_events(batch);
	if (expected_given)
		check_expected(expected);
	for (int i = 0; i < batch->nevents; i++)
	{
		if (!pges_text_equal(batch->events[i].aggregate_id, id))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("events of one append must belong to one aggregate"),
					 errdetail("Key \"aggregate_id\" of event %d differs from that of event 1.", i + 1),
					 errhint("Use eventstore.append() for events of several aggregates.")));
	}
	if (expected_given && id == NULL && batch->nevents > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an expected version needs an aggregate"),
				 errdetail("Event 1 has no \"aggregate_id\".")));

	aggregate->id = id;
	aggregate->expected_given = expected_given;
	aggregate->expected = expected;
	aggregate->nevents = batch->nevents;
	batch->aggregates = aggregate;
	batch->naggregates = batch->nevents > 0 || id ? 1 : 0;
}

/* Return the aggregate with an id, or NULL; the n aggregates are sorted by id. */
static PgesAggregate *
aggregate_of_batch(PgesAggregate *aggregates, int n, const text *id)
{
	int			low = 0;

	while (low < n)
	{
		int			middle = low + (n - low) / 2;
		int			order = pges_text_compare(aggregates[middle].id, id);

		if (order == 0)
			return &aggregates[middle];
		if (order < 0)
			low = middle + 1;
		else
			n = middle;
	}
	return NULL;
}

/* Return an expected version from JSON; raise an error if it is invalid. */
static int32
expected_of(const text *id, const JsonbValue *value)
{
	int32		expected;

	if (!pges_whole_number(value, &expected))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("an expected version must be a whole number or null"),
				 errdetail("The value for aggregate \"%s\" is not a whole number from 0 to 2147483647.",
						   pges_shorten(text_to_cstring(id)))));
	check_expected(expected);
	return expected;
}

/* Add the expected versions to the aggregates that get events, and to new entries. */
static void
add_expected_versions(PgesBatch *batch, JsonbContainer *object)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;
	int			written = batch->naggregates;

	(void) JsonbIteratorNext(&it, &key, true);	/* WJB_BEGIN_OBJECT */
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		text	   *id = cstring_to_text_with_len(key.val.string.val, key.val.string.len);
		PgesAggregate *aggregate;

		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type == jbvNull)
			continue;
		aggregate = aggregate_of_batch(batch->aggregates, written, id);
		if (aggregate == NULL)
		{
			aggregate = &batch->aggregates[batch->naggregates++];
			aggregate->id = id;
		}
		aggregate->expected_given = true;
		aggregate->expected = expected_of(id, &value);
	}
}

/*
 * Check the events of a batch, group the events by aggregate, and add the expected
 * versions.  These are a JSON object that maps aggregate ids to versions, or NULL; raise
 * an error for any other value.
 */
void
pges_batch_group(PgesBatch *batch, Jsonb *expected_versions)
{
	int		   *index;
	int			nexpected = 0;
	PgesAggregate *aggregate = NULL;

	check_events(batch);
	if (expected_versions)
	{
		if (!JB_ROOT_IS_OBJECT(expected_versions))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("expected versions must be a JSON object"),
					 errdetail("The object must map aggregate ids to versions, for example {\"order-1\": 3}.")));
		nexpected = JB_ROOT_COUNT(expected_versions);
	}
	batch->aggregates = palloc0(sizeof(PgesAggregate) *
								Max(batch->nevents + nexpected, 1));
	index = sorted_events(batch, PGES_AGGREGATE_ID);
	for (int i = 0; i < batch->nevents; i++)
	{
		PgesEvent  *event = &batch->events[index[i]];

		if (aggregate == NULL || !pges_text_equal(aggregate->id, event->aggregate_id))
		{
			aggregate = &batch->aggregates[batch->naggregates++];
			aggregate->id = event->aggregate_id;
			aggregate->first_event = index[i];
		}
		aggregate->nevents++;
		event->aggregate = batch->naggregates - 1;
	}
	pfree(index);
	if (expected_versions)
		add_expected_versions(batch, &expected_versions->root);
}
