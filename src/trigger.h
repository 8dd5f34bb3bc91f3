/*
 * trigger.h
 *		The triggers of a store.
 */
#ifndef PGES_TRIGGER_H
#define PGES_TRIGGER_H

#include "postgres.h"

#include "plan.h"
#include "store.h"

extern void pges_notify(const char *channel, const char *store,
						int64 position, int64 count);
extern void pges_announce(const PgesStore *store);
extern int	pges_execute_change(const PgesStore *store, PgesScope scope,
								const PgesStatement *statement,
								const Datum *values, const bool *nulls);

#endif							/* PGES_TRIGGER_H */
