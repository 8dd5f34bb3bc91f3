/*
 * progress.h
 *		Tells other sessions how far long work has come.
 */
#ifndef PGES_PROGRESS_H
#define PGES_PROGRESS_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* What is going on; the names stand in progress.c. */
typedef enum PgesWork
{
	PGES_IMPORT,
	PGES_EXPORT,
	PGES_ARCHIVE,
	PGES_NUM_WORKS
} PgesWork;

/* A report of this process. */
typedef struct PgesProgress
{
	PgesWork	work;
	Oid			store;
	TimestampTz started;
	bool		reporting;		/* false within other work that reports */
} PgesProgress;

extern void pges_progress_begin(PgesProgress *progress, PgesWork work, Oid store);
extern void pges_progress_update(const PgesProgress *progress, int64 done, int64 skipped);
extern void pges_progress_end(const PgesProgress *progress);

#endif							/* PGES_PROGRESS_H */
