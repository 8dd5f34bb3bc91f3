/*
 * due.h
 *		What is due for the archive by a rule, for this room alone.
 */
#ifndef PGES_DUE_H
#define PGES_DUE_H

#include "postgres.h"

#include "store/store.h"

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

extern PgesRule pges_make_rule(int64 up_to);
extern void pges_set_rule_param(PgesRule *rule, PgesRuleParam param, Datum value);
extern int64 pges_count_due(const PgesStore *store, const PgesRule *rule);
extern bool pges_move_batch(const PgesStore *store, PgesRule *rule, int64 window,
							int64 max_count);

#endif							/* PGES_DUE_H */
