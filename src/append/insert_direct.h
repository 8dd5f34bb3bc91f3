/*
 * insert_direct.h
 *		Appends to plain stores past the executor.
 */
#ifndef PGES_INSERT_DIRECT_H
#define PGES_INSERT_DIRECT_H

#include "postgres.h"

#include "event/batch.h"
#include "store/store.h"

extern bool pges_direct_is_possible(const PgesStore *store);
extern void pges_direct_versions(const PgesStore *store, PgesBatch *batch);
extern void pges_direct_insert(const PgesStore *store, const PgesBatch *batch);

#endif							/* PGES_INSERT_DIRECT_H */
