/*
 * argument.h
 *		Arguments of SQL functions.
 */
#ifndef PGES_ARGUMENT_H
#define PGES_ARGUMENT_H

#include "postgres.h"

#include "fmgr.h"

extern void pges_require_argument(FunctionCallInfo fcinfo, int arg,
								  const char *name);

#endif							/* PGES_ARGUMENT_H */
