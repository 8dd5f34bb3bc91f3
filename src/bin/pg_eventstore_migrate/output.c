/*
 * output.c
 *		The file that an export writes.
 *
 * It is written beside its place, under a name that nobody else has, and put
 * there when it is whole.  So the place has the old file or the new one, ever.
 * What is no regular file, such as a pipe or a terminal, is written as it is.
 */
#include "migrate.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_utils.h"
#include "common/logging.h"

#define FILE_BUFFER (1024 * 1024)
#define MAX_LINKS 40

/* What is written; set once, for as long as the program runs. */
static struct
{
	FILE	   *file;			/* NULL in a dry run, if there is nothing to
								 * try */
	const char *name;			/* for messages */
	char	   *place;			/* of the file; NULL if it is written as it is */
	bool		replaces;		/* there is a file */
	struct stat old;			/* that file */
} output;

/* the name of the file until it is whole, or NULL; a signal may come at any time */
static const char *volatile partial;

/* End the program, as the file cannot be opened. */
static void
__attribute__((noreturn))
fail_open(void)
{
	pg_fatal("could not open file \"%s\" for writing: %m", output.name);
}

/* End the program, as the file cannot be written. */
static void
fail_write(void)
{
	pg_fatal("could not write to %s: %m", output.name);
}

/* Remove what was written of a file that is not whole; a signal may call this. */
void
remove_partial(void)
{
	if (partial != NULL)
		(void) unlink(partial);
	partial = NULL;
}

/* The path that a symbolic link leads to; NULL if it is none. */
static char *
read_link(const char *path)
{
	char		leads_to[MAXPGPATH];
	const char *slash = strrchr(path, '/');
	ssize_t		length = readlink(path, leads_to, sizeof(leads_to));

	if (length < 0)
		return NULL;
	if (length == sizeof(leads_to))
	{
		errno = ENAMETOOLONG;
		fail_open();
	}
	if (leads_to[0] == '/' || slash == NULL)
		return psprintf("%.*s", (int) length, leads_to);
	return psprintf("%.*s/%.*s", (int) (slash - path), path, (int) length, leads_to);
}

/* The path without symbolic links at its end; there need not be a file yet. */
static char *
follow_links(const char *path)
{
	char	   *at = pg_strdup(path);
	char	   *next;

	for (int i = 0; (next = read_link(at)) != NULL; i++)
	{
		if (i == MAX_LINKS)
		{
			errno = ELOOP;
			fail_open();
		}
		pg_free(at);
		at = next;
	}
	return at;
}

/* Write to this descriptor. */
static void
write_to(int fd)
{
	output.		file = fd < 0 ? NULL : fdopen(fd, PG_BINARY_W);

	if (output.file == NULL)
		fail_open();
	(void) setvbuf(output.file, NULL, _IOFBF, FILE_BUFFER);
}

/* Begin a file beside its place, which nobody else may read yet. */
static void
begin_partial(void)
{
	char	   *name = psprintf("%s.partial.XXXXXX", output.place);
	int			fd;

	if (output.replaces && access(output.place, W_OK) != 0)
		fail_open();
	fd = mkstemp(name);
	if (fd < 0)
		fail_open();
	partial = name;
	atexit(remove_partial);
	write_to(fd);
}

/* Open what a path names. */
static void
open_path(const char *path)
{
	char	   *place = follow_links(path);

	output.		replaces = stat(place, &output.old) == 0;

	if (!output.replaces && errno != ENOENT)
		fail_open();
	if (output.replaces && S_ISDIR(output.old.st_mode))
	{
		errno = EISDIR;
		fail_open();
	}
	if (!output.replaces || S_ISREG(output.old.st_mode))
	{
		output.		place = place;

		begin_partial();
	}
	else if (!options.dry_run)
		write_to(open(place, O_WRONLY | O_NOCTTY | PG_BINARY, 0));
}

/*
 * Open the target's file, or what else it names, as it can be seen now whether
 * that works.  A dry run tries what leaves no trace.
 */
void
open_output(const End *target)
{
	int			fd = descriptor_of(target->value, STDOUT_FILENO);

	output.		name = fd == STDOUT_FILENO ? "standard output" : target->name;

	if (fd < 0)
		open_path(target->value);
	else if (!options.dry_run)
		write_to(dup(fd));
}

/* Write a line. */
void
write_line(const Line *line)
{
	if (fwrite(line->text, 1, line->length, output.file) != line->length ||
		fputc('\n', output.file) == EOF)
		fail_write();
}

/*
 * Give the new file the owner and the permissions of the old one.  Where it
 * cannot have that group, its own group may do no more than anybody.
 */
static void
keep_permissions(int fd)
{
	const struct stat *old = &output.old;
	mode_t		mode = old->st_mode & 0777;

	if (fchown(fd, old->st_uid, old->st_gid) != 0 &&
		fchown(fd, -1, old->st_gid) != 0)
		mode = (mode & 0707) | ((mode & 0007) << 3 & mode);
	if (fchmod(fd, mode) != 0)
		fail_write();
}

/* Give a new file the permissions that the umask leaves. */
static void
set_permissions(int fd)
{
	mode_t		mask = umask(0);

	(void) umask(mask);
	if (fchmod(fd, 0666 & ~mask) != 0)
		fail_write();
}

/* All is written: put the file in its place. */
void
close_output(void)
{
	int			fd = fileno(output.file);

	if (fflush(output.file) != 0)
		fail_write();
	if (output.place == NULL)
	{
		if (fclose(output.file) != 0)
			fail_write();
		return;
	}
	if (output.replaces)
		keep_permissions(fd);
	else
		set_permissions(fd);
	if (fsync(fd) != 0 || fclose(output.file) != 0)
		fail_write();
	if (rename(partial, output.place) != 0)
		pg_fatal("could not rename file \"%s\" to \"%s\": %m", partial, output.place);
	partial = NULL;
	if (fsync_parent_path(output.place) != 0)
		exit(1);
}
