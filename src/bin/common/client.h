/*
 * client.h
 *		What the client programs share.
 *
 * The files call nothing of the programs:
 *		without_password.c	removes passwords from connection strings, for messages
 *		standard_descriptors.c	opens the standard descriptors that are closed
 *		cancel.c			lets SIGINT cancel the query that a server runs
 *		session.c			settings of a session
 *		bar.c				shows the progress of a part of the work
 *
 * The Makefile of each program compiles those that the program needs.
 */
#ifndef PGES_CLIENT_H
#define PGES_CLIENT_H

#include "postgres_fe.h"

#include <unistd.h>

#include "libpq-fe.h"
#include "pqexpbuffer.h"

/* without_password.c */
extern char *without_password(const char *value);

/* standard_descriptors.c */
extern bool descriptor_was_closed[STDERR_FILENO + 1];
extern void open_closed_descriptors(void);

/* cancel.c */
extern void cancel_on_sigint(void (*at_second) (int number));

/* session.c */
extern char *session_settings(const PGconn *conn);

/* bar.c */
extern double seconds_now(void);
extern void bar_begin(const char *verb, int64 done, double fraction);
extern void bar_show(int64 done, double fraction);
extern void bar_end(void);

#endif
