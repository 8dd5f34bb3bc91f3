/*
 * subtransaction.h
 *		Runs a function in a subtransaction.
 */
#ifndef PGES_SUBTRANSACTION_H
#define PGES_SUBTRANSACTION_H

#include "postgres.h"

/* A function to run; if it returns false, its changes are rolled back. */
typedef bool (*PgesWork) (void *arg);

extern ErrorData *pges_run_in_subtransaction(PgesWork work, void *arg);

#endif							/* PGES_SUBTRANSACTION_H */
