/*
 * worker_status.h
 *		What is recorded of the failures of a worker.
 */
#ifndef PGES_WORKER_STATUS_H
#define PGES_WORKER_STATUS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "base/own_table.h"

#define PGES_MAX_ERROR 500		/* bytes of an error that are recorded */

/* The row of a status table.  A time of 0 stands for null. */
typedef struct PgesWorkerStatus
{
	int32		failed_starts;	/* in a row */
	char		last_error[PGES_MAX_ERROR]; /* empty: none */
	TimestampTz last_error_at;
	TimestampTz next_start_at;	/* no session starts one before */
} PgesWorkerStatus;

extern const PgesOwnTable pges_notifier_status;

extern bool pges_read_status(const PgesOwnTable *table, PgesWorkerStatus *status);
extern bool pges_write_status(const PgesOwnTable *table, const PgesWorkerStatus *status);
extern void pges_set_error(PgesWorkerStatus *status, const char *error);

#endif							/* PGES_WORKER_STATUS_H */
