/*
 * event_log.c
 *		The events that the processes have seen: the order of what happens in all of them,
 *		and the logs.
 */
#include <stdlib.h>

#include "cluster.h"

Seer		seers[] = {
	{"cursor, pages of 50", CURSOR, 50, NULL},
	{"cursor, pages of 1000", CURSOR, 1000, NULL},
	{"cursor, pages of 7", CURSOR, 7, NULL},
	{"follower of each slot", FOLLOWER, 100, NULL},
	{"follower, small pages", FOLLOWER, 5, NULL},
	{"naive follower (control)", NAIVE_FOLLOWER, 100, NULL},
};
const int	nseers = sizeof seers / sizeof *seers;

/* Return the number of an aggregate with a name such as "a17"; -1 if it is no such name. */
int
aggregate_number(const char *name)
{
	char	   *end;
	long		number = name[0] == 'a' ? strtol(name + 1, &end, 10) : -1;

	return number >= 0 && *end == '\0' && number < CLUSTER_AGGREGATES ? (int) number : -1;
}

/* Return the next number of the counter that orders what happens in all processes. */
int64_t
cluster_tick(void)
{
	return atomic_fetch_add(&cluster->ticks, 1) + 1;
}

/* Write an event to a log. */
void
log_event(FILE *log, const SlotEvent *event)
{
	if (fwrite(event, sizeof *event, 1, log) != 1)
		die("could not write a log");
}
