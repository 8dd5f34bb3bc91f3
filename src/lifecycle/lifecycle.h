/*
 * lifecycle.h
 *		Shared by the files that create and alter stores, for this room alone.
 */
#ifndef PGES_LIFECYCLE_H
#define PGES_LIFECYCLE_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/bitmapset.h"

#include "store/store.h"

/* The store that create_store() is to create. */
typedef struct PgesNewStore
{
	char	   *schema;
	char	   *table;
	char	   *qualified_name;
	PgesNotifications notifications;
	char	   *channel;
	Bitmapset  *indexes;		/* numbers of indexes in create_table.c */
} PgesNewStore;

extern Bitmapset *pges_index_argument(FunctionCallInfo fcinfo, int arg);
extern void pges_set_defaults(const PgesNewStore *store, const char *sequence);
extern void pges_create_table(const PgesNewStore *store);

/* in create_store.c */
extern char *pges_channel_argument(FunctionCallInfo fcinfo, int arg);
extern bool pges_has_events(const PgesStore *store);
extern void pges_forget_store(Oid relid);

#endif							/* PGES_LIFECYCLE_H */
