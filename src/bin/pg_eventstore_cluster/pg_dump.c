/*
 * pg_dump.c
 *		The definitions of a slot, by pg_dump.
 *
 * pg_dump knows all that belongs to a table: indexes, triggers, policies, privileges,
 * comments, statistics.  It runs beside the source transaction, which holds a lock that
 * no DDL of the tables can pass.
 */
#include "cluster.h"

#include "common/logging.h"
#include "fe_utils/string_utils.h"

static char *pg_dump_path = "pg_dump";

/* Find pg_dump: beside this program, or else in the PATH. */
void
find_pg_dump(const char *argv0)
{
	char		path[MAXPGPATH];
	char	   *beside;

	if (find_my_exec(argv0, path) < 0)
		return;
	get_parent_directory(path);
	beside = psprintf("%s/pg_dump", path);
	if (access(beside, X_OK) == 0)
		pg_dump_path = beside;
}

/* Return the command that dumps a section. */
static char *
dump_command(Move *move, const char *section)
{
	PQExpBufferData command;

	initPQExpBuffer(&command);
	appendShellString(&command, pg_dump_path);
	appendPQExpBuffer(&command, " --schema-only --section=%s --encoding=UTF8 --strict-names"
					  " --no-publications --no-subscriptions --table=", section);
	appendShellString(&command, move->table);
	if (move->archive != NULL)
	{
		appendPQExpBufferStr(&command, " --table=");
		appendShellString(&command, move->archive);
	}
	appendPQExpBufferStr(&command, " --dbname=");
	appendShellString(&command, conninfo_to_reach(move->source));
	return command.data;
}

/* Run a command, with a password in the environment, and return what it writes. */
static char *
output_of(const char *command, const char *password)
{
	const char *before = getenv("PGPASSWORD");
	PQExpBufferData output;
	char		piece[8192];
	size_t		size;
	FILE	   *pipe;

	if (password != NULL && *password != '\0')
		(void) setenv("PGPASSWORD", password, 1);
	fflush(NULL);
	pipe = popen(command, "r");
	if (before != NULL)
		(void) setenv("PGPASSWORD", before, 1);
	else
		(void) unsetenv("PGPASSWORD");
	if (pipe == NULL)
		pg_fatal("could not run %s: %m", pg_dump_path);
	initPQExpBuffer(&output);
	while ((size = fread(piece, 1, sizeof(piece), pipe)) > 0)
		appendBinaryPQExpBuffer(&output, piece, size);
	if (pclose(pipe) != 0)
	{
		pg_log_error("pg_dump failed");
		pg_log_error_hint("pg_dump must not be older than the servers. It is looked for beside this program, and then in the PATH.");
		exit(1);
	}
	if (PQExpBufferBroken(&output))
		pg_fatal("out of memory");
	return output.data;
}

/*
 * Remove the lines "\restrict KEY" and "\unrestrict KEY", which recent versions write for
 * psql.  The key is random, so that no text of a user is such a line.
 */
static void
remove_restrict(char *dump)
{
	static const char word[] = "\\restrict ";
	char	   *first = strncmp(dump, word, strlen(word)) == 0 ? dump : strstr(dump, "\n\\restrict ");
	const char *key;
	char	   *lines[2];

	if (first == NULL)
		return;
	first += *first == '\n';
	key = pnstrdup(first + strlen(word), strcspn(first + strlen(word), "\r\n"));
	lines[0] = psprintf("\\restrict %s", key);
	lines[1] = psprintf("\\unrestrict %s", key);
	for (int i = 0; i < lengthof(lines); i++)
	{
		char	   *line = strstr(dump, lines[i]);

		if (line != NULL)
			memset(line, ' ', strlen(lines[i]));
	}
}

/* Return the definitions of one section, as SQL. */
static char *
dump_section(Move *move, const char *section)
{
	char	   *dump = output_of(dump_command(move, section), PQpass(move->source->conn));

	remove_restrict(dump);
	return dump;
}

/* Return the tables with their sequence, defaults and privileges. */
char *
dump_tables(Move *move)
{
	return dump_section(move, "pre-data");
}

/*
 * Read the other definitions: the indexes, and the triggers with all that pg_dump writes
 * after them.  If a text of a user looked like the title of an entry, the cut would leave
 * an open quote, and the first part would be rejected.
 */
void
dump_rest(Move *move)
{
	char	   *dump = dump_section(move, "post-data");
	char	   *line = dump;

	move->post_data = dump;
	move->triggers = "";
	while (line != NULL)
	{
		char	   *end = strchr(line, '\n');
		char	   *type = strstr(line, "; Type: TRIGGER; ");

		if (strncmp(line, "-- Name: ", 9) == 0 && type != NULL && end != NULL && type < end)
		{
			move->triggers = pg_strdup(line);
			*line = '\0';
			return;
		}
		line = end ? end + 1 : NULL;
	}
}
