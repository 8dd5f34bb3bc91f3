/*
 * worker.h
 *		Door of the room "worker": background workers that are started when there is work
 *		for them, and the rows that record their failures.
 *
 * Room notify calls it.  The protocol and its proof are in worker.c.
 */
#ifndef PGES_WORKER_H
#define PGES_WORKER_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "postmaster/bgworker.h"
#include "storage/proc.h"

#include "base/own_object.h"

#define PGES_LINGER_MS 1000		/* after which an idle worker ends */

/*
 * A kind of worker, and the last worker that this session has found.  At most one worker
 * of a kind works in a database.
 */
typedef struct PgesWorker
{
	const char *name;
	const char *function;		/* its entry point; gets the database's OID */
	const char *without;		/* what happens while none runs */
	uint16		lock_class;		/* field4 of its lock tags */
	uint32		number;			/* field2 of its lock tags; the entry point
								 * gets it, too */
	const PgesOwnTable *status; /* table of failures, see worker_status.c */
	uint64		message;		/* to the worker that this process starts; the
								 * entry point gets it, too */

	/* the worker that was found last, valid while proc->pid equals pid */
	PGPROC	   *proc;
	int			pid;
	TimestampTz paused_until;	/* no start by this session before */
	BackgroundWorkerHandle *starting;	/* started by this session for others,
										 * and not seen to be ready; may be
										 * NULL */
} PgesWorker;

/* Why a session needs the worker. */
typedef enum PgesWorkerNeed
{
	PGES_NUDGE,					/* wanted, not needed: a short wait, and a
								 * failure is logged at DEBUG1 only */
	PGES_REQUIRE,				/* needed; a failure cannot be recorded */
	PGES_REQUIRE_AND_WRITE,		/* needed; a failure is recorded */
	PGES_START					/* the caller starts it for others: as
								 * PGES_NUDGE, but a failure is recorded */
} PgesWorkerNeed;

#define PGES_MAX_ERROR 500		/* size of a recorded error, in bytes */

/* The row of a status table.  A time of 0 stands for null. */
typedef struct PgesWorkerStatus
{
	int32		failed_starts;	/* in a row */
	char		last_error[PGES_MAX_ERROR]; /* empty: none */
	TimestampTz last_error_at;
	TimestampTz next_start_at;	/* no session starts a worker before */
} PgesWorkerStatus;

/* For sessions that need the worker. */
extern bool pges_ensure_worker(PgesWorker *worker, PgesWorkerNeed need);
extern void pges_wake_worker(const PgesWorker *worker);
extern bool pges_clear_status(const PgesWorker *worker);

/* For the worker, and for a process that starts the workers of other databases. */
extern void pges_describe_worker(BackgroundWorker *bgw, const char *name, const char *function);
extern bool pges_register_worker(const PgesWorker *worker, Oid database, pid_t notify_pid,
								 BackgroundWorkerHandle **handle);
extern bool pges_take_lease(const PgesWorker *worker);
extern void pges_release_lease(const PgesWorker *worker);
extern void pges_keep_lease(const PgesWorker *worker);
extern bool pges_renew_lease(const PgesWorker *worker);
extern bool pges_lock_start(const PgesWorker *worker, bool wait);
extern int	pges_pause_ms(int failed_starts);

/* in worker_process.c */
extern bool pges_begin_worker(PgesWorker *worker, Datum database, bool (*has_work) (void));
extern void pges_set_interruptible(bool interruptible);
extern bool pges_is_worker_terminated(void);
extern bool pges_may_have_work(bool (*has_work) (void));
extern bool pges_try_to_leave(PgesWorker *worker, bool (*has_work) (void));
extern void pges_end_worker(void);
extern bool pges_is_database_going(void);
extern void pges_rest(int ms);
extern bool pges_wait_for_wake(const char *activity, int timeout);

/* in worker_status.c */
extern const PgesOwnTable pges_notifier_status;
extern const PgesOwnTable pges_projector_status;

extern bool pges_read_status(const PgesOwnTable *table, PgesWorkerStatus *status);
extern bool pges_write_status(const PgesOwnTable *table, const PgesWorkerStatus *status);
extern void pges_set_error(PgesWorkerStatus *status, const char *error);

#endif							/* PGES_WORKER_H */
