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
	PgesSlot	slot;			/* its count is 0 unless the store is a slot */
} PgesNewStore;

extern Bitmapset *pges_index_argument(FunctionCallInfo fcinfo, int arg);
extern void pges_set_defaults(const PgesNewStore *store, const char *sequence);
extern void pges_create_table(const PgesNewStore *store);

/* in create_store.c */
extern char *pges_channel_argument(FunctionCallInfo fcinfo, int arg);
extern PgesNewStore pges_new_store_arguments(FunctionCallInfo fcinfo, int first, char **channel);
extern Oid	pges_ensure_store(PgesNewStore *store, char *schema, char *table, char *channel,
							  bool create_schema_if_missing);
extern bool pges_has_events(const PgesStore *store);
extern void pges_forget_store(Oid relid);

#endif							/* PGES_LIFECYCLE_H */
