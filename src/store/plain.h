/*
 * plain.h
 *		Recognises plain stores.
 */
#ifndef PGES_PLAIN_H
#define PGES_PLAIN_H

#include "postgres.h"

#include "store/store.h"

extern Oid	pges_index_collation(Oid indexid);
extern bool pges_has_plain_index(Oid indexid);
extern bool pges_is_plain(Relation rel, const PgesStore *store);

#endif							/* PGES_PLAIN_H */
