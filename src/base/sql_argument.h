/*
 * sql_argument.h
 *		Arguments of SQL functions.
 */
#ifndef PGES_SQL_ARGUMENT_H
#define PGES_SQL_ARGUMENT_H

#include "postgres.h"

#include "fmgr.h"

extern void pges_require_trigger(FunctionCallInfo fcinfo, const char *name,
								 bool right_event);
extern void pges_require_argument(FunctionCallInfo fcinfo, int arg,
								  const char *name);

extern char *pges_text_argument(FunctionCallInfo fcinfo, int arg, const char *name);

#endif							/* PGES_SQL_ARGUMENT_H */
