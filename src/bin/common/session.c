/*
 * session.c
 *		The settings of a session.
 */
#include "client.h"

/*
 * Return the SQL that overrides settings that could abort long statements or change the
 * meaning of events.
 */
char *
session_settings(const PGconn *conn)
{
	return psprintf("SET client_encoding = 'UTF8';"
					" SET search_path = '';"
					" SET client_min_messages = 'warning';"
					" SET statement_timeout = 0;"
					" SET lock_timeout = 0;"
					" SET idle_in_transaction_session_timeout = 0;"
					" SET default_transaction_read_only = off;"
					" SET default_transaction_isolation = 'read committed';"
					" SET timezone = 'UTC';"
					" SET datestyle = 'ISO, MDY';"
					" SET intervalstyle = 'postgres';"
					" SET extra_float_digits = 3%s%s",
					PQserverVersion(conn) >= 140000 ? "; SET idle_session_timeout = 0" : "",
					PQserverVersion(conn) >= 170000 ? "; SET transaction_timeout = 0" : "");
}
