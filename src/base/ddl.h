/*
 * ddl.h
 *		Runs DDL commands with a safe search path.
 */
#ifndef PGES_DDL_H
#define PGES_DDL_H

#include "postgres.h"

extern void pges_set_locally(const char *name, const char *value);
extern char *pges_procedure_name(Oid procedure);
extern int	pges_begin_ddl(void);
extern void pges_end_ddl(int nestlevel);
extern void pges_run_ddl(const char *command);
extern void pges_run_as(Oid role, const char *command);
extern void pges_comment_on(const char *object, const char *comment);
extern void pges_run_commands(const char *query, Oid relid, const char *name);

#endif							/* PGES_DDL_H */
