/*
 * standard_descriptors.c
 *		Opens the standard descriptors that are closed when a program starts.
 */
#include "client.h"

#include <fcntl.h>

/* The standard descriptors that were closed when the program started. */
bool		descriptor_was_closed[STDERR_FILENO + 1];

/*
 * Open the null device for each closed one of standard input, output and error.
 * Otherwise the next file or connection would get the closed one's number.
 */
void
open_closed_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
	{
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		descriptor_was_closed[fd] = true;
		if (open(DEVNULL, fd == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0) != fd)
			exit(1);
	}
}
