/*
 * progress.c
 *		Reports the progress of long work to other sessions.
 *
 * PostgreSQL keeps a few counters for each process, in which VACUUM and other commands
 * report progress.  PostgreSQL does not interpret the counters, so this file uses them
 * with a command number of its own.  If the work fails, PostgreSQL clears the counters.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/progress.h"

/* The number of our reports among the commands that report progress. */
#define COMMAND ((ProgressCommandType) 0x4553)

/* The counters. */
enum
{
	PARAM_WORK,
	PARAM_DONE,
	PARAM_SKIPPED,
	PARAM_STARTED
};

static const char *const work_names[PGES_NUM_WORKS] = {
	[PGES_IMPORT] = "import",
	[PGES_EXPORT] = "export",
	[PGES_ARCHIVE] = "archive",
};

/* Start a report whose counters are 0. */
static void
start_reporting(const PgesProgress *progress)
{
	const int	params[] = {PARAM_WORK, PARAM_STARTED};
	const int64 values[] = {progress->work, progress->started};

	pgstat_progress_start_command(COMMAND, progress->store);
	pgstat_progress_update_multi_param(lengthof(params), params, values);
}

/*
 * Begin to report work.  A process has only one report.  So inside a command that already
 * reports progress, such as COPY or another import, this work is not reported.
 */
void
pges_progress_begin(PgesProgress *progress, PgesWork work, Oid store)
{
	progress->work = work;
	progress->store = store;
	progress->started = GetCurrentTimestamp();
	progress->reporting = MyBEEntry && MyBEEntry->st_progress_command == PROGRESS_COMMAND_INVALID;
	if (progress->reporting)
		start_reporting(progress);
}

/*
 * Report how many events are done, and how many of these needed no work.  A command inside
 * this work, or a caught error in such a command, ends the report.  Then start the report
 * again.
 */
void
pges_progress_update(const PgesProgress *progress, int64 done, int64 skipped)
{
	const int	params[] = {PARAM_DONE, PARAM_SKIPPED};
	const int64 values[] = {done, skipped};

	if (!progress->reporting)
		return;
	if (MyBEEntry->st_progress_command != COMMAND)
		start_reporting(progress);
	pgstat_progress_update_multi_param(lengthof(params), params, values);
}

/* End the report. */
void
pges_progress_end(const PgesProgress *progress)
{
	if (progress->reporting)
		pgstat_progress_end_command();
}

/* Return the report of a process as a row; only its pid if the user may not see more. */
static void
return_work(ReturnSetInfo *rsinfo, const PgBackendStatus *status)
{
	const int64 *params = status->st_progress_param;
	Datum		values[6];
	bool		nulls[6] = {false};

	if (params[PARAM_WORK] < 0 || params[PARAM_WORK] >= PGES_NUM_WORKS)
		return;
	values[0] = Int32GetDatum(status->st_procpid);
	values[1] = ObjectIdGetDatum(status->st_progress_command_target);
	values[2] = CStringGetTextDatum(work_names[params[PARAM_WORK]]);
	values[3] = Int64GetDatum(params[PARAM_DONE]);
	values[4] = Int64GetDatum(params[PARAM_SKIPPED]);
	values[5] = TimestampTzGetDatum(params[PARAM_STARTED]);
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) &&
		!has_privs_of_role(GetUserId(), status->st_userid))
		memset(&nulls[1], true, sizeof(nulls) - sizeof(nulls[0]));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(pges_progress);

/* SQL: return what the processes of this database report. */
Datum
pges_progress(PG_FUNCTION_ARGS)
{
	int			n = pgstat_fetch_stat_numbackends();

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 1; i <= n; i++)
	{
		const PgBackendStatus *status = pges_backend_status_compat(i);

		if (status && status->st_progress_command == COMMAND && status->st_databaseid == MyDatabaseId)
			return_work((ReturnSetInfo *) fcinfo->resultinfo, status);
	}
	return (Datum) 0;
}
