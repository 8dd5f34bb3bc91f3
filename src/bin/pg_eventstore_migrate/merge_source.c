/*
 * merge_source.c
 *		Reads the slots of a sliced store, merged by time.
 *
 * There is no order between the slots, so the merge chooses one, and keeps the order of
 * each slot: the next event is that of the slot whose greatest time, up to its next
 * event, is the earliest; of the first of these slots if several have it.
 *
 * Each slot is read in pages, up to the mark that it has at the start.  The pages in
 * memory have MERGE_BYTES in all, unless events are much larger than those before them.
 */
#include "migrate.h"

#include "common/logging.h"

#define MERGE_BYTES (64 * 1024 * 1024)
#define FEWEST_EVENTS 16		/* of a page */
#define FIRST_EVENT_BYTES 1024	/* of an event, before any was read */

typedef struct MergeRow
{
	int64		position;
	int64		time;			/* microseconds from an arbitrary start */
	size_t		offset;			/* of the text */
	size_t		length;
} MergeRow;

/* The events of a slot that were read, but not returned yet. */
typedef struct SlotLog
{
	const char *store;
	char	   *literal;		/* the store as an SQL literal */
	int64		after;			/* the position of the last event read */
	int64		mark;			/* the position at which to stop */
	bool		finished;		/* all events were read */
	PQExpBufferData text;
	MergeRow   *rows;
	int			count;
	int			next;			/* to be returned */
	int64		time;			/* the greatest of the events up to the next */
} SlotLog;

typedef struct MergeState
{
	CopyOut		copy;
	SlotLog    *logs;
	int			count;
	int64		events;			/* received, with their bytes */
	int64		bytes;
} MergeState;

/* Return how many events the next page has at most. */
static int
page_size(const MergeState *state)
{
	int64		bytes = state->events > 0 ? state->bytes / state->events + 1 : FIRST_EVENT_BYTES;

	return (int) Max(FEWEST_EVENTS, Min(PAGE_EVENTS, MERGE_BYTES / state->count / bytes));
}

/* Receive the rows of a page, without those beyond the mark. */
static int
receive_page(MergeState *state, SlotLog *log)
{
	CopyValue	values[3];
	int			received = 0;

	while (receive_row(&state->copy, values, lengthof(values)))
	{
		MergeRow   *row = &log->rows[log->count];

		received++;
		row->position = number_at(values[0].at, 8);
		if (row->position > log->mark)
			continue;
		row->time = number_at(values[2].at, 8);
		row->offset = log->text.len;
		row->length = values[1].length;
		appendBinaryPQExpBuffer(&log->text, values[1].at, values[1].length);
		log->after = row->position;
		log->count++;
		state->events++;
		state->bytes += (int64) values[1].length;
	}
	return received;
}

/* Read the next page of a slot. */
static void
read_page(const Source *source, MergeState *state, SlotLog *log)
{
	int			size = page_size(state);
	char	   *query = psprintf("SELECT e.position, e.event::pg_catalog.text,"
								 " (e.event ->> 'occurred_at')::pg_catalog.timestamptz"
								 " FROM eventstore.export_events('%lld', %d, %s) e",
								 (long long) log->after, size, log->literal);
	int			received;

	log->count = log->next = 0;
	log->rows = pg_realloc(log->rows, size * sizeof(MergeRow));
	resetPQExpBuffer(&log->text);
	begin_copy_out(&state->copy, query);
	received = receive_page(state, log);
	end_copy_out(&state->copy, psprintf("%s: store %s", source->name, log->store), "position", log->after);
	if (PQExpBufferDataBroken(log->text))
		pg_fatal("out of memory");
	log->finished = received < size || log->count < received;
	pg_free(query);
}

/* Prepare the event at "next"; false if the slot has no more events. */
static bool
has_next(const Source *source, MergeState *state, SlotLog *log)
{
	while (log->next == log->count)
	{
		if (log->finished)
			return false;
		read_page(source, state, log);
	}
	log->time = Max(log->time, log->rows[log->next].time);
	return true;
}

/* Return the next event; false if there is none. */
static bool
next_merged(Source *source, Line *line)
{
	MergeState *state = source->state;
	SlotLog    *first = NULL;
	const MergeRow *row;

	for (int i = 0; i < state->count; i++)
	{
		if (has_next(source, state, &state->logs[i]) && (first == NULL || state->logs[i].time < first->time))
			first = &state->logs[i];
	}
	if (first == NULL)
		return false;
	row = &first->rows[first->next++];
	line->number = line->ordinal = ++source->events;
	line->text = first->text.data + row->offset;
	line->length = row->length;
	return true;
}

/* Prepare to read the chosen slots of an end, which require_slots() has found. */
void
set_up_merge(Source *source, const End *end)
{
	const Slots *slots = end->slots;
	MergeState *state = pg_malloc0(sizeof(MergeState));

	state->copy.end = end;
	state->logs = pg_malloc0(sizeof(SlotLog) * slots->count);
	for (int slot = 0; slot < slots->count; slot++)
	{
		SlotLog    *log = &state->logs[state->count];

		if (!slots->chosen[slot])
			continue;
		log->store = slots->stores[slot];
		log->literal = sql_literal(end, log->store);
		log->after = log->time = PG_INT64_MIN;
		log->mark = wait_for_mark(end, log->store);
		initPQExpBuffer(&log->text);
		state->count++;
	}
	source->unit = "event";
	source->next = next_merged;
	source->state = state;
}
