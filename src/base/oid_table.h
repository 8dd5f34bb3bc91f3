/*
 * oid_table.h
 *		Hash tables with OIDs as keys, which live as long as the backend.
 */
#ifndef PGES_OID_TABLE_H
#define PGES_OID_TABLE_H

#include "postgres.h"

#include "utils/hsearch.h"

/* Create a hash table whose entries begin with an OID, their key. */
static inline HTAB *
pges_oid_table(const char *name, Size entry_size)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = entry_size};

	return hash_create(name, 16, &ctl, HASH_ELEM | HASH_BLOBS);
}

#endif							/* PGES_OID_TABLE_H */
