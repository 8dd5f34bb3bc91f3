/*
 * problem.c
 *		Tells why a projection cannot run, for view projections.
 *
 * It does what a run does before its events: it takes the rights of the owner, looks up
 * the handler and opens the store, in a subtransaction that is rolled back.  The message of
 * the error is the problem.  So the view and the runs have the same reasons.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/act_as.h"
#include "base/subtransaction.h"
#include "delivery/delivery.h"
#include "projection/projection.h"
#include "subscription/subscription.h"

/* Begin a run as its owner; roll it back. */
static bool
try_to_begin(void *arg)
{
	PgesProjection *projection = arg;
	PgesIdentity user;

	pges_begin_handlers(&user, projection);
	pges_open_subscribed_store(projection->subscription);
	pges_become_again(&user);
	return false;
}

PG_FUNCTION_INFO_V1(pges_projection_problem);

/* SQL: return why a projection cannot run, or null. */
Datum
pges_projection_problem(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	PgesProjection *projection = pges_look_up_projection(name, true);
	ErrorData  *error;

	if (projection)
		projection->subscription = pges_look_up_subscription(name, false, true);
	if (projection == NULL || projection->subscription == NULL)
		PG_RETURN_NULL();
	error = pges_run_in_subtransaction(try_to_begin, projection);
	if (error == NULL)
		PG_RETURN_NULL();
	if (!pges_is_about_store(error->sqlerrcode))
		ReThrowError(error);
	PG_RETURN_TEXT_P(cstring_to_text(error->message));
}
