/*
 * errors.h
 *		SQLSTATEs that pg_eventstore adds to PostgreSQL's own.
 *
 * Class 40 (transaction rollback) is what drivers map to a concurrency
 * failure.  40001 would invite a blind retry of the same expected version.
 */
#ifndef PGES_ERRORS_H
#define PGES_ERRORS_H

#define ERRCODE_PGES_VERSION_CONFLICT	MAKE_SQLSTATE('4','0','V','0','1')

#endif							/* PGES_ERRORS_H */
