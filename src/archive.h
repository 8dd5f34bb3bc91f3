/*
 * archive.h
 *		Archives: where a store's old events go.
 */
#ifndef PGES_ARCHIVE_H
#define PGES_ARCHIVE_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "store.h"

/* A row of eventstore.archives. */
typedef struct PgesArchiveRow
{
	Oid			store;
	Oid			archive;		/* InvalidOid: none yet */
	Interval   *max_age;		/* NULL: no such rule */
	int32		max_count;		/* of an aggregate; 0: no such rule */
	bool		is_new;			/* written by this transaction */
} PgesArchiveRow;

/* in archive_table.c */
extern bool pges_read_archive_row(Oid store, PgesArchiveRow *row);
extern void pges_write_archive_row(const PgesArchiveRow *row);
extern void pges_forget_archive(Oid store);
extern bool pges_is_archive(Oid relid);
extern int64 pges_lowest_hold(Oid store);

/* in archive_ddl.c */
extern void pges_lock_archiving(const PgesStore *store);
extern Oid	pges_create_archive_of(const PgesStore *store, const char *name,
								   const char *tablespace, bool adopt);
extern void pges_check_can_be_archived(const PgesStore *store);

#endif							/* PGES_ARCHIVE_H */
