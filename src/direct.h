/*
 * direct.h
 *		Appends to plain stores past the executor.
 */
#ifndef PGES_DIRECT_H
#define PGES_DIRECT_H

#include "postgres.h"

#include "batch.h"
#include "store.h"

extern bool pges_direct_is_possible(const PgesStore *store);
extern void pges_direct_versions(const PgesStore *store, PgesBatch *batch);
extern void pges_direct_insert(const PgesStore *store, const PgesBatch *batch);

#endif							/* PGES_DIRECT_H */
