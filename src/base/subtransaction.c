/*
 * subtransaction.c
 *		Runs a function in a subtransaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/subtransaction.h"

/*
 * Run a function in a subtransaction.  If the function returns false or raises an error,
 * roll the subtransaction back.  Return the error, or NULL.  The caller must pass an error
 * that it does not handle to ReThrowError().  No error leaves pges_run_in_subtransaction()
 * while the subtransaction is open, because the session would stay in the subtransaction.
 */
ErrorData *
pges_run_in_subtransaction(PgesWork work, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (work(arg))
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}
