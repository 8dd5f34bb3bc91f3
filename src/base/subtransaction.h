/*
 * subtransaction.h
 *		Runs a function in a subtransaction.
 */
#ifndef PGES_SUBTRANSACTION_H
#define PGES_SUBTRANSACTION_H

#include "postgres.h"

/* What to run; returns false to have it rolled back. */
typedef bool (*PgesWork) (void *arg);

extern ErrorData *pges_run_in_subtransaction(PgesWork work, void *arg);

#endif							/* PGES_SUBTRANSACTION_H */
