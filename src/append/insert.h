/*
 * insert.h
 *		Inserts a batch of events that is complete.
 */
#ifndef PGES_INSERT_H
#define PGES_INSERT_H

#include "postgres.h"

#include "event/batch.h"
#include "store/store.h"

extern Datum pges_event_value(const PgesEvent *event, PgesColumn column,
							  bool *isnull);
extern void pges_insert_events(const PgesStore *store, const PgesBatch *batch);

#endif							/* PGES_INSERT_H */
