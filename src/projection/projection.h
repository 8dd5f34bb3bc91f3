/*
 * projection.h
 *		Door of the room "projection": projections, whose handlers the server calls with
 *		the events of a store.
 *
 * pg_eventstore.c and the room "lifecycle" call it.  The head of run.c describes how a
 * projection runs.
 */
#ifndef PGES_PROJECTION_H
#define PGES_PROJECTION_H

#include "postgres.h"

extern void pges_projection_init(void);
extern void pges_forget_projections(Oid store);

#endif							/* PGES_PROJECTION_H */
