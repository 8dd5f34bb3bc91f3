/*
 * event_id.c
 *		Makes event ids: UUIDs of version 7 (RFC 9562) as text.
 *
 * A version 7 UUID starts with the time, so new ids go to the right end of their index.
 * The 12 bits after the version are the fraction of the millisecond (method 3 of section
 * 6.2).  A backend uses a later time for each id, even if the clock does not advance.  So
 * the ids of one session are ascending.
 */
#include "postgres.h"

#include <time.h>

#include "fmgr.h"
#include "port.h"

#include "base/compat.h"
#include "event/event.h"

#define UUID_BYTES 16
#define UUID_CHARS 36
#define RANDOM_BYTES 8			/* of each UUID */
#define POOLED_UUIDS 128
#define NS_PER_MS INT64CONST(1000000)
#define NS_PER_S INT64CONST(1000000000)
#define FRACTIONS_PER_MS 4096	/* the values of 12 bits */

/* Slightly longer than one fraction, so that each step changes the id. */
#define SMALLEST_STEP_NS (NS_PER_MS / FRACTIONS_PER_MS + 1)

/* Return the current time in nanoseconds, but later than the last result. */
static int64
ascending_time(void)
{
	static int64 last = 0;		/* lives as long as the backend */
	struct timespec now;
	int64		ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = now.tv_sec * NS_PER_S + now.tv_nsec;
	last = Max(ns, last + SMALLEST_STEP_NS);
	return last;
}

/*
 * Set "bytes" to random bytes for one UUID.  Each call of pg_strong_random() generates the
 * bytes for many UUIDs: a call costs as much as all other work on an id.
 */
static void
take_random_bytes(uint8 *bytes)
{
	static uint8 pool[POOLED_UUIDS * RANDOM_BYTES]; /* lives as long as the
													 * backend */
	static int	used = sizeof(pool);

	if (used == sizeof(pool))
	{
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		used = 0;
	}
	memcpy(bytes, pool + used, RANDOM_BYTES);
	used += RANDOM_BYTES;
}

/* Fill in the bytes of a new UUID. */
static void
make_uuid(uint8 *uuid)
{
	int64		ns = ascending_time();
	uint64		ms = ns / NS_PER_MS;
	uint32		fraction = (ns % NS_PER_MS) * FRACTIONS_PER_MS / NS_PER_MS;

	take_random_bytes(uuid + UUID_BYTES - RANDOM_BYTES);
	for (int i = 0; i < 6; i++)
		uuid[i] = (uint8) (ms >> (40 - 8 * i));
	uuid[6] = 0x70 | (uint8) (fraction >> 8);
	uuid[7] = (uint8) fraction;
	uuid[8] = 0x80 | (uuid[8] & 0x3f);
}

/* Return a new event id. */
text *
pges_make_event_id(void)
{
	static const char digits[] = "0123456789abcdef";
	uint8		uuid[UUID_BYTES];
	text	   *result = palloc(VARHDRSZ + UUID_CHARS);
	char	   *p = VARDATA(result);

	SET_VARSIZE(result, VARHDRSZ + UUID_CHARS);
	make_uuid(uuid);
	for (int i = 0; i < UUID_BYTES; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = digits[uuid[i] >> 4];
		*p++ = digits[uuid[i] & 0x0f];
	}
	return result;
}

PG_FUNCTION_INFO_V1(pges_new_event_id);

/* SQL: return a new event id; the default of a store's event_id column. */
Datum
pges_new_event_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(pges_make_event_id());
}
