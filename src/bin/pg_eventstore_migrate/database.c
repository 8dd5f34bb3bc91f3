/*
 * database.c
 *		Connections to databases, and the stores in them.
 */
#include "migrate.h"

#include "common/logging.h"
#include "fe_utils/cancel.h"
#include "fe_utils/string_utils.h"

/* Report why a query failed, and end the program. */
void
fail_query(const End *end, const PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	if (message != NULL)
		pg_log_error("%s: %s", end->name, message);
	else
		pg_log_error("%s: %s", end->name, PQerrorMessage(end->conn));
	if (detail != NULL)
		pg_log_error_detail("%s", detail);
	if (hint != NULL)
		pg_log_error_hint("%s", hint);
	exit(1);
}

/* See that a result is a good one. */
PGresult *
must(const End *end, PGresult *result)
{
	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
		case PGRES_COPY_IN:
		case PGRES_COPY_OUT:
			return result;
		default:
			fail_query(end, result);
	}
}

/* the session that runs a query which has not ended, or NULL */
static PGconn *busy;

/* Begin to run a query. */
void
begin_query(const End *end, const char *sql)
{
	stop_if_canceled();
	if (PQsendQuery(end->conn, sql) != 1)
		pg_fatal("%s: %s", end->name, PQerrorMessage(end->conn));
	busy = end->conn;
}

/* Wait for the end of a query, which a SIGINT may cancel; its result. */
PGresult *
end_query(const End *end)
{
	PGresult   *result;
	PGresult   *next;

	SetCancelConn(end->conn);
	result = PQgetResult(end->conn);
	while (result != NULL && (next = PQgetResult(end->conn)) != NULL)
		PQclear(next);
	ResetCancelConn();
	busy = NULL;
	return result;
}

/* Cancel the query that runs, so that it does not go on when the program has ended. */
void
cancel_query(void)
{
	PGcancel   *cancel = busy ? PQgetCancel(busy) : NULL;
	char		message[256];

	if (cancel == NULL)
		return;
	PQcancel(cancel, message, sizeof(message));
	PQfreeCancel(cancel);
	busy = NULL;
}

/* Run some SQL that a SIGINT may cancel. */
PGresult *
run(const End *end, const char *sql)
{
	PGresult   *result;

	stop_if_canceled();
	SetCancelConn(end->conn);
	result = PQexec(end->conn, sql);
	ResetCancelConn();
	return result;
}

/* The value that a query returns, or NULL; the program ends if it fails. */
char *
ask(const End *end, const char *sql)
{
	PGresult   *result = must(end, run(end, sql));
	char	   *value = NULL;

	if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
		value = pg_strdup(PQgetvalue(result, 0, 0));
	PQclear(result);
	return value;
}

/* The number that a query returns; 0 is for none, too. */
int64
ask_number(const End *end, const char *sql)
{
	char	   *value = ask(end, sql);
	int64		number = value ? strtoll(value, NULL, 10) : 0;

	pg_free(value);
	return number;
}

/*
 * Settings of the role or the database shall not end what takes long, nor change
 * what events mean.
 */
static void
set_session(const End *end)
{
	if (PQsetClientEncoding(end->conn, "UTF8") != 0)
		pg_fatal("%s", PQerrorMessage(end->conn));
	PQclear(must(end, run(end, "SET search_path = '';"
						  " SET client_min_messages = 'warning';"
						  " SET statement_timeout = 0;"
						  " SET lock_timeout = 0;"
						  " SET idle_in_transaction_session_timeout = 0;"
						  " SET default_transaction_read_only = off;"
						  " SET default_transaction_isolation = 'read committed';"
						  " SET timezone = 'UTC';"
						  " SET datestyle = 'ISO, MDY'")));
	if (PQserverVersion(end->conn) >= 140000)
		PQclear(must(end, run(end, "SET idle_session_timeout = 0")));
	if (PQserverVersion(end->conn) >= 170000)
		PQclear(must(end, run(end, "SET transaction_timeout = 0")));
}

/* Connect to the database of an end; a file is opened by its reader or writer. */
void
open_end(End *end)
{
	ConnParams	connection = options.connection;

	if (end->is_file)
		return;
	if (end->value != NULL)
		connection.dbname = pg_strdup(end->value);
	end->conn = connectDatabase(&connection, progname, false, false, false);
	end->name = psprintf("database \"%s\"", PQdb(end->conn));
	set_session(end);
}

/* The value that an option of a connection has in another one to the same server. */
static const char *
same_server(const End *end, const PQconninfoOption *option)
{
	/* of several servers the one that was reached */
	if (strcmp(option->keyword, "host") == 0)
		return PQhost(end->conn);
	if (strcmp(option->keyword, "hostaddr") == 0)
		return option->val ? PQhostaddr(end->conn) : NULL;
	if (strcmp(option->keyword, "port") == 0)
		return PQport(end->conn);
	if (strcmp(option->keyword, "password") == 0)
		return PQpass(end->conn);
	return option->val;
}

/* Connect once more, to the same server in the same way; false if that is not possible. */
bool
open_again(const End *end, End *again)
{
	PQconninfoOption *options_of_end = PQconninfo(end->conn);
	const char *keywords[100];
	const char *values[100];
	int			n = 0;

	if (options_of_end == NULL)
		pg_fatal("out of memory");
	for (PQconninfoOption *option = options_of_end; option->keyword && n < (int) lengthof(keywords) - 1; option++)
	{
		keywords[n] = option->keyword;
		values[n++] = same_server(end, option);
	}
	keywords[n] = values[n] = NULL;
	*again = *end;
	again->conn = PQconnectdbParams(keywords, values, false);
	PQconninfoFree(options_of_end);
	if (PQstatus(again->conn) != CONNECTION_OK)
	{
		if (!options.quiet)
			pg_log_info("goes on without a second session: %s", PQerrorMessage(again->conn));
		PQfinish(again->conn);
		again->conn = NULL;
		return false;
	}
	set_session(again);
	return true;
}

/* The first of these that was given. */
static const char *
first_given(const char *a, const char *b, const char *otherwise)
{
	return a ? a : b ? b : otherwise;
}

/* The store of an end, as SQL: where a source's is not named, it is as the target's. */
char *
store_name(const End *end)
{
	return pg_strdup(fmtQualifiedIdEnc(first_given(end->schema, options.target.schema, "eventstore"),
									   first_given(end->table, options.target.table, "events"),
									   PQclientEncoding(end->conn)));
}

/* The store of an end, as a literal of SQL. */
char *
store_literal(const End *end)
{
	PQExpBufferData literal;

	initPQExpBuffer(&literal);
	appendStringLiteralConn(&literal, store_name(end), end->conn);
	return literal.data;
}

/* Whether the extension is there. */
static bool
extension_exists(const End *end)
{
	return ask(end, "SELECT extname FROM pg_catalog.pg_extension"
			   " WHERE extname = 'pg_eventstore'") != NULL;
}

/* Whether the store of an end is there. */
bool
store_exists(const End *end)
{
	return extension_exists(end) &&
		ask(end, psprintf("SELECT 1 FROM eventstore.stores"
						  " WHERE store = pg_catalog.to_regclass(%s)",
						  store_literal(end))) != NULL;
}

/* Make something that is missing; whether it was not made by another meanwhile. */
static bool
make(const End *end, const char *sql, bool (*exists) (const End *end))
{
	PGresult   *result = run(end, sql);
	ExecStatusType status = PQresultStatus(result);
	bool		made = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

	if (!made && (PQtransactionStatus(end->conn) != PQTRANS_IDLE || !exists(end)))
		fail_query(end, result);
	PQclear(result);
	return made;
}

/*
 * Make the extension and the store, as far as they are missing.  The columns of a
 * new store are made as wide as the source needs them, but not those of the
 * default store: a dump of it could not be restored plainly.
 */
void
prepare_store(const End *end, const char *widening)
{
	bool		made = false;

	if (options.create_schema && !extension_exists(end))
		make(end, "CREATE EXTENSION pg_eventstore", extension_exists);
	if (!store_exists(end))
		made = make(end, psprintf("SELECT eventstore.create_store(%s, notifications => '%s',"
								  " create_schema_if_missing => %s)",
								  store_literal(end),
								  options.notifications ? "worker" : "off",
								  options.create_schema ? "true" : "false"), store_exists);
	if (made && widening != NULL)
		PQclear(must(end, run(end, psprintf("ALTER TABLE %s %s", store_name(end), widening))));
}

/* The archive of the store of an end, as SQL; NULL if it has none. */
char *
archive_name(const End *end)
{
	return ask(end, psprintf("SELECT archive FROM eventstore.archives"
							 " WHERE store = %s::pg_catalog.regclass AND archive IS NOT NULL",
							 store_literal(end)));
}

/* What tells a store from all others: when its server began, database, table. */
static char *
identity(const End *end)
{
	char	   *value = ask(end, psprintf("SELECT pg_catalog.concat_ws('/',"
										  " pg_catalog.pg_postmaster_start_time(),"
										  " (SELECT oid FROM pg_catalog.pg_database"
										  "   WHERE datname = pg_catalog.current_database()),"
										  " pg_catalog.to_regclass(%s)::oid)", store_literal(end)));

	Assert(value != NULL);
	return value;
}

/* Whether two ends are one and the same store. */
bool
same_store(const End *a, const End *b)
{
	return !a->is_file && !b->is_file && strcmp(identity(a), identity(b)) == 0;
}
