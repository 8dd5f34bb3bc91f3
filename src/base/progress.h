/*
 * progress.h
 *		Reports the progress of long work to other sessions.
 */
#ifndef PGES_PROGRESS_H
#define PGES_PROGRESS_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* The kinds of work; their names are in progress.c. */
typedef enum PgesWork
{
	PGES_IMPORT,
	PGES_EXPORT,
	PGES_ARCHIVE,
	PGES_NUM_WORKS
} PgesWork;

/* What this process reports about its work. */
typedef struct PgesProgress
{
	PgesWork	work;
	Oid			store;
	TimestampTz started;
	bool		reporting;		/* false inside other reporting work */
} PgesProgress;

extern void pges_progress_begin(PgesProgress *progress, PgesWork work, Oid store);
extern void pges_progress_update(const PgesProgress *progress, int64 done, int64 skipped);
extern void pges_progress_end(const PgesProgress *progress);

#endif							/* PGES_PROGRESS_H */
