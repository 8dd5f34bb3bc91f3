/*
 * erase.h
 *		Door of the room "erase": erases personal data from events.
 *
 * Users call the SQL functions of the room.  Only the room "lifecycle" calls C code here:
 * when a store is created, records of an earlier table with its OID must not be about it.
 * The protocol is in the head of erase.c.
 */
#ifndef PGES_ERASE_H
#define PGES_ERASE_H

#include "postgres.h"

extern void pges_detach_erasures(Oid store);

#endif							/* PGES_ERASE_H */
