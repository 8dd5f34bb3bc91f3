/*
 * descriptors.c
 *		The descriptors that the command line names, and their checks.
 */
#include "migrate.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/logging.h"

/* Return the descriptor that a path names, "standard" for "-", or -1 if it names none. */
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

/* Return the descriptor that an end names, or -1 if it names none. */
static int
descriptor_of_end(const End *end)
{
	if (!end->is_file)
		return -1;
	return descriptor_of(end->value, end == &options.source ? STDIN_FILENO : STDOUT_FILENO);
}

/* End the program if an end names a descriptor that was not open at the start. */
void
check_descriptor(const End *end)
{
	int			fd = descriptor_of_end(end);

	if (fd < 0)
		return;
	if (fd <= STDERR_FILENO ? !descriptor_was_closed[fd] : fcntl(fd, F_GETFD) >= 0)
		return;
	if (fd == STDIN_FILENO)
		pg_fatal("the standard input is not open");
	if (fd == STDOUT_FILENO)
		pg_fatal("the standard output is not open");
	pg_fatal("descriptor %d is not open", fd);
}

/* Return whether there is a terminal that can prompt for a password. */
static bool
has_terminal(void)
{
	int			fd = open("/dev/tty", O_RDWR | O_NOCTTY, 0);

	return fd >= 0 && close(fd) == 0;
}

/*
 * Prevent a password prompt from reading the events.  Without a terminal, a
 * prompt reads the standard input.  If an end uses the standard input, disable
 * the prompt; if the prompt is forced, end the program.
 */
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
