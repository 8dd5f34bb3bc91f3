/*
 * pg_dump.c
 *		The definitions of a slot, by pg_dump.
 *
 * pg_dump knows all that belongs to a table: indexes, triggers, policies, privileges,
 * comments, statistics.  It runs beside the source transaction, which holds a lock that
 * no DDL of the tables can pass.  DDL that waits for this lock would let pg_dump wait
 * behind it, for ever, so the wait is limited.
 */
#include "cluster.h"

#include <sys/wait.h>

#include "common/logging.h"

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

/*
 * Run pg_dump with the descriptor as its standard output.  The password is passed in the
 * environment, because the arguments can be read by others.
 */
static void
__attribute__((noreturn))
exec_pg_dump(Move *move, const char *section, int output)
{
	char	   *arguments[] = {pg_dump_path, "--schema-only", psprintf("--section=%s", section),
		"--encoding=UTF8", "--strict-names", "--lock-wait-timeout=10s", "--no-publications", "--no-subscriptions",
		psprintf("--dbname=%s", conninfo_to_reach(move->source)),
		psprintf("--table=%s", move->table),
	move->archive ? psprintf("--table=%s", move->archive) : NULL, NULL};
	const char *password = PQpass(move->source->conn);

	if (password != NULL && *password != '\0')
		(void) setenv("PGPASSWORD", password, 1);
	if (dup2(output, STDOUT_FILENO) >= 0)
		execvp(pg_dump_path, arguments);
	pg_log_error("could not run \"%s\": %m", pg_dump_path);
	_exit(127);
}

/* Read all that a descriptor gives. */
static char *
read_all(int input)
{
	PQExpBufferData text;
	char		piece[8192];
	ssize_t		size;

	initPQExpBuffer(&text);
	while ((size = read(input, piece, sizeof(piece))) > 0)
		appendBinaryPQExpBuffer(&text, piece, size);
	if (size < 0)
		pg_fatal("could not read from pg_dump: %m");
	if (PQExpBufferBroken(&text))
		pg_fatal("out of memory");
	return text.data;
}

/* Run pg_dump, and return what it writes. */
static char *
output_of_pg_dump(Move *move, const char *section)
{
	int			ends[2];
	int			status;
	pid_t		child;
	char	   *output;

	fflush(NULL);
	if (pipe(ends) < 0)
		pg_fatal("could not create a pipe: %m");
	child = fork();
	if (child < 0)
		pg_fatal("could not start pg_dump: %m");
	if (child == 0)
		exec_pg_dump(move, section, ends[1]);
	(void) close(ends[1]);
	output = read_all(ends[0]);

	(void) close(ends[0]);
	if (waitpid(child, &status, 0) == child && status == 0)
		return output;

	pg_log_error("pg_dump failed");
	pg_log_error_hint("pg_dump must not be older than the servers. It is looked for beside this program, and then in the PATH.");
	exit(1);
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
	char	   *dump = output_of_pg_dump(move, section);

	remove_restrict(dump);
	return dump;
}

/*
 * Cut definitions before the first entry of a type, and return the rest.  If a text of a
 * user looked like the title of an entry, the cut would leave an open quote, and the first
 * part would be rejected.
 */
static char *
cut_definitions(char *dump, const char *title)
{
	char	   *line = dump;

	while (line != NULL)
	{
		char	   *end = strchr(line, '\n');
		char	   *type = strstr(line, title);

		if (strncmp(line, "-- Name: ", 9) == 0 && type != NULL && end != NULL && type < end)
		{
			char	   *rest = pg_strdup(line);

			*line = '\0';
			return rest;
		}
		line = end ? end + 1 : NULL;
	}
	return "";
}

/* Return the tables with their sequences and defaults, and set *grants to the privileges. */
char *
dump_tables(Move *move, char **grants)
{
	char	   *dump = dump_section(move, "pre-data");

	*grants = cut_definitions(dump, "; Type: ACL; ");
	return dump;
}

/*
 * Read the other definitions: the indexes, and the triggers with all that pg_dump writes
 * after them.
 */
void
dump_rest(Move *move)
{
	char	   *dump = dump_section(move, "post-data");

	move->triggers = cut_definitions(dump, "; Type: TRIGGER; ");
	move->post_data = dump;
}
