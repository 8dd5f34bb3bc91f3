/*
 * batch.c
 *		A source that keeps a batch of another source in memory, to be read again.
 */
#include "migrate.h"

#include "common/logging.h"

/*
 * A batch of large events ends early, because client and server hold all of it
 * in memory.
 */
#define MAX_BATCH_BYTES (16 * 1024 * 1024)

typedef struct BatchState
{
	Source	   *origin;
	PQExpBufferData text;		/* of all events, one after another */
	Line	   *events;			/* without their text */
	int			count;
	int			next;			/* to be read */
	size_t		offset;			/* of its text */
} BatchState;

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

/* Create a source that returns the events of another source batch by batch. */
Source *
create_batch(Source *origin)
{
	Source	   *batch = pg_malloc0(sizeof(Source));
	BatchState *state = pg_malloc0(sizeof(BatchState));

	state->origin = origin;
	initPQExpBuffer(&state->text);
	state->events = pg_malloc(sizeof(Line) * options.batch_size);
	batch->name = origin->name;
	batch->unit = origin->unit;
	batch->next = next_batch_event;
	batch->state = state;
	return batch;
}

/* Read the next batch into memory; false if the source has no more events. */
bool
read_batch(Source *batch)
{
	BatchState *state = batch->state;

	rewind_batch(batch);
	state->count = 0;
	resetPQExpBuffer(&state->text);
	while (state->count < options.batch_size && state->text.len < MAX_BATCH_BYTES &&
		   state->origin->next(state->origin, &state->events[state->count]))
	{
		const Line *event = &state->events[state->count++];

		stop_if_canceled();
		appendBinaryPQExpBuffer(&state->text, event->text, event->length);
		if (PQExpBufferDataBroken(state->text))
			pg_fatal("out of memory");
	}
	return state->count > 0;
}

/* Let the next read return the first event of the batch. */
void
rewind_batch(Source *batch)
{
	BatchState *state = batch->state;

	state->next = 0;
	state->offset = 0;
}
