/*
 * erase.h
 *		Door of the room "erase": erases personal data from events.
 *
 * Users call the SQL functions of the room.  The room "lifecycle" calls C code here: when
 * it creates a store, it detaches the records of a dropped table with the same OID.  The
 * protocol is in the head of erase.c.
 */
#ifndef PGES_ERASE_H
#define PGES_ERASE_H

#include "postgres.h"

extern void pges_detach_erasures(Oid store);

#endif							/* PGES_ERASE_H */
