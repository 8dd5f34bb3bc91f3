/*
 * read.h
 *		Door of the room "read": what functions that read events share.
 *
 * The room has the SQL functions that return events.  The rooms "snapshot",
 * "subscription", "delivery", "archive" and "transfer" call this door.  The head of reader.c describes
 * the protocol of a read.
 */
#ifndef PGES_READ_H
#define PGES_READ_H

#include "postgres.h"

#include "fmgr.h"

#include "store/store.h"
#include "table/table.h"

/* The parameters of a statement, added one after another. */
typedef struct PgesParams
{
	Datum		values[PGES_MAX_PARAMS];
	bool		nulls[PGES_MAX_PARAMS];
	int			n;
} PgesParams;

#define PGES_MAX_WAIT_MS 60000	/* longest wait for events */
#define PGES_MAX_NAP_MS 20		/* longest interval between two reads of the
								 * high-water mark */

/* in read_log.c: parameters after, mark, limit; with filters also the two arrays of types */
extern const PgesStatement *const pges_read_forwards;
extern const PgesStatement *pges_statement_forwards(const PgesStore *store,
													const PgesParams *params,
													int64 positions);
extern int64 pges_timeout_argument(FunctionCallInfo fcinfo, int arg);
extern void pges_nap(long ms);

/* in read_support.c */
extern double pges_rows_of_table(Oid relid);

/* in reader.c */
extern void pges_catch_up(const PgesStore *store, int64 mark);
extern void pges_note_read(void);
extern TransactionId pges_first_read_xmin(void);
extern int64 pges_mark_to_read(const PgesStore *store);
extern void pges_check_given(const PgesStore *store, int64 position);
extern int64 pges_mark_after(const PgesStore *store, int64 after);
extern void pges_flush_wal(void);
extern void pges_add_param(PgesParams *params, Datum value, bool isnull);
extern void pges_add_max_count(PgesParams *params, FunctionCallInfo fcinfo, int arg);
extern PgesScope pges_scope_to_read(const PgesStore **store, bool include_archived);
extern Datum pges_return_events(FunctionCallInfo fcinfo,
								const PgesStore *store, bool include_archived,
								const PgesStatement *statement,
								const PgesParams *params);

#endif							/* PGES_READ_H */
