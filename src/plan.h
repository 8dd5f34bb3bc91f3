/*
 * plan.h
 *		The cache of saved plans.
 */
#ifndef PGES_PLAN_H
#define PGES_PLAN_H

#include "postgres.h"

#include "executor/spi.h"
#include "tcop/dest.h"

#include "store.h"

#define PGES_MAX_PARAMS 11

/*
 * A statement on a store.  %1$s in its text stands for the store's name; all
 * other names are to be qualified, operators too, since a saved plan is parsed
 * again under whatever search_path its caller has.
 */
typedef struct PgesStatement
{
	const char *sql;
	int			nparams;
	Oid			types[PGES_MAX_PARAMS];
	bool		custom;			/* plan each execution for its parameters */
	bool		latest;			/* change what is there now, also in
								 * REPEATABLE READ; no parameter is null, no
								 * receiver */
} PgesStatement;

extern int	pges_execute(const PgesStore *store, const PgesStatement *statement,
						 const Datum *values, const bool *nulls, bool read_only,
						 DestReceiver *receiver);
extern bool pges_find_row(const PgesStore *store,
						  const PgesStatement *statement, const Datum *values);

#endif							/* PGES_PLAN_H */
