/*
 * retention.h
 *		Reads the retention rules of a store, for this room alone.
 */
#ifndef PGES_RETENTION_H
#define PGES_RETENTION_H

#include "postgres.h"

#include "archive/due.h"
#include "store/store.h"

extern int	pges_retention_rules(const PgesStore *store, int64 limit, PgesRule rules[2],
								 const char *names[2]);

#endif							/* PGES_RETENTION_H */
