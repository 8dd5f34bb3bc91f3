/*
 * describe.h
 *		Helpers of describe.c, for this room alone.
 */
#ifndef PGES_DESCRIBE_H
#define PGES_DESCRIBE_H

#include "postgres.h"

#include "utils/relcache.h"

#include "store/store.h"

/* in plain.c */
extern bool pges_has_plain_index(Oid indexid);
extern bool pges_has_trigger_before_insert(Relation rel);
extern bool pges_is_plain(Relation rel, const PgesStore *store);
extern bool pges_has_only_own_check(Relation rel, const PgesStore *store);

/* in table_kind.c */
extern const char *pges_kind_obstacle(Relation rel);

#endif							/* PGES_DESCRIBE_H */
