/*
 * archive.h
 *		Door of the room "archive": what holds archiving back.
 */
#ifndef PGES_ARCHIVE_H
#define PGES_ARCHIVE_H

#include "postgres.h"

extern int64 pges_lowest_hold(Oid store);
extern void pges_forget_holds(Oid store);

#endif							/* PGES_ARCHIVE_H */
