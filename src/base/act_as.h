/*
 * act_as.h
 *		Acts as another role temporarily.
 */
#ifndef PGES_ACT_AS_H
#define PGES_ACT_AS_H

#include "postgres.h"

/* The state that pges_become() changes, as it was before. */
typedef struct PgesIdentity
{
	Oid			user;
	int			sec_context;
	int			guc_nest_level;
} PgesIdentity;

extern void pges_become(PgesIdentity *saved, Oid role);
extern bool pges_act_as(PgesIdentity *saved, Oid owner);
extern void pges_become_again(const PgesIdentity *saved);

#endif							/* PGES_ACT_AS_H */
