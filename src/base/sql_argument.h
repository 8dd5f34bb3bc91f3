/*
 * sql_argument.h
 *		Reads and checks the arguments of SQL functions.
 */
#ifndef PGES_SQL_ARGUMENT_H
#define PGES_SQL_ARGUMENT_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

extern void pges_require_trigger(FunctionCallInfo fcinfo, const char *name,
								 bool right_event, const char *tables,
								 const char *hint);
extern void pges_require_argument(FunctionCallInfo fcinfo, int arg,
								  const char *name);
extern bool pges_bool_argument(FunctionCallInfo fcinfo, int arg, bool if_null);
extern int64 pges_count_argument(FunctionCallInfo fcinfo, int arg, const char *name,
								 int64 if_null);
extern double pges_interval_seconds(const Interval *interval);
extern char *pges_text_argument(FunctionCallInfo fcinfo, int arg, const char *name);

#endif							/* PGES_SQL_ARGUMENT_H */
