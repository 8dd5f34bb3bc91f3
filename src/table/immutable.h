/*
 * immutable.h
 *		The triggers of a store.
 */
#ifndef PGES_IMMUTABLE_H
#define PGES_IMMUTABLE_H

#include "postgres.h"

#include "store/store.h"
#include "table/statement.h"

extern int	pges_execute_change(const PgesStore *store, PgesScope scope,
								const PgesStatement *statement,
								const Datum *values, const bool *nulls);

#endif							/* PGES_IMMUTABLE_H */
