/*
 * database.c
 *		Connects to databases, runs queries, and finds and creates stores.
 */
#include "migrate.h"

#include "common/logging.h"
#include "fe_utils/cancel.h"
#include "fe_utils/string_utils.h"

/* Return the position in an error's context, "exporting the event at position 7 of", or NULL. */
const char *
position_in_context(const PGresult *result)
{
	static const char words[] = "exporting the event at position ";
	const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
	const char *at = context ? strstr(context, words) : NULL;

	return at ? pnstrdup(at + strlen(words), strspn(at + strlen(words), "-0123456789")) : NULL;
}

/*
 * Return the place of an error in the text of an event: the context lines that
 * precede the line of the import, such as the place in JSON.  Return NULL if
 * there are none.
 */
static char *
place_in_event(const PGresult *result)
{
	const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
	const char *event = context ? strstr(context, "\nimporting event ") : NULL;

	return event ? pnstrdup(context, event - context) : NULL;
}

/* Report the error of a query, or of the connection, and end the program. */
void
fail_query(const End *end, const PGresult *result)
{
	const char *position = position_in_context(result);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *place = place_in_event(result);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	pg_log_error("%s: %s%s%s%s", end->name, position ? "position " : "", position ? position : "",
				 position ? ": " : "", message ? message : PQerrorMessage(end->conn));
	if (detail != NULL)
		pg_log_error_detail("%s", detail);
	if (place != NULL)
		pg_log_error_detail("%s", place);
	if (hint != NULL)
		pg_log_error_hint("%s", hint);
	exit(1);
}

/* Return a successful result; report any other as fail_query() does. */
PGresult *
check_result(const End *end, PGresult *result)
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

/* The connection of begin_query() until end_query(), otherwise NULL. */
static PGconn *busy;

/* Send a query.  end_query() returns its result. */
void
begin_query(const End *end, const char *sql)
{
	stop_if_canceled();
	if (PQsendQuery(end->conn, sql) != 1)
		fail_query(end, NULL);
	busy = end->conn;
}

/* Wait for the end of a query or COPY, and return its result.  SIGINT cancels it. */
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
	if (busy == end->conn)
		busy = NULL;
	return result;
}

/* Cancel the query of begin_query(), so that it does not outlive the program. */
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

/* If SIGINT was received, cancel the query and end the program. */
void
stop_if_canceled(void)
{
	if (!CancelRequested)
		return;
	cancel_query();
	pg_fatal("canceled");
}

/* Run SQL, and return its result.  SIGINT cancels it. */
PGresult *
run_query(const End *end, const char *sql)
{
	PGresult   *result;

	stop_if_canceled();
	SetCancelConn(end->conn);
	result = PQexec(end->conn, sql);
	ResetCancelConn();
	return result;
}

/* Run SQL that returns no rows; if it fails, end the program. */
void
run_command(const End *end, const char *sql)
{
	PQclear(check_result(end, run_query(end, sql)));
}

/* Return the first value of a query; NULL if it is null or there is no row. */
char *
query_value(const End *end, const char *sql)
{
	PGresult   *result = check_result(end, run_query(end, sql));
	char	   *value = NULL;

	if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
		value = pg_strdup(PQgetvalue(result, 0, 0));
	PQclear(result);
	return value;
}

/* Return the number that a query returns; 0 if it is null or there is no row. */
int64
query_number(const End *end, const char *sql)
{
	char	   *value = query_value(end, sql);
	int64		number = value ? strtoll(value, NULL, 10) : 0;

	pg_free(value);
	return number;
}

/* Connect to the database of an end.  Skip a file: its reader or writer opens it. */
void
connect_end(End *end)
{
	ConnParams	connection = options.connection;

	if (end->is_file)
		return;
	if (end->value != NULL)
		connection.dbname = pg_strdup(end->value);
	end->conn = connectDatabase(&connection, progname, false, false, false);
	end->name = psprintf("database \"%s\"", PQdb(end->conn));
	run_command(end, session_settings(end->conn));
}

/*
 * Return the value of a connection option for another connection to the same
 * server.
 */
static const char *
value_to_reach_again(const End *end, const PQconninfoOption *option)
{
	/* if several servers are named, the one that was reached */
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

/* Connect to the same server once more; false if it rejects the connection. */
bool
connect_again(const End *end, End *again)
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
		values[n++] = value_to_reach_again(end, option);
	}
	keywords[n] = values[n] = NULL;
	*again = *end;
	again->conn = PQconnectdbParams(keywords, values, false);
	PQconninfoFree(options_of_end);
	if (PQstatus(again->conn) != CONNECTION_OK)
	{
		if (!options.quiet)
			pg_log_info("continuing without a second session: %s", PQerrorMessage(again->conn));
		PQfinish(again->conn);
		again->conn = NULL;
		return false;
	}
	run_command(again, session_settings(again->conn));
	return true;
}

/* Return the first name that is not NULL. */
static const char *
first_given(const char *a, const char *b, const char *otherwise)
{
	return a ? a : b ? b : otherwise;
}

/* Return the quoted name of an end's store.  The target's names are a source's default. */
char *
store_name(const End *end)
{
	return pg_strdup(fmtQualifiedIdEnc(first_given(end->schema, options.target.schema, "eventstore"),
									   first_given(end->table, options.target.table, "events"),
									   PQclientEncoding(end->conn)));
}

/* Return a text as an SQL literal. */
char *
sql_literal(const End *end, const char *text)
{
	PQExpBufferData literal;

	initPQExpBuffer(&literal);
	appendStringLiteralConn(&literal, text, end->conn);
	return literal.data;
}

/* Return the name of an end's store as an SQL literal. */
char *
store_literal(const End *end)
{
	return sql_literal(end, store_name(end));
}

/* Return whether the database has the extension. */
bool
extension_exists(const End *end)
{
	return query_value(end, "SELECT extname FROM pg_catalog.pg_extension"
					   " WHERE extname = 'pg_eventstore'") != NULL;
}

/* Return whether the store of an end exists. */
bool
store_exists(const End *end)
{
	return extension_exists(end) &&
		query_value(end, psprintf("SELECT 1 FROM eventstore.stores"
								  " WHERE store = pg_catalog.to_regclass(%s)",
								  store_literal(end))) != NULL;
}

/* Create an object.  Return false if another session has created it meanwhile. */
static bool
create_if_missing(const End *end, const char *sql, bool (*exists) (const End *end))
{
	PGresult   *result = run_query(end, sql);
	ExecStatusType status = PQresultStatus(result);
	bool		made = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

	if (!made && (PQtransactionStatus(end->conn) != PQTRANS_IDLE || !exists(end)))
		fail_query(end, result);
	PQclear(result);
	return made;
}

/* Create the extension if it is missing.  Return whether it was created. */
bool
create_extension_if_missing(const End *end)
{
	return options.create_schema && !extension_exists(end) &&
		create_if_missing(end, "CREATE EXTENSION pg_eventstore", extension_exists);
}

/*
 * Create the extension and the store if they are missing.  The columns of a
 * new store get the width that the source needs.  This includes the default
 * store, which is created with the extension.
 */
void
create_store_if_missing(const End *end, const char *widening)
{
	bool		made = create_extension_if_missing(end) && store_exists(end);

	if (!store_exists(end))
		made = create_if_missing(end, psprintf("SELECT eventstore.create_store(%s, notifications => '%s',"
											   " create_schema_if_missing => %s)",
											   store_literal(end),
											   options.notifications ? "worker" : "off",
											   options.create_schema ? "true" : "false"), store_exists);
	if (made && widening != NULL)
		run_command(end, psprintf("ALTER TABLE %s %s", store_name(end), widening));
}

/* Return what identifies a database: the start of its server, and its number there. */
static const char *
database_identity(const End *end)
{
	const char *identity = query_value(end, "SELECT pg_catalog.concat_ws('/', pg_catalog.pg_postmaster_start_time(), oid)"
									   " FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()");

	return identity ? identity : "";
}

/* Return a query of the store of an end, or of all its slots in the database. */
char *
stores_query(const End *end)
{
	if (end->slots != NULL)
		return psprintf("SELECT slot_store AS store FROM eventstore.slots(%s)", store_literal(end));
	return psprintf("SELECT pg_catalog.to_regclass(%s) AS store", store_literal(end));
}

/* Return the name of a store that both ends have; NULL if there is none. */
char *
common_store(const End *a, const End *b)
{
	if (a->is_file || b->is_file || !extension_exists(a) ||
		strcmp(database_identity(a), database_identity(b)) != 0)
		return NULL;
	return query_value(a, psprintf("SELECT store FROM (%s) a JOIN (%s) b USING (store) LIMIT 1",
								   stores_query(a), stores_query(b)));
}
