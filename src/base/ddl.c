/*
 * ddl.c
 *		Runs DDL commands with a search path in which no other role can create objects.
 *
 * All names in a command are quoted.  Functions and operators are schema-qualified.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/regproc.h"

#include "base/act_as.h"
#include "base/ddl.h"

/* Change a setting until the current GUC nest level ends. */
void
pges_set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* Connect to SPI with a safe search path; return the nest level for pges_end_ddl(). */
int
pges_begin_ddl(void)
{
	int			nestlevel = NewGUCNestLevel();

	pges_set_locally("search_path", "pg_catalog, pg_temp");
	SPI_connect();
	return nestlevel;
}

/* Undo pges_begin_ddl(): disconnect from SPI, and restore the settings. */
void
pges_end_ddl(int nestlevel)
{
	SPI_finish();
	AtEOXact_GUC(false, nestlevel);
}

/* Run one DDL command; raise an error if the command is no utility command. */
void
pges_run_ddl(const char *command)
{
	if (SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not execute: %s", command);
}

/* Run one command with the rights of a role, and without notices. */
void
pges_run_as(Oid role, const char *command)
{
	PgesIdentity user;
	int			nestlevel;

	pges_become(&user, role);
	nestlevel = pges_begin_ddl();
	pges_set_locally("client_min_messages", "warning");
	if (SPI_execute(command, false, 0) < 0)
		elog(ERROR, "could not execute: %s", command);
	pges_end_ddl(nestlevel);
	pges_become_again(&user);
}

/* Set the comment of an object, which is named as in COMMENT ON. */
void
pges_comment_on(const char *object, const char *comment)
{
	pges_run_ddl(psprintf("COMMENT ON %s IS %s", object, quote_literal_cstr(comment)));
}

/*
 * Run the commands that a query returns.  Its parameters are the OID of a relation or
 * another object, $1, and a name, $2.
 */
void
pges_run_commands(const char *query, Oid relid, const char *name)
{
	Oid			types[] = {OIDOID, TEXTOID};
	Datum		values[] = {ObjectIdGetDatum(relid), CStringGetTextDatum(name)};
	SPITupleTable *commands;

	(void) SPI_execute_with_args(query, lengthof(types), types, values, NULL, false, 0);
	commands = SPI_tuptable;
	for (uint64 i = 0; i < commands->numvals; i++)
		pges_run_ddl(SPI_getvalue(commands->vals[i], commands->tupdesc, 1));
	SPI_freetuptable(commands);
}

/*
 * Return the name of a function with its schema and the types of its arguments, as it is
 * stored: it does not depend on a setting of the session.
 */
char *
pges_procedure_name(Oid procedure)
{
	int			nestlevel = NewGUCNestLevel();
	char	   *name;

	pges_set_locally("quote_all_identifiers", "off");
	name = format_procedure_qualified(procedure);
	AtEOXact_GUC(false, nestlevel);
	return name;
}
