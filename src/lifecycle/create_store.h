/*
 * create_store.h
 *		Creating the parts of a store.
 */
#ifndef PGES_CREATE_STORE_H
#define PGES_CREATE_STORE_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/bitmapset.h"

#include "store/store.h"

/* What create_store() is to create. */
typedef struct PgesNewStore
{
	char	   *schema;
	char	   *table;
	char	   *qualified_name;
	PgesNotifications notifications;
	char	   *channel;
	Bitmapset  *indexes;		/* which of those in create_table.c */
} PgesNewStore;

extern int	pges_begin_ddl(void);
extern void pges_end_ddl(int nestlevel);
extern void pges_run_ddl(const char *command);
extern void pges_comment_on(const char *object, const char *comment);
extern Bitmapset *pges_index_argument(FunctionCallInfo fcinfo, int arg);
extern void pges_set_defaults(const PgesNewStore *store, const char *sequence);
extern void pges_create_table(const PgesNewStore *store);

/* in create_store.c */
extern void pges_create_immutability_triggers(const char *table);
extern const PgesStore *pges_own_store(Oid relid);

#endif							/* PGES_CREATE_STORE_H */
