/*
 * slot.h
 *		Door of the room "slot": the slots of a sliced store.
 *
 * The rooms append, read, snapshot, transfer and lifecycle use this room.  The protocol is in
 * slot.c.  Which slot a store is, is part of its description (store.h).
 */
#ifndef PGES_SLOT_H
#define PGES_SLOT_H

#include "postgres.h"

#include "store/store.h"

extern int	pges_slot_of_aggregate(const text *aggregate_id, int count);
extern void pges_check_slot_count(int count);
extern char *pges_slot_name(const char *table, int number);
extern void pges_check_slot(const PgesStore *store, const text *aggregate_id);
extern int	pges_find_slot_count(char *schema, const char *table, int other_than);

#endif							/* PGES_SLOT_H */
