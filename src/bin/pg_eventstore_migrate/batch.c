/*
 * batch.c
 *		Divides a source into batches, which are sources in memory that can be read again.
 *
 * Each batch has events of one slot, in source order.  An ordinary store has one slot.
 * While a batch of one slot is collected, so are those of the others.
 */
#include "migrate.h"

#include "common/logging.h"

/*
 * A batch of large events ends early, because client and server hold all of it
 * in memory.  The client also holds the batches that are being collected.
 */
#define MAX_BATCH_BYTES (16 * 1024 * 1024)
#define MAX_COLLECTED_BYTES (64 * 1024 * 1024)

typedef struct BatchState
{
	PQExpBufferData text;		/* of all events, one after another */
	Line	   *events;			/* without their text */
	int			count;
	int			capacity;
	int			next;			/* to be read */
	size_t		offset;			/* of its text */
} BatchState;

struct Batches
{
	Source	   *origin;
	Source	  **collected;		/* the batch of each slot; NULL: none */
	int			slots;
	size_t		bytes;			/* of all that are being collected */
};

/* Return the next event of the batch; false if there is none. */
static bool
next_batch_event(Source *batch, Line *line)
{
	BatchState *state = batch->state;

	if (state->next >= state->count)
		return false;
	*line = state->events[state->next++];
	line->text = state->text.data + state->offset;
	state->offset += line->length;
	return true;
}

/* Let the next read return the first event of the batch. */
void
rewind_batch(Source *batch)
{
	BatchState *state = batch->state;

	state->next = 0;
	state->offset = 0;
}

/* Create an empty batch for a slot. */
static Source *
create_batch(const Source *origin, int slot)
{
	Source	   *batch = pg_malloc0(sizeof(Source));
	BatchState *state = pg_malloc0(sizeof(BatchState));

	initPQExpBuffer(&state->text);
	batch->name = origin->name;
	batch->unit = origin->unit;
	batch->slot = slot;
	batch->next = next_batch_event;
	batch->state = state;
	return batch;
}

/* Free a batch, if there is one. */
void
destroy_batch(Source *batch)
{
	BatchState *state = batch ? batch->state : NULL;

	if (state == NULL)
		return;
	termPQExpBuffer(&state->text);
	pg_free(state->events);
	pg_free(state);
	pg_free(batch);
}

/* Append an event to a batch. */
static void
add_event(BatchState *state, const Line *event)
{
	if (state->count == state->capacity)
	{
		state->capacity = Max(64, state->capacity * 2);
		state->events = pg_realloc(state->events, state->capacity * sizeof(Line));
	}
	state->events[state->count++] = *event;
	appendBinaryPQExpBuffer(&state->text, event->text, event->length);
	if (PQExpBufferDataBroken(state->text))
		pg_fatal("out of memory");
}

/* Return whether a batch takes no more events. */
static bool
is_full(const BatchState *state)
{
	return state->count >= options.batch_size || state->text.len >= MAX_BATCH_BYTES;
}

/* Divide a source into batches.  The slots of its events are below "slots". */
Batches *
create_batches(Source *origin, int slots)
{
	Batches    *batches = pg_malloc0(sizeof(Batches));

	batches->origin = origin;
	batches->slots = slots;
	batches->collected = pg_malloc0(sizeof(Source *) * slots);
	return batches;
}

/* Return the slot whose batch has the most text; -1 if all are empty. */
static int
largest_batch(const Batches *batches)
{
	int			largest = -1;
	size_t		bytes = 0;

	for (int slot = 0; slot < batches->slots; slot++)
	{
		const Source *batch = batches->collected[slot];
		const BatchState *state = batch ? batch->state : NULL;

		if (state == NULL || (largest >= 0 && state->text.len <= bytes))
			continue;
		largest = slot;
		bytes = state->text.len;
	}
	return largest;
}

/* Take the batch of a slot; NULL for -1. */
static Source *
take_batch(Batches *batches, int slot)
{
	Source	   *batch = slot >= 0 ? batches->collected[slot] : NULL;

	if (batch == NULL)
		return NULL;
	batches->bytes -= ((BatchState *) batch->state)->text.len;
	batches->collected[slot] = NULL;
	return batch;
}

/* Return the next batch, which the caller destroys; NULL if there are no more events. */
Source *
next_batch(Batches *batches)
{
	Line		event = {0};

	while (batches->origin->next(batches->origin, &event))
	{
		Source	  **batch = &batches->collected[event.slot];

		stop_if_canceled();
		if (*batch == NULL)
			*batch = create_batch(batches->origin, event.slot);
		add_event((*batch)->state, &event);
		batches->bytes += event.length;
		if (is_full((*batch)->state))
			return take_batch(batches, event.slot);
		if (batches->bytes >= MAX_COLLECTED_BYTES)
			return take_batch(batches, largest_batch(batches));
	}
	return take_batch(batches, largest_batch(batches));
}
