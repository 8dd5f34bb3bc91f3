/*
 * slot_source.c
 *		A source that gives the events of another source their slots, and skips those of
 *		slots that are not chosen.
 */
#include "migrate.h"

typedef struct SlotState
{
	Source	   *origin;
	const Slots *slots;
} SlotState;

/*
 * Return the slot of an event.  A text that cannot be parsed goes to the first slot that
 * is chosen, so that the server reports it in a run for any slots.
 */
static int
slot_of_event(const Slots *slots, const Line *line)
{
	size_t		length;
	const char *id = slot_id(line, &length);
	int			slot = 0;

	if (id != NULL)
		return slot_of(id, length, slots->count);
	while (!slots->chosen[slot])
		slot++;
	return slot;
}

/* Return the next event of a chosen slot; false if there is none. */
static bool
next_event_of_slots(Source *source, Line *line)
{
	SlotState  *state = source->state;
	bool		more;

	while ((more = state->origin->next(state->origin, line)))
	{
		line->slot = slot_of_event(state->slots, line);
		if (state->slots->chosen[line->slot])
			break;
		source->skipped++;
		stop_if_canceled();
	}
	source->bytes = state->origin->bytes;
	source->events += more;
	return more;
}

/* Create a source of the events of the chosen slots. */
Source *
create_slot_source(Source *origin, const Slots *slots)
{
	Source	   *source = pg_malloc0(sizeof(Source));
	SlotState  *state = pg_malloc0(sizeof(SlotState));

	*source = *origin;
	state->origin = origin;
	state->slots = slots;
	source->expected = origin->expected * count_chosen(slots) / slots->count;
	source->next = next_event_of_slots;
	source->state = state;
	return source;
}
