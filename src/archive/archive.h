/*
 * archive.h
 *		Door of the room "archive": creates archives, and moves events to them.
 *
 * Users call the SQL functions of the room.  The room "lifecycle" calls C code here: it
 * deletes the holds of a store, and links the archive of a former store.  The protocol is
 * in the heads of archive.c (how events move), due.c (which events move) and
 * create_archive.c (locks).
 */
#ifndef PGES_ARCHIVE_H
#define PGES_ARCHIVE_H

#include "postgres.h"

extern int64 pges_lowest_hold(Oid store);
extern void pges_forget_holds(Oid store);
extern void pges_adopt_former_archive(Oid relid);

#endif							/* PGES_ARCHIVE_H */
