/*
 * own_check.h
 *		Recognises the CHECK constraint that every store has, for this room alone.
 */
#ifndef PGES_OWN_CHECK_H
#define PGES_OWN_CHECK_H

#include "postgres.h"

#include "utils/relcache.h"

#include "store/store.h"

extern bool pges_has_only_own_check(Relation rel, const PgesStore *store);

#endif							/* PGES_OWN_CHECK_H */
