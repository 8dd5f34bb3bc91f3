/*
 * connection_string.c
 *		Distinguishes connection strings from file names, in --source and
 *		--target.
 */
#include "migrate.h"

#include <ctype.h>

/* Return the length of a URI's scheme, such as "postgresql"; 0 if the value is no URI. */
static size_t
scheme_length(const char *value)
{
	size_t		length = 0;

	while (isalnum((unsigned char) value[length]) || strchr("+-.", value[length]) != NULL)
	{
		if (value[length++] == '\0')
			return 0;
	}
	return strncmp(value + length, "://", 3) == 0 ? length : 0;
}

/* Return whether a value is a connection string; otherwise it names a file. */
bool
is_connection_string(const char *value)
{
	const char *suffix = strrchr(value, '.');

	if (scheme_length(value) > 0)
		return true;
	if (suffix != NULL && strcmp(suffix, ".jsonl") == 0)
		return false;
	return value[strcspn(value, "=/")] == '=';
}

/* Return a connection string that libpq accepts; NULL for a URI with another scheme. */
char *
connection_string(const char *value)
{
	static const char *const schemes[] = {"postgresql", "postgres"};
	size_t		length = scheme_length(value);

	if (length == 0)
		return pg_strdup(value);
	for (int i = 0; i < lengthof(schemes); i++)
	{
		if (length == strlen(schemes[i]) && pg_strncasecmp(value, schemes[i], length) == 0)
			return psprintf("%s%s", schemes[i], value + length);
	}
	return NULL;
}
