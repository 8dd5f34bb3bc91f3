/*
 * append.h
 *		Door of the room "append": appends a batch of events to a store.
 *
 * The SQL functions that append are in append_sql.c.  The room "transfer" calls this door
 * to import events.  The head of append.c describes the protocol of an append.
 */
#ifndef PGES_APPEND_H
#define PGES_APPEND_H

#include "postgres.h"

#include "event/event.h"
#include "store/store.h"

extern void pges_append_batch(const PgesStore *store, PgesBatch *batch, bool is_import);

/* in append_sql.c */
extern const PgesStore *pges_open_for_append(const PgesStore *store);

#endif							/* PGES_APPEND_H */
