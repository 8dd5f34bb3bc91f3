/*
 * archive.h
 *		Archives: where a store's old events go.
 */
#ifndef PGES_ARCHIVE_H
#define PGES_ARCHIVE_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "nodes/parsenodes.h"

#include "store/store.h"

/* What is due for the archive of a store by itself; see archive_link.c. */
typedef struct PgesRetention
{
	Interval   *max_age;		/* NULL: no such rule */
	int32		max_count;		/* of an aggregate; 0: no such rule */
} PgesRetention;

/* The parameters of a rule: what is due, from where on, and how much of it. */
typedef enum PgesRuleParam
{
	PGES_RULE_AFTER,			/* positions after this one */
	PGES_RULE_UP_TO,			/* and up to this one */
	PGES_RULE_BEFORE_TIME,		/* null: any */
	PGES_RULE_AGGREGATES,		/* null: any, and none */
	PGES_RULE_KEEP,				/* the newest of each aggregate; null: none */
	PGES_RULE_WINDOW,			/* look at so many; null: at all */
	PGES_RULE_LIMIT,			/* and move so many of them */
	PGES_RULE_NUM_PARAMS
} PgesRuleParam;

/* What is to be moved, and how far that has come. */
typedef struct PgesRule
{
	Datum		values[PGES_RULE_NUM_PARAMS];
	bool		nulls[PGES_RULE_NUM_PARAMS];
	int64		moved;			/* so many events are moved */
	int64		moved_before;	/* and so many before this pass */
	bool		waits;			/* in this pass, one stays that may go in the
								 * next */
} PgesRule;

/* in due.c */
extern PgesRule pges_make_rule(int64 up_to);
extern void pges_set_rule_param(PgesRule *rule, PgesRuleParam param, Datum value);
extern int64 pges_count_due(const PgesStore *store, const PgesRule *rule);
extern bool pges_move_batch(const PgesStore *store, PgesRule *rule, int64 window,
							int64 max_count);

/* in archive_link.c */
extern Oid	pges_find_archive(Oid store, bool *is_new);
extern bool pges_is_archive(Relation rel);
extern PgesRetention pges_read_retention(Oid archive);
extern void pges_create_link(const char *archive, const char *store);
extern void pges_write_retention(const char *archive, const PgesRetention *retention);

/* in archive_hold.c */
extern int64 pges_lowest_hold(Oid store);
extern void pges_forget_holds(Oid store);

/* in create_archive.c */
extern void pges_run_commands(const char *query, Oid relid, const char *archive);
extern const PgesStore *pges_lock_archiving(Oid relid);
extern Oid	pges_create_archive_of(const PgesStore *store, const char *name,
								   const char *tablespace, bool adopt);
extern void pges_check_can_be_archived(const PgesStore *store);

/* in archive_grant.c */
extern void pges_copy_privileges(const PgesStore *store, Oid archive, const char *name);
extern void pges_check_archive_privilege(const PgesStore *store, AclMode privilege);
extern void pges_check_archive_owner(const PgesStore *store);

#endif							/* PGES_ARCHIVE_H */
