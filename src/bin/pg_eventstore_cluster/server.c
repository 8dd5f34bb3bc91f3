/*
 * server.c
 *		Connects to a node or a front, and runs queries.
 */
#include "cluster.h"

#include "common/logging.h"
#include "fe_utils/cancel.h"
#include "fe_utils/string_utils.h"

/* Return the first line of an error message, without its prefix. */
static char *
plain_message(const char *message)
{
	if (strncmp(message, "ERROR:  ", 8) == 0 || strncmp(message, "FATAL:  ", 8) == 0)
		message += 8;
	return pnstrdup(message, strcspn(message, "\r\n"));
}

/* Return the message of the error of a query, or of the connection. */
char *
result_message(Server *server, const PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	return plain_message(message ? message : PQerrorMessage(server->conn));
}

/* Report the error of a query, or of the connection, and end the program. */
void
fail_query(Server *server, const PGresult *result)
{
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	pg_log_error("%s: %s", server->label, result_message(server, result));
	if (detail != NULL)
		pg_log_error_detail("%s", detail);
	if (hint != NULL)
		pg_log_error_hint("%s", hint);
	exit(1);
}

/* Run SQL, and return its result.  SIGINT cancels it. */
PGresult *
try_query(Server *server, const char *sql)
{
	PGresult   *result;

	stop_if_canceled();
	SetCancelConn(server->conn);
	result = PQexec(server->conn, sql);
	ResetCancelConn();
	return result;
}

/* Run SQL, and return its result; if it fails, end the program. */
PGresult *
run_query(Server *server, const char *sql)
{
	PGresult   *result = try_query(server, sql);

	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
		case PGRES_COPY_IN:
		case PGRES_COPY_OUT:
			return result;
		default:
			fail_query(server, result);
	}
}

static char *format(const char *fmt, va_list args) pg_attribute_printf(1, 0);

/* Return a formatted text. */
static char *
format(const char *fmt, va_list args)
{
	size_t		size = 128;

	for (;;)
	{
		char	   *text = pg_malloc(size);
		va_list		copy;
		size_t		needed;

		va_copy(copy, args);
		needed = pvsnprintf(text, size, fmt, copy);
		va_end(copy);
		if (needed < size)
			return text;

		pg_free(text);
		size = needed;
	}
}

/* Run SQL whose result is not of interest; if it fails, end the program. */
void
run_command(Server *server, const char *fmt,...)
{
	va_list		args;
	char	   *sql;

	va_start(args, fmt);
	sql = format(fmt, args);
	va_end(args);
	PQclear(run_query(server, sql));
	pg_free(sql);
}

/* Return the first value of a query; NULL if it is null or there is no row. */
static char *
value_of(Server *server, const char *sql)
{
	PGresult   *result = run_query(server, sql);
	char	   *value = NULL;

	if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
		value = pg_strdup(PQgetvalue(result, 0, 0));
	PQclear(result);
	return value;
}

/* Return the first value of a query; NULL if it is null or there is no row. */
char *
query_value(Server *server, const char *fmt,...)
{
	va_list		args;
	char	   *sql;
	char	   *value;

	va_start(args, fmt);
	sql = format(fmt, args);
	va_end(args);
	value = value_of(server, sql);
	pg_free(sql);
	return value;
}

/* Return the number that a query returns; 0 if it is null or there is no row. */
int64
query_number(Server *server, const char *fmt,...)
{
	va_list		args;
	char	   *sql;
	char	   *value;

	va_start(args, fmt);
	sql = format(fmt, args);
	va_end(args);
	value = value_of(server, sql);
	pg_free(sql);
	return value ? strtoll(value, NULL, 10) : 0;
}

/* Return a text as an SQL literal. */
char *
literal(Server *server, const char *text)
{
	PQExpBufferData buffer;

	initPQExpBuffer(&buffer);
	appendStringLiteralConn(&buffer, text, server->conn);
	return buffer.data;
}

/* Return a text as a quoted SQL identifier. */
char *
identifier(Server *server, const char *text)
{
	char	   *quoted = PQescapeIdentifier(server->conn, text, strlen(text));

	if (quoted == NULL)
		fail_query(server, NULL);
	return quoted;
}

/* Prepare a new connection.  Set server->problem if it cannot be used. */
static void
begin_session(Server *server)
{
	/*
	 * If this program disappears, its locks must not last for hours.  The
	 * start of the server is part of the identity because a clone has the
	 * same system identifier.
	 */
	static const char *const after[] = {
		/*
		 * a commit that a crash loses could leave a slot on two nodes, or on
		 * none
		 */
		"DO $$ BEGIN IF pg_catalog.current_setting('synchronous_commit') IN ('off', 'local') THEN"
		" SET synchronous_commit = 'on'; END IF; END $$",
		"SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3",
		"SELECT pg_catalog.concat_ws('/', (SELECT system_identifier FROM pg_catalog.pg_control_system()),"
		" pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()), oid),"
		" (SELECT extversion FROM pg_catalog.pg_extension"
		"   WHERE extname IN ('pg_eventstore', 'pg_eventstore_front') ORDER BY 1 LIMIT 1)"
		" FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
	};
	PGresult   *result = try_query(server, session_settings(server->conn));

	for (int i = 0; i < lengthof(after) && PQresultStatus(result) == PGRES_COMMAND_OK; i++)
	{
		PQclear(result);
		result = try_query(server, after[i]);
	}
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		server->problem = result_message(server, result);
	else
	{
		server->identity = pg_strdup(PQgetvalue(result, 0, 0));
		server->version = PQgetisnull(result, 0, 1) ? NULL : pg_strdup(PQgetvalue(result, 0, 1));
	}
	PQclear(result);
}

/*
 * Connect to a server.  Return false and set server->problem if it cannot be used.  The
 * connection string overrides the values before it, and is overridden by those after it.
 */
bool
connect_server(Server *server)
{
	const char *keywords[] = {"user", "connect_timeout", "tcp_user_timeout",
		"keepalives_idle", "keepalives_interval", "keepalives_count",
	"dbname", "fallback_application_name", "client_encoding", NULL};
	const char *values[] = {options.username, getenv("PGCONNECT_TIMEOUT") ? NULL : "10", "30000",
	"15", "5", "3", server->conninfo, progname, "UTF8", NULL};

	server->problem = NULL;
	server->conn = PQconnectdbParams(keywords, values, true);
	if (PQstatus(server->conn) == CONNECTION_OK)
		begin_session(server);
	else
		server->problem = plain_message(PQerrorMessage(server->conn));
	if (server->problem == NULL)
		return true;
	disconnect_server(server);
	return false;
}

/* Close the connection to a server, if there is one. */
void
disconnect_server(Server *server)
{
	PQfinish(server->conn);
	server->conn = NULL;
}

/* Return whether the role of a connection is a superuser. */
bool
require_superuser(Server *server)
{
	if (query_value(server, "SELECT 1 FROM pg_catalog.pg_roles"
					" WHERE rolname = current_user AND rolsuper") != NULL)
		return true;
	pg_log_error("%s: role \"%s\" is not a superuser", server->label, PQuser(server->conn));
	pg_log_error_hint("Give the name of a superuser by option --username, or in the connection string.");
	return false;
}

/* Return the value of a connection option with which another program reaches the server. */
static const char *
value_to_reach(const Server *server, const PQconninfoOption *option)
{
	/* if several servers are named, the one that was reached */
	if (strcmp(option->keyword, "host") == 0)
		return PQhost(server->conn);
	if (strcmp(option->keyword, "hostaddr") == 0)
		return option->val ? PQhostaddr(server->conn) : NULL;
	if (strcmp(option->keyword, "port") == 0)
		return PQport(server->conn);
	/* a command line can be read by others */
	if (strcmp(option->keyword, "password") == 0)
		return NULL;
	return option->val;
}

/* Return a connection string, without the password, for another program. */
char *
conninfo_to_reach(Server *server)
{
	PQconninfoOption *all = PQconninfo(server->conn);
	PQExpBufferData text;

	if (all == NULL)
		pg_fatal("out of memory");
	initPQExpBuffer(&text);
	for (PQconninfoOption *option = all; option->keyword; option++)
	{
		const char *value = value_to_reach(server, option);

		if (value == NULL || *value == '\0')
			continue;
		appendPQExpBuffer(&text, "%s%s=", text.len > 0 ? " " : "", option->keyword);
		appendConnStrVal(&text, value);
	}
	PQconninfoFree(all);
	return text.data;
}
