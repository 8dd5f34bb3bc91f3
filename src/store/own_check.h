/*
 * own_check.h
 *		Recognises the CHECK constraint that every store has.
 */
#ifndef PGES_OWN_CHECK_H
#define PGES_OWN_CHECK_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/relcache.h"

#include "store/store.h"

extern bool pges_has_only_own_check(Relation rel, const PgesStore *store);
extern bool pges_is_known_to_pass(const PgesStore *store,
								  const TupleTableSlot *slot);

#endif							/* PGES_OWN_CHECK_H */
