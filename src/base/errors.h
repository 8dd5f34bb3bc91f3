/*
 * errors.h
 *		SQLSTATEs that pg_eventstore adds to those of PostgreSQL.
 *
 * Drivers map class 40 (transaction rollback) to a concurrency failure.  40001
 * would invite clients to retry blindly with an unchanged expected version.
 */
#ifndef PGES_ERRORS_H
#define PGES_ERRORS_H

#define ERRCODE_PGES_VERSION_CONFLICT	MAKE_SQLSTATE('4','0','V','0','1')

/* Class 22 (data exception): drivers do not retry or reconnect. */
#define ERRCODE_PGES_BEYOND_LOG			MAKE_SQLSTATE('2','2','V','0','1')
#define ERRCODE_PGES_LEASE_LOST			MAKE_SQLSTATE('2','2','V','0','2')

#endif							/* PGES_ERRORS_H */
