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

/* What the rows bring, and the row at hand. */
typedef struct PgesImportRow
{
	TupleDesc	desc;			/* of the rows */
	int			columns[PGES_NUM_COLUMNS];	/* their numbers; 0: there is none */
	int			event_column;
	int			line_column;
	Oid		   *types;			/* of the columns, below any domains */
	Datum	   *values;			/* of the row at hand */
	bool	   *nulls;
	int			reading;		/* the column that is being read, or 0 */
} PgesImportRow;

extern void pges_note_columns(PgesImportRow *row, TupleDesc desc);
extern void pges_read_row(PgesImportRow *row, HeapTuple tuple, PgesEvent *event, int64 *line);

#endif							/* PGES_IMPORT_ROW_H */
