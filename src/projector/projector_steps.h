/*
 * projector_steps.h
 *		The parts of the workers of projections, for this room alone.
 */
#ifndef PGES_PROJECTOR_STEPS_H
#define PGES_PROJECTOR_STEPS_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "projection/projection.h"
#include "worker/worker.h"

/* A store that has projections which workers run. */
typedef struct PgesProjectedStore
{
	Oid			relid;
	Oid			sequence;		/* InvalidOid: not known */
	int			projections;	/* number of them */
	int64		seen;			/* the mark of which the workers know; -1:
								 * none */
} PgesProjectedStore;

/* in projected_stores.c */
extern List *pges_projected_stores(void);
extern bool pges_is_projected(Oid store);
extern bool pges_has_no_projected_store(void);
extern int64 pges_projected_mark(PgesProjectedStore *store, bool *held_back);
extern uint64 pges_projected_generation(void);
extern void pges_projected_stores_init(void);

/* in record_failure.c */
extern int	pges_record_failure(const char *name, const PgesRun *run, const ErrorData *error, int failures);

/* in runner.c */
PGDLLEXPORT void pges_projector_main(Datum database);
extern PgesWorker pges_projectors[];
extern void pges_runner_init(void);

#endif							/* PGES_PROJECTOR_STEPS_H */
