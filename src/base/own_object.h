/*
 * own_object.h
 *		Finds the extension's own functions, and opens and writes its own tables.
 */
#ifndef PGES_OWN_OBJECT_H
#define PGES_OWN_OBJECT_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "storage/itemptr.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/* A column that the C code relies on. */
typedef struct PgesOwnColumn
{
	const char *name;
	Oid			type;			/* InvalidOid: a type of the extension */
} PgesOwnColumn;

/* A table in schema eventstore, and its first columns. */
typedef struct PgesOwnTable
{
	const char *name;
	int			ncolumns;
	PgesOwnColumn columns[24];
} PgesOwnTable;

#define PGES_OWN_MAX_PARAMS 16

#define PGES_OWN_MAX_TABLES 4

/*
 * A statement on tables of the extension, and its saved plan, which lives as long as the
 * backend.  All names in the text must be qualified.
 */
typedef struct PgesOwnStatement
{
	const PgesOwnTable *tables[PGES_OWN_MAX_TABLES];	/* all that the text
														 * names */
	bool		read_only;
	const char *sql;
	int			nparams;
	Oid			types[PGES_OWN_MAX_PARAMS];
	bool		active;			/* reads under the active snapshot */
	SPIPlanPtr	plan;			/* NULL before the first execution */
} PgesOwnStatement;

extern void pges_check_schema(void);
extern Oid	pges_function_oid(const char *name, int nargs, Oid *argtypes);
extern Oid	pges_own_type_oid(const char *name);
extern Oid	pges_own_table_oid(const PgesOwnTable *table, bool missing_ok);
extern Relation pges_try_open_own_table(const PgesOwnTable *table, LOCKMODE mode);
extern Relation pges_open_own_table(const PgesOwnTable *table, LOCKMODE mode);
extern uint64 pges_write_own_table(const PgesOwnTable *table, const char *statement,
								   int nargs, Oid *types, Datum *values, const char *nulls);

/* A function that is called with a row of a table; the row is valid during the call. */
typedef void (*PgesTakeRow) (HeapTuple row, TupleDesc desc, void *arg);

extern void pges_scan_own_rows(const PgesOwnTable *table, Datum key, PgesTakeRow take, void *arg);
extern bool pges_lock_own_row(Relation rel, ItemPointer tid, bool wait, TupleTableSlot *slot);
extern void pges_update_own_row(Relation rel, ItemPointer tid, HeapTuple row);
extern bool pges_is_own_table_empty(const PgesOwnTable *table);
extern uint64 pges_run_own_statement(PgesOwnStatement *statement, const Datum *values,
									 const bool *nulls);
extern uint64 pges_execute_own_statement(PgesOwnStatement *statement, const Datum *values,
										 const bool *nulls);

#endif							/* PGES_OWN_OBJECT_H */
