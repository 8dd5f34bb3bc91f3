/*
 * act_as.c
 *		Acts as another role temporarily.
 *
 * The protocol is that of PostgreSQL's src/backend/utils/init/usercontext.c.  The session
 * takes the rights of the role in a security restricted operation, and in a nest level of
 * settings that is rolled back.  So code that belongs to the role (a trigger, an index
 * expression) can neither keep the rights nor change the state of the session.  After an
 * error, the abort of the (sub)transaction restores both.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/act_as.h"

/* Take the rights of a role until pges_become_again(). */
void
pges_become(PgesIdentity *saved, Oid role)
{
	GetUserIdAndSecContext(&saved->user, &saved->sec_context);
	SetUserIdAndSecContext(role, saved->sec_context |
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	saved->guc_nest_level = NewGUCNestLevel();
}

/*
 * Take the rights of the owner of an object, if the user is a superuser and the owner is
 * not.  Return true if so; the caller must then call pges_become_again().  When the
 * owner's rows are read or written, the owner's triggers, index expressions, policies and
 * constraints run.  This code must not gain the rights of the superuser.
 */
bool
pges_act_as(PgesIdentity *saved, Oid owner)
{
	Oid			user = GetUserId();

	if (owner == user || !superuser_arg(user) || superuser_arg(owner))
		return false;
	pges_become(saved, owner);
	return true;
}

/* Restore the rights and settings from before pges_become(). */
void
pges_become_again(const PgesIdentity *saved)
{
	AtEOXact_GUC(false, saved->guc_nest_level);
	SetUserIdAndSecContext(saved->user, saved->sec_context);
}
