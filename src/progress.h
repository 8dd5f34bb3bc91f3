/*
 * progress.h
 *		Tells other sessions how far long work has come.
 */
#ifndef PGES_PROGRESS_H
#define PGES_PROGRESS_H

#include "postgres.h"

/* What is going on; the names stand in progress.c. */
typedef enum PgesWork
{
	PGES_IMPORT,
	PGES_EXPORT,
	PGES_ARCHIVE,
	PGES_ERASE,
	PGES_NUM_WORKS
} PgesWork;

extern void pges_progress_begin(PgesWork work, Oid store, int64 total);
extern void pges_progress_update(int64 done, int64 skipped);
extern void pges_progress_end(void);

#endif							/* PGES_PROGRESS_H */
