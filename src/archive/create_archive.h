/*
 * create_archive.h
 *		Creates the archive of a store, for this room alone.
 */
#ifndef PGES_CREATE_ARCHIVE_H
#define PGES_CREATE_ARCHIVE_H

#include "postgres.h"

#include "store/store.h"

extern Oid	pges_create_archive_of(const PgesStore *store, const char *name,
								   const char *tablespace, bool adopt);
extern void pges_check_can_be_archived(const PgesStore *store);

/* in archive_grant.c */
extern void pges_copy_privileges(const PgesStore *store, Oid archive, const char *name);

#endif							/* PGES_CREATE_ARCHIVE_H */
