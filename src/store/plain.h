/*
 * plain.h
 *		Recognises plain stores, for this room alone.
 */
#ifndef PGES_PLAIN_H
#define PGES_PLAIN_H

#include "postgres.h"

#include "store/store.h"

extern bool pges_has_plain_index(Oid indexid);
extern bool pges_is_plain(Relation rel, const PgesStore *store);

#endif							/* PGES_PLAIN_H */
