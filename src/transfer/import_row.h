/*
 * import_row.h
 *		Reads events from the rows of an import, for this room alone.
 */
#ifndef PGES_IMPORT_ROW_H
#define PGES_IMPORT_ROW_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

#include "event/event.h"

/* The columns of the rows, and the current row. */
typedef struct PgesImportRow
{
	TupleDesc	desc;			/* of the rows */
	int			columns[PGES_NUM_COLUMNS];	/* their numbers; 0: none */
	int			event_column;
	int			line_column;
	Oid		   *types;			/* of the columns; base types of domains */
	Datum	   *values;			/* of the current row */
	bool	   *nulls;
	int			reading;		/* number of the column being read, or 0 */
} PgesImportRow;

extern void pges_note_columns(PgesImportRow *row, TupleDesc desc);
extern void pges_read_row(PgesImportRow *row, HeapTuple tuple, PgesEvent *event, int64 *line);

#endif							/* PGES_IMPORT_ROW_H */
