/*
 * notifier.h
 *		The notifier: a background worker that announces events, for this room alone.
 */
#ifndef PGES_NOTIFIER_H
#define PGES_NOTIFIER_H

#include "postgres.h"

#include "worker/worker.h"

extern PgesWorker pges_notifier;

PGDLLEXPORT void pges_notifier_main(Datum database);

#endif							/* PGES_NOTIFIER_H */
