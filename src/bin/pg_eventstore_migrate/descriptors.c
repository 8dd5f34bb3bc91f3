/*
 * descriptors.c
 *		Files that are open when the program begins, and what may be done with
 *		them.
 */
#include "migrate.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/logging.h"

/* those of the standard ones that were closed; set when the program begins */
static bool was_closed[STDERR_FILENO + 1];

/*
 * Open the standard input, output and error, as far as they are closed.  Else
 * what is opened next would be taken for them, such as the connection to a
 * server.
 */
void
open_closed_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
	{
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		was_closed[fd] = true;
		if (open(DEVNULL, fd == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0) != fd)
			exit(1);
	}
}

/* The descriptor that a path names; "-" is the standard one, -1 is none. */
int
descriptor_of(const char *path, int standard)
{
	static const char *const names[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
	char	   *end;
	long		number;

	if (strcmp(path, "-") == 0)
		return standard;
	for (int fd = 0; fd < lengthof(names); fd++)
	{
		if (strcmp(path, names[fd]) == 0)
			return fd;
	}
	if (strncmp(path, "/dev/fd/", 8) != 0 || !isdigit((unsigned char) path[8]))
		return -1;
	number = strtol(path + 8, &end, 10);
	return *end == '\0' && number <= PG_INT32_MAX ? (int) number : -1;
}

/* The descriptor that an end names, or -1. */
static int
descriptor_of_end(const End *end)
{
	if (!end->is_file)
		return -1;
	return descriptor_of(end->value, end == &options.source ? STDIN_FILENO : STDOUT_FILENO);
}

/* See that the descriptor that an end names, if it does, was open from the begin. */
void
check_descriptor(const End *end)
{
	int			fd = descriptor_of_end(end);

	if (fd < 0)
		return;
	if (fd <= STDERR_FILENO ? !was_closed[fd] : fcntl(fd, F_GETFD) >= 0)
		return;
	if (fd == STDIN_FILENO)
		pg_fatal("the standard input is not open");
	if (fd == STDOUT_FILENO)
		pg_fatal("the standard output is not open");
	pg_fatal("descriptor %d is not open", fd);
}

/* Whether there is a terminal that can ask for a password. */
static bool
has_terminal(void)
{
	int			fd = open("/dev/tty", O_RDWR | O_NOCTTY, 0);

	if (fd < 0)
		return false;
	(void) close(fd);
	return true;
}

/* Without a terminal a password would be read from the standard input: never from events. */
void
protect_standard_input(void)
{
	if (descriptor_of_end(&options.source) != STDIN_FILENO &&
		descriptor_of_end(&options.target) != STDIN_FILENO)
		return;
	if (options.connection.prompt_password == TRI_NO || has_terminal())
		return;
	if (options.connection.prompt_password == TRI_YES)
		pg_fatal("there is no terminal to ask for a password, and the standard input gives the events");
	options.connection.prompt_password = TRI_NO;
}
