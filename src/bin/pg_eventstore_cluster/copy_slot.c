/*
 * copy_slot.c
 *		Copies a slot to another node: steps M2, M3 and M5 of a move, see move.c.
 */
#include "cluster.h"

#include "common/logging.h"

#define SMALL_REST 500			/* positions to copy under the lock */
#define MOST_ROUNDS 10

/*
 * End the program if an object that is no part of the tables depends on them: the drop on
 * the source would fail.
 */
static void
check_dependents(Move *move)
{
	PGresult   *result = run_query(move->source, psprintf("WITH t AS (SELECT c.oid FROM pg_catalog.pg_class c"
														  "  WHERE c.oid IN (%s::pg_catalog.regclass, %s::pg_catalog.regclass))"
														  " SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, 0)"
														  "  FROM pg_catalog.pg_depend d JOIN t ON d.refobjid = t.oid"
														  "  LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid"
														  "  LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid"
														  " WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'n'"
														  " AND (d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
														  "  OR r.ev_class NOT IN (SELECT oid FROM t) OR k.conrelid NOT IN (SELECT oid FROM t))",
														  move->literal,
														  move->archive ? literal(move->source, move->archive) : "NULL"));

	if (PQntuples(result) > 0)
	{
		pg_log_error("%s: %s depends on %s", move->source->label, PQgetvalue(result, 0, 0), move->table);
		pg_log_error_hint("Drop it before the move, and create it on %s after the move.", move->target->label);
		exit(1);
	}
	PQclear(result);
}

/* Read the name of the archive. */
void
read_archive(Move *move)
{
	move->archive = query_value(move->source, "SELECT archive FROM eventstore.archives"
								" WHERE store = %s::pg_catalog.regclass", move->literal);
}

/* M2: begin on the source, and read what there is to move. */
void
begin_source(Move *move)
{
	Server	   *source = move->source;

	run_command(source, "BEGIN");
	run_command(source, "SELECT eventstore.lock_slot(%s)", move->literal);
	read_archive(move);
	move->sequence = query_value(source, "SELECT position_sequence FROM eventstore.stores"
								 " WHERE store = %s::pg_catalog.regclass", move->literal);
	check_trust(move, source);
	if (move->sequence == NULL)
		pg_fatal("%s: the default of column position of %s is not its sequence", source->label, move->table);
	move->columns = query_value(source, "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ' ORDER BY attnum)"
								" FROM pg_catalog.pg_attribute WHERE attrelid = %s::pg_catalog.regclass"
								" AND attnum > 0 AND NOT attisdropped AND attgenerated = ''", move->literal);
	check_dependents(move);
	test_point("locked");
}

/* Return a text that changes with the privileges of the tables and their owners. */
static char *
privileges(Move *move)
{
	return query_value(move->source, "SELECT pg_catalog.string_agg(pg_catalog.concat_ws('/', c.relowner, c.relacl,"
					   " (SELECT pg_catalog.string_agg(a.attacl::text, ',' ORDER BY a.attnum)"
					   "    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid)), ';' ORDER BY c.oid)"
					   " FROM pg_catalog.pg_class c WHERE c.oid IN (%s::pg_catalog.regclass, %s::pg_catalog.regclass)",
					   move->literal, move->archive ? literal(move->source, move->archive) : "NULL");
}

/* Run SQL of pg_dump on the target. */
static void
run_definitions(Move *move, const char *sql)
{
	PGresult   *result = try_query(move->target, sql);

	if (PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK ||
		PQresultStatus(result) == PGRES_EMPTY_QUERY)
	{
		PQclear(result);
		return;
	}
	pg_log_error("%s: %s", move->target->label, result_message(move->target, result));
	pg_log_error_detail("A definition of %s failed. Nothing was moved.", move->table);
	pg_log_error_hint("First create on %s what the slot depends on: roles, schemas, and the functions of its triggers. A foreign key cannot be moved without the other table.",
					  move->target->label);
	exit(1);
}

/*
 * Read the definitions of indexes and triggers, and create them for a try while the tables
 * are empty: a missing function must not be found after hours of copying.
 */
static void
try_rest(Move *move)
{
	dump_rest(move);
	run_command(move->target, "SAVEPOINT try");
	run_definitions(move, move->post_data);
	run_definitions(move, move->triggers);
	check_trust(move, move->target);
	run_command(move->target, "ROLLBACK TO SAVEPOINT try; RELEASE SAVEPOINT try");
}

/*
 * Grant USAGE on the schemas on the target, as on the source.  Otherwise the roles that use
 * the slot could not use it after the move.
 */
static void
grant_usage(Move *move)
{
	char	   *grants = query_value(move->source,
									 "SELECT pg_catalog.string_agg(DISTINCT pg_catalog.format('GRANT USAGE ON SCHEMA %%I TO %%s;', n.nspname,"
									 " CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END), ' ')"
									 " FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a"
									 " WHERE n.nspname IN ('eventstore', %s) AND a.privilege_type = 'USAGE' AND a.grantee <> n.nspowner",
									 literal(move->source, move->store->schema));

	if (grants && *grants)
		run_definitions(move, grants);
}

/* Return a query of the sequences that belong to columns of the tables. */
static char *
own_sequences(Move *move)
{
	return psprintf("SELECT s.oid FROM pg_catalog.pg_class s JOIN pg_catalog.pg_depend d ON d.objid = s.oid"
					" WHERE s.relkind = 'S' AND d.deptype IN ('a', 'i')"
					" AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
					" AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
					" AND d.refobjid IN (%s::pg_catalog.regclass, %s::pg_catalog.regclass)",
					move->literal, move->archive ? literal(move->source, move->archive) : "NULL");
}

/* Return statements that would revoke what is granted on the tables and their sequences. */
static char *
revocations(Move *move, Server *server)
{
	return query_value(server, "SELECT pg_catalog.array_agg(pg_catalog.concat('REVOKE ', option, a.privilege_type, ' ON ',"
					   "  CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' END, c.oid::pg_catalog.regclass, ' FROM ',"
					   "  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END) ORDER BY option DESC)"
					   " FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a, (VALUES (''), ('GRANT OPTION FOR ')) o (option)"
					   " WHERE (c.oid IN (%s::pg_catalog.regclass, %s::pg_catalog.regclass) OR c.oid IN (%s))"
					   " AND a.grantee <> c.relowner AND (option = '' OR a.is_grantable)",
					   move->literal, move->archive ? literal(server, move->archive) : "NULL",
					   own_sequences(move));
}

/*
 * Revoke what the source does not grant: the default privileges of the target can give
 * more, and pg_dump does not know them.  The grants of the source come after this, because
 * to revoke a privilege on a table also revokes it on the columns.
 */
static void
revoke_defaults(Move *move)
{
	char	   *there = revocations(move, move->source);
	char	   *here = revocations(move, move->target);
	char	   *sql;

	if (here == NULL)
		return;
	sql = query_value(move->target, "SELECT pg_catalog.string_agg(s, ';') FROM pg_catalog.unnest(%s::text[]) s"
					  " WHERE s <> ALL (%s::text[])", literal(move->target, here),
					  literal(move->target, there ? there : "{}"));
	if (sql != NULL)
		run_definitions(move, sql);
}

/* M3: begin on the target, and create the tables. */
void
create_tables(Move *move)
{
	char	   *grants;
	const char *schema = identifier(move->target, move->store->schema);
	const char *owner = query_value(move->source, "SELECT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(nspowner))"
									" FROM pg_catalog.pg_namespace WHERE nspname = %s",
									literal(move->source, move->store->schema));

	run_command(move->target, "BEGIN");
	check_projections(move);
	check_names(move);
	if (query_value(move->target, "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s",
					literal(move->target, move->store->schema)) == NULL)
		run_definitions(move, psprintf("CREATE SCHEMA %s AUTHORIZATION %s", schema, owner));
	grant_usage(move);
	move->grants = privileges(move);
	run_definitions(move, dump_tables(move, &grants));
	revoke_defaults(move);
	run_definitions(move, grants);
	try_rest(move);
	test_point("created");
}

/*
 * Copy the rows of a table that match a condition, as text: in binary, a column of type
 * regclass would be a number that names another table on the target.
 */
static int64
copy_rows(Move *move, const char *table, const char *condition, bool frozen)
{
	int64		rows = relay_rows(move->source, psprintf("COPY (SELECT %s FROM %s WHERE %s) TO STDOUT",
														 move->columns, table, condition),
								  move->target, psprintf("COPY %s (%s) FROM STDIN%s",
														 table, move->columns, frozen ? " (FREEZE)" : ""), true);

	move->events += rows;
	return rows;
}

/* Copy the events after the mark up to the high-water mark, which becomes the new mark. */
static void
copy_to_mark(Move *move, bool first)
{
	int64		mark = query_number(move->source, "SELECT eventstore.high_water_mark(%s)", move->literal);

	(void) copy_rows(move, move->table, psprintf("position > " INT64_FORMAT " AND position <= " INT64_FORMAT,
												 first ? PG_INT64_MIN : move->mark, mark), first);
	move->mark = mark;
}

/*
 * Return what must be equal on both sides for the events of a table that match a
 * condition.
 */
static char *
summary(Server *server, const char *table, const char *condition)
{
	return query_value(server, "SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*), pg_catalog.min(position),"
					   " pg_catalog.max(position), pg_catalog.sum(position), pg_catalog.sum(aggregate_version),"
					   " pg_catalog.sum(pg_catalog.length(event_id))) FROM %s WHERE %s", table, condition);
}

/* End the program if the two sides differ. */
static void
compare(Move *move, const char *table, const char *condition)
{
	const char *there = summary(move->source, table, condition);
	const char *here = summary(move->target, table, condition);

	if (strcmp(there, here) == 0)
		return;
	pg_log_error("the copy of %s differs", table);
	pg_log_error_detail("Number, first, last and sum of the positions, sum of the versions, sum of the lengths of the ids: %s on %s, %s on %s. Nothing was moved.",
						there, move->source->label, here, move->target->label);
	exit(1);
}

/* Compare what was copied before the lock. */
static void
compare_most(Move *move)
{
	compare(move, move->table, psprintf("position <= " INT64_FORMAT, move->mark));
	if (move->archive != NULL)
		compare(move, move->archive, "true");
}

/* M3: copy all but the last events, create the indexes, and compare. */
void
copy_most(Move *move)
{
	int64		expected = query_number(move->source, "SELECT pg_catalog.sum(GREATEST(reltuples, 0))::bigint"
										" FROM pg_catalog.pg_class WHERE oid IN (%s::pg_catalog.regclass, %s::pg_catalog.regclass)",
										move->literal, move->archive ? literal(move->source, move->archive) : "NULL");

	relay_begin(expected);
	if (move->archive != NULL)
		(void) copy_rows(move, move->archive, "true", true);
	copy_to_mark(move, true);
	test_point("copied");
	run_definitions(move, move->post_data);
	for (int n = 0; n < MOST_ROUNDS; n++)
	{
		if (query_number(move->source, "SELECT eventstore.high_water_mark(%s)", move->literal) - move->mark <= SMALL_REST)
			break;
		copy_to_mark(move, false);
	}
	compare_most(move);
	relay_end();
	test_point("indexed");
}

/* Set the sequence of the positions, and those of other columns, as on the source. */
static void
set_sequences(Move *move)
{
	PGresult   *names = run_query(move->source, psprintf("SELECT oid::pg_catalog.regclass FROM pg_catalog.pg_class"
														 " WHERE oid = %s::pg_catalog.regclass OR oid IN (%s)",
														 literal(move->source, move->sequence), own_sequences(move)));

	for (int i = 0; i < PQntuples(names); i++)
	{
		const char *name = PQgetvalue(names, i, 0);

		run_command(move->target, "SELECT pg_catalog.setval(%s, %s)", literal(move->target, name),
					query_value(move->source, "SELECT pg_catalog.concat_ws(', ', last_value, is_called::text) FROM %s", name));
	}
	PQclear(names);
}

/* M5: copy the rest under the lock, and compare. */
void
copy_rest(Move *move)
{
	char	   *rest = psprintf("position > " INT64_FORMAT, move->mark);

	(void) copy_rows(move, move->table, rest, false);
	compare(move, move->table, rest);
	if (strcmp(move->grants, privileges(move)) != 0)
	{
		pg_log_error("%s: the privileges on %s have changed during the move", move->source->label, move->table);
		pg_log_error_hint("Nothing was moved. Run the command again.");
		exit(1);
	}
	check_projections(move);
	set_sequences(move);
	copy_companions(move);
	run_definitions(move, move->triggers);
	test_point("rest");
}
