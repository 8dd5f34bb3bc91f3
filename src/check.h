/*
 * check.h
 *		The CHECK constraints of a store, compiled once.
 */
#ifndef PGES_CHECK_H
#define PGES_CHECK_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

#include "store.h"

extern bool pges_compile_checks(Relation rel, List **checks);
extern bool pges_passes_checks(const PgesStore *store, TupleTableSlot *slot,
							   ExprContext *econtext);

#endif							/* PGES_CHECK_H */
