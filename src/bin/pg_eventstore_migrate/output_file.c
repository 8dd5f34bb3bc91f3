/*
 * output_file.c
 *		Writes the file of an export.
 *
 * The events are written to a partial file: a new file with a unique name in
 * the same directory.  When it is complete, it is renamed to the name of the
 * target.  So at any time, the target is the old file or the complete new one.
 * A target that is not a regular file, such as a pipe or a terminal, is
 * written directly.
 */
#include "migrate.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_utils.h"
#include "common/logging.h"

#define FILE_BUFFER (1024 * 1024)

/* The output; set once. */
static struct
{
	FILE	   *file;			/* NULL if a dry run opens nothing */
	const char *name;			/* for messages */
	char	   *place;			/* path; NULL if written directly */
	bool		replaces;		/* the path has a file */
	struct stat old;			/* that file */
} output;

/* The name of the partial file, or NULL; a signal may arrive at any time. */
static const char *volatile partial;

/* Report that the file cannot be opened, and end the program. */
static void
__attribute__((noreturn))
fail_open(int error)
{
	errno = error;
	pg_fatal("could not open file \"%s\" for writing: %m", output.name);
}

/* Report that the file cannot be written, and end the program. */
static void
fail_write(void)
{
	pg_fatal("could not write to %s: %m", output.name);
}

/* Remove the partial file, if there is one; signal handlers call this. */
void
remove_partial(void)
{
	if (partial != NULL)
		(void) unlink(partial);
	partial = NULL;
}

/* Return the target of a symbolic link; NULL if the path is none. */
static char *
read_link(const char *path)
{
	char		leads_to[MAXPGPATH];
	const char *slash = strrchr(path, '/');
	ssize_t		length = readlink(path, leads_to, sizeof(leads_to));

	if (length < 0)
		return NULL;
	if (length == sizeof(leads_to))
		fail_open(ENAMETOOLONG);
	if (leads_to[0] == '/' || slash == NULL)
		return psprintf("%.*s", (int) length, leads_to);
	return psprintf("%.*s/%.*s", (int) (slash - path), path, (int) length, leads_to);
}

/*
 * Return the path after all symbolic links at its end; the file need not exist.
 * The caller has checked by stat() that the links are not a loop.
 */
static char *
follow_links(const char *path)
{
	char	   *at = pg_strdup(path);
	char	   *next;

	while ((next = read_link(at)) != NULL)
	{
		pg_free(at);
		at = next;
	}
	return at;
}

/* Open a stream to a descriptor; report a negative one as a failure to open. */
static void
open_stream(int fd)
{
	output.		file = fd < 0 ? NULL : fdopen(fd, PG_BINARY_W);

	if (output.file == NULL)
		fail_open(errno);
	(void) setvbuf(output.file, NULL, _IOFBF, FILE_BUFFER);
}

/* Create the partial file, which no other user can read. */
static void
create_partial(void)
{
	char	   *name = psprintf("%s.partial.XXXXXX", output.place);
	int			fd;

	if (output.replaces && access(output.place, W_OK) != 0)
		fail_open(errno);
	fd = mkstemp(name);
	if (fd < 0)
		fail_open(errno);
	partial = name;
	atexit(remove_partial);
	open_stream(fd);
}

/* Open the file, pipe or device that a path names. */
static void
open_output_path(const char *path)
{
	char	   *place;

	output.		replaces = stat(path, &output.old) == 0;

	if (!output.replaces && errno != ENOENT)
		fail_open(errno);
	place = follow_links(path);
	if (output.replaces && S_ISDIR(output.old.st_mode))
		fail_open(EISDIR);
	if (!output.replaces || S_ISREG(output.old.st_mode))
	{
		output.		place = place;

		create_partial();
	}
	else if (!options.dry_run)
		open_stream(open(place, O_WRONLY | O_NOCTTY | PG_BINARY, 0));
}

/* Open the target, to find failures early.  A dry run creates only a partial file. */
void
open_output(const End *target)
{
	int			fd = descriptor_of(target->value, STDOUT_FILENO);

	output.		name = fd == STDOUT_FILENO ? "standard output" : target->name;

	if (fd < 0)
		open_output_path(target->value);
	else if (!options.dry_run)
		open_stream(dup(fd));
}

/* Write an event as one line. */
void
write_line(const Line *line)
{
	if (fwrite(line->text, 1, line->length, output.file) != line->length ||
		fputc('\n', output.file) == EOF)
		fail_write();
}

/*
 * Give the new file the owner and the permissions of the old one.  If the old
 * group cannot be set, the group gets no more permissions than all other
 * users.
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

/* Give a new file the permissions that the umask allows. */
static void
set_permissions(int fd)
{
	mode_t		mask = umask(0);

	(void) umask(mask);
	if (fchmod(fd, 0666 & ~mask) != 0)
		fail_write();
}

/* Close the output, and rename the partial file to the target. */
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
