/*
 * table_kind.h
 *		Decides which tables may hold events, for this room alone.
 */
#ifndef PGES_TABLE_KIND_H
#define PGES_TABLE_KIND_H

#include "postgres.h"

#include "utils/relcache.h"

extern const char *pges_kind_obstacle(Relation rel);

#endif							/* PGES_TABLE_KIND_H */
