/*
 * subscription.c
 *		The subscriptions of chaos, and the marks of their events.
 *
 * Each subscription has an array of marks, with an entry for each position of the store,
 * and a holder for each slot of its hash.  All processes share them.  Consumers compare
 * ticks to find the order of two steps: a tick is a value of a counter that all processes
 * share.  A step that has recorded tick x happened before any step that has taken a later
 * tick.
 *
 * The marks are written without locks, so that a consumer can be killed at any time.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "chaos.h"

/*
 * A holder has its number in the lowest HOLDER_BITS bits, and a time in ms in the bits
 * above.
 */
#define HOLDER_BITS 24

const Subscription subscriptions[SUBSCRIPTIONS] = {
	[WORK] = {"work", "{}", 16, 2000, 1000000, "park", 0, 0, false, true},
	[EXACT] = {"exact", "{}", 16, 2000, 1000000, "park", 0, 0, false, true},
	[POISON] = {"poison", "{packed}", 8, 1000, 3, "park", 199, 1499, false, false},
	[SKIPPING] = {"skip", "{placed,sent}", 4, 2000, 3, "skip", 499, 0, false, false},
	[STOPPING] = {"stop", "{paid}", 4, 2000, 3, "stop", 499, 0, false, false},
	[AGAIN] = {"again", "{closed}", 4, 2000, 1000000, "park", 0, 0, true, false},
};

/* The numbers of partitions that the subscriptions with "changes" have in turn. */
const int	partition_counts[3] = {16, 5, 32};

static const char *const type_names[EVENT_TYPES] = {"placed", "paid", "packed", "sent", "closed"};
static EventMarks *marks;

/* Create the marks of all subscriptions.  Pages of them that are not used cost nothing. */
void
create_marks(void)
{
	marks = mmap(NULL, sizeof *marks * SUBSCRIPTIONS * MAX_POSITION, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (marks == MAP_FAILED)
		die("could not map memory: %s", strerror(errno));
}

/* Return the marks of an event. */
EventMarks *
event_marks(int subscription, int64_t position)
{
	if (position < 0 || position >= MAX_POSITION)
		die("position %lld is out of range", (long long) position);
	return &marks[(int64_t) subscription * MAX_POSITION + position];
}

/* Return the next tick. */
uint32_t
tick(void)
{
	return atomic_fetch_add(&shared->ticks, 1) + 1;
}

/* Return the number of an event type. */
int
type_number(const char *name)
{
	for (int i = 0; i < EVENT_TYPES; i++)
		if (strcmp(type_names[i], name) == 0)
			return i;
	die("unknown event type \"%s\"", name);
}

/*
 * Return whether a subscription has the events of a type; an empty array means all types.
 */
bool
has_type(int subscription, int type)
{
	const char *types = subscriptions[subscription].types;

	return strcmp(types, "{}") == 0 || strstr(types, type_names[type]) != NULL;
}

/* Return the slot of a key as doc/subscriptions.md defines it: CRC-32C, its upper 10 bits. */
int
slot_of(const char *key)
{
	uint32_t	crc = UINT32_MAX;

	for (; *key; key++)
	{
		crc ^= (unsigned char) *key;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78 : 0);
	}
	return (int) (~crc >> 22);
}

/* Return whether an event is one of so many, and was not healed.  At the end all are. */
static bool
is_chosen(int subscription, int64_t position, int one_of)
{
	return one_of > 0 && position % one_of == 1 && shared->phase < DRAIN &&
		(event_marks(subscription, position)->flags & HEALED) == 0;
}

/* Return whether an event of a subscription fails. */
bool
event_fails(int subscription, int64_t position)
{
	return is_chosen(subscription, position, subscriptions[subscription].fails);
}

/* Return whether an event of a subscription kills the consumer that processes it. */
bool
event_kills(int subscription, int64_t position)
{
	return is_chosen(subscription, position, subscriptions[subscription].kills);
}

/* Note that an event is processed; only the first time counts. */
void
note_handled(int subscription, int64_t position)
{
	unsigned	never = 0;

	atomic_compare_exchange_strong(&event_marks(subscription, position)->handled, &never, tick());
}

/* Note that a poll, which began with a tick, has returned an event. */
void
note_delivered(int subscription, int64_t position, uint32_t poll_began)
{
	EventMarks *event = event_marks(subscription, position);
	SubscriptionState *state = &shared->subscriptions[subscription];
	unsigned	last = event->delivered;
	long		highest = state->last_position;

	while (last < poll_began && !atomic_compare_exchange_weak(&event->delivered, &last, poll_began))
		;
	while (highest < position && !atomic_compare_exchange_weak(&state->last_position, &highest, position))
		;
}

/*
 * Note that a consumer has events of a slot until a time.  If another consumer has events
 * of the slot now, count an error: a delivery takes whole partitions.
 *
 * The lease has certainly not ended at that time, because it is counted from before the
 * poll was sent.  A consumer drops its holds before it sends any statement that may end
 * its delivery.  So a consumer that hangs or has died causes no false alarm.
 */
void
hold_slot(int subscription, int slot, int id, int64_t until)
{
	SubscriptionState *state = &shared->subscriptions[subscription];
	uint64_t	now = (uint64_t) now_us() / 1000;
	uint64_t	holder = state->holders[slot];
	uint64_t	mine = (uint64_t) until / 1000 << HOLDER_BITS | (unsigned) id;

	while (!atomic_compare_exchange_weak(&state->holders[slot], &holder, mine))
		;
	if ((holder & ((1 << HOLDER_BITS) - 1)) != (unsigned) id && holder >> HOLDER_BITS > now &&
		!subscriptions[subscription].repeats)
		state->together++;
}

/* Note that a consumer has no events any more. */
void
drop_holds(int subscription, int id)
{
	SubscriptionState *state = &shared->subscriptions[subscription];

	for (int slot = 0; slot < SLOTS; slot++)
	{
		uint64_t	holder = state->holders[slot];

		if ((holder & ((1 << HOLDER_BITS) - 1)) == (unsigned) id)
			atomic_compare_exchange_strong(&state->holders[slot], &holder, 0);
	}
}
