/*
 * batch.c
 *		Keeps the events of a batch in memory, to be read more than once.
 */
#include "migrate.h"

#include "common/logging.h"

/* a batch of large events ends early, as both sides have it in memory */
#define MAX_BATCH_BYTES (16 * 1024 * 1024)

/* Where an event stands in the text of the batch. */
typedef struct Kept
{
	int64		number;
	int64		ordinal;
	size_t		offset;
	size_t		length;
} Kept;

typedef struct BatchState
{
	Source	   *origin;
	PQExpBufferData text;
	Kept	   *kept;
	int			count;
	int			next;			/* to be read */
} BatchState;

/* Read the next event from memory. */
static bool
next_kept(Source *batch, Line *line)
{
	BatchState *state = batch->state;
	const Kept *kept = &state->kept[state->next];

	if (state->next >= state->count)
		return false;
	line->number = kept->number;
	line->ordinal = kept->ordinal;
	line->text = state->text.data + kept->offset;
	line->length = kept->length;
	state->next++;
	return true;
}

/* Make a source that gives the events of another by batches. */
Source *
make_batch(Source *origin)
{
	Source	   *batch = pg_malloc0(sizeof(Source));
	BatchState *state = pg_malloc0(sizeof(BatchState));

	state->origin = origin;
	initPQExpBuffer(&state->text);
	state->kept = pg_malloc(sizeof(Kept) * options.batch_size);
	batch->name = origin->name;
	batch->unit = origin->unit;
	batch->next = next_kept;
	batch->state = state;
	return batch;
}

/* Take the next events into memory; false if there are no more. */
bool
read_batch(Source *batch)
{
	BatchState *state = batch->state;
	Line		line;

	state->count = state->next = 0;
	resetPQExpBuffer(&state->text);
	while (state->count < options.batch_size && state->text.len < MAX_BATCH_BYTES &&
		   state->origin->next(state->origin, &line))
	{
		Kept	   *kept = &state->kept[state->count++];

		stop_if_canceled();
		kept->number = line.number;
		kept->ordinal = line.ordinal;
		kept->offset = state->text.len;
		kept->length = line.length;
		appendBinaryPQExpBuffer(&state->text, line.text, line.length);
		if (PQExpBufferDataBroken(state->text))
			pg_fatal("out of memory");
	}
	return state->count > 0;
}

/* Begin to read the batch anew. */
void
read_batch_again(Source *batch)
{
	BatchState *state = batch->state;

	state->next = 0;
}
