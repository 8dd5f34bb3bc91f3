/*
 * projector.h
 *		Door of the room "projector": the background workers that run projections.
 *
 * pg_eventstore.c calls it.  The head of coordinator.c describes who starts the workers,
 * that of runner.c what they do.
 */
#ifndef PGES_PROJECTOR_H
#define PGES_PROJECTOR_H

#include "postgres.h"

extern void pges_projector_init(void);

#endif							/* PGES_PROJECTOR_H */
