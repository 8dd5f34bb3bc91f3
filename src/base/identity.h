/*
 * identity.h
 *		Acts as another role for a while.
 */
#ifndef PGES_IDENTITY_H
#define PGES_IDENTITY_H

#include "postgres.h"

/* The role of before, and what else pges_become() changed. */
typedef struct PgesIdentity
{
	Oid			user;
	int			sec_context;
	int			guc_nest_level;
} PgesIdentity;

extern void pges_become(PgesIdentity *saved, Oid role);
extern bool pges_act_as(PgesIdentity *saved, Oid owner);
extern void pges_become_again(const PgesIdentity *saved);

#endif							/* PGES_IDENTITY_H */
