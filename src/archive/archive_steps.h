/*
 * archive_steps.h
 *		Rules that say which events are due for the archive, and the creation of archives,
 *		for this room alone.
 */
#ifndef PGES_ARCHIVE_STEPS_H
#define PGES_ARCHIVE_STEPS_H

#include "postgres.h"

#include "store/store.h"

/* The parameters of a rule: conditions, and how many events to look at and to move. */
typedef enum PgesRuleParam
{
	PGES_RULE_AFTER,			/* only positions after this one */
	PGES_RULE_UP_TO,			/* only positions up to this one */
	PGES_RULE_BEFORE_TIME,		/* null: any time */
	PGES_RULE_AGGREGATES,		/* null: all, also events without one */
	PGES_RULE_KEEP,				/* newest per aggregate to keep; null: none */
	PGES_RULE_WINDOW,			/* events to look at; null: all */
	PGES_RULE_LIMIT,			/* events to move at most */
	PGES_RULE_NUM_PARAMS
} PgesRuleParam;

/* A rule, and the progress of the moves by the rule. */
typedef struct PgesRule
{
	const char *name;			/* of a rule of the retention, or NULL */
	Datum		values[PGES_RULE_NUM_PARAMS];
	bool		nulls[PGES_RULE_NUM_PARAMS];
	int64		moved;			/* events moved so far */
	int64		moved_before;	/* events moved before this pass */
	bool		waits;			/* this pass has met an event that stays, but
								 * may move in the next pass */
} PgesRule;

/* in due.c */
extern PgesRule pges_make_rule(const char *name, int64 up_to);
extern void pges_set_rule_param(PgesRule *rule, PgesRuleParam param, Datum value);
extern int64 pges_count_due(const PgesStore *store, const PgesRule *rule);
extern bool pges_move_batch(const PgesStore *store, PgesRule *rule, int64 window,
							int64 max_count);

/* in retention.c */
extern int	pges_retention_rules(const PgesStore *store, int64 limit, PgesRule rules[2]);

/* in create_archive.c */
extern Oid	pges_create_archive_of(const PgesStore *store, const char *name,
								   const char *tablespace, bool adopt);
extern void pges_check_can_be_archived(const PgesStore *store);
extern void pges_check_widths(const PgesStore *store);

/* in archive_grant.c */
extern void pges_copy_privileges(const PgesStore *store, Oid archive, const char *name);

#endif							/* PGES_ARCHIVE_STEPS_H */
