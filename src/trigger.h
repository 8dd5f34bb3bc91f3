/*
 * trigger.h
 *		The triggers of a store.
 */
#ifndef PGES_TRIGGER_H
#define PGES_TRIGGER_H

#include "postgres.h"

#include "plan.h"
#include "store.h"

extern int	pges_execute_change(const PgesStore *store, PgesScope scope,
								const PgesStatement *statement,
								const Datum *values, const bool *nulls);

#endif							/* PGES_TRIGGER_H */
