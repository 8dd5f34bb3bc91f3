/*
 * slot.c
 *		Computes the slot of an id, and converts lists of slots.
 */
#include "migrate.h"

#include "common/logging.h"

/*
 * Return the slot of an id in UTF-8, as slot_of() of the server does: the first bits of
 * the CRC-32 that zlib has.  PostgreSQL has its table only in the server, and a program
 * that needs no other part of zlib does not link it for this.
 */
int
slot_of(const char *id, size_t length, int count)
{
	uint32		crc = ~(uint32) 0;

	for (size_t i = 0; i < length; i++)
	{
		crc ^= (unsigned char) id[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
	}
	return (int) ((uint64) (uint32) ~crc * count >> 32);
}

/* End the program unless a store can have this number of slots. */
void
check_slot_count(int count)
{
	if (count >= 2 && count <= MAX_SLOTS && (count & (count - 1)) == 0)
		return;
	pg_log_error("invalid number of slots: %d", count);
	pg_log_error_detail("A sliced store has 2, 4, 8 or another power of two up to %d slots.", MAX_SLOTS);
	exit(1);
}

/* Read a number and move *at behind it; false if there is none. */
static bool
read_number(const char **at, int *number)
{
	size_t		digits = strspn(*at, "0123456789");

	if (digits == 0 || digits > 9)
		return false;
	*number = (int) strtol(*at, NULL, 10);
	*at += digits;
	return true;
}

/* Read a number or a range, such as 0-7, and move *at behind it; false if there is none. */
static bool
read_range(const char **at, int *first, int *last)
{
	if (!read_number(at, first))
		return false;
	*last = *first;
	if (**at != '-')
		return true;
	(*at)++;
	return read_number(at, last) && *last >= *first;
}

/* Report a list of slots that cannot be parsed, and end the program. */
static void
__attribute__((noreturn))
fail_list(const char *list)
{
	pg_log_error("invalid list of slots: \"%s\"", list);
	pg_log_error_detail("A list has numbers and ranges, such as 0-7,12.");
	exit(1);
}

/* Choose the slots of the list, or all if there is none; on failure end the program. */
void
choose_slots(Slots *slots)
{
	const char *at = slots->only;
	int			first = 0;
	int			last = slots->count - 1;

	for (;;)
	{
		if (at != NULL && !read_range(&at, &first, &last))
			fail_list(slots->only);
		if (last >= slots->count)
		{
			pg_log_error("there is no slot %d", last);
			pg_log_error_detail("The slots of a store with %d slots have the numbers 0 to %d.",
								slots->count, slots->count - 1);
			exit(1);
		}
		for (int slot = first; slot <= last; slot++)
			slots->chosen[slot] = true;
		if (at == NULL || *at == '\0')
			return;
		if (*at++ != ',')
			fail_list(slots->only);
	}
}

/* Return the number of slots that are chosen. */
int
count_chosen(const Slots *slots)
{
	int			chosen = 0;

	for (int slot = 0; slot < slots->count; slot++)
		chosen += slots->chosen[slot];
	return chosen;
}

/* Return the list of the slots whose element is true, such as 0-7,12. */
char *
slot_list(const bool *included)
{
	PQExpBufferData list;
	int			last;

	initPQExpBuffer(&list);
	for (int slot = 0; slot < MAX_SLOTS; slot = last + 1)
	{
		last = slot;
		if (!included[slot])
			continue;
		while (last + 1 < MAX_SLOTS && included[last + 1])
			last++;
		appendPQExpBuffer(&list, "%s%d", list.len > 0 ? "," : "", slot);
		if (last > slot)
			appendPQExpBuffer(&list, "-%d", last);
	}
	return list.data;
}
